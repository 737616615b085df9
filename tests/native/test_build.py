"""The compiled part: it is there where it can be built, keeps to the processor, and is left out where it cannot be."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import fullyconnected as fc

ROOT = Path(__file__).parents[2]
COMPILER = next(filter(None, map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))), None)
IS_BUILT = importlib.util.find_spec("fullyconnected._native") is not None

needs_native = pytest.mark.skipif(not IS_BUILT, reason="the native engine is not built")
needs_tools = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("scikit_build_core", "nanobind", "cmake", "ninja")),
    reason="the tools of the group 'build' are not installed",
)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if name != "FULLYCONNECTED_CPU"}
    return subprocess.run([sys.executable, "-c", code], env=variables | environment, capture_output=True, text=True)


@pytest.mark.skipif(COMPILER is None, reason="there is no compiler")
def test_it_is_built_where_there_is_a_compiler() -> None:
    assert IS_BUILT


@needs_native
def test_the_kernels_are_the_best_that_the_processor_has() -> None:
    out = python("from fullyconnected import _native as n; print(n.kernels(), *n.usable_kernels())").stdout.split()
    assert out[0] == out[1]
    assert out[1:] in (["avx512", "avx2", "plain"], ["avx2", "plain"], ["plain"])


@needs_native
def test_the_environment_chooses_the_kernels() -> None:
    from fullyconnected import _native

    for name in _native.usable_kernels():
        found = python("from fullyconnected import _native; print(_native.kernels())", FULLYCONNECTED_CPU=name)
        assert found.stdout.strip() == name, found.stderr


@needs_native
def test_kernels_that_are_not_here_are_refused_with_those_that_are() -> None:
    from fullyconnected import _native

    code = "from fullyconnected import _native; _native.kernels()"
    usable = ", ".join(_native.usable_kernels())
    error = python(code, FULLYCONNECTED_CPU="sse9").stderr
    assert f"ValueError: FULLYCONNECTED_CPU=sse9 is not known; here it can be {usable}" in error
    for name in {"avx2", "avx512"} - set(_native.usable_kernels()):
        assert f"FULLYCONNECTED_CPU={name}" in python(code, FULLYCONNECTED_CPU=name).stderr


# The installations: with the tools that are here, in copies of the source, and without the network.


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what a source distribution holds, unpacked."""
    folder = tmp_path_factory.mktemp("source")
    code = "import sys; from scikit_build_core.build import build_sdist; print(build_sdist(sys.argv[1]))"
    run = subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, capture_output=True, text=True, check=True)
    with tarfile.open(folder / run.stdout.split()[-1]) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"fullyconnected-{fc.__version__}"


def wheel(source: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "wheel", "-v", "--no-build-isolation", "--no-deps", "--no-index"]
    return subprocess.run(
        [*command, "--wheel-dir", str(folder), str(source)],
        env=os.environ | {"FULLYCONNECTED_REQUIRE_NATIVE": "0"} | environment,
        capture_output=True,
        text=True,
    )


@needs_tools
def test_the_source_distribution_of_an_installation_has_what_it_needs(source: Path) -> None:
    for name in ("pyproject.toml", "Makefile", "conftest.py", "LICENSE", "README.md", "native/CMakeLists.txt"):
        assert (source / name).is_file(), name
    for folder, pattern in [("src", "*.py"), ("native", "*.?pp"), ("tests", "*.py"), ("docs", "*.md")]:
        here = {path.relative_to(ROOT) for path in (ROOT / folder).rglob(pattern)}
        assert here <= {path.relative_to(source) for path in source.rglob(pattern)}
    assert not [*source.rglob("__pycache__"), *source.rglob("*.so")]


@needs_tools
def test_an_installation_without_a_compiler_runs_on_numpy(source: Path, tmp_path: Path) -> None:
    built = wheel(source, tmp_path, CC="/bin/false", CXX="/bin/false")
    assert built.returncode == 0, built.stdout + built.stderr
    assert "without its native engine" in built.stdout + built.stderr
    (file,) = tmp_path.glob("*.whl")
    assert file.name.endswith("-py3-none-any.whl")

    library = tmp_path / "library"
    with zipfile.ZipFile(file) as archive:
        archive.extractall(library)
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import importlib.util, numpy as np, fullyconnected as fc\n"
        "print(fc.__file__, importlib.util.find_spec('fullyconnected._native'))\n"
        "net = fc.mlp([1, 1], seed=0)\n"
        "fc.fit(net, np.eye(1), np.eye(1), fc.HalfSquaredError(), epochs=2, progress=False)"
    )
    # Without the module site, nothing knows of the library that is installed here; NumPy is found by its folder.
    folders = [library, *(Path(importlib.util.find_spec(name).origin).parents[1] for name in ("numpy", "safetensors"))]
    run = subprocess.run([sys.executable, "-I", "-S", "-c", code, *folders], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    where, spec = run.stdout.split()
    assert Path(where).is_relative_to(library)
    assert spec == "None"


@needs_tools
def test_an_installation_that_requires_the_engine_fails_without_a_compiler(source: Path, tmp_path: Path) -> None:
    built = wheel(source, tmp_path, CC="/bin/false", CXX="/bin/false", FULLYCONNECTED_REQUIRE_NATIVE="1")
    assert built.returncode != 0
    assert "CMake configuration failed" in built.stdout + built.stderr
    assert not [*tmp_path.glob("*.whl")]


@needs_tools
@pytest.mark.skipif(COMPILER is None, reason="there is no compiler")
def test_an_installation_refuses_code_that_an_older_processor_could_meet(source: Path, tmp_path: Path) -> None:
    cmake, nm = pytest.importorskip("cmake"), shutil.which("nm") or pytest.skip("nm is not here")
    script = source / "native" / "check_kernels.cmake"
    (tmp_path / "kept.cpp").write_text(
        "namespace { int f(int x) { return x * x; } } int g(int x) { return f(x); }", encoding="utf-8"
    )
    (tmp_path / "shared.cpp").write_text("inline int f(int x) { return x * x; } int (*g)(int) = f;", encoding="utf-8")
    (tmp_path / "at_load.cpp").write_text("#include <stdlib.h>\nextern const int at_load = rand();", encoding="utf-8")
    verdicts = {}
    for path in tmp_path.glob("*.cpp"):
        object_ = path.with_suffix(".o")
        subprocess.run([COMPILER, "-c", path, "-o", object_], check=True)
        command = [Path(cmake.CMAKE_BIN_DIR) / "cmake", f"-DNM={nm}", f"-DOBJECTS={object_}", "-P", script]
        run = subprocess.run(command, capture_output=True, text=True)
        verdicts[path.stem] = (run.returncode == 0, run.stderr)
    assert verdicts["kept"][0], verdicts["kept"]
    assert not verdicts["shared"][0]
    assert "f(int)" in verdicts["shared"][1]
    assert not verdicts["at_load"][0]


@needs_native
def test_the_wheel_of_an_installation_stays_small(tmp_path: Path) -> None:
    modules = [path for path in Path(fc.__file__).parent.rglob("*.py*") if path.suffix in (".py", ".pyi")]
    extension = Path(importlib.util.find_spec("fullyconnected._native").origin)
    # three copies of the kernels, with two ways to multiply bfloat16, and the text of all modules: what is compiled of
    # it is no part of a wheel
    for files, most in (([extension], 1_380_000), (modules, 1_075_000)):
        with zipfile.ZipFile(tmp_path / "like.whl", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                archive.write(path, path.relative_to(Path(fc.__file__).parents[1]) if path != extension else path.name)
        assert (tmp_path / "like.whl").stat().st_size < most
