"""The checkpoint: a model file that also holds the state of a run, so that the run can be resumed."""

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from fullyconnected.base import Layer, Loss
from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import UNNAMED, ColumnNames
from fullyconnected.engine.state import Best, TrainingState
from fullyconnected.errors import CheckpointError, FileFormatError
from fullyconnected.files.formats import read_model, write_model
from fullyconnected.files.model import Model
from fullyconnected.files.safetensors_format import Safetensors

__all__ = ["read_checkpoint", "write_checkpoint"]


def write_checkpoint(
    path: str | os.PathLike[str],
    layers: tuple[Layer, ...],
    state: TrainingState,
    settings: dict[str, Any],
    columns: ColumnNames = UNNAMED,
    loss: Loss | None = None,
) -> None:
    """Write the state of a run; ``settings``, of JSON values, are what a resumed run must agree with."""
    vectors = {f"slot.{name}": slot for name, slot in state.slots.items()}
    run: dict[str, Any] = {
        **settings,
        "seed": state.seed,
        "step": state.step,
        "epoch": state.epoch,
        "lr_factor": float(state.lr_factor),
        "epochs_in_time": state.epochs_in_time,
        # as text, since a metric may be NaN, which JSON does not have; repr keeps every bit
        "records": {
            name: [repr(float(value)) for value in values[: state.epoch]] for name, values in state.records.items()
        },
    }
    if state.average is not None:
        vectors |= {"average.theta": state.average.theta, "average.state": state.average.state}
    if state.best is not None:
        vectors |= {"best.theta": state.best.theta, "best.state": state.best.state}
        run["best"] = {"value": repr(float(state.best.value)), "epoch": state.best.epoch}
        if state.best.members:
            run["best"]["members"] = [[repr(float(value)), epoch] for value, epoch in state.best.members]
    write_model(path, Model(layers, state.theta, state.state, {"run": run}, vectors, columns, loss), Safetensors())


def read_checkpoint(
    path: str | os.PathLike[str],
    state: TrainingState,
    problem: Callable[[dict[str, Any]], str | None],
    members: int = 0,
) -> None:
    """Set ``state`` to that of the checkpoint, in place; nothing changes unless all of it fits.

    ``problem`` gets the description of the run, and returns the reason why it cannot be resumed, or None. ``members``
    is the number of members that keep best weights of their own.
    """
    name, model = os.fspath(path), read_model(path)
    run = model.extras.get("run")
    if run is None:
        raise CheckpointError(f"{name} is a model, not a checkpoint of a run; choose another path")
    try:
        if (words := problem(run)) is not None:
            raise CheckpointError(f"{name} {words}")
        seed, step, epoch = (_count(run[key]) for key in ("seed", "step", "epoch"))
        lr_factor, in_time = _factor(run.get("lr_factor", 1.0)), run.get("epochs_in_time")  # older files have neither
        in_time = None if in_time is None else _count(in_time)
        records = {str(key): [float(value) for value in values] for key, values in run["records"].items()}
        theta, running = _like(model.theta, state.theta), _like(model.state, state.state)
        slots = {key: _like(model.vectors.pop(f"slot.{key}"), slot) for key, slot in state.slots.items()}

        def pair(name: str) -> tuple[Array, Array]:
            pair = _like(model.vectors.pop(f"{name}.theta"), theta), _like(model.vectors.pop(f"{name}.state"), running)
            if not all(np.isfinite(each).all() for each in pair):
                raise ValueError(f"the {name} weights are not all finite")
            return pair

        best, average = None, None
        if "best" in run:
            of_each = tuple((float(value), _count(at)) for value, at in run["best"].get("members", ()))
            if len(of_each) != members:
                raise ValueError(f"{len(of_each)} members have best weights where {members} should")
            best = Best(float(run["best"]["value"]), _count(run["best"]["epoch"]), *pair("best"), of_each)
        if state.average is not None:
            average = pair("average")
        if model.vectors:
            raise ValueError(f"the vector {min(model.vectors):.80} is unknown")
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FileFormatError(f"{name}: a part of the run is missing or of the wrong kind: {error!r:.300}") from None
    for vector, value in zip(state.vectors(), (theta, running, *(average or ())), strict=True):
        vector[...] = value
    for key, slot in slots.items():
        state.slots[key][...] = slot
    state.seed, state.step, state.epoch, state.lr_factor = seed, step, epoch, lr_factor
    state.epochs_in_time, state.best, state.records = in_time, best, records


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise ValueError(f"{value!r:.80} is not a count")
    return value


def _factor(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r:.80} is not a factor of the learning rate")
    return float(value)


def _like(vector: Array, wanted: Array) -> Array:
    if vector.shape != wanted.shape or vector.dtype != wanted.dtype:
        raise ValueError(f"{vector.size} numbers of {vector.dtype} where {wanted.size} of {wanted.dtype} belong")
    return vector
