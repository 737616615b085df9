"""``fullyconnected train``: train a network on a table, and save it."""

import argparse
import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fullyconnected.cli.console import (
    ERROR,
    INTERRUPTED,
    STANDARD_OUTPUT,
    check_output,
    is_stdout,
    print_result,
    report,
)
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError
from fullyconnected.training.progress import Stream

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser."""
    add = parser.add_argument
    add("table", help="CSV file in UTF-8 with a header; all columns but the target hold numbers")
    add("--target", type=_text, required=True, metavar="COLUMN", help="column to predict, of class labels or numbers")
    missing = "class label that looks like a missing value but is not, such as None or NA; can be repeated"
    add("--label", type=_text, action="append", default=[], metavar="TEXT", help=missing)
    task = "whether the target holds classes or numbers (default: judged by its values)"
    add("--task", choices=("classification", "regression"), help=task)
    output = "model file to write (default: %(default)s); - for standard output"
    add("--output", "-o", default="model.safetensors", metavar="FILE", help=output)
    hidden = "units of each hidden layer (default: %(default)s)"
    add("--hidden", type=_sizes, default="64,64", metavar="N,N,...", help=hidden)
    add("--epochs", type=int, default=200, metavar="N", help="maximum number of epochs (default: %(default)s)")
    patience = "stop after this many epochs without improvement (default: %(default)s)"
    add("--patience", type=int, default=20, metavar="N", help=patience)
    monitor = "measure of improvement: a metric such as accuracy or r2 (default: the loss on the validation rows)"
    add("--monitor", metavar="NAME", help=monitor)
    add("--lr", type=float, default=1e-3, metavar="RATE", help="learning rate of AdamW (default: %(default)s)")
    average = "train with an average of the weights, such as ema:0.999 or swa:0.75 (default: the weights themselves)"
    add("--average", type=_average, metavar="KIND:NUMBER", help=average)
    add("--batch-size", type=int, default=32, metavar="N", help="rows in a batch (default: %(default)s)")
    validation = "share of the rows held back for validation (default: %(default)s)"
    add("--validation", type=float, default=0.2, metavar="SHARE", help=validation)
    seed = "seed of the split, the initial weights and the shuffling (default: %(default)s)"
    add("--seed", type=int, default=0, metavar="N", help=seed)
    add("--quiet", "-q", action="store_true", help="print only errors")


def _text(text: str) -> str:
    """Decode an argument as UTF-8, the encoding of tables, also where the locale has another encoding."""
    try:
        return os.fsencode(text).decode()
    except UnicodeError:
        return text


def _sizes(text: str) -> tuple[int, ...]:
    with contextlib.suppress(ValueError):
        sizes = tuple(map(int, text.split(",")))
        if min(sizes) >= 1:
            return sizes
    raise argparse.ArgumentTypeError(f"sizes are whole numbers from 1 on, such as 64,64; got {text!r}")


def _average(text: str) -> Any:
    from fullyconnected.averages import EMA, SWA

    kind, _, value = text.partition(":")
    with contextlib.suppress(KeyError, ValueError):
        return {"ema": EMA, "swa": SWA}[kind](int(value) if value.isdecimal() else float(value))
    raise argparse.ArgumentTypeError(
        f"an average is ema and how much of it a step keeps, such as ema:0.999, or swa and the share of the epochs "
        f"(or their number) before it begins, such as swa:0.75; got {text!r}"
    )


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a closed terminal, interrupt the work once, as Ctrl-C does; nohup prevents SIGHUP."""
    before = {}

    def interrupt(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # a shell whose terminal is closed sends SIGHUP twice
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


@_interruptible()
def run(options: argparse.Namespace) -> int:
    """Train, and save the network of the best epoch, also when a signal interrupts the training."""
    from fullyconnected.tables.model import prepare
    from fullyconnected.tables.table import choose_task, read_table

    check_output(options.output, options.table)
    to_stdout = is_stdout(options.output)
    if to_stdout and Stream(sys.stdout).isatty():
        raise ConfigError(f"--output {options.output}: a terminal cannot show a model; redirect it, or name a file")
    stream = Stream(sys.stderr if to_stdout else sys.stdout)

    def say(*lines: str) -> None:
        if not options.quiet:
            stream.write("\n".join([*map(str, lines), ""]))

    table = read_table(options.table, options.target, known=options.label)
    task, reason = (options.task, "set by --task") if options.task else choose_task(table)
    plan = prepare(table, task, options.hidden, options.validation, options.seed)
    model = plan.model
    say(f"{printable(options.table)}: {len(table.x):,} rows; {_listed(table.features)}")
    say(f"{_some([options.target])}: {task} ({reason}" + (")" if options.task else "; change this with --task)"))
    if model.classes:
        say(f"classes: {_some(model.classes)}")
    say(f"{len(plan.training_rows):,} rows for training, {len(plan.validation_rows):,} held back for validation")
    say("", model.net.summary(), "")
    names = ("epochs", "batch_size", "lr", "patience", "monitor", "average", "seed")
    given = {name: getattr(options, name) for name in names}
    history = plan.train(**given, progress=not options.quiet)
    if history.interrupted and history.best_epoch is None:
        return report("interrupted before the first epoch was complete; nothing is saved", INTERRUPTED)
    saved = _save(model, options.output)
    scored = "validation" if len(plan.validation_rows) else "training"
    say(f"the best of {len(history.loss)} epochs is epoch {history.best_epoch}; on the {scored} rows:")
    baseline = "always the most frequent class" if model.classes else "always the mean"
    say(*(f"  {name} {value:.4g}  ({baseline}: {usual:.4g})" for name, (value, usual) in plan.scores().items()))
    if saved != STANDARD_OUTPUT:
        quoted = printable(shlex.quote(saved))
        say(f"saved to {printable(saved)}; to predict: fullyconnected predict {quoted} TABLE.csv")
    if history.interrupted:
        return report(f"interrupted; the model of epoch {history.best_epoch} is saved", INTERRUPTED)
    return 0 if saved == options.output else ERROR


def _save(model: Any, path: str) -> str:
    """Save a model, and return its path, which is a temporary file if ``path`` cannot be written."""
    import tempfile

    if path != STANDARD_OUTPUT:
        try:
            try:
                model.save(path)
            except KeyboardInterrupt:  # a second Ctrl-C must not lose the model
                model.save(path)
        except OSError as error:
            spare = os.path.join(tempfile.mkdtemp(prefix="fullyconnected-"), "model.safetensors")
            model.save(spare)
            report(f"error: {path}: {error.strerror or error}; the model is saved to {spare} instead", ERROR)
            return spare
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "model")
            model.save(file)
            print_result(Path(file).read_bytes())
    return path


def _listed(names: Sequence[str]) -> str:
    """Return the number of features and their names, among which the user may notice an id."""
    return f"{len(names):,} feature{'s' * (len(names) != 1)}: {_some(names)}"


def _some(names: Sequence[str], most: int = 20) -> str:
    """Return the first names in one line, with escapes for what a terminal cannot show."""
    shown = [name if len(name) <= 60 else f"{name[:57]}..." for name in map(printable, names[:most])]
    return ", ".join(shown) + (", ..." if len(names) > most else "")
