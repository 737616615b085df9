"""The report on a model for a table as a page: what was found, how good it is, where it is wrong, what it relies on.

Everything is given as numbers and texts; nothing is scored here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import floor, isfinite, log10
from typing import NamedTuple

from fullyconnected.core.version import __version__
from fullyconnected.pages.charts import bar, said
from fullyconnected.pages.document import page
from fullyconnected.pages.outcomes import Classes, Numbers, of_outcomes, of_targets
from fullyconnected.pages.tables import Network, bars, cut, of_columns, of_networks, scrolled, text
from fullyconnected.tables.kinds import Decision

__all__ = ["Model", "Report", "to_html"]

MOST_BARS = 30  # columns
PARTS = ("held out", "test")
ROWS = ("held-out rows", "the test part")
TOLD = (
    "Rows held out are those of the training, each predicted by members that have not learned from it.",
    "Rows of the test part were scored once, at the end.",
)


class Model(NamedTuple):
    """A model and its scores by name: for rows held out in training, and for rows that training never saw."""

    name: str
    held_out: Mapping[str, float] | None
    test: Mapping[str, float] | None
    seconds: float | None = None


@dataclass(frozen=True)
class Report:
    """What the page shows; what is empty is left out.

    Attributes
    ----------
    title : str
        What is predicted from what.
    facts : sequence of (name, text)
        The file, the task, rows and the like.
    models : sequence of Model
        The model first, then simpler or other ones, and the trivial one last.
    trivial : str
        What the trivial prediction is, in words.
    suspects : sequence of str
        Sentences about what may make the scores too good to be true, such as columns that tell the target.
    advice : sequence of str
        Sentences about what to look at next.
    outcomes : sequence of Classes or Numbers
        Predictions beside the truth, one for each output.
    outcomes_of : str
        Which rows these are: ``"80 rows of the test part"``.
    importances : sequence of (column, value)
        How much the model relies on each column, in the order to show.
    importances_of : str
        What that is, in words.
    columns : sequence of Decision
        What each column of the table is.
    networks : sequence of (view, share, epochs, kept)
        The networks of the ensemble, as ``TabularReport.networks`` has them.
    notes : sequence of str
        Sentences about the training.
    """

    title: str
    facts: Sequence[tuple[str, str]] = ()
    models: Sequence[Model | tuple[str, Mapping[str, float] | None, Mapping[str, float] | None, float | None]] = ()
    trivial: str = ""
    suspects: Sequence[str] = ()
    advice: Sequence[str] = ()
    outcomes: Sequence[Classes | Numbers] = ()
    outcomes_of: str = ""
    importances: Sequence[tuple[str, float]] = ()
    importances_of: str = ""
    columns: Sequence[Decision] = ()
    networks: Sequence[Network] = ()
    notes: Sequence[str] = ()


def to_html(report: Report) -> str:
    """Return the page: one file that loads nothing from elsewhere, and needs no script."""
    sections = [
        ("next", "What to look at next", list(_next(report))),
        ("scores", "How good it is", list(_scores(report))),
        ("outcomes", "Predictions beside the truth", list(of_outcomes(report.outcomes, report.outcomes_of))),
        ("importances", "What it relies on", list(_importances(report))),
        ("target", "What is predicted", list(of_targets(report.outcomes))),
        ("columns", "What is in the table", list(_columns(report))),
        ("training", "What was trained", list(_training(report))),
    ]
    shown = [(name, title, lines) for name, title, lines in sections if lines]
    body = [
        "<header>",
        f"<h1>{cut(report.title, 200)}</h1>",
        *_facts(report),
        *_tiles(report),
        '<nav aria-label="Sections">'
        + " ".join(f'<a href="#{name}">{title}</a>' for name, title, _ in shown)
        + "</nav>",
        "</header>",
        "<main>",
    ]
    for name, title, lines in shown:
        body += [f'<section id="{name}" aria-labelledby="{name}-title">', f'<h2 id="{name}-title">{title}</h2>']
        body += [*lines, "</section>"]
    body += ["</main>", f"<footer>fullyconnected {text(__version__)}. This file is whole: it loads nothing.</footer>"]
    style = files(__package__).joinpath("report.css").read_text("utf-8")
    return page(report.title, "\n".join(body), style=style)


def _facts(report: Report) -> Iterator[str]:
    if report.facts:
        yield '<dl class="facts">'
        for name, value in report.facts:
            yield f"<div><dt>{text(name)}</dt><dd>{cut(value, 400)}</dd></div>"
        yield "</dl>"


def _models(report: Report) -> list[Model]:
    return [Model(*each) for each in report.models]


def _parts(models: Sequence[Model]) -> list[int]:
    """Return for which parts there are scores: 0 held out, 1 test."""
    return [part for part in (0, 1) if any(_of_part(each, part) for each in models)]


def _of_part(model: Model, part: int) -> Mapping[str, float]:
    return (model.held_out, model.test)[part] or {}


def _names(models: Sequence[Model]) -> list[str]:
    return list(dict.fromkeys(name for each in models for part in (0, 1) for name in _of_part(each, part)))


def _tiles(report: Report) -> Iterator[str]:
    """Yield the scores of the model, each with those of the others, for the part that says most."""
    models = _models(report)
    parts = _parts(models[:1])
    if not parts:
        return
    part, told = parts[-1], _forms(models)
    yield '<ul class="tiles">'
    for i, (name, value) in enumerate(_of_part(models[0], part).items()):
        beside = [(each.name, _of_part(each, part).get(name)) for each in models[1:]]
        others = " &middot; ".join(
            f"{cut(other, 30)} {told[name](found)}" for other, found in beside if found is not None
        )
        yield (
            f'<li{" class=first" if i == 0 else ""}><span class="value">{told[name](value)}</span>'
            f'<span class="what">{text(name)}, {ROWS[part]}</span><span class="beside">{others}</span></li>'
        )
    yield "</ul>"


def _form(values: Iterable[float | None]) -> Callable[[float | None], str]:
    """Return what writes numbers that are compared: all with as many digits behind the point, unless they are tiny."""
    sizes = [abs(value) for value in values if value is not None and isfinite(value)]
    largest = max(sizes, default=1.0) or 1.0
    digits = min(max(3 - floor(log10(max(largest, 1.0))), 0), 3)
    if not 1e-2 <= largest < 1e9:
        return lambda value: "" if value is None else said(value)
    return lambda value: "" if value is None else f"{round(value, digits) + 0.0:,.{digits}f}"  # never -0


def _forms(models: Sequence[Model]) -> dict[str, Callable[[float | None], str]]:
    """Return for each score what writes it."""
    return {
        name: _form(_of_part(each, part).get(name) for each in models for part in (0, 1)) for name in _names(models)
    }


def _next(report: Report) -> Iterator[str]:
    if report.suspects:
        yield '<div class="warned"><h3>The scores may be too good to be true</h3><ul class="said">'
        yield from (f"<li>{text(each)}</li>" for each in report.suspects)
        yield "</ul></div>"
    if report.advice:
        yield '<ul class="said">'
        yield from (f"<li>{text(each)}</li>" for each in report.advice)
        yield "</ul>"


def _scores(report: Report) -> Iterator[str]:
    models = _models(report)
    parts, names = _parts(models), _names(models)
    if not parts:
        return
    yield f'<p class="lead">{" ".join(TOLD[part] for part in parts)}</p>'
    timed = any(each.seconds is not None for each in models)
    told = _forms(models)
    yield scrolled("scores") + '<table><thead><tr><th scope="col">model</th>'
    for name in names:
        for part in parts:
            yield f'<th scope="col" class="n">{text(name)}<br>{PARTS[part]}</th>'
    yield ('<th scope="col" class="n">seconds</th>' if timed else "") + "</tr></thead><tbody>"
    for i, each in enumerate(models):
        yield f'<tr{" class=ours" if i == 0 else ""}><th scope="row">{cut(each.name)}</th>'
        for k, name in enumerate(names):
            for part in parts:
                value = _of_part(each, part).get(name)
                drawn = bar(value) if k == 0 and value is not None and value <= 1 else ""
                yield f'<td class="n">{told[name](value)}{drawn}</td>'
        seconds = "" if each.seconds is None else f"{each.seconds:,.1f}"
        yield (f'<td class="n">{seconds}</td>' if timed else "") + "</tr>"
    yield "</tbody></table></div>"
    if report.trivial:
        yield f'<p class="note">The trivial prediction is {text(report.trivial)}.</p>'


def _importances(report: Report) -> Iterator[str]:
    if not report.importances:
        return
    if report.importances_of:
        yield f'<p class="lead">{text(report.importances_of)}.</p>'
    largest = max(max(value for _, value in report.importances), 1e-300)
    told = _form(value for _, value in report.importances)
    pairs = [(name, told(value), value / largest) for name, value in report.importances]
    yield from bars("importances", ("column", "importance"), pairs[:MOST_BARS])
    if len(pairs) > MOST_BARS:
        rest = pairs[MOST_BARS : MOST_BARS + 1000]
        yield f"<details><summary>{len(rest):,} more columns</summary>"
        yield from bars("more importances", ("column", "importance"), rest)
        yield "</details>"


def _columns(report: Report) -> Iterator[str]:
    if report.columns:
        left = sum(not each.used for each in report.columns)
        told = f"; {left:,} of them {'is' if left == 1 else 'are'} left out" if left else ""
        yield f'<p class="lead">{len(report.columns):,} column{"s" * (len(report.columns) != 1)}{told}.</p>'
        yield from of_columns(report.columns)


def _training(report: Report) -> Iterator[str]:
    if report.networks:
        yield from of_networks(report.networks)
    if report.notes:
        yield '<ul class="said">'
        yield from (f"<li>{text(each)}</li>" for each in report.notes)
        yield "</ul>"
