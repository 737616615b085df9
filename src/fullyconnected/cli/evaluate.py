"""``fullyconnected evaluate``: how good a saved model is on a table whose targets are known."""

import argparse
from collections.abc import Iterator
from typing import Any

from fullyconnected.cli.console import print_result
from fullyconnected.cli.tables import add_source, as_text, placing, read
from fullyconnected.core.wording import many

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="model file saved by 'fullyconnected train', or by an estimator")
    add_source(parser, "file with the columns that the model learned from, and the target")
    add("--target", type=as_text, metavar="COLUMN", help="column of the targets (default: as in training)")
    add("--weight", type=as_text, metavar="COLUMN", help="column with the weight of each row")


def run(options: argparse.Namespace) -> int:
    """Print the scores, and what was taken for what."""
    from fullyconnected.assessment.evaluation import evaluate, target_in
    from fullyconnected.files import read_model
    from fullyconnected.predictor import Predictor

    model, predictor = read_model(options.model), Predictor(options.model)
    target = target_in(model, options.target)
    frame = read(options, verbatim=[target])
    with placing(frame):
        found = evaluate(frame, model, predictor, target=target, weight=options.weight)
    print_result("".join(f"{line}\n" for line in _lines(frame, found)))
    return 0


def _lines(frame: Any, found: Any) -> Iterator[str]:
    from fullyconnected.assessment.assess import OURS, Scored
    from fullyconnected.cli import findings

    def having(n: int, what: str) -> str:
        return f"; {n:,} {'has' if n == 1 else 'have'} {what}" if n else ""

    lacking = having(found.problem.lacking, "no target")
    unknown = having(found.unknown, "a class that the model does not know")
    yield from findings.paragraph(f"{frame.source}: {many(frame.rows, 'row')}{lacking}{unknown}")
    yield from findings.paragraph(f"target: {found.problem.roles.target}")
    yield ""
    models = list(found.models)
    then = None if found.facts is None else next((each for each in found.facts.models if each.name == OURS), None)
    if then is not None:
        models.insert(1, Scored("in training", None, then.test or then.validation))
    usual = "the most frequent class, or the shares of the classes" if found.confusion else "the mean"
    of = "these rows" if found.facts is None else "the training"
    yield from findings.of_scores(models, f"always {usual}, of {of}", {"test": "these rows"})
    yield ""
    if found.confusion is not None:
        yield from findings.of_confusion(found.confusion, "scored")
    if found.residuals is not None:
        yield from findings.of_residuals(found.residuals, "scored")
