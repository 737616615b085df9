"""Threads: how many, limited by whom, and what their pool is held to (thread_pool_test.cpp) under the sanitizers."""

import importlib.util
import multiprocessing
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fullyconnected.engine import threads
from fullyconnected.engine.threads import n_threads
from fullyconnected.errors import ConfigError, InputTypeError

HERE = Path(__file__).parent
COMPILER = next(filter(None, map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))), None)
UNDER_A_SANITIZER = any(name in os.environ.get("LD_PRELOAD", "") for name in ("asan", "tsan"))

NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "MKL_NUM_THREADS")
CASES = re.findall(r'^    \{"(\w+)", case_', (HERE / "thread_pool_test.cpp").read_text(encoding="utf-8"), re.MULTILINE)

needs_native = pytest.mark.skipif(
    importlib.util.find_spec("fullyconnected._native") is None, reason="the native engine is not built"
)
needs_threadpoolctl = pytest.mark.skipif(
    importlib.util.find_spec("threadpoolctl") is None, reason="threadpoolctl is not installed"
)
needs_processors = pytest.mark.skipif(threads._processors() < 2, reason="this machine has one processor")
not_sanitized = pytest.mark.skipif(UNDER_A_SANITIZER, reason="nothing native runs here")


def python(code: str, **environment: str) -> list[str]:
    """Return the words that a program prints, run without what limits the threads of this one."""
    variables = {name: value for name, value in os.environ.items() if name not in NAMES} | environment
    out = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stderr
    return out.stdout.split()


@pytest.fixture
def processors(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many processors this process seems to have; at first 6, and nothing else says how many threads."""

    def have(n: int) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(n)), raising=False)

    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "_quota", lambda: 1024.0)
    monkeypatch.setattr(threads, "_openblas", [])
    monkeypatch.setitem(sys.modules, "fullyconnected._native", None)
    have(6)
    return have


# --- how many ---------------------------------------------------------------------------------------------------------


def test_all_processors_that_the_process_may_use(processors: Callable[[int], None]) -> None:
    assert n_threads() == 6
    processors(1)
    assert n_threads() == 1


def test_where_a_system_has_no_affinity_its_processors_count(
    processors: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert n_threads() == 4
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert n_threads() == 1


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("3", 3),
        (" 2 ", 2),
        ("4,2", 4),
        ("16", 16),
        ("99999", 1024),
        ("", 6),
        ("0", 6),
        ("-1", 6),
        ("many", 6),
        (",", 6),
    ],
)
def test_the_environment_says_how_many(
    processors: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, value: str, wanted: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert n_threads() == wanted


def test_what_is_asked_for_is_taken(processors: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [n_threads(n) for n in (1, 2, 40, 1024)] == [1, 2, 40, 1024]


@pytest.mark.parametrize("asked", [0, -1, 1025, 10**30])
def test_a_number_out_of_range_is_refused(asked: int) -> None:
    with pytest.raises(ConfigError, match=r"n_threads must be .* or (more|fewer); got"):
        n_threads(asked)


@pytest.mark.parametrize("asked", [2.0, "2", True])
def test_what_is_no_whole_number_is_refused(asked: object) -> None:
    with pytest.raises(InputTypeError, match="n_threads is a whole number; got"):
        n_threads(asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "max 100000"}, 6),
        ({"cpu.max": ""}, 6),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 6),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "0\n"}, 6),
        ({}, 6),
    ],
)
def test_a_container_has_its_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], wanted: int):
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    quota = threads._quota(str(tmp_path))
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "_quota", lambda: quota)
    monkeypatch.setattr(threads, "_processors", lambda: 6)
    monkeypatch.setattr(threads, "_openblas", [])
    monkeypatch.setitem(sys.modules, "fullyconnected._native", None)
    assert n_threads() == wanted


# --- workers ----------------------------------------------------------------------------------------------------------

WORKERS = """
import multiprocessing, os, sys
from fullyconnected.engine.threads import n_threads

def ask(x):
    return n_threads()

if __name__ == "__main__":
    os.sched_getaffinity = lambda pid: set(range(6))  # a child that is forked has this too
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        print(*pool.map(ask, [1]), n_threads())
"""


@not_sanitized
@pytest.mark.parametrize("way", multiprocessing.get_all_start_methods())
def test_a_worker_of_multiprocessing_has_one_thread_unless_told_otherwise(tmp_path: Path, way: str) -> None:
    script = tmp_path / "workers.py"
    script.write_text(WORKERS, encoding="utf-8")
    code = f"import runpy, sys; sys.argv = ['', {way!r}]; runpy.run_path({str(script)!r}, run_name='__main__')"
    if way != "fork":  # what is pickled by name has to be in a module
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['', {way!r}]\n" + WORKERS.replace(
            "def ask(x):\n    return n_threads()", "from workers import ask"
        )
    assert python(code) == ["1", "6"]
    assert python(code, OMP_NUM_THREADS="3") == ["3", "3"]


@not_sanitized
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_forks_by_itself_uses_what_there_is() -> None:
    code = """
import os
from fullyconnected.engine.threads import n_threads
os.sched_getaffinity = lambda pid: set(range(6))
child = os.fork()
if child == 0:
    os._exit(n_threads())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), n_threads())
"""
    assert python(code) == ["6", "6"]


@not_sanitized
@pytest.mark.skipif(importlib.util.find_spec("joblib") is None, reason="joblib is not installed")
@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_a_worker_of_joblib_has_one_thread_or_what_joblib_gives_it(backend: str) -> None:
    code = f"""
