"""The house: who may import whom, what an import costs, and what is public."""

import ast
import importlib.util
import re
import subprocess
import sys
from functools import cache
from keyword import iskeyword
from pathlib import Path

import pytest

import fullyconnected as fc
from fullyconnected.cli import COMMANDS
from fullyconnected.program.workspace import Batch, Workspace

SOURCE = Path(fc.__file__).parent

# What turns the rows of a table into numbers, and sees no network: a predictor reads it without the rest of its room.
VOCABULARY = ["cells", "names", "column", "dataframes", "frame", "levels", "dates", "texts", "kinds", "encoders"]
VOCABULARY += ["described", "vocabulary"]
# What predicts by an ensemble for a table, without what trains it.
PREDICTING = ["tasks", "mixture", "units", "intervals", "ensemble", "contributions", "stored", "prediction"]

# A module imports strictly lower ranks. What is named here is a module or a room (a folder); of two names that fit, the
# longer one holds. Within a room, modules may import each other in the order given in INSIDE.
RANKS = {
    "core.habits": -1,  # tables alone, which an error looks things up in
    "core.version": -1,
    "core.deprecation": -1,
    "errors": 0,
    "core.wording": 0,
    "core": 1,
    "comm": 1.5,
    "comm.measure": 9.5,  # which trains
    "base": 2,
    "initializers": 2,
    "schedules": 2,
    "averages": 2,
    "orthogonal": 2,
    "factors": 2.2,
    "annotations": 2.5,  # for type checkers: nothing loads it at run time
    "activations": 3,
    "links": 3.5,
    "metrics": 3,
    "layers": 4,
    "losses": 4,
    "optimizers": 4,
    **dict.fromkeys((f"tables.{name}" for name in VOCABULARY), 2),
    "pages": 4.5,
    "functional": 5,
    "program": 5,
    "symbolic": 5,
    "columnar": 6,
    "tables.gathered": 6.5,
    "engine": 6,
    "files": 7,
    "network": 8,
    "registries": 8,
    "training": 9,
    "checking": 9,
    "labels": 8.5,
    **dict.fromkeys((f"tabular.{name}" for name in PREDICTING), 8.7),
    "tables.model": 8.8,  # which reads files of version 0.1.0, and trains nothing
    "predictor": 9,
    "diagnosis": 9.5,
    "tabular": 9.7,
    "estimators": 10,
    "plot": 10,
    "datasets": 10,
    "tables": 10,
    "exchange": 10.2,  # of files of others it makes estimators
    "explanation": 10,
    "assessment": 10.5,
    "playing": 10.8,
    "cli": 11,
    "__init__": 12,
    "__main__": 12,
}
INSIDE = {
    "comm": ["launchers", "base", "mpi", "torch", "choice", "model", "measure"],
    "core": [
        *(
            "version",
            "habits",
            "deprecation",
            "wording",
            "messages",
            "typeset",
            "arrays",
            "mapped",
            "settings",
            "randomness",
            "checks",
            "contracts",
            "registry",
        ),
        "batches",
        "order",
    ],
    "layers": [
        *("widths", "dense", "dropout", "factors", "periodic", "norm", "residual", "statistics"),
        *("scaling", "bins", "piecewise", "categories", "columns", "members", "__init__"),
    ],
    "pages": ["svg", "document", "charts", "tables", "outcomes", "report"],
    "program": [
        "plain",
        "claims",
        "sources",
        "description",
        "program",
        "guard",
        "workspace",
        "adapting",
        "data",
        "reading",
        "evaluation",
        "summary",
    ],
    "symbolic": [
        *(
            "digits",
            "names",
            "copies",
            "columns",
            "expression",
            "turning",
            "evaluation",
            "notation",
            "text",
            "as_numpy",
            "latex",
            "mathml",
            "equation",
        ),
        *(
            "formulas.lines",
            "formulas.activations",
            "formulas.norms",
            "formulas.members",
            "formulas.inputs",
            "formulas.layers",
            "formulas.told",
            "formulas.losses",
            "formulas.optimizers",
        ),
        "formulas.__init__",
    ],
    "engine": [
        *("state", "task", "updates", "base", "replay", "numpy_engine", "threads", "lowering", "native_engine"),
        *(f"cuda.{name}" for name in ("presence", "numbers", "products", "card", "foreign", "masks", "fused")),
        *("cuda.resident", "cuda.trainer", "cuda.predictor"),
        *("cuda_engine", "choice"),
    ],
    "files": [
        *("atomic", "model", "format", "safetensors_format", "formats", "checkpoint"),
        "__init__",
    ],
    "training": [
        *("settings", "history", "progress", "scales", "divergence", "sourcecode", "identity", "checkpoint", "solver"),
        "together",
        *("averages", "members", "run", "fit"),
    ],
    "checking": ["differences", "hints", "report", "comparison", "gradcheck", "proof"],
    "estimators": [
        *(
            "compat",
            "warning",
            "callbacks",
            "parameters",
            "rows",
            "sources",
            "stopping",
            "architecture",
            "scaling",
            "run",
            "advice",
            "files",
            "fitting",
        ),
        *("base", "classifier", "regressor", "tabular_parameters", "targets", "tabular_linear", "tabular_files"),
        *(
            "tabular_splits",
            "tabular_scoring",
            "tabular",
            "tabular_classifier",
            "tabular_regressor",
            "loading",
            "rivals",
            "__init__",
        ),
    ],
    "diagnosis": ["findings", "chance", "of_data", "of_step", "of_history", "trial", "examine", "report", "diagnose"],
    "tables": [
        *(*VOCABULARY, "model", "gathered"),
        *("files.source", "files.encoding", "files.delimited", "files.records", "files.arrow", "files.sqlite"),
        *("files.duck", "files.__init__"),
    ],
    "exchange": [
        *("graph", "programs.folding", "programs.quantised", "programs.exact", "programs.rows", "vector"),
        *("programs.loops", "programs.c", "programs.javascript", "programs.numpy_script", "leaving"),
        *("programs.agreement", "programs.report"),
        *("onnx.nodes", "onnx.columns", "onnx.writer", "formats"),
        *("arriving", "flow", "elsewhere"),
        *("onnx.affine", "onnx.given", "onnx.folding", "onnx.file", "onnx.graph", "onnx.patterns", "onnx.layers"),
        *("onnx.proof", "onnx.reader"),
        *("pytorch.weights", "pytorch.modules", "pytorch.writer", "pytorch.reader", "pytorch.__init__"),
        *("keras.hdf5", "keras.file", "keras.calls", "keras.given", "keras.activations", "keras.layers"),
        *("keras.reader", "keras.operations", "keras.writer", "keras.__init__"),
        *("sklearn.scalers", "sklearn.steps", "sklearn.proof", "sklearn.mlp", "sklearn.tables", "sklearn.reader"),
        *("sklearn.writer", "arrivals", "__init__"),
    ],
    "tabular": [
        *PREDICTING,
        "scores",
        "report",
        "folds",
        "spread",
        "recipe",
        "checkpoint",
        "alone",
        "held_out",
        "budget",
        "scored",
        "training",
        "importances",
    ],
    "explanation": [
        *("chinese", "catalogue", "record", "naming", "running", "differences", "updating", "recorder"),
        *("paths", "columns"),
        *("render.words", "render.document", "render.plaintext", "render.markdown", "render.script", "render.as_json"),
        *("pictures.scene", "pictures.tape", "pictures.choice", "pictures.stages"),
        *("pictures.placement", "pictures.light", "pictures.pen", "pictures.lines", "pictures.units"),
        *("pictures.picture", "pictures.graph", "pictures.gates", "pictures.computation", "pictures.drawing"),
        *("render.page.frame", "render.page.mathematics", "render.page.plan", "render.page.story"),
        *(
            "render.page.answers",
            "render.page.gates",
            "render.page.numbers",
            "render.page.desk",
            "render.page.articles",
        ),
        *("render.page.tables", "render.page.html", "forms", "samples", "__init__"),
    ],
    "assessment": [
        "problem",
        "splitting",
        "leaks",
        "outcomes",
        "assess",
        "advice",
        "page",
        "stored",
        "evaluation",
        "inspection",
    ],
    "playing": [
        *("points", "formula", "knobs", "setup", "data", "table", "building", "model", "stepping"),
        *("timeline", "view", "advice", "script", "exports", "session", "wire", "commands", "server", "serving"),
        *("public", "static", "__init__"),
    ],
    "cli": [
        *("console", "tables", "findings", "train", "predict", "evaluate", "inspect", "explain", "import_", "export"),
        *("playground", "comm", "check"),
        "__init__",
    ],
}
# What is named from below, and loaded at that moment alone.
BY_NAME = {
    "training.history": {"plot"},
    "annotations": {"engine.base", "predictor"},
    "estimators.fitting": {"estimators.base"},
}
# What loads modules by names that are not written where it is called: how often, what it may load, and why.
LOADS = {
    "__init__": (1, set(fc._LATER.values()), "public names are loaded when they are first used, by the table _LATER"),
    "cli.__init__": (
        1,
        {f"cli.{name}{'_' * iskeyword(name)}" for name in COMMANDS},
        "only the command that is called is loaded",
    ),
    "cli.console": (1, set(), "--import names a module of the user's"),
    "exchange.formats": (2, set(), "a script is run once before it is put in place, compiled by the mode of that name"),
    "playing.formula": (1, set(), "a formula is read as a tree, in the mode of that name; nothing is run"),
    "core.registry": (1, set(), "it looks up the file of a module of the user's, which is loaded already"),
    "training.identity": (1, set(), "it looks up the file of a module of the user's, which is loaded already"),
}
LOADERS = {"import_module", "__import__", "resolve_name", "run_module", "run_path", "exec_module", "exec", "eval"}


