"""``fullyconnected explain``: a worked example of one training step."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from fullyconnected.cli.console import STANDARD_OUTPUT, compared, put, tell, writable, write
from fullyconnected.errors import ConfigError
from fullyconnected.training.progress import Stream

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes to its parser, an option for each form among it."""
    from fullyconnected.explanation.forms import FORMS

    add = parser.add_argument
    add("what", metavar="xor | seed | MODEL", help="an example, or a file that 'fullyconnected train' has saved")
    add("--data", metavar="TABLE.csv", help="for a model: the table, with its target")
    add("--row", type=int, action="append", metavar="N", help="for a model: which row, from 0 (0); may be given again")
    add("--optimizer", metavar="NAME", help="whose update is shown, such as adam (the example's own; sgd for a model)")
    add("--step", type=float, metavar="SIZE", help="of the central differences (0.001; seed has its own, 0.01)")
    add("--h", type=float, help=argparse.SUPPRESS)  # its old name
    add("--focus", metavar="NUMBER", help="one number, such as 'dense_1.W[0,1]', to follow along its paths to the loss")
    for name, form in FORMS.items():
        add(f"--{name}", metavar="FILE", help=f"write {form.what}; - is standard output")
    add("--open", action="store_true", help="show the page in a browser")


def run(options: argparse.Namespace) -> int:
    """Explain a step, and write or show it in the forms that are asked for."""
    from fullyconnected.explanation import explain
    from fullyconnected.explanation.forms import FORMS
    from fullyconnected.explanation.render.document import verdict
    from fullyconnected.explanation.render.plaintext import to_text
    from fullyconnected.explanation.samples import SAMPLES

    read = [options.data] if options.data else []
    wanted = {form: path for form in FORMS if (path := getattr(options, form))}
    for form, path in wanted.items():
        writable(path, options.what, *read, option=f"--{form}")
    if len({os.path.realpath(path) for path in wanted.values()}) < len(wanted):
        raise ConfigError(f"{' and '.join(f'--{form}' for form in wanted)} need a file each")
    if options.what in SAMPLES:
        if options.data or options.row:
            raise ConfigError(f"{options.what} has data of its own; --data and --row are for a model")
        net, x, t, settings = SAMPLES[options.what]()
        about: dict[str, str] = {}
    else:
        net, x, t, settings, about = _row_of_table(options)
    if options.h is not None:
        tell("--h is an old name, which a later version will not know; write --step", 0)
        options.step = options.h if options.step is None else options.step
    settings |= {key: value for key in ("optimizer", "step", "focus") if (value := getattr(options, key)) is not None}
    explanation = explain(net, x, t, **settings).about(about)
    trace = explanation.trace

    def text() -> str:  # what it is written to takes letters, or has escapes for them
        return to_text(trace, explanation.focus, letters=True)

    for form, path in wanted.items():
        write(path, text() if form == "text" else explanation.to(form))
    if options.open:
        page = wanted.get("html")
        _show(explanation.to_html().encode(), None if page == STANDARD_OUTPUT else page)
    if not (wanted or options.open):
        put(text())
    status = compared(wrong=trace.wrong, ok=trace.resolved)
    return tell(verdict(trace), status) if status else 0


def _row_of_table(options: argparse.Namespace) -> tuple[Any, Any, Any, dict[str, Any], dict[str, str]]:
    """Return a model's network, rows of a table as it takes them, the settings, and what to say of it."""
    from fullyconnected.tables.model import load_table_model
    from fullyconnected.tables.table import read_table

    if not os.path.exists(options.what) and os.sep not in options.what and "." not in options.what:
        raise ConfigError(f"there is no example and no file {options.what!r}; the examples are xor and seed")
    model = load_table_model(options.what)
    if options.data is None:
        raise ConfigError(f"{options.what} is a model: say for which row of which table, --data TABLE.csv --row 0")
    table = read_table(options.data, model.target, model.features, model.classes or ())
    rows = options.row or [0]
    for row in rows:
        if not 0 <= row < len(table.x):
            raise ConfigError(
                f"--row {row}: {options.data} has {len(table.x):,} rows below its header, 0 to {len(table.x) - 1:,}"
            )
    names = [f"x[{i}] is {name}" for i, name in enumerate(model.features[:50])]
    about = {
        "data": f"{options.data}, row{'s' * (len(rows) > 1)} {', '.join(map(str, rows))}, counted from 0",
        "inputs": f"{', '.join(names)}{', ...' * (len(model.features) > 50)}; each minus its mean, over its deviation",
        "target": model.target
        + (
            ", minus its mean, over its deviation"
            if model.classes is None
            else ": " + ", ".join(f"{i} is {label}" for i, label in enumerate(model.classes[:50]))
        ),
    }
    x, t = model.standardise(table)[rows], model.targets(table)[rows]
    return model.net, x, t, {"loss": model.loss, "optimizer": "sgd"}, about


def _show(page: bytes, path: str | None) -> None:
    """Open a page in the browser: the file that was written, or one that stays in the folder for temporary files."""
    import tempfile
    import webbrowser

    if path is None:
        folder = tempfile.mkdtemp(prefix="fullyconnected-")
        path = os.path.join(folder, "page.html")
        Path(path).write_bytes(page)
    address = Path(os.path.realpath(path)).as_uri()
    if not webbrowser.open(address):
        Stream(sys.stdout).write(f"no browser could be started; open {address}\n")
