"""What a run shows: a bar on a terminal, a line an epoch in a log, or nothing; and never on standard output."""

import errno
import io
import os
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.training import progress
from fullyconnected.training.history import Epoch

X, T = np.arange(8.0).reshape(4, 2), np.arange(4.0)


def fit(capsys, **settings):
    net = fc.mlp([2, 1], seed=0)
    fc.fit(net, X, T, "half_squared_error", epochs=3, **settings)
    out, err = capsys.readouterr()
    assert out == ""
    return err


@pytest.mark.parametrize("settings", [{}, {"progress": "auto"}, {"progress": True}], ids=str)
def test_a_line_an_epoch_in_a_log(settings, capsys):
    lines = fit(capsys, **settings).splitlines()
    assert len(lines) == 3
    for i, line in enumerate(lines):
        assert re.fullmatch(rf"epoch {i + 1}/3  loss [-+.\de]+  (\d+\.\d\d s|[\d.]+ ms)", line)


def test_lines_show_what_is_judged(capsys):
    err = fit(capsys, validation=(X, T), metrics=["mean_absolute_error"])
    assert re.fullmatch(
        r"epoch 1/3  loss \S+  validation loss \S+  validation mean absolute error \S+  \S+ m?s", err.splitlines()[0]
    )


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (75.123, "75.12 s"),
        (1, "1.00 s"),
        (0.9996, "1.00 s"),
        (0.9994, "999 ms"),
        (0.00123, "1.23 ms"),
        (7e-6, "0.007 ms"),
    ],
)
def test_an_epoch_that_took_time_never_took_none(seconds, shown):
    assert str(Epoch(1, 2.5, None, {}, seconds)) == f"loss 2.5  {shown}"


@pytest.mark.parametrize("epochs", [1, 99, 100, 101, 5000, 12345])
def test_a_long_run_has_a_bounded_number_of_lines(epochs, capsys):
    shown = progress.choose("auto")
    shown.start(epochs, 0)
    for number in range(1, epochs + 1):
        shown.show(number, "loss 1")
    shown.stop()
    numbers = [int(line.split()[1].split("/")[0]) for line in capsys.readouterr().err.splitlines()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) <= 120
    assert numbers[-1] == epochs
    assert numbers[0] == 1
    if epochs <= 100:
        assert len(numbers) == epochs
    else:
        assert max(np.diff(numbers)) <= epochs / 100 + 1  # and none is long in coming


def test_the_last_epoch_is_shown_whatever_ended_the_run(capsys):
    def impatient(z, t):
        calls.append(1)
        if len(calls) == 42:
            raise KeyboardInterrupt
        return 0.0

    calls = []
    history = fc.fit(fc.mlp([2, 1], seed=0), X, T, "half_squared_error", epochs=10_000, metrics=[impatient])
    assert history.interrupted
    assert capsys.readouterr().err.splitlines()[-1].startswith("epoch 41/10000 ")


def test_nothing_when_told_so(capsys):
    assert fit(capsys, progress=False) == ""


def test_a_run_that_goes_on_counts_on(capsys, tmp_path):
    fit(capsys, checkpoint=tmp_path / "run", progress=False)
    net = fc.mlp([2, 1], seed=0)
    fc.fit(net, X, T, "half_squared_error", epochs=5, checkpoint=tmp_path / "run")
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["4/5", "5/5"]


def test_a_program_without_a_console(monkeypatch):
    """As under pythonw, where there is no standard error."""
    monkeypatch.setattr("sys.stderr", None)
    assert len(fc.fit(fc.mlp([2, 1]), X, T, "half_squared_error", epochs=2).loss) == 2


class Failing(io.TextIOBase):
    """A stream that fails in one way or another, after some lines."""

    def __init__(self, error, after):
        self.error, self.left = error, after

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return len(text)

    def flush(self):
        if self.left < 0:
            raise self.error


ERRORS = [
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.ENOSPC, "No space left on device"),
    BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    ValueError("I/O operation on closed file"),
    UnicodeEncodeError("ascii", "x", 0, 1, "ordinal not in range"),
    RuntimeError("a stream of the user's own"),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("after", [0, 1])
