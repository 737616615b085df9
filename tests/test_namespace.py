"""The mathematics runs on arrays that are not NumPy's: a step on a namespace that has what CuPy has, and no more.

``Namespace`` (cuda/standin.py) has a short list of functions, and ``Array`` is its array. What they take is what CuPy's
documentation gives: a function of entries takes ``out=``, ``dtype=`` and ``casting=``, and neither ``where=`` nor
``.reduce``; ``take`` has no mode; a product's ``out`` is contiguous and of the product's own dtype; an ``out`` is no
smaller than the result; nothing turns into a NumPy array or a Python number by itself. ``SHORT_LIST`` and ``METHODS``
are all.
"""

import ast
import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.core.arrays import BLOCK
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.program.workspace import Workspace
from tests.cuda.standin import METHODS, OTHERS, SHORT_LIST, Array, Namespace

SOURCE = Path(fc.__file__).parent
MATHEMATICS = [
    *SOURCE.glob("layers/*.py"),
    *(
        SOURCE / f"{name}.py"
        for name in ("activations", "losses", "optimizers", "orthogonal", "program/program", "core/arrays")
    ),
]


def test_the_mathematics_uses_a_short_list_of_array_functions():
    used = set()
    for path in MATHEMATICS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                owner = node.value
                if (isinstance(owner, ast.Name) and owner.id == "xp") or (
                    isinstance(owner, ast.Attribute) and owner.attr == "xp"
                ):
                    used.add(node.attr)
    assert used <= SHORT_LIST, f"new array functions: {used - SHORT_LIST}"
    assert used == SHORT_LIST
    assert {name for name in vars(Namespace()) if not name.startswith("_")} | OTHERS == SHORT_LIST
    assert {name for name in vars(Array) if name in METHODS} == METHODS


def masks_from_the_host(workspace):
    """Let masks be drawn by NumPy and brought over, which is where random numbers come from on every device."""
    for uniforms in workspace.uniforms:
        uniforms.fill = lambda out, draw=uniforms.fill: draw(out._memory)


def step(net, x, t, loss, optimizer, xp, *, weights, l2, train):
    """Take two steps on a namespace; return everything that they have written."""
    on = np.asarray if xp is np else xp.array
    theta, state = on(net.theta.copy()), on(net.state.copy())
    workspace = Workspace(net.program, theta, state, len(x), loss=loss, input_gradient=True, xp=xp)
    if xp is not np:
        masks_from_the_host(workspace)
    batch = workspace.bind(len(x))
    batch.x[...] = on(x.astype(net.program.input_dtype(net.dtype)))
    k = net.program.copies  # of the targets and of the weights there is one for each member
    batch.t = on(np.repeat(t.astype(net.dtype) if t.dtype.kind == "f" else t, k, axis=0))
    if weights is not None:
        batch.set_weights(on(np.repeat(weights, k)))
    slots, scratch = (
        SimpleNamespace(**{name: on(np.zeros_like(net.theta)) for name in names})
        for names in (optimizer.slots, optimizer.scratch)
    )
    scratch.xp, written = xp, []
    for number in (1, 2):
        workspace.at(3, number)
        value = batch.loss_and_gradient(train=train, l2=l2)
        optimizer.update(theta, workspace.gradient, slots, scratch, lr=optimizer.lr, step=number, decays=True)
        written += [value, batch.z, batch.dx, workspace.gradient, theta, state, *vars(slots).values()]
    return [np.array(a.get() if isinstance(a, Array) else a).ravel() for a in written]


EVERY = ("float32", "float64"), sorted(LAYERS.classes), ACTIVATIONS.classes, LOSSES.classes
RULES = [cls() for cls in OPTIMIZERS.classes.values() if issubclass(cls, fc.Optimizer) and not cls().sees_tensors]


@pytest.mark.parametrize("layer", sorted(LAYERS.classes))
def test_a_step_runs_on_a_namespace_that_has_the_short_list_alone(layer, pairwise):
    """With every activation, loss and rule, weights, l2, in training and not: the same bits as on NumPy."""
    rng, rules = np.random.default_rng(0), itertools.cycle(RULES)
    chosen = [case for case in pairwise(itertools.product(*EVERY)) if case[1] == layer]
    for i, (dtype, _, activation, name) in enumerate(chosen):
        loss = LOSSES.classes[name].example(2) if i % 2 else LOSSES.build(name)
        examples = list(LAYERS.classes[layer].examples(3))
        block = examples[i % len(examples)]
        dense = fc.Dense(block.n_out if block.reads_raw else 3, 3, activation)
        layers = [block, dense] if block.reads_raw else [dense, block]
        if block.comes_last:
            examples = list(LAYERS.classes[layer].examples(2))
            layers = [fc.Dense(3, 2, activation), examples[i % len(examples)]]
        net = fc.Network([*layers, *([] if block.comes_last else [fc.Dense(layers[-1].n_out, 2)])], dtype=dtype, seed=0)
        x = net.layers[0].example_rows(rng, 4)
        t = loss.encode_targets(loss.example_targets(rng, 4, 2), 2)
        how = {"weights": rng.uniform(0.5, 2, 4) if i % 2 else None, "l2": 0.1 * (i % 3), "train": i % 5 > 0}
        rule = next(rules)
        with np.errstate(all="ignore"):
            numpy, strict = (step(net, x, t, loss, rule, xp, **how) for xp in (np, Namespace()))
        for a, b in zip(numpy, strict, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"{activation} {name} {rule}", strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (40, 30), (2, 3, 4)])
def test_a_step_of_whole_parameters_runs_on_the_short_list(shape, dtype):
    rule, rng, written = fc.Muon(0.1, weight_decay=0.1), np.random.default_rng(0), []
    param = fc.Param(shape, decays=True, matrix=True, roles=("weight", "hidden"))
    theta, g = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    for xp in (np, Namespace()):
        on = xp.array
        w, d = on(theta), on(g)
        s, c = (
            SimpleNamespace(**{name: on(np.zeros(size, dtype)) for name, size in shapes.items()})
            for shapes in (rule.slot_shapes(param, "W"), rule.scratch_shapes(param, "W"))
        )
        c.xp = xp
        for number in (1, 2):
            rule.update_tensor(w, d, s, c, lr=0.1, step=number, param=param, name="W")
        written.append([np.array(a.get() if isinstance(a, Array) else a) for a in (w, s.v)])
    # of more than 1,024 products NumPy's are added up in blocks, and those of a card in one call
    rounding = 0 if g.size <= BLOCK else 8 * np.finfo(dtype).eps
    for a, b in zip(*written, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rounding * np.abs(a).max(), strict=True)


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.classes.items() if loss.min_outputs > 1])
def test_classes_given_as_columns_run_on_the_short_list_too(name):
    net = fc.mlp([2, 3], seed=0)
    for loss in (LOSSES.build(name), LOSSES.classes[name].example(3)):
        same_bits(net, loss)


def same_bits(net, loss):
    x, t = np.random.default_rng(0).normal(size=(4, 2)), loss.encode_targets(np.eye(3)[[0, 2, 1, 1]], 3)
    how = {"weights": None, "l2": 0.0, "train": True}
    numpy, strict = (step(net, x, t, loss, fc.SGD(), xp, **how) for xp in (np, Namespace()))
    for a, b in zip(numpy, strict, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
