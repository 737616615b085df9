"""``fullyconnected explain``: a worked example of one training step."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from fullyconnected.cli.console import STANDARD_OUTPUT, check_output, comparison_status, print_result, report, write
from fullyconnected.errors import ConfigError
from fullyconnected.training.progress import Stream

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser, with an option for each form of output."""
    from fullyconnected.explanation.forms import FORMS

    add = parser.add_argument
    add("what", metavar="xor | seed | MODEL", help="an example, or a model file saved by 'fullyconnected train'")
    add("--data", metavar="TABLE.csv", help="for a model: the table with the rows to explain, and with their targets")
    row = "for a model: number of the row to explain, counted from 0 (default: 0); can be repeated"
    add("--row", type=int, action="append", metavar="N", help=row)
    add("--optimizer", metavar="NAME", help="optimizer whose update is shown, such as adam (default: sgd)")
    add("--step", type=float, metavar="SIZE", help="step of the central differences (default: 0.001; 0.01 for seed)")
    add("--h", type=float, help=argparse.SUPPRESS)  # its old name
    add("--focus", metavar="NUMBER", help="one number, such as 'dense_1.W[0,1]', whose paths to the loss are shown")
    for name, form in FORMS.items():
        add(f"--{name}", metavar="FILE", help=f"write {form.what} (- for standard output)")
    add("--open", action="store_true", help="show the HTML page in a browser")


def run(options: argparse.Namespace) -> int:
    """Explain a step, and write or show it in the chosen forms."""
    from fullyconnected.explanation import explain
    from fullyconnected.explanation.forms import FORMS
    from fullyconnected.explanation.render.document import verdict
    from fullyconnected.explanation.render.plaintext import to_text
    from fullyconnected.explanation.samples import SAMPLES

    inputs = [options.what, *([options.data] if options.data else [])]
    wanted = {form: path for form in FORMS if (path := getattr(options, form))}
    for form, path in wanted.items():
        check_output(path, *inputs, option=f"--{form}")
    if len({os.path.realpath(path) for path in wanted.values()}) < len(wanted):
        raise ConfigError(f"{' and '.join(f'--{form}' for form in wanted)} need different files")
    if options.what in SAMPLES:
        if options.data or options.row:
            raise ConfigError(f"{options.what} is an example with its own data; --data and --row are for a model")
        net, x, t, settings = SAMPLES[options.what]()
        about: dict[str, str] = {}
    else:
        net, x, t, settings, about = _row_of_table(options)
    if options.h is not None:
        report("--h is an old name, which a later version will not know; write --step", 0)
        options.step = options.h if options.step is None else options.step
    settings |= {key: value for key in ("optimizer", "step", "focus") if (value := getattr(options, key)) is not None}
    explanation = explain(net, x, t, **settings).about(about)
    trace = explanation.trace

    def text() -> str:  # names keep their letters; those that the encoding of the output lacks become escapes
        return to_text(trace, explanation.focus, letters=True)

    for form, path in wanted.items():
        write(path, text() if form == "text" else explanation.to(form))
    if options.open:
        page = wanted.get("html")
        _show(explanation.to_html().encode(), None if page == STANDARD_OUTPUT else page)
    if not (wanted or options.open):
        print_result(text())
    status = comparison_status(wrong=trace.wrong, ok=trace.resolved)
    return report(verdict(trace), status) if status else 0


def _row_of_table(options: argparse.Namespace) -> tuple[Any, Any, Any, dict[str, Any], dict[str, str]]:
    """Return a model's network, the standardised rows and targets, settings for explain, and notes about the data."""
    from fullyconnected.tables.model import load_table_model
    from fullyconnected.tables.table import read_table

    if not os.path.exists(options.what) and os.sep not in options.what and "." not in options.what:
        raise ConfigError(f"there is no example and no file {options.what!r}; the examples are xor and seed")
    model = load_table_model(options.what)
    if options.data is None:
        raise ConfigError(f"{options.what} is a model: name the table and the row to explain, --data TABLE.csv --row 0")
    table = read_table(options.data, model.target, model.features, model.classes or ())
    rows = options.row or [0]
    for row in rows:
        if not 0 <= row < len(table.x):
            raise ConfigError(
                f"--row {row}: {options.data} has {len(table.x):,} rows below its header, 0 to {len(table.x) - 1:,}"
            )
    names = [f"x[{i}] is {name}" for i, name in enumerate(model.features[:50])]
    target = ", minus its mean, over its deviation"
    if model.classes is not None:
        target = ": " + ", ".join(f"{i} is {label}" for i, label in enumerate(model.classes[:50]))
    about = {
        "data": f"{options.data}, row{'s' * (len(rows) > 1)} {', '.join(map(str, rows))}, counted from 0",
        "inputs": f"{', '.join(names)}{', ...' * (len(model.features) > 50)}; each minus its mean, over its deviation",
        "target": f"{model.target}{target}",
    }
    x, t = model.standardise(table)[rows], model.targets(table)[rows]
    return model.net, x, t, {"loss": model.loss, "optimizer": "sgd"}, about


def _show(page: bytes, path: str | None) -> None:
    """Open a page in the browser: the file at ``path``, or a new one in the folder for temporary files."""
    import tempfile
    import webbrowser

    if path is None:
        path = os.path.join(tempfile.mkdtemp(prefix="fullyconnected-"), "page.html")
        Path(path).write_bytes(page)
    address = Path(os.path.realpath(path)).as_uri()
    if not webbrowser.open(address):
        Stream(sys.stdout).write(f"no browser could be started; open {address}\n")
