"""The cause of a divergence, and advice: the steps before it are repeated with weights that were finite."""

from collections.abc import Iterator

import numpy as np

from fullyconnected.activations import FunctionPair
from fullyconnected.base import Solver
from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows, batches, n_batches
from fullyconnected.core.contracts import is_foreign
from fullyconnected.engine.task import Task
from fullyconnected.engine.updates import new_slots, updates
from fullyconnected.errors import DivergenceError
from fullyconnected.program.data import BatchLoader
from fullyconnected.program.workspace import Batch, Workspace
from fullyconnected.training.scales import scale_of

__all__ = ["explained"]

FAR = 10.0  # inputs and targets above this are a possible cause, beside the learning rate
OUT_OF_RANGE = 1e4  # inputs, targets or weights above this are the likely cause
TINY = 1e-6  # a learning rate up to this is not the cause


def explained(
    error: DivergenceError, task: Task, theta: Array, state: Array, seed: int, begun: int, order: Rows
) -> DivergenceError:
    """Return the error with the advice that follows from its cause.

    ``theta`` and ``state`` are those before the epoch, ``begun`` is the number of steps before it, and ``order`` the
    order of its rows.
    """
    most = min(len(order), task.batch_size + task.program.least_rows - 1)
    workspace = Workspace(task.program, theta.copy(), state.copy(), most, loss=task.data.loss, source=task.data.x)
    loader, cut = BatchLoader(task.data, workspace), (task.batch_size, task.program.least_rows)
    advice = ""
    for step, rows in suspects(task, order, error.step - begun):
        batch, _ = loader.load(rows)
        workspace.at(seed, begun + step)
        workspace.set_dropout(task.dropout_factor(error.epoch - 1 + step / n_batches(len(order), *cut)))
        with np.errstate(all="ignore"):
            found = batch.find_not_finite(train=True)
        if found is not None:
            # if training made the weights large, the learning rate is the cause
            grown = begun > 0 and _largest(theta) > OUT_OF_RANGE
            advice = of_the_learning_rate(task, error, order) if grown else at_once(task, batch, *found, rows)
            break
    else:
        advice = of_the_optimizer(task, theta, workspace.gradient, error)
        advice = advice or of_the_learning_rate(task, error, order) + of_code(task, error)
    return DivergenceError(error.epoch, error.step, error.learning_rate, error.layer, advice)


def suspects(task: Task, order: Rows, step: int) -> Iterator[tuple[int, Rows]]:
    """Yield the batch of a step of the epoch (counted from 1), after the one before it, whose update it used."""
    weights = task.data.weights
    steps = 0
    last: list[tuple[int, Rows]] = []
    for rows in batches(order, task.batch_size, task.program.least_rows):
        if weights is not None and not weights[rows].any():
            continue
        last = [*last[-1:], (steps, rows)]
        steps += 1
        if steps == step:
            break
    yield from last


def at_once(task: Task, batch: Batch, kind: str, i: int, rows: Rows) -> str:
    """Return why a step from finite weights is not finite: the user's code, or numbers out of range."""
    if foreign := _foreign(task, i):
        method, wrote = WRITES[kind]
        return (
            f"The learning rate is not the cause: {method} of {foreign} leaves NaN or infinity although its arguments "
            f"are finite. Does it write every entry of {wrote}, in place, and is it defined for all values? "
            f"fc.check_gradients can check it alone."
        )
    x = task.data.x.largest(rows)
    t = float(np.abs(task.data.t[rows].astype(np.float64)).max()) if task.data.t.ndim == 2 else 0.0
    weights = _largest(batch.workspace.theta)
    told = "The learning rate is not the cause, for it happens with the weights from before: "
    if not task.program.reads_raw and x.max() > OUT_OF_RANGE and x.max() >= max(t, weights):
        return (
            f"{told}x[:, {int(x.argmax())}] reaches {x.max():.3g}. Bring the inputs to mean 0 and standard deviation "
            f"1, (x - x.mean(axis=0)) / x.std(axis=0)."
        )
    if t > OUT_OF_RANGE and t >= weights:
        return (
            f"{told}targets reach {t:.3g}. Bring them to mean 0 and standard deviation 1, "
            f"(t - t.mean(axis=0)) / t.std(axis=0)."
        )
    if weights > OUT_OF_RANGE:
        return (
            f"{told}the network's own parameters reach {weights:.3g}. Begin with a new network, or with smaller "
            f"initial values (init)."
        )
    return (
        f"{told}numbers overflow in {batch.workspace.dtype} within the network. Check its activations, "
        f"or compute in float64, Network(layers, dtype=np.float64)."
    )