import os
from joblib import Parallel, delayed
from fullyconnected.engine.threads import n_threads
calls = [delayed(n_threads)(), delayed(os.getenv)("OMP_NUM_THREADS", "1")]  # loky sets it: processors / workers
print(n_threads(), *Parallel(n_jobs=2, backend={backend!r})(calls))
"""
    here, found, given = python(code)
    assert found == (here if backend == "threading" else given)


# --- threadpoolctl ----------------------------------------------------------------------------------------------------

LIMITED = """
import os
from fullyconnected import _native
from fullyconnected.engine.threads import n_threads, register_with_threadpoolctl
os.sched_getaffinity = lambda pid: set(range(6))
register_with_threadpoolctl()
register_with_threadpoolctl()
import threadpoolctl
"""


@needs_native
@needs_threadpoolctl
@pytest.mark.parametrize("limits", ["1", "1, user_api='blas'", "{'blas': 1}", "{'_native': 1}"])
def test_a_limit_holds_inside_of_its_block_alone(limits: str) -> None:
    code = (
        LIMITED
        + f"""
print(n_threads())
with threadpoolctl.threadpool_limits({limits}):
    print(n_threads(), n_threads(5))
    with threadpoolctl.threadpool_limits(2):
        print(n_threads())
    print(n_threads())
print(n_threads(), _native.thread_limit())
"""
    )
    assert python(code) == ["6", "1", "5", "2", "1", "6", "0"]


@needs_native
@needs_threadpoolctl
def test_a_limit_on_openmp_is_none_on_this_and_a_high_one_raises_nothing() -> None:
    code = (
        LIMITED
        + """
with threadpoolctl.threadpool_limits(1, user_api="openmp"):
    print(n_threads())
with threadpoolctl.threadpool_limits(40):
    print(n_threads())
print(_native.thread_limit())
"""
    )
    assert python(code) == ["6", "6", "0"]


@needs_native
@needs_threadpoolctl
def test_it_is_listed_once_and_as_what_it_is() -> None:
    code = (
        LIMITED
        + """
for info in threadpoolctl.threadpool_info():
    if info["internal_api"] == "fullyconnected":
        print(info["user_api"], info["num_threads"], info["prefix"])
"""
    )
    assert python(code) == ["blas", "6", "_native"]


@needs_native
@needs_threadpoolctl
@needs_processors
@pytest.mark.parametrize("limit", ["1", "1, user_api='blas'"])
def test_a_limit_that_was_set_before_the_engine_was_loaded_holds_too(limit: str) -> None:
    code = f"""
import threadpoolctl, fullyconnected, sys
from fullyconnected.engine.threads import n_threads, register_with_threadpoolctl
print(*(info["internal_api"] for info in threadpoolctl.threadpool_info()), sep="+")
with threadpoolctl.threadpool_limits({limit}):
    from fullyconnected import _native
    register_with_threadpoolctl()
    print(n_threads())
print(n_threads() > 1)
with threadpoolctl.threadpool_limits({limit}):
    print(n_threads())
print(n_threads() > 1)
"""
    libraries, *found = python(code)
    if "openblas" not in libraries:
        pytest.skip(f"NumPy computes with {libraries} here, which tells nothing")
    assert found == ["1", "True", "1", "True"]


def test_nothing_is_said_where_threadpoolctl_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    threads.register_with_threadpoolctl.__wrapped__()


def test_the_import_of_the_library_does_not_import_threadpoolctl() -> None:
    code = "import fullyconnected, sys; print('threadpoolctl' in sys.modules, 'multiprocessing' in sys.modules)"
    assert python(code) == ["False", "False"]


# --- a pool -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def thread_pool_test(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compiles thread_pool_test.cpp with a sanitizer, once."""
    programs: dict[str, Path] = {}

    def compile_with(sanitizer: str) -> Path:
        if sanitizer not in programs:
            assert COMPILER is not None
            program = tmp_path_factory.mktemp("pool") / f"thread_pool_test_{sanitizer.replace(',', '_')}"
            flags = ["-std=c++20", "-O1", "-g", "-pthread", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"]
            out = subprocess.run(
                [COMPILER, *flags, HERE / "thread_pool_test.cpp", "-o", program], capture_output=True, text=True
            )
            if "cannot find" in out.stderr or "unsupported option" in out.stderr:
                pytest.skip(f"the compiler has no -fsanitize={sanitizer}")
            assert out.returncode == 0, out.stderr
            programs[sanitizer] = program
        return programs[sanitizer]

    return compile_with


@pytest.mark.skipif(COMPILER is None, reason="there is no compiler")
@pytest.mark.skipif(UNDER_A_SANITIZER, reason="these programs bring their own sanitizers")
@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
@pytest.mark.parametrize("case", CASES)
def test_a_pool(thread_pool_test: Callable[[str], Path], sanitizer: str, case: str) -> None:
    command = [str(thread_pool_test(sanitizer)), case, "20000"]
    if sanitizer == "thread" and shutil.which("setarch"):  # this sanitizer wants addresses where it expects them
        as_expected = ["setarch", platform.machine(), "-R"]
        if subprocess.run([*as_expected, "true"], capture_output=True).returncode == 0:
            command = as_expected + command
    # a forked child may start threads of its own here, which this sanitizer stops unless told otherwise
    environment = os.environ | {"TSAN_OPTIONS": "halt_on_error=1:die_after_fork=0"}
    out = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if "unexpected memory mapping" in out.stderr:
        pytest.skip("the thread sanitizer does not run on this kernel")
    assert out.returncode == 0, out.stdout + out.stderr
