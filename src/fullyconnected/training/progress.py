"""The display of a run's progress: a bar on a terminal, lines in a log, or nothing; its failures are ignored."""

import contextlib
import io
import os
import sys
from typing import Any

from fullyconnected.core.wording import printable
from fullyconnected.errors import InputTypeError

__all__ = ["Progress", "Stream", "choose"]

MOST = 100  # lines of a run, apart from additional early ones; the last epoch has a line


class Stream:
    """A stream to which messages are written if possible; errors, as of a closed stream, are ignored.

    Text bypasses the buffer of a file: if text for a broken pipe stayed in the buffer, flushing it when the
    interpreter ends would fail again, and change the exit status of the program.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        buffer = stream.buffer if isinstance(stream, io.TextIOWrapper) else None
        raw = getattr(buffer, "raw", None)
        self.raw = raw if isinstance(raw, io.FileIO) and os.name == "posix" else None  # elsewhere, \n is translated

    @property
    def encoding(self) -> str:
        """The encoding of the stream, ASCII if it has none."""
        return getattr(self.stream, "encoding", None) or "ascii"

    def isatty(self) -> bool:
        """Whether the stream is a terminal, and open."""
        try:
            return bool(self.stream.isatty())
        except Exception:
            return False

    def write(self, text: str) -> int:
        """Write the text without buffering, with escapes for what the encoding lacks; return its length."""
        with contextlib.suppress(Exception):
            self.stream.flush()
            if self.raw is None:
                self._write(text)
                self.stream.flush()
                return len(text)
            data = text.encode(self.encoding, "backslashreplace")
            while data:
                data = data[self.raw.write(data) or len(data) :]  # write returns None for a full, non-blocking pipe
        return len(text)

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
        except UnicodeEncodeError:
            self.stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))

    def flush(self) -> None:
        """Do nothing, since write flushes."""


class Progress:
    """The interface of progress displays; this one shows nothing."""

    def start(self, epochs: int, done: int) -> None:
        """Begin, with ``done`` of the ``epochs`` trained before."""

    def plan(self, epochs: int) -> None:
        """Take note that there will be another number of epochs."""

    def show(self, number: int, epoch: object) -> None:
        """Show an epoch, which is converted to text only if it is shown."""

    def stop(self) -> None:
        """End the display, even if the run is incomplete."""


class Lines(Progress):
    """Lines on standard error: for each epoch of a short run, for about a hundred epochs of a long one."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.latest: tuple[int, object] | None = None

    def start(self, epochs: int, done: int) -> None:
        self.done = done
        self.plan(epochs)

    def plan(self, epochs: int) -> None:
        self.epochs, self.every = epochs, max(1, -(-(epochs - self.done) // MOST))

    def show(self, number: int, epoch: object) -> None:
        self.latest, since = (number, epoch), number - self.done
        # also epochs 1, 2, 4, 8, ..., so that the first lines appear early
        if since % self.every == 0 or since & (since - 1) == 0 or number == self.epochs:
            self.stop()

    def stop(self) -> None:
        if self.latest is not None:
            number, epoch = self.latest
            self.stream.write(f"epoch {number}/{self.epochs}  {printable(epoch)}\n")
        self.latest = None


class Bar(Progress):
    """A progress bar on a terminal, drawn by rich; on a narrow terminal, the bar is shorter and the numbers stay."""

    def __init__(self, stream: Stream) -> None:
        from rich.console import Console

        self.console = Console(file=stream)  # type: ignore[arg-type]

    def start(self, epochs: int, done: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.table import Column

        self.bar = Progress(
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=5)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.description}", table_column=Column(no_wrap=True), markup=False),  # of metrics' names
            console=self.console,
            expand=True,
            redirect_stdout=Stream(sys.stdout).isatty(),  # standard output that goes to a file must not be redirected
        )
        self.bar.start()
        self.task = self.bar.add_task("", total=epochs, completed=done)

    def plan(self, epochs: int) -> None:
        self.bar.update(self.task, total=epochs)

    def show(self, number: int, epoch: object) -> None:
        self.bar.update(self.task, completed=number, description=printable(epoch))

    def stop(self) -> None:
        self.bar.stop()


class Expendable(Progress):
    """Another display, of which any failure ends the display but not the run."""

    def __init__(self, shown: Progress) -> None:
        self.shown = shown

    def start(self, epochs: int, done: int) -> None:
        self._try("start", epochs, done)

    def plan(self, epochs: int) -> None:
        self._try("plan", epochs)

    def show(self, number: int, epoch: object) -> None:
        self._try("show", number, epoch)

    def stop(self) -> None:
        self._try("stop")

    def _try(self, step: str, *arguments: object) -> None:
        try:
            getattr(self.shown, step)(*arguments)
        except Exception:
            with contextlib.suppress(Exception):
                self.shown.stop()  # restores the cursor and standard output
            self.shown = Progress()


def choose(progress: Any) -> Progress:
    """Return the display for ``progress``: none for False; for "auto" or True, a bar on a terminal, else lines."""
    if progress is False:
        return Progress()
    if progress is not True and progress != "auto":
        raise InputTypeError(f'progress is "auto", True or False; got {progress!r}')
    if sys.stderr is None:  # a program without a console, such as pythonw
        return Progress()
    stream = Stream(sys.stderr)
    if stream.isatty():
        with contextlib.suppress(Exception):  # rich is not installed, or cannot draw on this terminal
            bar = Bar(stream)
            if bar.console.is_interactive:  # otherwise (TERM=dumb, say) rich would show nothing until the end
                return Expendable(bar)
    return Expendable(Lines(stream))