def name_of(path: Path) -> str:
    """Return a module's dotted name below the package."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


MODULES = {name_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the source of a file as a tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(module: str, tree: ast.AST) -> set[str]:
    """Return the modules of the package that a module imports, wherever in it, and however it writes that."""
    found = set()
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            above = ["fullyconnected", *module.split(".")][: -node.level] if node.level else []
            whole = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{whole}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif (plain := loaded(node)) is not None:
            names = [plain[1]]
        for name in names:
            package, *parts = str(name).split(".")
            if package == "fullyconnected" and parts[:1] != ["_native"]:  # what is compiled imports nothing
                candidates = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
                known = (c if c in MODULES else f"{c}.__init__" for c in candidates)
                found.add(next((each for each in known if each in MODULES), "__init__"))
    return found


def loaded(node: ast.AST) -> tuple[ast.AST, str] | None:
    """Return the loader and the name if a node loads a module by an absolute name that is written there, or None."""
    given: ast.AST
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        loader, given = node.func, node.args[0]
        if isinstance(loader, ast.Attribute) and ast.unparse(loader) == "sys.modules.get":
            loader = loader.value
        elif ast.unparse(loader).rpartition(".")[2] not in ("import_module", "__import__"):
            return None
    elif isinstance(node, ast.Subscript):
        loader, given = node.value, node.slice
    elif isinstance(node, ast.Compare):
        loader, given = node.comparators[0], node.left
    else:
        return None
    if isinstance(node, ast.Subscript | ast.Compare) and ast.unparse(loader) != "sys.modules":
        return None
    plain = isinstance(given, ast.Constant) and isinstance(given.value, str) and not given.value.startswith(".")
    return (loader, given.value) if plain else None


def unclear(tree: ast.AST) -> list[str]:
    """Return what may load a module whose name cannot be read there."""
    plain = {id(found[0]) for node in ast.walk(tree) if (found := loaded(node)) is not None}
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in plain:
            text = ast.unparse(node)
            if text == "sys.modules" or text.rpartition(".")[2] in LOADERS:
                lines.append(text)
        elif isinstance(node, ast.ImportFrom):
            lines += [
                alias.name
                for alias in node.names
                if (alias.name in LOADERS and alias.asname) or (node.module, alias.name) == ("sys", "modules")
            ]
        elif isinstance(node, ast.Import):
            lines += [alias.name for alias in node.names if alias.name == "sys" and alias.asname]
        elif isinstance(node, ast.Constant) and node.value in LOADERS:
            lines.append(node.value)
    return lines


def rank(module: str) -> int:
    parts = module.removesuffix(".__init__").split(".")
    return next(RANKS[name] for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in RANKS)


def is_below(lower: str, upper: str) -> bool:
    """Whether one module may be imported by another."""
    room, _, inside = upper.partition(".")
    other, _, part = lower.partition(".")
    if room == other and room in INSIDE:
        order = INSIDE[room]
        return part in order and inside in order and order.index(part) < order.index(inside)
    return rank(lower) < rank(upper)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_strictly_lower_ranks(module: str) -> None:
    tree = tree_of(MODULES[module])
    for name in imports(module, tree) - BY_NAME.get(module, set()):
        assert is_below(name, module), f"{module} imports {name}, which is no lower"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_loads_others_by_names_that_can_be_read(module: str) -> None:
    tree = tree_of(MODULES[module])
    times, targets, _ = LOADS.get(module, (0, set(), ""))
    assert len(unclear(tree)) == times, f"{module}: {unclear(tree)}; write the name there, or give the reason in LOADS"
    for name in targets:
        found = imports("", ast.parse(f"import fullyconnected.{name}"))
        assert all(is_below(each, module) for each in found), f"{module} loads {name}, which is no lower"


def test_every_module_has_its_place() -> None:
    for module in MODULES:
        room, _, inside = module.partition(".")
        assert rank(module) >= -1
        if room in INSIDE and inside != "__init__" and not inside.endswith(".__init__"):
            assert inside in INSIDE[room], f"{module} has no place in INSIDE"
    for room, order in INSIDE.items():
        assert [inside for inside in order if f"{room}.{inside}" not in MODULES] == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from fullyconnected import __version__", "__init__"),
        ("import fullyconnected", "__init__"),
        ("import fullyconnected as fc", "__init__"),
        ("from fullyconnected import network, fit", "network"),
        ("import fullyconnected.network", "network"),
        ("from fullyconnected.network import Network", "network"),
        ("from ..network import Network", "network"),
        ("from .. import network", "network"),
        ("from . import engines", "engine.__init__"),
        ("from .numpy_engine import NumpyEngine", "engine.numpy_engine"),
        ("def f():\n    from fullyconnected.cli import main", "cli.__init__"),
        ("import_module('fullyconnected.plot')", "plot"),
        ("importlib.import_module('fullyconnected.plot')", "plot"),
        ("__import__('fullyconnected.plot')", "plot"),
        ("sys.modules['fullyconnected.plot']", "plot"),
        ("sys.modules.get('fullyconnected.plot')", "plot"),
        ("'fullyconnected.plot' in sys.modules", "plot"),
    ],
)
def test_no_way_to_import_is_overlooked(line: str, found: str) -> None:
    assert found in imports("engine.task", ast.parse(line))
    assert not is_below(found, "engine.task")


@pytest.mark.parametrize(
    "line",
    [
        "import_module(name='fullyconnected.plot')",
        "import_module('.plot', 'fullyconnected')",
        "import_module('.plot')",
        "importlib.import_module(f'fullyconnected.{name}')",
        "import_module('fullyconnected.' + 'plot')",
        "import_module(name)",
        "__import__('fullyconnected', fromlist=['plot'])",
        "from importlib import import_module as load",
        "load = importlib.import_module",
        "getattr(importlib, 'import_module')",
        "sys.modules['fullyconnected.' + name]",
        "sys.modules.get(name)",
        "vars(sys.modules)",
        "from sys import modules",
        "import sys as s",
        "exec('import fullyconnected.plot')",
        "eval(text)",
        "pkgutil.resolve_name('fullyconnected.plot')",
        "from pkgutil import resolve_name\nresolve_name('fullyconnected.plot')",
        "runpy.run_module('fullyconnected.plot')",
        "spec.loader.exec_module(module)",
    ],
)
def test_a_way_to_load_whose_name_cannot_be_read_is_seen(line: str) -> None:
    assert unclear(ast.parse(line))


def packages(tree: ast.AST) -> set[str]:
    """Return the packages that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
        elif (plain := loaded(node)) is not None:
            found.add(plain[1].partition(".")[0])
    return found


