"""``fullyconnected train``: from a table to a network that is saved."""

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

from fullyconnected.cli.console import INTERRUPTED, STANDARD_OUTPUT, WRONG, is_standard_output, put, tell, writable
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError
from fullyconnected.training.progress import Stream

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes to its parser."""
    add = parser.add_argument
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
    add(
        "--monitor", metavar="NAME", help="what says which epoch is better: a metric, such as accuracy or r2 (the loss)"
    )
    add("--lr", type=float, default=1e-3, metavar="RATE", help="learning rate of AdamW (%(default)s)")
    add("--batch-size", type=int, default=32, metavar="N", help="rows in a step (%(default)s)")
    add("--validation", type=float, default=0.2, metavar="SHARE", help="of the rows to hold back (%(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="of split, first weights and order (%(default)s)")
    add("--quiet", "-q", action="store_true", help="print nothing but errors")


def _text(text: str) -> str:
    """Return an argument as what it is in UTF-8, which tables are in, where the locale does not say so."""
    try:
        return os.fsencode(text).decode()
    except UnicodeError:
        return text


def _sizes(text: str) -> tuple[int, ...]:
    with contextlib.suppress(ValueError):
        sizes = tuple(map(int, text.split(",")))
        if min(sizes) >= 1:
            return sizes
    raise argparse.ArgumentTypeError(f"invalid list of layer sizes value: {text!r}")


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


@_interruptible()
def run(options: argparse.Namespace) -> int:
    """Train, and save the best network; what stops it by a signal saves it, too."""
    from fullyconnected.tables.model import prepare
    from fullyconnected.tables.table import choose_task, read_table

    writable(options.output, options.table)
    aside = is_standard_output(options.output)
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
        monitor=options.monitor,
        seed=options.seed,
        progress=not options.quiet,
    )
    if history.interrupted and history.best_epoch is None:
        return tell("interrupted before the first epoch was complete; nothing is saved", INTERRUPTED)
    saved = _save(model, options.output)
    judged = "the rows held back" if len(plan.held) else "the rows learned from"
    say(f"the best of {len(history.loss)} epochs is epoch {history.best_epoch}; on {judged}:")
    same = "always the most frequent class" if model.classes else "always the mean"
    say(*(f"  {name} {value:.4g}  ({same}: {usual:.4g})" for name, (value, usual) in plan.scores().items()))
    if saved != STANDARD_OUTPUT:
        quoted = printable(shlex.quote(saved))
        say(f"saved to {printable(saved)}; to predict: fullyconnected predict {quoted} TABLE.csv")
    if history.interrupted:
        return tell(f"interrupted; the model of epoch {history.best_epoch} is saved", INTERRUPTED)
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
            tell(f"error: {path}: {error.strerror or error}; the model is saved to {spare} instead", WRONG)
            return spare
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "model")
            model.save(file)
            put(Path(file).read_bytes())
    return path


def _listed(names: Sequence[str]) -> str:
    """Return how many features there are, and which, so that an id among them is seen."""
    return f"{len(names):,} feature{'s' * (len(names) != 1)}: {_some(names)}"


def _some(names: Sequence[str], most: int = 20) -> str:
    """Return the first names as a line that any terminal can show."""
    shown = [name if len(name) <= 60 else f"{name[:57]}..." for name in map(printable, names[:most])]
    return ", ".join(shown) + (", ..." if len(names) > most else "")
