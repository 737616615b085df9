"""The mathematics runs on arrays that are not NumPy's: a step on a namespace that has what CuPy has, and no more.

``Namespace`` has a short list of functions, and ``Device`` is its array. What they take is what CuPy's documentation
gives: a function of entries takes ``out=``, ``dtype=`` and ``casting=``, and neither ``where=`` nor ``.reduce``;
``take`` has no mode; a product's ``out`` is contiguous and of the product's own dtype; an ``out`` is no smaller than
the result; nothing turns into a NumPy array or a Python number by itself. ``SHORT_LIST`` and ``METHODS`` are all.
"""

import ast
import itertools
import operator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.program.workspace import Workspace

ENTRYWISE = {
    "abs", "add", "copysign", "cos", "divide", "equal", "exp", "expm1", "greater", "greater_equal", "heaviside",
    "less", "log1p", "logaddexp", "maximum", "minimum", "multiply", "negative", "reciprocal", "rint", "sign", "sin",
    "sqrt", "subtract", "tanh",
}  # fmt: skip
OTHERS = {"array", "clip", "copyto", "full", "matmul", "vdot"}
SHORT_LIST = ENTRYWISE | OTHERS
METHODS = {"argmax", "dot", "fill", "max", "put", "reshape", "sum", "take", "transpose"}

SOURCE = Path(fc.__file__).parent
MATHEMATICS = [
    *SOURCE.glob("layers/*.py"),
    *(
        SOURCE / f"{name}.py"
        for name in ("activations", "losses", "optimizers", "orthogonal", "program/program", "core/arrays")
    ),
]
SCALARS = (bool, int, float, np.generic)


def bare(value):
    """Return the NumPy array or the number within, and refuse what could not be handed to a device."""
    if isinstance(value, Device):
        return value.memory
    if isinstance(value, SCALARS):
        return value
    raise TypeError(f"unsupported type {type(value).__name__}: an array of this namespace, or a number")


def target(out, shape):
    """Return the memory of an ``out``: an array of the result's shape, or of one that the result is repeated to."""
    if not isinstance(out, Device):
        raise TypeError(f"out is an array of this namespace, not {type(out).__name__}")
    if np.broadcast_shapes(out.shape, shape) != out.shape or len(shape) > out.ndim:
        raise ValueError(f"out has shape {out.shape}, the result {shape}")
    return out.memory


