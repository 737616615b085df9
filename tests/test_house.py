"""The house: who may import whom, what an import costs, and what is public."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fullyconnected as fc
from fullyconnected.program import Batch, Workspace

SOURCE = Path(fc.__file__).parent

# A module imports strictly lower ranks. A package's __init__ and modules share one entry where they share a rank;
# within a package, modules may import each other in the order given in INSIDE.
RANKS = {
    "habits": -1,  # tables alone, which an error looks things up in
    "errors": 0,
    "wording": 0,
    "flat": 1,
    "settings": 1,
    "rng": 1,
    "checks": 2,
    "source": 2,
    "batches": 2,
    "contracts": 2,
    "history": 2,
    "identity": 3,
    "schedules": 3,
    "initializers": 3,
    "protocols": 3,
    "metrics": 4,
    "activations": 4,
    "layers": 5,
    "losses": 5,
    "optimizers": 5,
    "guard": 5,
    "registry": 6,
    "training_state": 6,
    "program": 6,
    "summary": 7,
    "data": 7,
    "engine": 7,
    "files": 7,
    "network": 8,
    "functional": 8,
    "lbfgs": 9,
    "progress": 8,
    "scales": 7,
    "divergence": 8,
    "gradhints": 7,
    "gradreport": 7,
    "differences": 7,
    "comparison": 8,
    "resume": 9,
    "gradcheck": 9,
    "training": 10,
    "proof": 10,
    "cells": 8,
    "rows": 9,
    "datasets": 10,
    "explanation": 10,
    "tables": 10,
    "tablemodel": 11,
    "plot": 11,
    "cli": 12,
    "__main__": 13,
    "__init__": 13,
}
INSIDE = {
    "layers": ["widths", "dense", "dropout", "norm", "residual", "__init__"],
    "engine": ["task", "numpy", "threads", "layout", "native", "__init__"],
    "explanation": [
        *("names", "numbers", "expression", "evaluation"),
        *("notation", "notation_text", "notation_latex", "notation_mathml", "equation"),
        *("formulas", "record", "recorder", "document", "paths"),
        *("plaintext", "markdown", "script", "data"),
        *("svg", "placement", "picture", "graph", "drawing", "page", "samples", "__init__"),
    ],
    "files": ["atomic", "architecture", "model", "checkpoint", "__init__"],
}


def imports(path: Path) -> set[str]:
    """Return the dotted names below the package that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("fullyconnected"):
            below = node.module.removeprefix("fullyconnected").lstrip(".")
            for alias in node.names:
                module = f"{below}.{alias.name}".strip(".")
                is_module = (SOURCE / f"{module.replace('.', '/')}.py").exists() or (SOURCE / module).is_dir()
                found.add(module if is_module else below)
        if isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("fullyconnected.") for alias in node.names if "fullyconnected." in alias.name
            }
    return found - {""}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_imports_strictly_lower_ranks(path: Path) -> None:
    package, *inside = path.relative_to(SOURCE).with_suffix("").parts
    for name in imports(path):
        target, *part = name.split(".")
        if target == package and package in INSIDE:
            order = INSIDE[package]
            assert part, f"{path.name} imports its own package"
            assert order.index(part[0]) < order.index(inside[0]), f"{path} imports {name}, which comes after it"
        else:
            assert RANKS[target] < RANKS[package], f"{path} (rank {RANKS[package]}) imports {name} ({RANKS[target]})"


def test_importing_loads_numpy_and_safetensors_alone() -> None:
    code = (
        "import sys, numpy, safetensors.numpy; before = {name.split('.')[0] for name in sys.modules}\n"
        "import fullyconnected; after = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(n for n in after - before if n not in sys.stdlib_module_names))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['fullyconnected']"


@pytest.mark.parametrize("folder", ["src", "tests", "examples", "tools", "benchmarks"])
def test_every_file_of_text_names_its_encoding(folder: str) -> None:
    """The linter sees this of open() and of what it knows for a Path; here it is asked of every method so called."""
    for path in (SOURCE.parents[1] / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                named = any(keyword.arg == "encoding" for keyword in node.keywords)
                whole = len(node.args) > (node.func.attr == "write_text")  # the encoding by its place
                assert named or whole or node.func.attr not in ("read_text", "write_text"), f"{path}:{node.lineno}"


def test_every_public_name_exists_and_is_documented() -> None:
    for name in fc.__all__:
        thing = getattr(fc, name)
        assert thing.__doc__, f"fc.{name} has no docstring"
        if (
            isinstance(thing, type)
            and issubclass(thing, fc.Layer | fc.Loss | fc.Optimizer)
            and thing.__module__ != "fullyconnected.protocols"
        ):
            assert "name" in vars(thing), f"fc.{name} is not registered under a name of its own"


def test_the_tests_that_conftest_names_are_there() -> None:
    """A test that was given another name would otherwise be slow, or repeated, without anybody's notice."""
    here = Path(__file__).parent
    spec = importlib.util.spec_from_file_location("conftest_of_all", here / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    for beginning in (*conftest.SLOW, *conftest.ANYWHERE):
        file, *names = beginning.split("::")
        assert (here / file).exists(), beginning
        source = (here / file).read_text(encoding="utf-8") if names else ""
        for name in names:
            assert re.search(rf"^ *(def|class) {name}", source, re.MULTILINE), beginning


def test_what_a_step_looks_up_has_no_getattr() -> None:
    """With one, Python looks up every attribute the slow way, those that exist too."""
    for base in (fc.Layer, fc.ActivationFunction, fc.Loss, fc.Optimizer, Workspace, Batch):
        assert not hasattr(base, "__getattr__")