@pytest.mark.parametrize("line", ["import sklearn.base", "from sklearn import base", "import_module('sklearn.base')"])
def test_no_import_of_scikit_learn_is_overlooked(line: str) -> None:
    assert "sklearn" in packages(ast.parse(line))


def test_the_estimators_alone_import_scikit_learn_and_what_makes_its_models() -> None:
    importing = {module for module in MODULES if "sklearn" in packages(tree_of(MODULES[module]))}
    others = {module for module in importing if module.partition(".")[0] != "estimators"}
    assert others == {"exchange.sklearn.reader", "exchange.sklearn.mlp", "exchange.sklearn.writer"}


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
        for node in ast.walk(tree_of(path)):
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
            and thing.__module__ != "fullyconnected.base"
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
    for beginning in (*conftest.SLOW, *conftest.LONG, *conftest.ANYWHERE, *conftest.SELDOM):
        file, *names = beginning.split("::")
        assert (here / file).exists() if names else any(here.glob(f"{file.rstrip('/')}*")), beginning
        source = (here / file).read_text(encoding="utf-8") if names else ""
        for name in names:
            assert re.search(rf"^ *(def|class) {name}", source, re.MULTILINE), beginning


def test_what_a_step_looks_up_has_no_getattr() -> None:
    """With one, Python looks up every attribute the slow way, those that exist too."""
    for base in (fc.Layer, fc.ActivationFunction, fc.Loss, fc.Optimizer, Workspace, Batch):
        assert not hasattr(base, "__getattr__")
