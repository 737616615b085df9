"""What was found in a table, what was trained on it, and how well that predicts: a record that prints as a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from fullyconnected.core.typeset import cut, table, wrapped
from fullyconnected.core.wording import in_words, line_width, printable
from fullyconnected.tables.kinds import USED, Decision
from fullyconnected.tabular.scores import Score

if TYPE_CHECKING:
    from fullyconnected.pages.outcomes import Classes, Numbers

__all__ = ["TabularReport", "TrainedNetwork"]

MOST = 60  # columns of the table that are shown
LONGEST = 20  # characters of a column's name that are shown
IMPORTANT = 10  # columns that are shown as the most important ones
LEAST_IMPORTANT = 0.0005, 0.005  # below which a column is not shown: it would be as 0.000; a share of the largest
PLURALS = {"category": "categories"}


class TrainedNetwork(NamedTuple):
    """A network of the ensemble: how it looks at numbers, its share, its epochs, and those that its members kept."""

    view: str
    share: float
    epochs: int
    kept: tuple[int, ...]


@dataclass(frozen=True, repr=False)
class TabularReport:
    """What was found in a table, what was trained, and what it is worth: prints as a text.

    Attributes
    ----------
    rows : int
        The rows that were learned from: those with a weight above 0. Of a model that was trained elsewhere, it is 0 if
        that does not say it.
    columns : tuple of Decision
        What each column of the table is, and why.
    networks : tuple of TrainedNetwork
        The networks.
    temperature : float or None
        What the logarithms of probabilities are divided by; None for numbers, and if they are as they are.
    baseline : str
        What the trivial prediction is, in words.
    scores : tuple of Score
        Those of predictions for rows by members that have not learned from them, of a linear model of the same rows,
        and of the trivial prediction. There are none of a model that was trained elsewhere.
    interrupted : bool
        Whether Ctrl-C ended the training.
    importances : tuple of float, or None
        For each column, by how much the loss of predictions for held-out rows grows when its cells are shuffled; None
        in files of versions that did not measure it.
    linear : str
        What the linear model is whose scores are there, or why there is none; empty in files of earlier versions.
    hidden : tuple of int, or None
        The units of the hidden layers of each member; None in files of earlier versions.
    in_time : bool
        Whether ``max_time`` has made members, layers or epochs fewer than was asked for.
    """

    rows: int
    columns: tuple[Decision, ...]
    networks: tuple[TrainedNetwork, ...]
    temperature: float | None
    baseline: str
    scores: tuple[Score, ...]
    interrupted: bool = False
    importances: tuple[float, ...] | None = None
    linear: str = ""
    hidden: tuple[int, ...] | None = None
    in_time: bool = False

    def __str__(self) -> str:
        width = line_width()
        lines = [
            *wrapped(f"{_many(self.rows, 'row')}: {self._found()}", width),
            "",
            *table(("column", "kind", "missing", "levels", "why"), self._cells(), width, right=(2, 3)),
        ]
        if len(self.columns) > MOST:
            lines += wrapped(f"... and {len(self.columns) - MOST:,} more, which report_.columns has", width)
        lines += ["", *wrapped(self._trained(), width), ""]
        nets = [(each.view, f"{each.share:.0%}", f"{each.epochs}", _span(each.kept)) for each in self.networks]
        lines += table(("network", "share", "epochs", "best epochs"), nets, width, right=(1, 2))
        if sure := self._sure():
            lines += ["", *wrapped(sure, width)]
        if self.scores:
            head, cells = self._score_table()
            lines += ["", *table(head, cells, width, right=range(1, len(head)))]
        for said in self._beside():
            lines += wrapped(said, width)
        if most := list(self._most_important()):
            changed = "R2" if self.temperature is None else "log-loss"
            lines += ["", *table(("most important", changed), most, width, right=(1,))]
            lines += wrapped("the change of that score if the cells of the column are shuffled", width)
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the report as a notebook shows it."""
        from fullyconnected.pages import tables
        from fullyconnected.pages.tables import text

        lines = [
            f"<p>{text(_many(self.rows, 'row'))}: {text(self._found())}</p>",
            *tables.of_columns(self.columns, drawn=False),
        ]
        ended = ["The training ended by Ctrl-C."] if self.interrupted else []
        lines += [
            *tables.of_networks(self.networks),
            *(f"<p>{text(said)}</p>" for said in (self._sure(), *ended) if said),
        ]
        if self.scores:
            head, cells = self._score_table()
            rows = [[text(cell) for cell in row] for row in cells]
            lines += tables.table("scores", head, rows, numbers=range(1, len(head)))
        lines += [f"<p>{text(said)}</p>" for said in self._beside()]
        if most := [(text(name), grown) for name, grown in self._most_important()]:
            changed = "R2" if self.temperature is None else "log-loss"
            lines += tables.table("importances", ("if the cells are shuffled", changed), most, numbers=(1,))
        return "\n".join(lines)

    def to_html(self, title: str = "A model for a table", outcomes: Sequence[Classes | Numbers] = ()) -> str:
        """Return the report as a page of one file, which loads nothing.

        Parameters
        ----------
        title : str
            What is predicted from what.
        outcomes : sequence of Classes or Numbers of ``fullyconnected.pages.outcomes``
            Predictions beside the truth, which are drawn, one for each output; those for held-out rows are
            ``oof_predictions_`` of the estimator.
        """
        from fullyconnected.pages.report import Model, Report, to_html

        models = [
            Model("this model", {each.name: each.value for each in self.scores}, None),
            Model("linear model", {each.name: each.linear for each in self.scores if each.linear is not None}, None),
            Model("trivial", {each.name: each.baseline for each in self.scores}, None),
        ]
        of = "R2 falls" if self.temperature is None else "the log-loss grows"
        pairs = [(column.column, grown) for column, grown in zip(self.columns, self.importances or (), strict=False)]
        report = Report(
            title,
            facts=[("rows to learn from", f"{self.rows:,}"), ("columns", self._found())],
            models=[each for each in models if each.held_out],
            trivial=self.baseline,
            outcomes=outcomes,
            importances=sorted(pairs, key=lambda pair: -pair[1]),
            importances_of=f"By how much {of} for held-out rows if the cells of the column are shuffled",
            columns=self.columns,
            networks=self.networks,
            notes=[said for said in (self._sure(), *self._beside()) if said],
        )
        return to_html(report)

    def _sure(self) -> str:
        """Return in words what the temperature says."""
        return (
            ""
            if self.temperature is None
            else f"temperature {self.temperature:.3g}: {_of_temperature(self.temperature)}"
        )

    def _score_table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        """Return the head and the rows of the scores: of the estimator, of the linear model if any, of the baseline."""
        head = ("held out", "estimator", *(["linear"] if self.scores[0].linear is not None else []), "baseline")
        rows = [(each.name, each.value, each.linear, each.baseline) for each in self.scores]
        return head, [(name, *(_short(number) for number in row if number is not None)) for name, *row in rows]

    def _beside(self) -> Iterator[str]:
        """Yield in words what the simpler models are."""
        if self.linear:
            yield f"linear: {self.linear if self.scores[0].linear is not None else f'no model, since {self.linear}'}"
        if self.scores:
            yield f"baseline: {self.baseline}"

    def _trained(self) -> str:
        """Return what was trained, in words."""
        told = f"{_many(len(self.networks), 'network')} of {len(self.networks[0].kept)} members each"
        if self.hidden is not None:
            many = "hidden layers" if len(self.hidden) > 1 else "a hidden layer"
            layers = (
                f"with {many} of {in_words(map(str, self.hidden))} units" if self.hidden else "without hidden layers"
            )
            told += f", {layers}"
        told += ", which is what max_time allows" if self.in_time else ""
        return told + (", until Ctrl-C" if self.interrupted else "")

    def _found(self) -> str:
        """Return how many columns of each kind there are, in words."""
        used = [each.kind for each in self.columns if each.used]
        kinds = [(used.count(kind), kind) for kind in USED if kind in used]
        left = len(self.columns) - len(used)
        told = in_words(_many(n, kind) for n, kind in kinds)
        return told + (f"; {_many(left, 'column')} {'is' if left == 1 else 'are'} left out" if left else "")

    def _most_important(self) -> Iterator[tuple[str, str]]:
        """Yield the columns that matter most, and what shuffling them costs."""
        pairs = sorted(zip(self.importances or (), self.columns, strict=False), key=lambda pair: -pair[0])
        least, share = LEAST_IMPORTANT
        for grown, column in pairs[:IMPORTANT]:
            if grown >= max(least, share * pairs[0][0]):
                yield cut(printable(column.column), LONGEST), f"{'-' if self.temperature is None else '+'}{grown:.3f}"

    def _cells(self) -> Iterator[tuple[str, ...]]:
        for each in self.columns[:MOST]:
            why = "; ".join(filter(None, ("" if each.used else "left out", each.why, each.note)))
            missing = f"{each.missing:.1%}" if each.missing else ""
            yield cut(printable(each.column), LONGEST), each.kind, missing, f"{each.levels:,}", why


def _many(n: int, what: str) -> str:
    return f"{n:,} {what if n == 1 else PLURALS.get(what, f'{what}s')}"


def _short(number: float) -> str:
    """Return a number with four digits, or with three if it were longer than eight characters."""
    text = f"{number:.4g}"
    return text if len(text) <= 8 else f"{number:.2e}"


def _span(epochs: Sequence[int]) -> str:
    low, high = min(epochs), max(epochs)
    return f"{low}" if low == high else f"{low} to {high}"


def _of_temperature(temperature: float) -> str:
    if abs(temperature - 1) < 0.005:
        return "the networks are as sure as they are right"
    return f"the networks are {'more' if temperature > 1 else 'less'} sure than right, which is corrected"
