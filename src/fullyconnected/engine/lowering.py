"""Programs lowered for the native engine to plain names and numbers, or the reason why that engine cannot run them.

The native engine has its own code for the layers, activations, losses and optimizers of this library. A user's own
classes, written in Python, run only on the NumPy engine. Each table below lists, by their registered names, the classes
that the native engine has, and the settings that it gets.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from fullyconnected.activations import ACTIVATIONS
from fullyconnected.base import ActivationFunction, Loss, Optimizer
from fullyconnected.core.registry import Registry
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.program.description import Operation, Tensor
from fullyconnected.program.program import Program

__all__ = [
    "LossSpec",
    "OpSpec",
    "OptimizerSpec",
    "TrainerSpec",
    "Unsupported",
    "lower",
    "lower_loss",
    "lower_optimizer",
]

# for each class: fields of its record below, with the attributes that their values come from
_NONE: dict[str, str] = {}
_BINS = {"edges": "bounds", "used": "used"}
OPERATIONS_HERE = dict.fromkeys(("activation", "add", "scale", "parametric"), _NONE) | {
    "dense": {"factor": "weight_factor"},
    "dropout": {"setting": "rate"},
    "layer_norm": {"setting": "epsilon"},
    "rms_norm": {"setting": "epsilon"},
    "batch_norm": {"setting": "epsilon", "momentum": "momentum"},
    "standardize": {"means": "mean", "scales": "scale", "clip": "clip", "missing": "missing"},
    "rescale": {"means": "mean", "scales": "scale"},
    "one_hot": {"levels": "levels"},
    "embedding": {"levels": "levels"},
    "select": {"columns": "columns"},
    "concatenate": _NONE,
    "periodic_embedding": {name: name for name in ("frequencies", "phases", "rectified")},
    "piecewise_linear_encoding": _BINS,
    "piecewise_linear_embedding": _BINS,
    "shared_dense": {"factor": "weight_factor"},
    "own_dense": {"factor": "weight_factor"},
    "member_scale": _NONE,
    "member_layer_norm": {"setting": "epsilon"},
    "member_rms_norm": {"setting": "epsilon"},
    "member_batch_norm": {"setting": "epsilon", "momentum": "momentum"},
}
# what each member has of its own is an operation of that kind on the member's rows, which lie among those of the others
OF_EACH_MEMBER = {"own_dense": "dense"} | {f"member_{norm}": norm for norm in ("layer_norm", "rms_norm", "batch_norm")}
ACTIVATIONS_HERE = dict.fromkeys(
    ("identity", "relu", "gelu", "silu", "mish", "softplus", "sigmoid", "tanh", "exp", "softmax"), _NONE
) | {
    "leaky_relu": {"setting": "slope"},
    "elu": {"setting": "alpha", "scale": "scale"},
    "selu": {"setting": "alpha", "scale": "scale"},
}
LOSSES_HERE = dict.fromkeys(
    ("half_squared_error", "mean_squared_error", "absolute_error", "poisson", "hinge"), _NONE
) | {
    "softmax_cross_entropy": {"setting": "label_smoothing"},
    "binary_cross_entropy": {"setting": "label_smoothing"},
    "huber": {"setting": "delta"},
    "quantile": {"setting": "q"},
}
ADAM = {name: name for name in ("beta1", "beta2", "epsilon", "epsilon_hat")}
OPTIMIZERS_HERE = {
    "sgd": _NONE,
    "momentum": {"decay": "momentum"},
    "nesterov": {"decay": "momentum"},
    "rmsprop": {"decay": "rho", "epsilon": "epsilon"},
    "adam": ADAM,
    "adamw": {**ADAM, "weight_decay": "weight_decay"},
    "muon": {"decay": "momentum"} | {name: name for name in ("nesterov", "weight_decay", "rounds", "rest")},
}


class Unsupported(Exception):
    """The native engine cannot run something; the message says what."""


class OpSpec(NamedTuple):
    """One operation of a program."""

    kind: str
    function: str
    n_in: int
    n_out: int
    layer: int
    setting: float = 0.0
    scale: float = 1.0
    momentum: float = 0.0
    factor: float = 1.0
    bias: bool = False
    at: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    lr: tuple[float, ...] = ()
    decay: tuple[float, ...] = ()
    state_at: int = 0
    hidden: bool = False
    partner: int = -1
    copies_in: int = 1
    copies: int = 1
    members: int = 0
    means: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    clip: bool = False
    missing: bool = False
    levels: int = 0
    raw: bool = False  # whether it reads the rows as they are given, and of them these columns; all, if there are none
    columns: tuple[int, ...] = ()
    reads: tuple[int, ...] = ()  # the operations whose outputs it reads; none of them if it reads the rows
    frequencies: int = 0
    phases: bool = False
    rectified: bool = False
    edges: tuple[float, ...] = ()  # of the bins of each column, as many for each, and how many bins are used
    used: tuple[int, ...] = ()


class LossSpec(NamedTuple):
    """A loss, and its setting if it has one."""

    name: str
    setting: float = 0.0


class OptimizerSpec(NamedTuple):
    """An optimizer's update rule and settings; with the rule "none", the engine only computes gradients."""

    rule: str = "none"
    decay: float = 0.0
    beta1: float = 0.0
    beta2: float = 0.0
    epsilon: float = 0.0
    epsilon_hat: bool = False
    weight_decay: float = 0.0
    nesterov: bool = False
    rounds: int = 0
    rest: tuple[Any, ...] = ()  # one of these records, for the parameters that are no hidden matrices
    relative_lr: float = 1.0  # of rest: its learning rate over that of the optimizer


