"""What the CUDA engine computes on a card, beside the NumPy engine: every layer, activation, loss, optimizer, setting.

``theta`` is how far the weights lie apart after two epochs, at most, over the length of the way that they have gone;
``output`` and ``gradient`` are how far predictions and the gradient do, over the largest output and the length of the
gradient. Beside that of float32 stands how far NumPy in float32 is from NumPy in float64: where rounding is amplified,
both are large.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fullyconnected as fc
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.engine.cuda.card import ABLE
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.training.run import Run
from fullyconnected.training.settings import FitSettings

__all__ = ["compare"]

BOUNDS = {np.float64: 1e-12, np.float32: 1e-5}
ROUNDING = {"tf32": 2.0**-11, "bfloat16": 2.0**-8}  # of one number, at most, over its size
ROWS, N, BATCH = 203, 6, 32  # the last batch has 11 rows
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, N))
T = np.sin(X[:, :2]).sum(axis=1)
WEIGHTS = RNG.uniform(0, 2, ROWS)
WEIGHTS[:40] = 0
HEAD = (
    "case",
    "float64: theta",
    "output",
    "gradient",
    "float32: theta",
    "NumPy's own",
    "output",
    "gradient",
    "same bits",
)


class Case(NamedTuple):
    """A network, and how it is trained."""

    name: str
    make: Callable[[Any], fc.Network]  # from its dtype
    x: Any
    t: Any
    loss: Any = "half_squared_error"
    optimizer: Any = fc.Momentum(0.02)
    how: dict[str, Any] = {}


class Found(NamedTuple):
    """How far the CUDA engine is from NumPy, and whether two of its runs end with the same bits."""

    theta: float
    own: float
    output: float
    gradient: float
    bits: bool

    def above(self, bound: float) -> list[str]:
        """Return what is above the bound; what is not a number is, too."""
        return [name for name in ("theta", "output", "gradient") if not getattr(self, name) <= bound]


def networks() -> Iterator[Case]:
    """Yield a case for each way in which a registered layer computes, activation, loss and optimizer."""
    for name in sorted(LAYERS.classes):
        cls = LAYERS.classes[name]
        for i, layer in enumerate(cls.examples(N)):
            if layer.reads_raw:
                layers = [layer, fc.Dense(layer.n_out, N, "tanh"), fc.Dense(N, 2)]
            else:
                layers = [fc.Dense(N, N, "tanh"), layer, *([] if cls.comes_last else [fc.Dense(layer.n_out, 2)])]
            net = fc.Network(layers, seed=0)
            x = net.layers[0].example_rows(np.random.default_rng(1), ROWS)
            t = np.random.default_rng(2).normal(size=(ROWS, net.n_out))
            title = f"layer {name}" + f" {i + 1}" * (i > 0)
            yield Case(title, maker(layers), x, t, "mean_squared_error", how={"l2": 0.01 * (i % 2)})
    for name in ACTIVATIONS.classes:
        init = 0.1 if name == "exp" else None  # exp of exp overflows soon
        layers = [fc.Dense(N, 16, name, init=init), fc.Dense(16, 8, name, init=init), fc.Dense(8, 1)]
        yield Case(f"activation {name}", maker(layers), X, T)
    for name, cls in LOSSES.classes.items():
        for i, loss in enumerate((LOSSES.build(name), cls.example(3))):
            layers = [fc.Dense(N, 16, "tanh"), fc.Dense(16, 3)]
            t = loss.example_targets(np.random.default_rng(3), ROWS, 3)
            weights = {"sample_weight": WEIGHTS} if i else {}
            yield Case(f"loss {name}{' as set' * i}", maker(layers), X, t, loss, how=weights)
    for name, cls in OPTIMIZERS.classes.items():
        if issubclass(cls, fc.Optimizer):
            yield Case(f"optimizer {name}", body, X, T, optimizer=cls(0.01))


def settings(folder: Path) -> Iterator[Case]:
    """Yield a case for each setting of a run that an engine has a part in."""
    np.save(folder / "x.npy", X)
    mapped = np.load(folder / "x.npy", mmap_mode="r")
    decaying = fc.AdamW(0.01, weight_decay=0.1)
    adam = {
        "sample_weight": {"sample_weight": WEIGHTS},
        "l2, max_grad_norm": {"l2": 0.01, "max_grad_norm": 0.3},
        "alpha, sample_weight": {"alpha": 0.5, "sample_weight": WEIGHTS},
        "schedule": {"schedule": fc.CosineDecay(2)},
        "dropout_schedule": {"dropout_schedule": _falling},
        "EMA": {"average": fc.EMA(0.9)},
        "EMA, max_grad_norm": {"average": fc.EMA(0.9, warm_up=True), "max_grad_norm": 0.3},
        "SWA": {"average": fc.SWA(1), "epochs": 3},
        "shuffle=False": {"shuffle": False},
        "a batch without weight": {"shuffle": False, "sample_weight": WEIGHTS},
        "factors": {"factors": fc.Factors(lr={"dense_1": 0, "bias": 0.5})},
        "one batch": {"batch_size": 500},
        "a last row alone": {"batch_size": 101},
        "batches of one": {"batch_size": 1, "epochs": 1},
    }
    for name, how in adam.items():
        make = maker([fc.Dense(N, 8, "tanh"), fc.Dense(8, 1)]) if how.get("batch_size") == 1 else body
        yield Case(name, make, X, T, optimizer=fc.Adam(0.01), how=how)
    yield Case("weight_decay_schedule", body, X, T, optimizer=decaying, how={"weight_decay_schedule": _falling})
    yield Case("rows in windows", body, mapped, T, optimizer=fc.Adam(0.01), how={"window": 96})
    inner = [fc.Dense(N, 8, "tanh"), fc.BatchNorm(), fc.Dropout(0.2), fc.Dense(8, 1)]
    own = RNG.integers(0, 2, (ROWS, 4)) * WEIGHTS[:, None]
    for kind in ("tabm", "mini", "packed"):
        make = maker([fc.Members(4, inner, kind)])
        yield Case(f"members, {kind}, weights of each", make, X, T, how={"sample_weight": own, "l2": 0.01})


def _falling(epoch: float) -> float:
    return 1 - epoch / 4


def maker(layers: list[Any]) -> Callable[[Any], fc.Network]:
    """Return a function that makes a network of these layers, whose weights are a little off their first values."""

    def make(dtype: Any) -> fc.Network:
        net = fc.Network(layers, dtype=dtype, seed=1)
        net.theta += np.random.default_rng(4).normal(0, 0.05, net.n_params).astype(np.float32)
        return net

    return make


def body(dtype: Any) -> fc.Network:
    block = fc.Residual([fc.Dense(8, 8, "gelu"), fc.LayerNorm()])
    return maker([fc.Dense(N, 8, "tanh"), fc.BatchNorm(), fc.Dropout(0.2), block, fc.Dense(8, 1)])(dtype)


def trained(case: Case, net: fc.Network, engine: str) -> fc.Network:
    how = {"epochs": 2, "batch_size": BATCH, "seed": 3, "warn": False, "progress": False, **case.how}
    fc.fit(net, case.x, case.t, case.loss, case.optimizer, engine=engine, **how)
    return net


def measure(case: Case, dtype: Any) -> Found:
    """Train with both engines, from the same weights."""
    start = case.make(dtype)
    numpy, cuda, again = (trained(case, start.copy(), engine) for engine in ("numpy", "cuda", "cuda"))
    way = float(np.linalg.norm(numpy.theta - start.theta))
    exact = fc.Network(start.layers, dtype=np.float64, seed=0)
    exact.theta = start.theta
    own = np.abs(trained(case, exact, "numpy").theta - numpy.theta).max() / way
    every: Any = {} if start.program.members is None else {"members": True}
    outputs = [start.predict(case.x, engine=engine, **every) for engine in ("numpy", "cuda")]
    of: Any = {"train": True, "seed": 5, "sample_weight": case.how.get("sample_weight"), "l2": case.how.get("l2", 0.0)}
    gradients = [start.gradients(case.x, case.t, case.loss, engine=engine, **of).theta for engine in ("numpy", "cuda")]
    return Found(
        float(np.abs(cuda.theta - numpy.theta).max() / way),
        float(own),
        float(np.abs(np.subtract(*outputs)).max() / np.abs(outputs[0]).max()),
        float(np.linalg.norm(np.subtract(*gradients)) / np.linalg.norm(gradients[0])),
        cuda.theta.tobytes() == again.theta.tobytes() and cuda.state.tobytes() == again.state.tobytes(),
    )


def adds_in_any_order(net: fc.Network) -> bool:
    """Whether a step adds up in the order in which threads come, so that its last bits may differ."""
    return any(isinstance(op.layer, fc.Embedding) for op in net.program.operations)


def compare(cupy: Any, table: Any, profiled: Callable[[Callable[[], Any]], int | None] | None) -> list[str]:
    """Print how far the engines are from each other; return what is above its bound, or otherwise wrong.

    ``table`` prints the cells of a row; ``profiled`` says how many copies to the host a function makes, or None.
    """
    wrong = []
    table(HEAD)
    table(["---"] + ["---:"] * (len(HEAD) - 2) + ["---"])
    with tempfile.TemporaryDirectory() as folder:
        for case in (*networks(), *settings(Path(folder))):
            try:
                found = {dtype: measure(case, dtype) for dtype in BOUNDS}
            except Exception as error:  # the other cases are compared all the same
                wrong.append(f"{case.name}: {type(error).__name__}: {error}".partition("\n")[0])
                table([case.name, *["-"] * (len(HEAD) - 1)])
                continue
            for dtype, bound in BOUNDS.items():
                for name in found[dtype].above(bound):
                    far = getattr(found[dtype], name)
                    wrong.append(f"{case.name}, {np.dtype(dtype)}: {name} is {far:.1e} off, more than {bound:.0e}")
            exact, single = found[np.float64], found[np.float32]
            same = "yes" if exact.bits and single.bits else "no"
            if same == "no" and adds_in_any_order(case.make(np.float32)):
                same = "no, by the order of threads"
            elif same == "no":
                wrong.append(f"{case.name}: two runs end with different bits")
            sizes = (
                exact.theta,
                exact.output,
                exact.gradient,
                single.theta,
                single.own,
                single.output,
                single.gradient,
            )
            table([case.name, *(f"{each:.1e}" for each in sizes), same])
    print(flush=True)
    for check in (divergence, lambda: transfers(cupy, profiled), lambda: precisions(cupy)):
        try:
            said = check()
        except Exception as error:
            said = [Said(f"{type(error).__name__}: {error}".partition("\n")[0], True)]
        for line in said:
            print(line.text, flush=True)
            wrong += [line.text] if line.wrong else []
    return wrong


class Said(NamedTuple):
    """A sentence, and whether it says that something is wrong."""

    text: str
    wrong: bool = False


def divergence() -> list[Said]:
    """Let both engines diverge."""
    found = []
    for engine in ("numpy", "cuda"):
        net = body(np.float32)
        before = net.theta.copy()
        case = Case("", body, X, T, optimizer=fc.SGD(1e4))
        try:
            trained(case, net, engine)
        except fc.errors.DivergenceError as error:
            kept = "the weights from before" if np.array_equal(net.theta, before) else "other weights"
            found.append(f"epoch {error.epoch}, step {error.step}, {error.layer}, with {kept}")
        else:
            found.append("nowhere")
    numpy, cuda = found
    if numpy == cuda and "nowhere" not in found and "other" not in cuda:
        return [Said(f"A run that diverges ends as in NumPy: {cuda}.")]
    return [Said(f"A run diverges in NumPy in {numpy}; on the card in {cuda}.", True)]


def transfers(cupy: Any, profiled: Callable[[Callable[[], Any]], int | None] | None) -> list[Said]:
    """Compare the copies to the host of epochs of a few steps and of many: they are the same if none is in a step.

    Calls of ``cupy.ndarray.get`` are counted, which all copies that are asked for in Python end in; and what a profiler
    sees, if there is one, also in graphs.
    """
    counts: dict[str, list[int]] = {"calls of ndarray.get": []}
    for steps in (8, 64):
        x, t = np.tile(X, (11, 1))[: steps * BATCH], np.tile(T, 11)[: steps * BATCH]
        net = body(np.float32)
        run = Run(net, x, t, "half_squared_error", fc.Adam(), FitSettings(batch_size=BATCH, engine="cuda", warn=False))
        epoch = partial(run.trainer.epoch, np.arange(len(x)))
        epoch()  # a graph is recorded in the first two steps
        counts["calls of ndarray.get"].append(calls_of_get(cupy, epoch))
        seen = None if profiled is None else profiled(epoch)
        if seen is not None:
            counts.setdefault("copies that PyTorch's profiler sees", []).append(seen)
    said = []
    for what, (few, many) in counts.items():
        if few == many:
            said.append(Said(f"An epoch of 8 steps and one of 64 make {few} {what} each: none is in a step."))
        else:
            said.append(Said(f"An epoch of 8 steps makes {few} {what}, and one of 64 makes {many}.", True))
    return said


def calls_of_get(cupy: Any, work: Callable[[], Any]) -> int:
    """Return how often something is copied to the host meanwhile."""
    cls, calls = cupy.ndarray, 0
    own, get = vars(cls).get("get"), cls.get

    def counted(self: Any, *args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        return get(self, *args, **named)

    cls.get = counted
    try:
        work()
    finally:
        if own is None:
            del cls.get
        else:
            cls.get = own
    return calls


def precisions(cupy: Any) -> list[Said]:
    """Compare predictions in each precision with float64, relative to the most that rounding can do."""
    capability = int(cupy.cuda.Device().compute_capability)
    if capability < ABLE:
        return [Said(f"TF32 and bfloat16 were left out: the compute capability is {capability / 10}.")]
    said = []
    x = np.random.default_rng(6).normal(size=(300, 256)).astype(np.float32)
    for sizes in ([256, 512], [256, 512, 512, 16]):
        net = fc.mlp(sizes, "relu", seed=0)
        plain = net.predict(x, engine="cuda")
        for precision, rounding in ROUNDING.items():
            found = net.predict(x, engine="cuda", precision=precision)
            exact, most, sums = bound(net, x, rounding)
            share = float((np.abs(found - exact) / most).max())
            far = float((np.abs(found - exact) / sums).max())
            name = f"{precision}, {'-'.join(map(str, sizes))}"
            text = f"{name}: outputs are {far:.1e} of |x||W| off at most, {share:.2f} of the bound"
            if np.array_equal(found, plain):
                said.append(Said(f"{text}; and the bits are those of float32, so that nothing was rounded.", True))
            else:
                said.append(Said(f"{text}.", not share <= 1))
    return said


def bound(net: fc.Network, x: Any, rounding: float) -> tuple[Any, Any, Any]:
    """Return the exact outputs of a network with relu, how far rounding can move them, and the last |x||W|.

    A product of two rounded numbers is off by twice the rounding and its square, over its size; a sum of n numbers in
    float32 by n times 2^-23 of the sum of their sizes, also where it is cut instead of rounded. What a layer is given
    is off, too: that goes through the weights, and relu makes no difference larger. So much is certain. Where the
    errors of products are independent, their squares add up instead, and a sum is off by less than six times the root;
    numbers that are cut instead of rounded are all too small, by twice the rounding at most, and so is the sum. The
    bound is the smaller of the two.
    """
    weights = [np.asarray(a, np.float64) for a in net.get_weights()]
    a, pairs = x.astype(np.float64), list(zip(weights[::2], weights[1::2], strict=True))
    off, squares = np.zeros(a.shape), np.zeros(a.shape)
    for i, (W, b) in enumerate(pairs):
        summing = (len(W) + 1) * 2.0**-23
        each = 2 * rounding + rounding**2 + summing
        sums = np.abs(a) @ np.abs(W) + np.abs(b)
        off = each * sums + (1 + each) * (off @ np.abs(W))
        squares = 2 * rounding**2 * (a**2 @ W**2) + squares @ W**2
        a = a @ W + b
        likely = 6 * np.sqrt(squares) + 4 * rounding * (i + 1) * np.abs(a) + summing * sums
        if i + 1 < len(pairs):
            a = np.maximum(a, 0)
    return a, np.minimum(off, likely), sums
