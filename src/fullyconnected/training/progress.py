"""How a run is shown while it goes on: a bar on a terminal, lines in a log, or nothing; also where showing fails."""

import contextlib
import io
import os
import sys
from typing import Any

from fullyconnected.core.wording import printable
from fullyconnected.errors import InputTypeError

__all__ = ["Progress", "Stream", "choose"]

MOST = 100  # lines of a run, beside those that come early; the last one is always among them


class Stream:
    """A stream that is written to where it can be: one that is closed or gone takes nothing, and nobody hears of it.

    Text goes past the buffer of an ordinary stream. What a broken pipe has left in there would fail once more when
    the interpreter ends, and give the program another exit status.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        buffer = stream.buffer if isinstance(stream, io.TextIOWrapper) else None
        raw = getattr(buffer, "raw", None)
        self.raw = raw if isinstance(raw, io.FileIO) and os.name == "posix" else None  # elsewhere lines end otherwise

    @property
    def encoding(self) -> str:
        """The stream's own; ASCII where it does not say."""
        return getattr(self.stream, "encoding", None) or "ascii"

    def isatty(self) -> bool:
        """Whether it is a terminal that can still be asked."""
        try:
            return bool(self.stream.isatty())
        except Exception:
            return False

    def write(self, text: str) -> int:
        """Write the text at once, with escapes for what the encoding lacks; return the length of it all."""
        with contextlib.suppress(Exception):
            self.stream.flush()
            if self.raw is None:
                self._write(text)
                self.stream.flush()
                return len(text)
            data = text.encode(self.encoding, "backslashreplace")
            while data:
                data = data[self.raw.write(data) or len(data) :]  # None: a full pipe that does not wait
        return len(text)

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
        except UnicodeEncodeError:
            self.stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))

    def flush(self) -> None:
        """Do nothing: all is written."""


class Progress:
    """Is told of every epoch, and shows nothing."""

    def start(self, epochs: int, done: int) -> None:
        """Begin, with ``done`` of the ``epochs`` already trained."""

    def show(self, number: int, epoch: object) -> None:
        """Show the epoch just trained, in its own words; they are not asked for where nothing is shown."""

    def stop(self) -> None:
        """End, whether the run is complete or not."""


class Lines(Progress):
    """Writes lines to standard error: for every epoch of a short run, of a long one for about a hundred."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.latest: tuple[int, object] | None = None

    def start(self, epochs: int, done: int) -> None:
        self.epochs, self.done = epochs, done
        self.every = max(1, -(-(epochs - done) // MOST))

    def show(self, number: int, epoch: object) -> None:
        self.latest, since = (number, epoch), number - self.done
        # the 1st, 2nd, 4th, 8th, ... too: who waits wants to see soon whether it learns
        if since % self.every == 0 or since & (since - 1) == 0 or number == self.epochs:
            self.stop()

    def stop(self) -> None:
        if self.latest is not None:
            number, epoch = self.latest
            self.stream.write(f"epoch {number}/{self.epochs}  {printable(epoch)}\n")
        self.latest = None


class Bar(Progress):
    """A bar on a terminal, drawn by rich; where the terminal is narrow, the bar gives way to the numbers."""

    def __init__(self, stream: Stream) -> None:
        from rich.console import Console

        self.console = Console(file=stream)  # type: ignore[arg-type]

    def start(self, epochs: int, done: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.table import Column

        self.bar = Progress(
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=5)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.description}", table_column=Column(no_wrap=True), markup=False),  # metrics' names
            console=self.console,
            expand=True,
            redirect_stdout=Stream(sys.stdout).isatty(),  # what is printed to a file meanwhile belongs there
        )
        self.bar.start()
        self.task = self.bar.add_task("", total=epochs, completed=done)

    def show(self, number: int, epoch: object) -> None:
        self.bar.update(self.task, completed=number, description=printable(epoch))

    def stop(self) -> None:
        self.bar.stop()


class Expendable(Progress):
    """Shows what another does, until that fails: then nothing, and the run goes on."""

    def __init__(self, shown: Progress) -> None:
        self.shown = shown

    def start(self, epochs: int, done: int) -> None:
        self._try("start", epochs, done)

    def show(self, number: int, epoch: object) -> None:
        self._try("show", number, epoch)

    def stop(self) -> None:
        self._try("stop")

    def _try(self, step: str, *arguments: object) -> None:
        try:
            getattr(self.shown, step)(*arguments)
        except Exception:
            with contextlib.suppress(Exception):
                self.shown.stop()  # it may have hidden the cursor, or taken the place of standard output
            self.shown = Progress()


def choose(progress: Any) -> Progress:
    """Return what ``progress=`` stands for: False nothing; "auto" or True a bar on a terminal, else lines."""
    if progress is False:
        return Progress()
    if progress is not True and progress != "auto":
        raise InputTypeError(f'progress is "auto", True or False; got {progress!r}')
    if sys.stderr is None:  # a program without a console, such as pythonw
        return Progress()
    stream = Stream(sys.stderr)
    if stream.isatty():
        with contextlib.suppress(Exception):  # rich is not there, or of no use here
            bar = Bar(stream)
            if bar.console.is_interactive:  # else, as for TERM=dumb, rich shows nothing until the end
                return Expendable(bar)
    return Expendable(Lines(stream))
