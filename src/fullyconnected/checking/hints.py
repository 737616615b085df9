"""The likely mistake behind a wrong gradient: a factor, a sign, a transpose and the like."""

from collections.abc import Iterator

import numpy as np

from fullyconnected.core.arrays import Array

__all__ = ["hint"]

ROUNDED = 5e-4  # most relative error of a constant that is rounded to three digits or more
ALIKE = 1e-4  # largest difference, relative to the largest entry, of gradients that count as equal


def _alike(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max() <= ALIKE * max(np.abs(b).max(), 1e-300))


def _factors(rows: int, n_out: int) -> Iterator[tuple[float, str]]:
    yield -1, "the sign is wrong"
    yield 2, "it is 2 times too large: a half is missing, or something is added twice"
    yield 0.5, "it is half as large as it should be: a factor 2 is missing, or a half too many"
    yield rows, f"it is {rows} times too large, the number of rows: the mean over rows is missing"
    yield 1 / rows, f"it is {rows} times too small, the number of rows: the mean over rows is taken twice"
    yield n_out, f"it is {n_out} times too large, the number of outputs: a mean over outputs is missing"
    yield 1 / n_out, f"it is {n_out} times too small, the number of outputs: a mean over outputs is too many"


def hint(claimed: Array, true: Array, values: Array, rows: int, n_out: int, l2: float) -> str:
    """Return the likely mistake in a wrong gradient of ``values``; the simplest explanations come first."""
    if not np.isfinite(claimed).all():
        unwritten, infinite = int(np.isnan(claimed).sum()), int(np.isinf(claimed).sum())
        if infinite:
            return f"{infinite} of {claimed.size} entries are infinite, but the loss is not: backward overflows"
        return f"{unwritten} of {claimed.size} entries are NaN: they may never have been written (buffers start as NaN)"
    if not claimed.any():
        return "it is zero everywhere: backward may have left it out"
    size = float(np.vdot(true, true))
    if size == 0:
        return "the loss does not depend on this tensor, so its gradient should be zero"
    ratio = float(np.vdot(claimed, true)) / size
    if _alike(claimed, ratio * true):
        found = [text for factor, text in _factors(rows, n_out) if abs(ratio / factor - 1) < ALIKE and factor != 1]
        if found:
            return "; or ".join(dict.fromkeys(found))
        if abs(ratio - 1) < ROUNDED:
            return f"it is nearly right, {ratio:.6g} times what it should be: look for a rounded constant"
        return f"every entry is {ratio:.6g} times what it should be: a constant factor"
    if true.ndim == 2:
        turned = claimed.reshape(true.shape[::-1]).T
        if _alike(turned, true) or _alike(claimed.T, true):
            return "it is transposed: dy' x instead of x' dy, or the other way round"
    missing = true - claimed
    if l2 and (whole := float(np.vdot(values, values))):
        part = float(np.vdot(missing, values)) / (l2 * whole)  # the missing multiple of l2 * W
        if abs(part) > ALIKE and _alike(claimed + part * l2 * values, true):
            if abs(part - 1) < 1e-3:
                return "the gradient of the l2 term is left out: l2 * W is missing"
            return f"the gradient of the l2 term is {1 - part:.3g} times l2 * W, and should be l2 * W"
    off = np.argwhere(np.abs(missing) > ALIKE * np.abs(true).max())
    if 0 < 10 * len(off) <= missing.size:
        where = ", ".join(f"[{','.join(map(str, entry))}]" for entry in off[:3])
        return f"only {len(off)} of {missing.size} entries {'is' if len(off) == 1 else 'are'} off, at {where}"
    if np.abs(missing).max() < 0.05 * np.abs(true).max():
        return "it is nearly right: look for a rounded constant, or a term that is small here"
    return "no factor, sign or transpose explains it: look for a missing activation derivative or sum over rows"
