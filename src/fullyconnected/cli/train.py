"""``fullyconnected train``: train an ensemble on a table, say what was found and how good it is, and save it."""

import argparse
import contextlib
import os
import shlex
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from fullyconnected.cli.console import (
    ERROR,
    INTERRUPTED,
    STANDARD_OUTPUT,
    check_output,
    is_stdout,
    print_result,
    report,
    write,
)
from fullyconnected.cli.tables import add_source, as_text, inputs_of, listed, placing, read
from fullyconnected.core.wording import many, printable
from fullyconnected.errors import ConfigError, FileAccessError
from fullyconnected.training.progress import Stream

__all__ = ["arguments", "run"]

MOST_MEMBERS = 1000
EARLIER = {  # options of the plain network that this command trained, and what has them now
    "--lr": "fc.fit(..., optimizer=fc.AdamW(lr))",
    "--batch-size": "fc.fit(..., batch_size=32)",
    "--patience": "fc.fit(..., patience=20)",
    "--monitor": "fc.fit(..., monitor='accuracy')",
    "--average": "fc.fit(..., average=fc.EMA(0.999))",
    "--validation": "fc.fit(..., validation=(x, t)); the rows held out to be scored once are --test SHARE",
}


class _Earlier(argparse.Action):
    """An option that has gone, which says what has it now."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None) -> NoReturn:
        parser.error(
            f"{option} was an option of the plain network that this command trained; an ensemble for tables has no "
            f"such setting. In Python: {EARLIER[option]}"
        )


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser."""
    add = parser.add_argument
    add_source(parser, "file with a header: numbers, text, dates and gaps as they are")
    add("--target", type=as_text, required=True, metavar="COLUMN", help="column to predict, of class labels or numbers")
    add("--output", "-o", default="model.safetensors", metavar="FILE",
        help="model file to write (default: %(default)s); - for standard output")  # fmt: skip
    several = "; can be repeated, or have commas between"
    add("--ignore", action="append", default=[], metavar="COLUMN", help=f"column that is not learned from{several}")
    add("--id", action="append", default=[], metavar="COLUMN", help=f"column that tells rows apart{several}")
    add("--weight", type=as_text, metavar="COLUMN", help="column with the weight of each row")
    add("--group", type=as_text, metavar="COLUMN", help="column of groups, whose rows are never divided")
    add("--time", type=as_text, metavar="COLUMN", help="column of dates or numbers: the latest rows are the test part")
    add("--test", type=float, default=0.2, metavar="SHARE",
        help="share of the rows held out to be scored once (default: %(default)s); 0 learns from all")  # fmt: skip
    add("--task", choices=("classification", "regression"),
        help="whether the target holds classes or numbers (default: judged by its values)")  # fmt: skip
    add("--label", type=as_text, action="append", default=[], metavar="TEXT",
        help="class label that looks like a missing value but is not, such as None or NA; can be repeated")  # fmt: skip
    add("--preset", choices=("fast", "default", "best"), default="default",
        help="sizes and time of the training (default: %(default)s)")  # fmt: skip
    add("--max-time", metavar="TIME", help="how long the training may take, about: seconds, 30s, 5m or 1h")
    add("--members", type=int, metavar="N", help="members of each network")
    add("--hidden", type=_sizes, metavar="N,N,...", help="units of each hidden layer of a member")
    add("--epochs", type=int, metavar="N", help="how often the rows are learned from")
    add("--compare", action="store_true", help="also train boosted trees and a random forest on the same rows")
    add("--report", metavar="FILE.html", help="page to write: scores, charts, columns, and what to look at next")
    add("--checkpoint", metavar="FOLDER", help="folder from which a training that was killed goes on")
    add("--comm", choices=("auto", "mpi", "torch"), default="auto",
        help="processes that train together, started by mpiexec, srun or torchrun (default: %(default)s)")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="seed of all that is random (default: %(default)s)")
    add("--quiet", "-q", action="store_true", help="print only errors")
    for option in EARLIER:
        add(option, action=_Earlier, help=argparse.SUPPRESS)


