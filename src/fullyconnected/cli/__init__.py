"""The command ``fullyconnected``: train on a table, predict for a table, explain a step, prove the gradients."""

import argparse
import contextlib
import io
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fullyconnected.core.version import __version__
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, FullyConnectedError
from fullyconnected.training.progress import Stream

# What the subcommands use is imported in them, so that --help and a mistyped option answer at once.

__all__ = ["main"]

MISTAKEN, WRONG, UNRESOLVED, INTERRUPTED = 1, 2, 3, 130  # a gradient, the command
STANDARD_OUTPUT = "-"


def _listed(names: Sequence[str]) -> str:
    """Return how many features there are, and which, so that an id among them is seen."""
    return f"{len(names):,} feature{'s' * (len(names) != 1)}: {_some(names)}"


def _some(names: Sequence[str], most: int = 20) -> str:
    """Return the first names as a line that any terminal can show."""
    shown = [name if len(name) <= 60 else f"{name[:57]}..." for name in map(printable, names[:most])]
    return ", ".join(shown) + (", ..." if len(names) > most else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status.

    0: all went well. 1: ``check`` or ``explain`` has found a wrong gradient, or whoever was to read the result from
    standard output is gone. 2: an error, told in one line on standard error. 3: ``check`` or ``explain`` could not
    compare any gradient, because all are too small or the loss is not finite. 130: interrupted by Ctrl-C; ``train``,
    which saves what it has, also by a terminal that hangs up (unless under nohup), and by SIGTERM.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the command's name; ``sys.argv`` if None.
    """
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        with contextlib.suppress(ValueError):  # it is closed
            # a file gets UTF-8, as the tables that are read; a terminal its own, with escapes for letters that it lacks
            sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")
    try:
        status: int = options.run(options)
        return status
    except OSError as error:
        if isinstance(error, BrokenPipeError) and error.filename is None:  # a reader such as head has seen enough
            return 1
        of_file = error.filename is not None and error.strerror is not None
        return _tell(f"error: {f'{error.filename}: {error.strerror}' if of_file else error}", WRONG)
    except FullyConnectedError as error:
        return _tell(f"error: {error}", WRONG)
    except MemoryError as error:
        return _tell(f"error: there is not enough memory{f': {error}' if str(error) else ''}", WRONG)
    except KeyboardInterrupt:
        return _tell("interrupted", INTERRUPTED)


def _tell(message: str, status: int) -> int:
    Stream(sys.stderr).write(f"fullyconnected: {printable(message)}\n")
    return status


def _status(*, wrong: bool, ok: bool) -> int:
    """Return the exit status of a comparison of gradients: 1 if one is wrong, 3 if nothing could be compared."""
    return MISTAKEN if wrong else 0 if ok else UNRESOLVED


def _put(result: str | bytes) -> None:
    """Write what was asked for to standard output; whoever only wants to be told something uses a Stream."""
    if getattr(sys.stdout, "closed", sys.stdout is None):
        raise ConfigError("standard output is closed; redirect it, or name a file to write to")
    try:
        if isinstance(result, str):
            sys.stdout.write(result)
        else:
            sys.stdout.buffer.write(result)
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            error.filename = "standard output"
        with contextlib.suppress(OSError, ValueError):  # or the interpreter would try once more when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _write(path: str, text: str) -> None:
    """Write text to a file, or to standard output, which ``-`` stands for."""
    from fullyconnected.files.atomic import write_atomically

    if path == STANDARD_OUTPUT:
        _put(text)
    else:
        write_atomically(path, text.encode("utf-8", "backslashreplace"))


def _is_standard_output(path: str) -> bool:
    """Whether a path is where printed words go: ``-``, ``/dev/stdout``, or the file that it is redirected to."""
    try:
        return path == STANDARD_OUTPUT or os.path.samestat(os.stat(path), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # no such file, or no standard output with a number
        return False


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let a terminal that hangs up, and SIGTERM, end the work as Ctrl-C does, once; nohup keeps it going."""
    before = {}

    def interrupt(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # a shell that hangs up sends it again
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGHUP", "SIGTERM"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_FORMS = {
    "html": "a page in one file",
    "markdown": "Markdown with LaTeX",
    "json": "every number and formula as JSON",
    "python": "a script that needs NumPy alone, computes every number again, and compares",
    "text": "the plain text that is printed else",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fullyconnected", description="Fully connected networks for tables.")
    parser.add_argument("--version", action="version", version=f"fullyconnected {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(run=run)
        return sub

    train = command("train", _train, "Train a network on a CSV table of numbers, and save it.")
    add = train.add_argument
    add("table", help="CSV file in UTF-8 with a header; every column but the target holds numbers")
    add("--target", type=_text, required=True, metavar="COLUMN", help="the column to predict: labels or numbers")
    add(
        "--label",
        type=_text,
        action="append",
        default=[],
        metavar="TEXT",
        help="a label of the target that looks like a missing value and is none, as None or NA; may be given again",
    )
    add("--task", choices=("classification", "regression"), help="what the target is, if not what it looks like")
    add(
        "--output",
        "-o",
        default="model.safetensors",
        metavar="FILE",
        help="the model (%(default)s); - is standard output",
    )
    add("--hidden", type=_sizes, default="64,64", metavar="N,N,...", help="units of the hidden layers (%(default)s)")
    add("--epochs", type=int, default=200, metavar="N", help="most passes over the rows (%(default)s)")
    add("--patience", type=int, default=20, metavar="N", help="epochs to go on without a better one (%(default)s)")
    add("--lr", type=float, default=1e-3, metavar="RATE", help="learning rate of AdamW (%(default)s)")
    add("--batch-size", type=int, default=32, metavar="N", help="rows in a step (%(default)s)")
    add("--validation", type=float, default=0.2, metavar="SHARE", help="of the rows to hold back (%(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="of split, first weights and order (%(default)s)")
    add("--quiet", "-q", action="store_true", help="print nothing but errors")

    predict = command("predict", _predict, "Predict for every row of a CSV table, in its order.")
    add = predict.add_argument
    add("model", help="a file that 'fullyconnected train' has saved")
    add("table", help="CSV file with the columns that the model was trained on, in any order, and any others")
    add(
        "--output",
        "-o",
        metavar="FILE",
        default="-",
        help="the CSV file to write; standard output for -, and if left out",
    )
    add("--probabilities", action="store_true", help="for classes: a column with the probability of each, too")

    explain = command("explain", _explain, "Explain one training step as a worked example, with every number.")
    add = explain.add_argument
    add("what", metavar="xor | seed | MODEL", help="an example, or a file that 'fullyconnected train' has saved")
    add("--data", metavar="TABLE.csv", help="for a model: the table, with its target")
    add("--row", type=int, action="append", metavar="N", help="for a model: which row, from 0 (0); may be given again")
    add("--optimizer", metavar="NAME", help="whose update is shown, such as adam (the example's own; sgd for a model)")
    add("--h", type=float, metavar="STEP", help="of the central differences (0.001; seed has its own, 0.01)")
    add("--focus", metavar="NUMBER", help="one number, such as 'dense_1.W[0,1]', to follow along its paths to the loss")
    for form, text in _FORMS.items():
        add(f"--{form}", metavar="FILE", help=f"write {text}; - is standard output")
    add("--open", action="store_true", help="show the page in a browser")

    check = command("check", _check, "Prove the gradients of everything registered by central differences.")
    add = check.add_argument
    add("--import", dest="modules", action="append", default=[], metavar="MODULE", help="prove what it registers, too")
    return parser


def _text(text: str) -> str:
    """Return an argument as what it is in UTF-8, which tables are in, where the locale does not say so."""
    try:
        return os.fsencode(text).decode()
    except UnicodeError:
        return text


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(map(int, text.split(",")))
    if min(sizes) < 1:
        raise ValueError
    return sizes


_sizes.__name__ = "list of layer sizes"  # argparse says: invalid list of layer sizes value: '64,'


def _writable(path: str, *read: str, option: str = "--output") -> None:
    """Raise now, and not after minutes of training, where a file cannot be written, or is one that is read."""
    from fullyconnected.files.atomic import check_writable

    if path == STANDARD_OUTPUT:
        return
    target = Path(path)
    if target.exists() and any(Path(other).exists() and target.samefile(other) for other in read):
        raise ConfigError(f"{option} {path} would replace a file that is read; choose another name")
    if target.is_dir() or not os.path.isdir(os.path.dirname(os.path.realpath(path))):
        raise ConfigError(f"{option} {path} is a folder, or in a folder that does not exist")
    check_writable(path)


def _train(options: argparse.Namespace) -> int:
    with _interruptible():
        return _train_and_save(options)


def _train_and_save(options: argparse.Namespace) -> int:
    from fullyconnected.tables.model import prepare
    from fullyconnected.tables.table import choose_task, read_table

    _writable(options.output, options.table)
    aside = _is_standard_output(options.output)
    if aside and Stream(sys.stdout).isatty():
        raise ConfigError(f"--output {options.output}: a model is no text for a terminal; redirect it, or name a file")
    stream = Stream(sys.stderr if aside else sys.stdout)

    def say(*lines: str) -> None:
        if not options.quiet:
            stream.write("\n".join([*map(str, lines), ""]))

    table = read_table(options.table, options.target, known=options.label)
    task, reason = (options.task, "as --task says") if options.task else choose_task(table)
    plan = prepare(table, task, options.hidden, options.validation, options.seed)
    model = plan.model
    say(f"{printable(options.table)}: {len(table.x):,} rows; {_listed(table.features)}")
    say(f"{_some([options.target])}: {task} ({reason}" + (")" if options.task else "; if it is not: --task)"))
    if model.classes:
        say(f"classes: {_some(model.classes)}")
    say(f"{len(plan.learned):,} rows to learn from, {len(plan.held):,} held back for validation")
    say("", model.net.summary(), "")
    history = plan.train(
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        patience=options.patience,
        seed=options.seed,
        progress=not options.quiet,
    )
    if history.interrupted and history.best_epoch is None:
        return _tell("interrupted before the first epoch was complete; nothing is saved", INTERRUPTED)
    saved = _save(model, options.output)
    judged = "the rows held back" if len(plan.held) else "the rows learned from"
    say(f"the best of {len(history.loss)} epochs is epoch {history.best_epoch}; on {judged}:")
    same = "always the most frequent class" if model.classes else "always the mean"
    say(*(f"  {name} {value:.4g}  ({same}: {usual:.4g})" for name, (value, usual) in plan.scores().items()))
    if saved != STANDARD_OUTPUT:
        quoted = printable(shlex.quote(saved))
        say(f"saved to {printable(saved)}; to predict: fullyconnected predict {quoted} TABLE.csv")
    if history.interrupted:
        return _tell(f"interrupted; the model of epoch {history.best_epoch} is saved", INTERRUPTED)
    return 0 if saved == options.output else WRONG


def _save(model: Any, path: str) -> str:
    """Save a model, and return where; if that is not where it should be, hours of training are kept elsewhere."""
    import tempfile

    if path != STANDARD_OUTPUT:
        try:
            try:
                model.save(path)
            except KeyboardInterrupt:  # once more, from somebody who is impatient: nothing of it shall be lost
                model.save(path)
        except OSError as error:
            spare = os.path.join(tempfile.mkdtemp(prefix="fullyconnected-"), "model.safetensors")
            model.save(spare)
            _tell(f"error: {path}: {error.strerror or error}; the model is saved to {spare} instead", WRONG)
            return spare
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "model")
            model.save(file)
            _put(Path(file).read_bytes())
    return path


def _predict(options: argparse.Namespace) -> int:
    import csv

    from fullyconnected.tables.model import load_table_model
    from fullyconnected.tables.table import read_table

    _writable(options.output, options.model, options.table)
    model = load_table_model(options.model)
    if options.probabilities and model.classes is None:
        raise ConfigError(f"--probabilities: {options.model} predicts a number, {model.target!r}, and no classes")
    y = model.predict(read_table(options.table, features=model.features))
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    if model.classes is None:
        rows.writerow(["prediction"])
        rows.writerows([f"{value:.10g}"] for value in y)
    else:
        columns = model.classes if options.probabilities else ()
        rows.writerow(["prediction", *(f"probability {label}" for label in columns)])
        for row in y:
            rows.writerow([model.classes[row.argmax()], *(f"{p:.6g}" for p in row[: len(columns)])])
    _write(options.output, text.getvalue())
    return 0


def _explain(options: argparse.Namespace) -> int:
    from functools import partial

    from fullyconnected.explanation import explain
    from fullyconnected.explanation.render.document import verdict
    from fullyconnected.explanation.render.plaintext import to_text
    from fullyconnected.explanation.samples import SAMPLES

    read = [options.data] if options.data else []
    wanted = {form: path for form in _FORMS if (path := getattr(options, form))}
    for form, path in wanted.items():
        _writable(path, options.what, *read, option=f"--{form}")
    if len({os.path.realpath(path) for path in wanted.values()}) < len(wanted):
        raise ConfigError(f"{' and '.join(f'--{form}' for form in wanted)} need a file each")
    if options.what in SAMPLES:
        if options.data or options.row:
            raise ConfigError(f"{options.what} has data of its own; --data and --row are for a model")
        net, x, t, settings = SAMPLES[options.what]()
        about: dict[str, str] = {}
    else:
        net, x, t, settings, about = _row_of_table(options)
    settings |= {key: value for key in ("optimizer", "h", "focus") if (value := getattr(options, key)) is not None}
    explanation = explain(net, x, t, **settings).about(about)
    forms = {form: getattr(explanation, f"to_{form}") for form in _FORMS}
    forms["text"] = partial(to_text, explanation.trace, explanation.focus, letters=True)
    for form, path in wanted.items():
        _write(path, forms[form]())
    if options.open:
        _show(forms["html"]().encode(), None if wanted.get("html") == STANDARD_OUTPUT else wanted.get("html"))
    if not (wanted or options.open):
        _put(forms["text"]())
    trace = explanation.trace
    status = _status(wrong=trace.wrong, ok=trace.resolved)
    return _tell(verdict(trace), status) if status else 0


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


def _where(error: BaseException) -> str:
    """Return in which line of whose file an error arose, outside of Python's own."""
    import traceback

    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    inside = [frame for frame in frames if frame.filename != __file__]
    return f" ({inside[-1].filename}, line {inside[-1].lineno})" if inside else ""


def _check(options: argparse.Namespace) -> int:
    import importlib

    from fullyconnected.checking.proof import prove

    for name in options.modules:
        sys.path[:0] = [""] * ("" not in sys.path)  # a module of the user's own lies where the command is run
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever the module does
            kind = "" if isinstance(error, ModuleNotFoundError) else f"{type(error).__name__}: "
            raise ConfigError(f"--import {name}: {kind}{error}{_where(error)}") from None

    stream = Stream(sys.stderr)

    def tell(done: int, total: int) -> None:
        if (done % 50 == 0 or done == total) and stream.isatty():
            stream.write(f"\r{done:,} of {total:,} networks" + "\n" * (done == total))

    proof = prove(tell=tell)
    _put(f"{proof}\n")
    return _status(wrong=proof.wrong, ok=proof.ok)