def of_code(task: Task, error: DivergenceError) -> str:
    """Return the name of a user's code that may have turned finite numbers into NaN or infinity, as advice."""
    names = [f"the output of {op.name}" for op in task.program.operations]
    i = names.index(error.layer) if error.layer in names else -1
    if (i < 0 and error.layer != "loss") or not (foreign := _foreign(task, i)):
        return ""
    return f" Or {foreign} is not defined for all values: it gives NaN or infinity for finite numbers."


WRITES = {
    "output": ("forward", "y"),
    "loss": ("terms", "c.e"),
    "dz": ("terms", "dz"),
    "gradient": ("backward", "g and dx, or of dy"),
}


def _foreign(task: Task, i: int) -> str:
    """Return the name of operation i, or of the loss (-1), if it is the user's code; else an empty string."""
    if i < 0:
        return type(task.data.loss).__name__ if is_foreign(task.data.loss) else ""
    op = task.program.operations[i]
    if is_foreign(op.layer):
        return f"{type(op.layer).__name__} ({op.name})"
    f = getattr(op.layer, "activation", None)
    if f is None or not (is_foreign(f) or isinstance(f, FunctionPair)):
        return ""
    return f"{f!a:.80} ({op.name})" if isinstance(f, FunctionPair) else f"{type(f).__name__} ({op.name})"


def _largest(vector: Array) -> float:
    return float(np.abs(vector).max(initial=0.0))


def of_the_optimizer(task: Task, theta: Array, g: Array, error: DivergenceError) -> str:
    """Return advice if a user's optimizer turns finite numbers into NaN or infinity in its first step."""
    rule = task.optimizer
    if not is_foreign(rule) or isinstance(rule, Solver) or error.step > 2:
        return ""
    new, slots = theta.copy(), new_slots(rule, task.program, theta.dtype)
    with np.errstate(all="ignore"):
        for update in updates(rule, task.program, new, g.copy(), slots):
            update.run(*update[1:5], lr=min(error.learning_rate, 1.0), step=1, decays=update.decays)
    if np.isfinite(new).all():
        return ""
    method = "update_tensor" if rule.sees_tensors else "update"
    return (
        f"The learning rate is not the cause: {method} of {type(rule).__name__} makes NaN or infinity of finite "
        f"parameters and a finite gradient, in its first step. Does it divide by 0, or take the root of a negative "
        f"number?"
    )


def strongest_l2(task: Task, order: Rows) -> float:
    """Return the l2 of the batch of an epoch to which ``alpha`` adds most."""
    weights, cut = task.data.row_weights, batches(order, task.batch_size, task.program.least_rows)
    shares = (len(rows) if weights is None else float(weights[rows].sum()) for rows in cut)
    return task.l2 + max((task.alpha / share for share in shares if share), default=0.0)


def of_the_learning_rate(task: Task, error: DivergenceError, order: Rows) -> str:
    """Return advice for steps that are too large."""
    rule, lr = task.optimizer, error.learning_rate
    decay = max(strongest_l2(task, order), getattr(rule, "weight_decay", 0.0)) * lr
    if decay > 1:
        return (
            f"Weight decay multiplies the weights by {1 - decay:.3g} in a step: l2"
            f"{' plus alpha over the weight of a batch' if task.alpha else ''} times the learning rate must be below 1."
        )
    parts = []
    x, t = scale_of(task.data.x), scale_of(task.data.t) if task.data.t.ndim == 2 else None
    if not task.program.reads_raw and x.size.max() > FAR:
        i = int(x.size.argmax())
        parts.append(f"inputs of standard deviation 1 ({x.describe(i, None, 'x')})")
    if t is not None and task.data.loss.link.is_identity and t.size.max() > FAR:
        i = int(t.size.argmax())
        parts.append(f"targets of standard deviation 1 ({t.describe(i, None, 't')})")
    fastest = max(task.program.tensors, key=lambda tensor: tensor.param.lr_factor, default=None)
    if fastest is not None and fastest.param.lr_factor > 1:
        parts.append(f"smaller factors on the learning rate: that of {fastest.name} is {fastest.param.lr_factor:.3g}")
    if lr > TINY:
        parts.append(
            f"a learning rate ten times smaller than {lr:.3g}" if parts else "a learning rate ten times smaller"
        )
    if task.max_grad_norm is None:
        parts.append("max_grad_norm=1.0")
    return f"Try {', or '.join(parts) or 'float64'}."