def _sizes(text: str) -> tuple[int, ...]:
    with contextlib.suppress(ValueError):
        sizes = tuple(map(int, text.split(",")))
        if min(sizes) >= 1:
            return sizes
    raise argparse.ArgumentTypeError(f"sizes are whole numbers from 1 on, such as 64,64; got {text!r}")


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
    """Train and save, also when a signal interrupts the training: then it is the best weights so far."""
    import fullyconnected.estimators  # noqa: F401  # which says what to install, before a table is read
    from fullyconnected.assessment.assess import assess, train
    from fullyconnected.assessment.page import to_page
    from fullyconnected.assessment.problem import Roles, problem_of
    from fullyconnected.assessment.splitting import held_back
    from fullyconnected.assessment.stored import facts_of
    from fullyconnected.comm.choice import choose

    comm = choose(options.comm)
    first = comm.rank == 0  # of several processes, the first alone says and writes what all of them would
    options.quiet = options.quiet or not first
    if first:
        check_output(options.output, *inputs_of(options))
    if options.report is not None:
        if first:
            check_output(options.report, *inputs_of(options), option="--report")
        if STANDARD_OUTPUT in (options.report, options.output):
            same = options.report == options.output
        else:
            same = os.path.realpath(options.report) == os.path.realpath(options.output)
        if same:
            raise ConfigError("--output and --report need different files")
    to_stdout = is_stdout(options.output)
    if to_stdout and Stream(sys.stdout).isatty():
        raise ConfigError(f"--output {options.output}: a terminal cannot show a model; redirect it, or name a file")
    stream = Stream(sys.stderr if to_stdout else sys.stdout)

    def say(lines: Iterable[str]) -> None:
        if not options.quiet:
            stream.write("".join(f"{line}\n" for line in lines))

    settings = _settings(options)
    frame = read(options, verbatim=[options.target])
    lists = listed(options.ignore, frame.names), listed(options.id, frame.names)
    roles = Roles(options.target, *lists, options.weight, options.group, options.time)
    problem = problem_of(frame, roles, task=options.task, labels=options.label)
    held = held_back(problem, options.test, options.seed)
    with placing(problem.at(~held).frame):
        say(_before(options, frame, problem, held))
    began = time.perf_counter()
    with _told_warnings(options.quiet):
        try:
            with placing(problem.at(~held).frame):
                estimator = train(problem, held, settings)
        except KeyboardInterrupt:
            if comm.size > 1:
                raise
            return report("interrupted before the first epoch was complete; nothing is saved", INTERRUPTED)
    if not first:
        return 0
    seconds, interrupted, found = time.perf_counter() - began, estimator.report_.interrupted, None
    written = True
    if not interrupted:
        next_one = (lambda name: say([f"... {name}"])) if options.compare else None
        try:
            found = assess(problem, estimator, held, compare=options.compare, seconds=seconds, say=next_one)
        except KeyboardInterrupt:
            interrupted = True  # there are no scores, but the model is saved
        except Exception:  # which must not lose the model either
            _save(estimator, facts_of(problem, held), options.output)
            raise
    saved = _save(estimator, facts_of(problem, held, found), options.output)
    if found is not None:
        say([""] * options.compare + [*_after(found)])
        if options.report is not None:
            written = _report(options.report, to_page(found), saved)
            say([f"the report is {printable(options.report)}"] * written)
    if saved != STANDARD_OUTPUT:
        to_predict = f"  fullyconnected predict {printable(shlex.quote(saved))} TABLE"
        say([f"saved to {printable(saved)}; to predict:", to_predict])
    if interrupted:
        epochs = " and ".join(f"{each.epochs:,}" for each in estimator.report_.networks)
        return report(f"interrupted; the best weights of {epochs} epochs are saved", INTERRUPTED)
    return 0 if written and saved == options.output else ERROR


