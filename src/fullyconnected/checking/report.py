"""What a check of gradients has found, tensor by tensor, and how it prints."""

import math
from dataclasses import dataclass

from fullyconnected.core.deprecation import accept_old_settings
from fullyconnected.core.wording import in_ascii

__all__ = ["Report", "TensorReport"]


@dataclass(frozen=True)
class TensorReport:
    """How one tensor's gradient compares with differences, at its worst entry.

    Attributes
    ----------
    name, shape
        Of the tensor.
    error : float
        (gradient - difference) relative to the largest entry, or to what differences can resolve where that is more.
    entry : tuple of int
        Where the error is largest.
    gradient, difference : float
        What is claimed there, and what was found.
    tolerance : float
        Which error is allowed.
    checked : int
        How many entries were compared: all, unless fewer were asked for.
    verdict : str
        ``"ok"``; ``"wrong"``: an entry differs by more than tolerance, rounding and truncation explain; or
        ``"unresolved"``: no entry says either, since each lies below ``bound`` or on a kink.
    unresolved : int
        How many of the entries could not be resolved.
    bound : float
        Where entries could not be resolved: the size of a gradient below which a mistake of 0.1 % cannot be told from
        rounding and truncation there.
    kinks : tuple of str
        Entries that are left out, because they lie on a kink, and where it is.
    hint : str
        What the mistake looks like.
    """

    name: str
    shape: tuple[int, ...]
    error: float
    entry: tuple[int, ...]
    gradient: float
    difference: float
    tolerance: float
    checked: int
    verdict: str = "ok"
    unresolved: int = 0
    bound: float = 0.0
    kinks: tuple[str, ...] = ()
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether the gradient was compared, and is right."""
        return self.verdict == "ok"

    @property
    def wrong(self) -> bool:
        """Whether the gradient was compared, and is wrong."""
        return self.verdict == "wrong"

    def notes(self) -> list[str]:
        """Return what is to be said beside the numbers."""
        size, lines = math.prod(self.shape), []
        if self.checked < size:
            lines.append(f"{self.name}: {self.checked:,} of {size:,} entries were compared, drawn at random")
        if self.unresolved:
            some = f", at {self.unresolved:,} of {self.checked:,} entries" if self.unresolved < self.checked else ""
            lines.append(
                f"{self.name}: gradient and differences are below what differences can resolve here, about "
                f"{self.bound:.1e}{some}"
            )
        lines += [f"{self.name}{kink}" for kink in self.kinks[:3]]
        if len(self.kinks) > 3:
            lines.append(f"{self.name}: and {len(self.kinks) - 3} more entries at a kink")
        return lines


@accept_old_settings
@dataclass(frozen=True)
class Report:
    """The outcome of :func:`check_gradients`: prints as a table, with a diagnosis where something is wrong.

    Attributes
    ----------
    tensors : tuple of TensorReport
        One for each parameter and for the input.
    loss : float
        Where it is not finite, nothing can be compared, and no tensor has a verdict but ``"unresolved"``.
    rows : int
        Of the batch.
    step : float
        The first step; smaller and larger ones are tried before anything is called wrong.
    dtype : str
        What the network computes in.
    culprit : str
        What holds the first values that are not finite, where the loss is not.
    """

    tensors: tuple[TensorReport, ...]
    loss: float
    rows: int
    step: float
    dtype: str
    culprit: str = ""

    @property
    def ok(self) -> bool:
        """Whether no gradient is wrong, and one at least was found to be right."""
        return not self.wrong and any(tensor.ok for tensor in self.tensors)

    @property
    def wrong(self) -> bool:
        """Whether a gradient is wrong."""
        return any(tensor.wrong for tensor in self.tensors)

    @property
    def worst(self) -> float:
        """The largest error, without its sign, of all tensors that could be resolved.

        NaN where a gradient is not finite, or where nothing could be resolved.
        """
        errors = [abs(tensor.error) for tensor in self.tensors if tensor.verdict != "unresolved"]
        return math.nan if not errors or any(map(math.isnan, errors)) else max(errors)

    def __str__(self) -> str:
        rows = f"{self.rows} row{'s' * (self.rows != 1)}, {self.dtype}"
        if not math.isfinite(self.loss):
            return in_ascii(
                f"the loss is {self.loss} ({rows}): no gradient can be compared with differences of it. The first "
                f"values that are not finite are in {self.culprit}"
            )
        left = max(8, *(len(t.name) for t in self.tensors))
        lines = [
            f"gradients of a loss of {self.loss:.6g} ({rows}) against central differences in float64 with "
            f"a step of {self.step:.2g}",
            f"{'tensor':<{left}}  {'shape':<12} {'worst at':<10} {'gradient':>13} {'difference':>13} {'error':>9}",
        ]
        for t in self.tensors:
            where, shape = ",".join(map(str, t.entry)), "x".join(map(str, t.shape))
            verdict = {"ok": "", "wrong": "  WRONG"}.get(t.verdict, f"  {t.verdict}")
            lines.append(
                f"{t.name:<{left}}  {shape:<12} {f'[{where}]':<10} {t.gradient:>13.6g} {t.difference:>13.6g} "
                f"{t.error:>9.1e}{verdict}"
            )
        for t in self.tensors:
            lines += t.notes()
        lines += [f"{t.name}: {t.hint}" for t in self.tensors if t.hint]
        if self.wrong:
            lines.append("WRONG: errors travel backward, so look at the last wrong tensor first")
        elif not self.ok:
            lines.append("unresolved: nothing here is large enough to be compared")
        else:
            some = sum(t.verdict == "unresolved" for t in self.tensors)
            lines.append(f"all right, but for {some} that could not be resolved" if some else "all right")
        return in_ascii("\n".join(lines))
