"""What public signatures say: to a type checker, and to help()."""

import importlib.util
import inspect
import re
import subprocess
import sys
import tomllib
import types
import typing
from pathlib import Path

import pytest

import fullyconnected as fc
from fullyconnected import annotations
from fullyconnected.core.arrays import Array
from fullyconnected.training.settings import FitSettings

ROOT = Path(__file__).parents[1]
# Where Any is the truth, and why.
TRUE = {
    "Format.write(description)": "plain values of JSON, which json.loads calls Any, too",
    "Format.read -> ": "as write takes them",
    "datasets.read_idx -> ": "the file says which numbers it holds",
    "annotations.Splitter.split(X)": "a splitter of scikit-learn takes any table,",
    "annotations.Splitter.split(y)": "any targets",
    "annotations.Splitter.split(groups)": "and any groups,",
    "annotations.Splitter.split -> ": "and yields whatever NumPy takes for indices",
}


def public():
    """Yield whatever is public, by the name that a caller writes."""
    for name in fc.__all__:
        thing = getattr(fc, name)
        if isinstance(thing, types.ModuleType):
            for inner in thing.__all__:
                yield f"{name}.{inner}", getattr(thing, inner)
        else:
            yield name, thing


def told(annotation):
    """Return an annotation as text; Array and NumPy's NDArray, whose shapes are not typed, count as words."""
    text = annotation if isinstance(annotation, str) else repr(annotation)
    return (
        text.replace(repr(Array), "Array")
        .replace(repr(annotations.Rows), "Rows")
        .replace("ndarray[tuple[typing.Any, ...], ", "ndarray[")
    )


def signature_of(name, function):
    """Yield the annotations of a function, each by its place, and a missing one as Any."""
    for i, each in enumerate(inspect.signature(function).parameters.values()):
        if i > 0 or each.name not in ("self", "cls"):
            yield f"{name}({each.name})", "Any" if each.annotation is each.empty else told(each.annotation)
    given = function.__annotations__.get("return", "Any")
    yield f"{name} -> ", told(given)


def annotated(name, thing):
    """Yield every annotation of a public thing: of a function, of a class's fields, methods and properties."""
    if isinstance(thing, types.FunctionType):
        yield from signature_of(name, thing)
    elif isinstance(thing, type):
        for base in thing.__mro__:
            if not base.__module__.startswith("fullyconnected"):
                continue
            for field, annotation in vars(base).get("__annotations__", {}).items():
                if not field.startswith("_"):
                    yield f"{name}.{field}", told(annotation)
            for key, member in vars(base).items():
                if key.startswith("_") and key not in ("__init__", "__call__", "__iter__", "__getitem__", "__len__"):
                    continue
                member = getattr(member, "__func__", member)  # of a class method
                if isinstance(member, types.FunctionType) and member.__module__.startswith("fullyconnected"):
                    if member.__annotations__ or member.__qualname__.startswith(base.__qualname__):
                        yield from signature_of(f"{name}.{key}", member)
                elif isinstance(member, property):
                    for function in filter(None, (member.fget, member.fset)):
                        yield from signature_of(f"{name}.{key}", function)


def test_any_stands_where_it_is_the_truth_alone():
    found = {
        place: text for name, thing in public() for place, text in annotated(name, thing) if re.search(r"\bAny\b", text)
    }
    assert {place: text for place, text in found.items() if place not in TRUE} == {}
    assert set(TRUE) <= set(found), "what is no longer true is to be struck off the list"


def test_the_walk_sees_what_it_is_to_see():
    seen = dict(each for name, thing in public() for each in annotated(name, thing))
    for place in (
        *("fit(x)", "fit(schedule)", "epochs -> ", "Network.predict(x)", "Network.theta(values)", "Network.params -> "),
        *("Gradients.params", "Dense.activation", "Layer.forward(p)", "functional.relu_forward(x)", "Loss.__call__(z)"),
        *("plot.histograms(net_or_gradients)", "Trace.values", "check_gradients(obj)", "History.metrics"),
    ):
        assert place in seen
    assert seen["fit(x)"] == "RowsLike"
    assert len(seen) > 500


def test_signatures_can_be_read():
    shown = str(inspect.signature(fc.fit))
    assert shown.startswith(
        "(net: 'Network', x: 'RowsLike', t: 'ArrayLike | None' = None, loss: 'LossLike | None' = None,"
    )
    assert "Union[" not in shown
    assert str(inspect.signature(fc.epochs)).endswith("**settings: 'Unpack[FitOptions]') -> 'Iterator[Epoch]'")


def test_the_settings_of_a_run_are_the_same_wherever_they_stand():
    options = {name: hint.__forward_arg__ for name, hint in annotations.FitOptions.__annotations__.items()}
    fields = {name: hint for name, hint in vars(FitSettings)["__annotations__"].items() if "ClassVar" not in hint}
    assert options == fields
    parameters = inspect.signature(fc.fit).parameters
    assert {name: parameters[name].annotation for name in options} == options
    assert {name: parameters[name].default for name in options} == {
        name: getattr(FitSettings, name) for name in options
    }


def test_every_alias_is_one():
    for name in annotations.__all__:
        alias = getattr(annotations, name)
        # TypeAliasType (of NumPy 2.5) is new in Python 3.12
        kinds = (type, str, types.UnionType, types.GenericAlias, getattr(typing, "TypeAliasType", type))
        assert isinstance(alias, kinds) or typing.get_origin(alias), name


def test_nothing_loads_them_at_run_time():
    code = (
        "import sys, fullyconnected as fc\n"
        "net = fc.mlp([1, 2, 1], seed=0)\n"
        "fc.fit(net, [[0.0], [1.0]], [1.0, 2.0], 'half_squared_error', progress=False, warn=False, epochs=1)\n"
        "fc.explain(net, [[0.0]], [1.0], 'huber').to_text(), fc.check_gradients(net, [[0.0]], [1.0], 'huber')\n"
        "print([name for name in ('fullyconnected.annotations', 'numpy.typing') if name in sys.modules])\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_callers_get_the_right_types():
    """Some lines of the file are right, and their types are asserted; the others have to be complaints."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("reads the callers' code")
    callers = "tests/typing_of_callers.py"
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert callers in settings["files"], "make check is to read it, too"
    command = [sys.executable, "-m", "mypy", callers]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