def _before(options: argparse.Namespace, frame: Any, problem: Any, held: Any) -> Iterator[str]:
    """Yield what was found in the table, before anything is trained."""
    from fullyconnected.cli.findings import of_columns, paragraph, some
    from fullyconnected.tables.kinds import judge
    from fullyconnected.tabular.tasks import CLASSES

    said = f"{frame.source}: {many(frame.rows, 'row')}, {many(len(frame.names), 'column')}"
    if problem.lacking:
        have, are = ("has", "is") if problem.lacking == 1 else ("have", "are")
        said += f"; {many(problem.lacking, 'row')} {have} no {problem.roles.target!r:.60}, and {are} left out"
    yield from paragraph(said)
    task = "classification" if problem.task == CLASSES else "regression"
    change = "" if options.task else "; change this with --task"
    yield from paragraph(f"{problem.roles.target}: {task} ({problem.reason}{change})")
    if problem.task == CLASSES:
        yield from paragraph(f"classes: {some([str(each) for each in problem.classes.tolist()])}")
    learned = problem.at(~held)
    yield from paragraph(f"{len(learned.y):,} rows to learn from, {held.sum():,} held out as the test part")
    yield ""
    yield from of_columns(judge(learned.frame))  # which raises for what cannot be learned from
    yield ""


def _after(found: Any) -> Iterator[str]:
    """Yield how good the model is, and what to look at next."""
    from fullyconnected.assessment.advice import advice
    from fullyconnected.cli import findings

    usual = "always the most frequent class, or the shares of the classes" if found.confusion else "always the mean"
    if found.compared is not None:
        usual += f"; the other models have learned from {found.compared:,} of the rows"
    parts = [findings.of_suspects(found), findings.of_scores(found.models, usual)]
    if found.confusion is not None:
        parts.append(findings.of_confusion(found.confusion, found.judged_by))
    if found.residuals is not None:
        parts.append(findings.of_residuals(found.residuals, found.judged_by))
    parts += [findings.of_importances(found.importances, found.problem.task), findings.of_advice(advice(found))]
    for part in parts:
        if lines := list(part):
            yield from [*lines, ""]


@contextlib.contextmanager
def _told_warnings(quiet: bool) -> Iterator[None]:
    """Tell warnings in a line each; that training was interrupted is told at the end."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for each in caught:
        if not (quiet or str(each.message).startswith("Training interrupted")):
            report(f"warning: {each.message}", 0)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of the estimator, or raise for those that cannot be used."""
    from fullyconnected.core.checks import count, duration

    if not 0 <= options.seed < 2**32:
        raise ConfigError(f"--seed is a whole number from 0 to {2**32 - 1:,}; got {options.seed}")
    given: dict[str, Any] = {"preset": options.preset, "random_state": options.seed, "verbose": int(not options.quiet)}
    given["comm"] = options.comm
    if options.members is not None:
        given["n_members"] = count("--members", options.members, 2)
        if options.members > MOST_MEMBERS:
            raise ConfigError(f"--members must be {MOST_MEMBERS:,} or less; got {options.members}")
    if options.epochs is not None:
        given["epochs"] = count("--epochs", options.epochs)
    if options.hidden is not None:
        given["hidden"] = options.hidden
    if options.checkpoint is not None:
        given["checkpoint"] = options.checkpoint
    if options.max_time is not None:
        with contextlib.suppress(ValueError):
            options.max_time = float(options.max_time)
        given["max_time"] = duration("--max-time", options.max_time)
    return given


def _report(path: str, page: str, saved: str) -> bool:
    """Write the page, and return whether that could be done; the model is already saved."""
    try:
        write(path, page)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        report(f"error: {path}: {error.strerror or error}; the model is saved to {saved}, and there is no page", ERROR)
        return False
    return True


def _save(estimator: Any, facts: Any, path: str) -> str:
    """Save a model, and return its path, which is a temporary file if ``path`` cannot be written."""
    import tempfile

    from fullyconnected.assessment import stored

    if path != STANDARD_OUTPUT:
        try:
            try:
                stored.save(estimator, facts, path)
            except KeyboardInterrupt:  # a second Ctrl-C must not lose the model
                stored.save(estimator, facts, path)
        except OSError as error:
            said = f"{path}: {error.strerror or error}"
            folder = ""
            try:
                folder = tempfile.mkdtemp(prefix="fullyconnected-")
                spare = os.path.join(folder, "model.safetensors")
                stored.save(estimator, facts, spare)
            except OSError as another:
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
                raise FileAccessError(f"{said}; nor can the model be saved to a temporary folder: {another}") from None
            report(f"error: {said}; the model is saved to {spare} instead", ERROR)
            return spare
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "model")
            stored.save(estimator, facts, file)
            print_result(Path(file).read_bytes())
    return path