class Device:
    """An array that is no NumPy array, and does not become one unless it is asked to by ``get``."""

    __array_ufunc__ = None

    def __init__(self, memory):
        assert type(memory) is np.ndarray
        self.memory = memory

    def get(self):
        """Return a copy on the host: for the tests alone, since a step never waits for the device."""
        return self.memory.copy()

    shape = property(lambda self: self.memory.shape)
    ndim = property(lambda self: self.memory.ndim)
    size = property(lambda self: self.memory.size)
    dtype = property(lambda self: self.memory.dtype)
    itemsize = property(lambda self: self.memory.itemsize)
    T = property(lambda self: Device(self.memory.T))

    def __len__(self):
        return len(self.memory)

    def _refused(self, *args, **kwargs):
        raise TypeError("an array of the device is not turned into a NumPy array or a Python number by itself")

    __array__ = __array_function__ = __array_interface__ = __float__ = __int__ = __bool__ = __index__ = __iter__ = (
        _refused
    )

    @staticmethod
    def _key(key):
        for part in key if isinstance(key, tuple) else (key,):
            if not (part is None or part is Ellipsis or isinstance(part, int | slice)):
                raise TypeError(f"views are cut by numbers and slices, which copy nothing; got {type(part).__name__}")
        return key

    def __getitem__(self, key):
        return Device(np.asarray(self.memory[self._key(key)]))

    def __setitem__(self, key, value):
        self.memory[self._key(key)] = bare(value)

    def reshape(self, *shape):
        view = self.memory.reshape(*shape)
        assert np.shares_memory(view, self.memory), "a reshape that copies"
        return Device(view)

    def transpose(self, *axes):
        return Device(self.memory.transpose(*axes))

    def fill(self, value):
        self.memory.fill(bare(value))

    def dot(self, other, out=None):
        product = np.asarray(self.memory.dot(bare(other)))
        if out is None:
            return Device(product)
        memory = target(out, product.shape)
        if memory.shape != product.shape or memory.dtype != product.dtype or not memory.flags.c_contiguous:
            raise ValueError("the out of a product is contiguous, and of the product's own shape and dtype")
        self.memory.dot(bare(other), out=memory)
        return out

    def _reduced(self, function, out, **how):
        found = np.asarray(function(**how))
        if out is None:
            return Device(found)
        memory = target(out, found.shape)
        if memory.shape != found.shape:
            raise ValueError(f"out has shape {memory.shape}, the result {found.shape}")
        function(out=memory, **how)
        return out

    def sum(self, axis=None, dtype=None, out=None, keepdims=False):
        return self._reduced(self.memory.sum, out, axis=axis, dtype=dtype, keepdims=keepdims)

    def max(self, axis=None, out=None, keepdims=False):
        return self._reduced(self.memory.max, out, axis=axis, keepdims=keepdims)

    def argmax(self, axis=None, out=None):
        return self._reduced(self.memory.argmax, out, axis=axis)

    def take(self, indices, axis=None, out=None):
        return self._reduced(self.memory.take, out, indices=bare(indices), axis=axis)

    def put(self, indices, values, mode="wrap"):
        if mode not in ("wrap", "clip"):
            raise TypeError("put wraps or clips; a device raises nothing")
        self.memory.put(bare(indices), bare(values), mode=mode)

    def _operator(function):
        def apply(self, other):
            return Device(np.asarray(function(self.memory, bare(other))))

        return apply

    def _swapped(function):
        def apply(self, other):
            return Device(np.asarray(function(bare(other), self.memory)))

        return apply

    def _in_place(function):
        def apply(self, other):
            function(self.memory, bare(other))
            return self

        return apply

    __add__, __mul__ = _operator(operator.add), _operator(operator.mul)
    __radd__, __rmul__ = _swapped(operator.add), _swapped(operator.mul)
    __iadd__, __isub__ = _in_place(operator.iadd), _in_place(operator.isub)
    __imul__, __itruediv__ = _in_place(operator.imul), _in_place(operator.itruediv)


class Entrywise:
    """A function of entries: no methods, and no ``where=``."""

    def __init__(self, name):
        self.function = getattr(np, name)

    def __call__(self, *args, out=None, dtype=None, casting="same_kind"):
        inputs = [bare(value) for value in args[: self.function.nin]]
        if len(args) > self.function.nin:
            (out,) = args[self.function.nin :]
        memory = None if out is None else target(out, np.broadcast_shapes(*(np.shape(value) for value in inputs)))
        found = self.function(*inputs, out=memory, dtype=dtype, casting=casting)
        return Device(np.asarray(found)) if out is None else out


class Add(Entrywise):
    """The one function that can also add to entries of an array, chosen by numbers of which some may be the same."""

    def at(self, a, indices, b):
        np.add.at(a.memory, bare(indices), bare(b))


class Namespace:
    """The short list, and nothing else."""

    def __init__(self):
        for name in ENTRYWISE:
            setattr(self, name, Add(name) if name == "add" else Entrywise(name))

    def array(self, values, dtype=None):
        return Device(np.array(values.memory if isinstance(values, Device) else values, dtype))

    def full(self, shape, fill_value, dtype=None):
        return Device(np.full(shape, fill_value, dtype))

    def copyto(self, dst, src, casting="same_kind", where=None):
        np.copyto(dst.memory, bare(src), casting=casting, where=True if where is None else bare(where))

    def clip(self, a, a_min, a_max, out=None):
        memory = None if out is None else target(out, a.shape)
        return Device(np.clip(a.memory, bare(a_min), bare(a_max), out=memory))

    def matmul(self, a, b, out):
        memory = target(out, (*a.shape[:-1], b.shape[-1]))
        if memory.shape != (*a.shape[:-1], b.shape[-1]) or not memory.flags.c_contiguous:
            raise ValueError("the out of a product is contiguous, and of the product's own shape")
        np.matmul(a.memory, b.memory, out=memory)
        return out

    def vdot(self, a, b):
        return Device(np.asarray(np.vdot(a.memory, bare(b))))


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
    assert {name for name in vars(Device) if name in METHODS} == METHODS


