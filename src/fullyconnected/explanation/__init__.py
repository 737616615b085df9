"""Worked examples of one training step, with the numbers that the training code computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fullyconnected.core.deprecation import old_arguments
from fullyconnected.core.messages import Message
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, ShapeError, nearest
from fullyconnected.explanation.catalogue import language
from fullyconnected.explanation.columns import CONVENTIONS, focus_in_columns, in_columns
from fullyconnected.explanation.forms import FORMS
from fullyconnected.explanation.paths import Focus, focus_on
from fullyconnected.explanation.pictures.drawing import Drawing, draw
from fullyconnected.explanation.record import Trace
from fullyconnected.explanation.recorder import recorded, trace
from fullyconnected.files.atomic import write_atomically
from fullyconnected.network import Network

if TYPE_CHECKING:
    from fullyconnected.annotations import ArrayLike, LossLike, SeedLike, TrainingState
    from fullyconnected.base import Optimizer
    from fullyconnected.factors import Factors

__all__ = ["Drawing", "Explanation", "draw", "explain", "trace"]


@dataclass(frozen=True)
class Explanation:
    """A worked example of one training step, made by :func:`explain`; printing it gives the text.

    Attributes
    ----------
    trace : Trace
        The record that every form shows.
    focus : Focus or None
        A number and its paths to the loss.
    lang : str
        The language of the text: ``"en"`` or ``"zh"``, Chinese.
    """

    trace: Trace
    focus: Focus | None = None
    lang: str = "en"

    def to(self, form: str, lang: str | None = None) -> str:
        """Return the example in the form ``"text"``, ``"markdown"``, ``"html"``, ``"json"`` or ``"python"``.

        ``lang`` is the language, that of the example if None. The script is in English, as code is.

        Raises
        ------
        UnknownNameError
            If there is no such form or no such language.
        """
        if form not in FORMS:
            raise nearest("form", form, FORMS)
        lang = self.lang if lang is None else lang
        language(lang)
        return FORMS[form].render(self.trace, self.focus, lang)

    def save(self, path: str | Path, lang: str | None = None) -> None:
        """Write the example to a file in UTF-8, in the form given by its suffix: ``.txt .md .html .json .py``.

        Raises
        ------
        ConfigError
            If the suffix is another one; and UnknownNameError, as for :meth:`to`.
        """
        suffix = Path(path).suffix
        for name, form in FORMS.items():
            if form.suffix == suffix:
                return write_atomically(path, self.to(name, lang).encode())
        known = ", ".join(f"{form.suffix} ({name})" for name, form in FORMS.items())
        raise ConfigError(f"an example cannot be saved with the suffix {suffix!r}; there are: {known}")

    def to_text(self, lang: str | None = None) -> str:
        """Return plain text of 80 columns; in English in ASCII: other letters of names are escaped, as in Python."""
        return self.to("text", lang)

    def to_markdown(self, lang: str | None = None) -> str:
        """Return Markdown, with formulas in LaTeX between dollar signs; in English in ASCII."""
        return self.to("markdown", lang)

    def to_html(self, lang: str | None = None) -> str:
        """Return a page that loads nothing from elsewhere, in ASCII: other letters are character references."""
        return self.to("html", lang)

    def to_json(self, lang: str | None = None) -> str:
        """Return JSON in ASCII: every number with all its digits, every formula as text, LaTeX, MathML and NumPy."""
        return self.to("json", lang)

    def to_python(self) -> str:
        """Return a script in ASCII that computes every number again with NumPy alone, and compares."""
        return self.to("python")

    def about(self, settings: Mapping[str, str]) -> Explanation:
        """Return the same example with further settings, which say where the numbers come from."""
        more = {
            printable(name): value if isinstance(value, Message) else printable(value)
            for name, value in settings.items()
        }
        return replace(self, trace=replace(self.trace, settings={**more, **self.trace.settings, **more}))

    def named(self, inputs: Sequence[str] | None = None, outputs: Sequence[str] | None = None) -> Explanation:
        """Return the same example with other names of the columns of x, and of the outputs; None keeps those it has.

        A network that was trained with a table knows the names of its columns. Those of outputs are the names of
        classes, as many as there are outputs or two for a single probability, or those of targets.

        Raises
        ------
        ShapeError
            If there are more or fewer names than numbers.
        """
        ends = {
            "inputs": (inputs, self.trace.operations[0].n_in),
            "outputs": (outputs, self.trace.operations[-1].n_out),
        }
        given = {}
        for what, (names, count) in ends.items():
            if names is not None:
                if len(names) != count and (what, len(names), count) != ("outputs", 2, 1):
                    raise ShapeError(f"{len(names)} names of {what} were given, and there are {count}")
                given[what] = tuple(printable(str(name)) for name in names)
        rows = self.trace.turned_from
        rows = None if rows is None else replace(rows, **given)  # type: ignore[arg-type]
        return replace(self, trace=replace(self.trace, **given, turned_from=rows))  # type: ignore[arg-type]

    def __str__(self) -> str:
        return self.to_text()  # in Chinese it is not ASCII, since that is what was asked for

    def __repr__(self) -> str:
        return f"<Explanation of {len(self.trace.steps)} steps: print it, or use .to_html()>"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


@old_arguments
def explain(
    net: Network,
    x: ArrayLike,
    t: ArrayLike,
    loss: LossLike,
    optimizer: Optimizer | str | None = None,
    step: float | None = None,
    *,
    focus: str | None = None,
    l2: float = 0.0,
    sample_weight: ArrayLike | None = None,
    train: bool = False,
    seed: SeedLike = 0,
    factors: Factors | None = None,
    state: TrainingState | None = None,
    lang: str = "en",
    notation: str = "xW",
) -> Explanation:
    """Return one training step of a network as a worked example: every formula with its numbers.

    The training code computed each number, and each gradient is compared with central differences. ``=`` means that the
    digits shown are exact, ``~`` that they are rounded.

    Parameters
    ----------
    net, x, t, loss, optimizer, step, l2, sample_weight, train, seed, factors, state
        As for :func:`fullyconnected.trace`.
    focus : str, optional
        One number, ``"dense_1.W[0,1]"`` or ``"x[0,2]"``, whose paths to the loss are shown.
    lang : {"en", "zh"}
        The language of the text, English or Chinese.
    notation : {"xW", "Wx"}
        ``"xW"``: samples are rows, ``z = x W + b``, with W (inputs, outputs). ``"Wx"``: they are columns,
        ``z = W x + b``, with W (outputs, inputs), in all arrays, formulas and entries, also in those of ``focus``.

    Returns
    -------
    Explanation
        ``.to_text()``, ``.to_markdown()``, ``.to_html()``, ``.to_json()``, ``.to_python()``; ``.trace``.

    Raises
    ------
    ConfigError, UnknownNameError
        If the focus, the language or the notation does not exist; and the errors of :func:`fullyconnected.trace`.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.mlp([2, 2], dtype="float64", seed=0)
    >>> net.theta = [0.15, 0.20, 0.25, 0.30, 0.35, 0.45]
    >>> text = fc.explain(net, [[0.1, 0.5]], [[0.01, 0.99]], "half_squared_error").to_text()
    >>> print(text[text.index("y1[0,0]"):].splitlines()[0])
    y1[0,0] = 0.1 * 0.15 + 0.5 * 0.25 + 0.35 = 0.49
    """
    language(lang)
    if notation not in CONVENTIONS:
        raise nearest("notation", notation, CONVENTIONS)
    recorder, record = recorded(net, x, t, loss, optimizer, l2, sample_weight, train, seed, step, factors, state)
    record = record if notation == "xW" else in_columns(record)
    followed = None if focus is None else focus_on(recorder, record, focus)
    if followed is not None and notation == "Wx":
        followed = focus_in_columns(followed)
    return Explanation(record, followed, lang)