class TrainerSpec(NamedTuple):
    """All arguments of a trainer that are not arrays; ``ops`` are objects of the extension, which keeps them."""

    ops: list[Any]
    loss: LossSpec
    optimizer: OptimizerSpec
    n_in: int
    batch_size: int
    least_rows: int
    l2: float
    threads: int
    max_norm: float = math.inf
    alpha: float = 0.0
    input_gradient: bool = False
    average_decay: float = 0.0
    average_warms_up: bool = False
    shares: bool = False
    bfloat16: bool = False  # whether products of matrices round their numbers to it


def lower(program: Program) -> list[OpSpec]:
    """Return the operations of a program, or raise :class:`Unsupported`.

    An output that is read again at the end of a block is followed by a save, whose backward adds both gradients. A
    layer that reads columns as they are given selects them itself, while rows are gathered.
    """
    ops: list[OpSpec] = []
    saves: dict[int, int] = {}  # for the end of each block, the index of its save
    # for each operation of the program, the one here that gives its output
    gives: dict[int, tuple[int, ...]] = {-1: ()}
    columns: dict[int, tuple[int, ...]] = {}  # for a selection of columns, these, if the layer that reads them selects
    for i, op in enumerate(program.operations):
        if op.kind == "select" and program.is_raw(program.operations[program.readers[i][0]]):
            columns[i], gives[i] = tuple(op.settings["columns"]), ()
            continue
        raw = program.is_raw(op)
        ends = () if raw else program.skipped_to.get(op.reads[0], ())
        for end in reversed(ends):  # the outermost block first
            if end != i:
                saves[end] = len(ops)
                ops.append(OpSpec("save", "identity", op.n_in, op.n_in, layer=len(ops), reads=gives[op.reads[0]]))
                ops[-1] = ops[-1]._replace(copies_in=op.copies_in, copies=op.copies_in)
                gives[op.reads[0]] = (saves[end],)
        reads = tuple(each for source in op.reads[: None if op.layer.joins else 1] for each in gives[source])
        for spec in _operations(op, saves.get(i, -1)):
            spec = spec._replace(reads=reads, raw=raw, columns=columns.get(op.reads[0], spec.columns))
            ops.append(spec._replace(n_in=op.n_out) if op.kind == "select" else spec)
            reads = (len(ops) - 1,)
        gives[i] = reads
    return ops