def masks_from_the_host(workspace):
    """Let masks be drawn by NumPy and brought over, which is where random numbers come from on every device."""
    for uniforms in workspace.uniforms:
        uniforms.fill = lambda out, draw=uniforms.fill: draw(out.memory)


def step(net, x, t, loss, optimizer, xp, *, weights, l2, train):
    """Take two steps on a namespace; return everything that they have written."""
    on = np.asarray if xp is np else lambda a: Device(np.array(a))
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
    return [np.array(a.get() if isinstance(a, Device) else a).ravel() for a in written]


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
    for xp, on in ((np, np.array), (Namespace(), lambda a: Device(np.array(a)))):
        w, d = on(theta), on(g)
        s, c = (
            SimpleNamespace(**{name: on(np.zeros(size, dtype)) for name, size in shapes.items()})
            for shapes in (rule.slot_shapes(param, "W"), rule.scratch_shapes(param, "W"))
        )
        c.xp = xp
        for number in (1, 2):
            rule.update_tensor(w, d, s, c, lr=0.1, step=number, param=param, name="W")
        written.append([np.array(a.get() if isinstance(a, Device) else a) for a in (w, s.v)])
    for a, b in zip(*written, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


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


XP, A = Namespace(), Device(np.ones((2, 3), np.float32))
OUT, MASK = Device(np.ones((2, 3), np.float32)), Device(np.ones((2, 3), bool))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: XP.add.reduce(A, axis=1),
        lambda: XP.maximum.reduce(A, axis=1, keepdims=True),
        lambda: XP.multiply(A, 2, out=OUT, where=MASK),
        lambda: XP.einsum("ij->j", A),
        lambda: XP.sum(A, axis=0),
        lambda: XP.add(A, np.ones((2, 3))),
        lambda: XP.add(A, 1, out=np.ones((2, 3), np.float32)),
        lambda: XP.add(A, 1, out=Device(np.ones(3, np.float32))),
        lambda: XP.add(A, 1, out=Device(np.ones((2, 1), np.float32))),
        lambda: XP.add(A, 1.0, out=MASK),
        lambda: np.add(A, 1),
        lambda: np.asarray(A),
        lambda: np.sum(A),
        lambda: np.copyto(np.ones((2, 3)), A),
        lambda: np.float32(2) * A.get() + A,
        lambda: A + np.ones(3),
        lambda: A.__iadd__(np.ones((2, 3), np.float32)),
        lambda: A.take(Device(np.array([1])), mode="clip"),
        lambda: A.put(Device(np.array([1])), 0, mode="raise"),
        lambda: A[Device(np.array([1]))],
        lambda: A[[0, 1]],
        lambda: A.T.dot(A, out=Device(np.ones((3, 3)))),
        lambda: A.dot(A.T, out=Device(np.ones((2, 2), np.float32)).T[:, ::-1]),
        lambda: A.mean(),
        lambda: float(A.sum()),
        lambda: bool(A.sum()),
        lambda: list(A),
        lambda: A.max(axis=1, initial=0.0),
        lambda: A.sum(axis=1, where=MASK),
        lambda: A.T.reshape(6),
    ],
)
def test_what_other_arrays_do_not_have_is_refused(wrong):
    """The tester is tested: each of these passes, or could pass, with NumPy's own arrays."""
    with pytest.raises((TypeError, ValueError, AttributeError, AssertionError)):
        wrong()