def test_where_nothing_can_be_shown_training_goes_on(error, after, monkeypatch):
    monkeypatch.setattr("sys.stderr", Failing(error, after))
    net, twin = fc.mlp([2, 1], seed=0), fc.mlp([2, 1], seed=0)
    history = fc.fit(net, X, T, "half_squared_error", epochs=3)
    assert history == fc.fit(twin, X, T, "half_squared_error", epochs=3, progress=False)
    assert (net.theta == twin.theta).all()


@pytest.mark.parametrize("stream", ["closed", "nothing like a stream", "a terminal that fails", "one that cannot tell"])
def test_streams_of_all_kinds(stream, monkeypatch, tmp_path):
    class Terminal(Failing):
        def isatty(self):
            if stream == "one that cannot tell":
                raise OSError(errno.EIO, "Input/output error")
            return True

    streams = {"closed": open(tmp_path / "log", "wb"), "nothing like a stream": object()}  # noqa: SIM115
    streams["closed"].close()
    monkeypatch.setattr("sys.stderr", streams.get(stream) or Terminal(ERRORS[1], 0))
    before = sys.stdout
    assert len(fc.fit(fc.mlp([2, 1]), X, T, "half_squared_error", epochs=3).loss) == 3
    assert sys.stdout is before


def test_names_of_metrics_are_shown_as_they_are_in_any_encoding(monkeypatch):
    def metric(z, t):
        return 0.5

    metric.__name__ = "größe [/mm]\n\x1b[2J"
    file = io.BytesIO()
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(file, encoding="ascii"))
    fc.fit(fc.mlp([2, 1]), X, T, "half_squared_error", epochs=2, metrics=[metric])
    sys.stderr.flush()
    lines = file.getvalue().decode("ascii").splitlines()
    assert len(lines) == 2
    assert "  gr\\xf6\\xdfe [/mm]" in lines[0]
    assert "\x1b" not in lines[0]


@pytest.mark.parametrize("failing", ["start", "show", "stop"])
def test_a_display_that_fails_is_given_up(failing, monkeypatch):
    class Broken(progress.Progress):
        def __init__(self, stream):
            pass

        def __getattribute__(self, step):
            if step in ("start", "show", "stop"):
                asked.append(step)
            if step == failing:
                raise RuntimeError("as a library may")
            return super().__getattribute__(step)

    asked = []
    monkeypatch.setattr(progress, "Lines", Broken)
    assert len(fc.fit(fc.mlp([2, 1]), X, T, "half_squared_error", epochs=3).loss) == 3
    assert asked[-1] == "stop"  # it can put right what it has changed


@pytest.mark.skipif(os.name != "posix", reason="pipes are closed otherwise here")
@pytest.mark.parametrize("how", ["2>&1", "2>&1 1>/dev/null"])
def test_a_reader_that_has_seen_enough_does_not_end_the_run(how, tmp_path):
    """As in ``train.py 2>&1 | head -2``: the program goes on, and its exit status is that of what it does."""
    (tmp_path / "run.py").write_text(
        "import sys, numpy as np, fullyconnected as fc\n"
        "x, t = np.arange(8.0).reshape(4, 2), np.arange(4.0)\n"
        "net = fc.mlp([2, 1], seed=0)\n"
        "fc.fit(net, x, t, 'half_squared_error', epochs=3000, batch_size=1)\n"
        "net.save(sys.argv[1])\n",
        encoding="utf-8",
    )
    line = f'("{sys.executable}" run.py net {how}; echo $? > status) | head -2'
    out = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert out.startswith("epoch 1/3000 ")
    assert (tmp_path / "status").read_text(encoding="utf-8") == "0\n"
    assert fc.load(tmp_path / "net").n_out == 1


def test_epochs_shows_nothing(capsys):
    next(fc.epochs(fc.mlp([2, 1]), X, T, "half_squared_error"))
    assert capsys.readouterr() == ("", "")


def test_lbfgs_shows_its_iterations(capsys):
    pytest.importorskip("scipy", reason="the solver is SciPy's")
    fc.fit(fc.mlp([2, 1], seed=0), X, T, "half_squared_error", fc.LBFGS(), 2)
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["1/2", "2/2"]


@pytest.mark.parametrize("progress", ["yes", 1, 0, None, "bar"])
def test_other_values_are_refused(progress):
    with pytest.raises(errors.InputTypeError, match='progress is "auto", True or False; got'):
        fc.fit(fc.mlp([2, 1]), X, T, "half_squared_error", progress=progress)


