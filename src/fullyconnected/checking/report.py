"""The report of a gradient check, for each tensor, and how it prints."""

import math
from dataclasses import dataclass

from fullyconnected.core.deprecation import accept_old_names
from fullyconnected.core.wording import in_ascii

__all__ = ["Report", "TensorReport"]


@dataclass(frozen=True)
class TensorReport:
    """The comparison of one tensor's gradient with central differences, at its worst entry.

    Attributes
    ----------
    name, shape
        Name and shape of the tensor.
    error : float
        (gradient - difference), relative to the largest entry, or to what differences can resolve if that is larger.
    entry : tuple of int
        The entry with the largest error.
    gradient, difference : float
        The claimed gradient of that entry, and its central difference.
    tolerance : float
        The largest error that is allowed.
    checked : int
        The number of entries that were compared: all, unless ``entries`` limits it.
    verdict : str
        ``"ok"``; ``"wrong"``: an entry differs by more than tolerance, rounding and truncation explain; or
        ``"unresolved"``: no entry can be compared, since each is smaller than ``bound`` or on a kink.
    unresolved : int
        The number of entries that could not be resolved.
    bound : float
        If entries could not be resolved: the size of a gradient below which a mistake of 0.1 % cannot be told from
        rounding and truncation.
    kinks : tuple of str
        The entries that are left out because they lie on a kink, each with the name of the kink.
    hint : str
        The likely mistake, for a wrong gradient.
    left_out : int
        The number of entries that are missing values or codes of categories: they have no gradient, and it must be 0.
    columns : tuple of int
        The columns of the input in which they are.
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
    left_out: int = 0
    columns: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the gradient was compared and is right."""
        return self.verdict == "ok"

    @property
    def wrong(self) -> bool:
        """Whether the gradient was compared and is wrong."""
        return self.verdict == "wrong"

    def notes(self) -> list[str]:
        """Return remarks on entries that were not compared."""
        size, lines = math.prod(self.shape) - self.left_out, []
        if self.left_out:
            columns = ", ".join(map(str, self.columns[:8])) + ", ..." * (len(self.columns) > 8)
            lines.append(
                f"{self.name}: missing values and codes have no gradient, and are left out ({self.left_out:,} of "
                f"{math.prod(self.shape):,} entries, in column {columns})"
            )
        if self.checked < size:
            lines.append(f"{self.name}: {self.checked:,} of {size:,} entries were compared, drawn at random")
        if self.unresolved:
            some = f", at {self.unresolved:,} of {self.checked:,} entries" if self.unresolved < self.checked else ""
            lines.append(
                f"{self.name}: gradients below about {self.bound:.1e} are too small for differences to resolve{some}"
            )
        lines += [f"{self.name}{kink}" for kink in self.kinks[:3]]
        if len(self.kinks) > 3:
            lines.append(f"{self.name}: and {len(self.kinks) - 3} more entries at a kink")
        return lines


@accept_old_names
@dataclass(frozen=True)
class Report:
    """The outcome of :func:`check_gradients`: prints as a table, with a diagnosis where something is wrong.

    Attributes
    ----------
    tensors : tuple of TensorReport
        One report for each parameter and for the input.
    loss : float
        The loss. If it is not finite, nothing can be compared, and every verdict is ``"unresolved"``.
    rows : int
        The number of rows of the batch.
    step : float
        The first step of the differences; smaller and larger ones are tried before a gradient is called wrong.
    dtype : str
        The dtype of the network.
    culprit : str
        If the loss is not finite: the place of the first values that are not.
    """

    tensors: tuple[TensorReport, ...]
    loss: float
    rows: int
    step: float
    dtype: str
    culprit: str = ""

    @property
    def ok(self) -> bool:
        """Whether no gradient is wrong, and at least one is right."""
        return not self.wrong and any(tensor.ok for tensor in self.tensors)

    @property
    def wrong(self) -> bool:
        """Whether a gradient is wrong."""
        return any(tensor.wrong for tensor in self.tensors)

    @property
    def worst(self) -> float:
        """The largest absolute error of all tensors that could be resolved.

        It is NaN if a gradient is not finite, or if nothing could be resolved.
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
            lines.append("unresolved: all gradients are too small to compare")
        else:
            some = sum(t.verdict == "unresolved" for t in self.tensors)
            lines.append(f"all right, but for {some} that could not be resolved" if some else "all right")
        return in_ascii("\n".join(lines))