def _operations(op: Operation, partner: int) -> list[OpSpec]:
    """Return what an operation is lowered to, which is one but for a Dense layer whose weights members share."""
    spec = _operation(op, partner)
    if op.kind != "shared_dense":
        return [spec]
    tensors = {tensor.letter: tensor for tensor in op.params}
    W, r, *affine_parts = (tensors[letter] for letter in "Wrsb" if letter in tensors)
    k, softmax = op.copies, spec.function == "softmax"  # softmax is of whole rows, and so an operation of its own
    f = "identity" if softmax else spec.function
    plain = OpSpec("", "identity", op.n_out, op.n_out, layer=op.number, copies_in=k, copies=k)
    scaled = plain._replace(kind="member_scale", n_in=op.n_in, n_out=op.n_in, copies_in=op.copies_in)
    product = plain._replace(kind="dense", n_in=op.n_in, factor=spec.factor)
    affine = plain._replace(kind="member_affine", function=f, setting=spec.setting, scale=spec.scale)
    found = [_with(scaled, [r]), _with(product, [W]), _with(affine, affine_parts)]
    return [*found, plain._replace(kind="activation", function="softmax")] if softmax else found


def _operation(op: Operation, partner: int) -> OpSpec:
    here = OPERATIONS_HERE.get(op.kind)
    if here is None:
        raise Unsupported(f"it has no layer {type(op.layer).__name__} ({op.name})")
    function, settings = _function(op)
    settings |= {name: getattr(op.layer, key) for name, key in here.items()}
    kind = OF_EACH_MEMBER.get(op.kind, op.kind)
    spec = OpSpec(
        kind,
        function,
        op.n_in,
        op.n_out,
        **settings,
        state_at=op.state[0].part.start if op.state else 0,
        layer=op.number,
        partner=partner,
        copies_in=op.copies_in,
        copies=op.copies,
        members=op.copies if op.kind in OF_EACH_MEMBER and op.copies > 1 else 0,
    )
    return _with(spec, op.params)


def _with(spec: OpSpec, tensors: Sequence[Tensor]) -> OpSpec:
    """Return an operation with its parameters."""
    params = [tensor.param for tensor in tensors]
    return spec._replace(
        bias=spec.kind == "dense" and len(params) > 1,
        hidden=any(param.is_hidden for param in params[:1]),
        at=tuple(tensor.part.start for tensor in tensors),
        sizes=tuple(math.prod(param.shape) for param in params),
        lr=tuple(param.lr_factor for param in params),
        decay=tuple(param.decay_factor * param.decays for param in params),
    )


def _function(op: Operation) -> tuple[str, dict[str, Any]]:
    """Return the name of an operation's activation, and its settings."""
    f: ActivationFunction | None = getattr(op.layer, "activation", None)
    if f is None:
        return "identity", {}
    return f.name, _settings(f, ACTIVATIONS, ACTIVATIONS_HERE, f"it has no activation {f!r} ({op.name})")


def lower_loss(loss: Loss) -> LossSpec:
    """Return the record of a loss, or raise :class:`Unsupported`."""
    return LossSpec(loss.name, **_settings(loss, LOSSES, LOSSES_HERE, f"it has no loss {type(loss).__name__}"))


def lower_optimizer(optimizer: Optimizer) -> OptimizerSpec:
    """Return the record of an optimizer, or raise :class:`Unsupported`."""
    lacking = f"it has no optimizer {type(optimizer).__name__}"
    if optimizer.sees_tensors and not OPTIMIZERS.owns(optimizer):
        raise Unsupported(f"{lacking}, which updates whole parameters")
    settings = _settings(optimizer, OPTIMIZERS, OPTIMIZERS_HERE, lacking)
    if (rest := settings.get("rest")) is not None:
        settings["rest"] = (lower_optimizer(rest)._replace(relative_lr=rest.lr / optimizer.lr),)
    return OptimizerSpec(optimizer.name, **settings)


def _settings(thing: Any, registry: Registry[Any], here: dict[str, dict[str, str]], lacking: str) -> dict[str, Any]:
    """Return the settings of an object that the engine gets, or raise :class:`Unsupported`."""
    if not registry.owns(thing) or thing.name not in here:
        raise Unsupported(lacking)
    return {field: getattr(thing, attribute) for field, attribute in here[thing.name].items()}
