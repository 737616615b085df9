"""``fullyconnected inspect``: what a file of the library holds."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from fullyconnected.cli.console import print_result
from fullyconnected.core.wording import many

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser."""
    parser.add_argument("model", metavar="MODEL", help="a network, a checkpoint, an estimator or a model for tables")
    parser.add_argument("--json", action="store_true", help="print it as JSON, for programs")


def run(options: argparse.Namespace) -> int:
    """Print what the file holds."""
    from fullyconnected.assessment.inspection import inspect

    found = inspect(options.model)
    if options.json:
        print_result(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    else:
        print_result("".join(f"{line}\n" for line in _lines(options.model, found)))
    return 0


def _lines(path: str, found: dict[str, Any]) -> Iterator[str]:
    from fullyconnected.assessment.assess import Scored
    from fullyconnected.assessment.inspection import KINDS
    from fullyconnected.cli import findings

    named = f", {found['class']}" if found.get("class") else ""
    yield from findings.paragraph(f"{path}: {KINDS[found['kind']]}{named}")
    yield from findings.paragraph(
        f"{found['bytes']:,} bytes; {found['parameters']:,} parameters in {found['dtype']}; "
        f"{found['loss'] or 'no loss'}"
    )
    trained = found.get("trained")
    if found.get("target") is not None:
        yield from findings.paragraph(f"it predicts {found['target']}")
    if found.get("classes") is not None:
        yield from findings.paragraph(f"classes: {findings.some([str(each) for each in found['classes']])}")
    if trained is not None:
        yield from findings.paragraph(
            f"trained by version {trained['version']} on {trained['rows']:,} rows of {trained['table']}; "
            f"{trained['test_rows']:,} more were held out as the test part"
        )
    for name, value in found.get("run", {}).items():
        yield from findings.paragraph(f"{name}: {value}")
    for i, net in enumerate(found["networks"]):
        yield ""
        share = f", share {found['shares'][i]:.0%}" if "shares" in found else ""
        members = f", {net['members']} members" if net["members"] else ""
        yield from findings.paragraph(
            f"network {i + 1}: {many(net['inputs'], 'input')}, {many(net['outputs'], 'output')}{members}, "
            f"{net['parameters']:,} parameters{share}"
        )
        yield from findings.of_operations(net["operations"])
    if found.get("columns"):
        yield ""
        yield from findings.of_stored_columns(found["columns"])
    if trained is not None and trained["models"]:
        yield ""
        usual = "the most frequent class, or the shares of the classes" if found["classes"] is not None else "the mean"
        yield from findings.of_scores([Scored(**each) for each in trained["models"]], f"always {usual}")
    elif found.get("scores"):
        yield ""
        yield from findings.of_scores([Scored("this model", found["scores"], None)], "")