PROGRAM = textwrap.dedent("""
    import sys
    import numpy as np
    import fullyconnected as fc
    {before}
    x, t = np.arange(8.0).reshape(4, 2), np.arange(4.0)
    history = fc.fit(fc.mlp([2, 1], seed=0), x, t, "half_squared_error", epochs=3, progress={progress}, {settings})
    print("interrupted", history.interrupted)
""")


def on_a_terminal(progress, before="", settings="", hang_up=False, **environment):
    """Run with standard error on a pseudo-terminal; return what it shows, and standard output."""
    pty = pytest.importorskip("pty", reason="pseudo-terminals are of POSIX")
    program = PROGRAM.format(progress=progress, before=textwrap.dedent(before), settings=settings)
    ours, theirs = pty.openpty()
    around = {k: v for k, v in os.environ.items() if not k.startswith("TTY_")}
    for name in ("NO_COLOR", "CI", "FORCE_COLOR"):
        around.pop(name, None)
    environment = {**around, "TERM": "xterm", "COLUMNS": "120", "PYTHONIOENCODING": "utf-8", **environment}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
                if hang_up:
                    break
        except OSError:  # Linux says so when the other end is closed
            pass
        if hang_up:
            os.close(ours)
        out = process.stdout.read().decode()
    if not hang_up:
        os.close(ours)
    assert process.returncode == 0, shown.decode()
    return shown.decode(), out


@pytest.mark.parametrize("progress", ['"auto"', "True"])
def test_a_bar_on_a_terminal(progress):
    pytest.importorskip("rich", reason="the bar is rich's")
    shown, out = on_a_terminal(progress)
    assert "━" in shown
    assert "3/3" in shown
    assert "loss" in shown
    assert "\x1b[?25h" in shown  # the cursor is shown again
    assert out == "interrupted False\n"


def test_nothing_on_a_terminal_when_told_so():
    assert on_a_terminal("False") == ("", "interrupted False\n")


def test_lines_on_a_terminal_without_rich():
    shown, _ = on_a_terminal('"auto"', before='sys.modules["rich"] = None')
    assert [line.split("  ")[0] for line in shown.splitlines()] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]


def test_an_interrupt_leaves_the_terminal_as_it_was():
    pytest.importorskip("rich", reason="the bar is rich's")
    before = """
        def impatient(z, t):
            raise KeyboardInterrupt
    """
    shown, out = on_a_terminal('"auto"', before, "metrics=[impatient]")
    assert "\x1b[?25h" in shown
    assert out == "interrupted True\n"


@pytest.mark.parametrize("before", ["", 'sys.modules["rich"] = None'], ids=["bar", "lines"])
def test_a_terminal_that_hangs_up_does_not_end_the_run(before):
    shown, out = on_a_terminal('"auto"', before, "batch_size=1", hang_up=True)
    assert shown
    assert out == "interrupted False\n"


def test_a_terminal_that_cannot_move_its_cursor_gets_lines():
    """As the one within Emacs: rich would show nothing until the end."""
    for environment in ({"TERM": "dumb"}, {"TERM": "unknown"}, {"TTY_INTERACTIVE": "0"}, {"TTY_COMPATIBLE": "0"}):
        shown, _ = on_a_terminal('"auto"', **environment)
        assert [line.split("  ")[0] for line in shown.splitlines()] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
        assert "\x1b" not in shown


@pytest.mark.parametrize("name", ["error [/mm]", "f1[macro]", "[bold]", "a:smile:", "{task}"])
def test_a_bar_shows_the_names_of_metrics_as_they_are(name):
    pytest.importorskip("rich", reason="the bar is rich's")
    before = f"""
        def metric(z, t):
            return 0.5
        metric.__name__ = {name!r}
    """
    shown, out = on_a_terminal('"auto"', before, "metrics=[metric]")
    assert f"{name} 0.5" in shown
    assert out == "interrupted False\n"


def test_what_a_metric_prints_goes_where_it_should():
    """And not to the terminal, where only the bar is."""
    pytest.importorskip("rich", reason="the bar is rich's")
    before = """
        def metric(z, t):
            print("heard")
            return 0.5
    """
    shown, out = on_a_terminal('"auto"', before, "metrics=[metric]")
    assert out == "heard\nheard\nheard\ninterrupted False\n"
    assert "heard" not in shown
