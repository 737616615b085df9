"""What processes that train together agree on before the first step, and while they train."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from fullyconnected.comm.base import Comm, say
from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Share
from fullyconnected.core.contracts import is_foreign
from fullyconnected.core.order import Order
from fullyconnected.core.version import __version__
from fullyconnected.engine.state import TrainingState
from fullyconnected.errors import CommError, ConfigError
from fullyconnected.program.data import Data
from fullyconnected.program.sources import ArraySource, Source, beneath, some_rows
from fullyconnected.training.identity import own_code, stable_repr

if TYPE_CHECKING:
    from fullyconnected.base import Link, Loss
    from fullyconnected.network import Network
    from fullyconnected.training.settings import FitSettings

__all__ = ["adopt_state", "decided", "end", "idle", "likeness", "outputs", "refuse", "require_equal", "share_of"]


def share_of(comm: Comm, order: Order, *, streams: bool) -> Share | None:
    """Return what this process takes of each batch: its part of the streams, or an equal part of the rows."""
    return None if comm.size == 1 else _share(comm.rank, comm.size, order.streams if streams else comm.size)


def _share(rank: int, size: int, parts: int) -> Share:
    return Share(parts * rank // size, parts * (rank + 1) // size, parts)


def idle(comm: Comm, order: Order, share: Share | None) -> str:
    """Return a warning if some processes never have a row, or an empty string."""
    if share is None:
        return ""
    rows, shares = min(order.batch_size, order.rows), (_share(r, comm.size, share.parts) for r in range(comm.size))
    without = sum(1 for first, end in (each.of(rows) for each in shares) if first == end)
    if not without:
        return ""
    of_streams = share.parts == order.streams and order.streams < comm.size
    return (
        f"{without} of {comm.size} processes have no rows"
        + (
            f": each has whole streams, and streams={order.streams}. "
            if of_streams
            else f" of a batch of {order.batch_size}. "
        )
        + "They take part in every step, and compute nothing. Give "
        + (f"streams={comm.size} or a multiple of it" if of_streams else "larger batches, or start fewer processes")
    )


def refuse(comm: Comm, net: Network, loss: Loss) -> None:
    """Raise for code of the caller's own that would need the rows of other processes.

    Such are a layer that combines the rows of a batch, and a loss that divides weights by the sum of those it is given.
    """
    own = type(loss).set_weights
    if comm.size > 1 and is_foreign(loss) and "total" not in inspect.signature(own).parameters:
        raise ConfigError(
            f"{type(loss).__name__}.set_weights divides the weights of rows by their sum, and each of {comm.size} "
            f"processes sees its own rows alone: let it take total, the sum over the batch (help(fc.Loss.set_weights))"
        )
    for op in net.program.operations:
        if comm.size > 1 and op.layer.least_rows > 1 and is_foreign(op.layer):
            raise ConfigError(
                f"{op.name} ({type(op.layer).__name__}) combines the rows of a batch, and each of {comm.size} "
                f"processes sees its own rows alone: of such layers, BatchNorm alone works with comm"
            )


def likeness(net: Network, settings: FitSettings, data: Data, validation: Data | None, **others: Any) -> dict[str, str]:
    """Return what must be the same in all processes: each thing by a name, as text."""
    there = {name: value for name, value in vars(settings).items() if name not in PER_PROCESS}
    found = {name: stable_repr(value) for name, value in there.items()}
    found |= {f"layer {i}": stable_repr(layer) for i, layer in enumerate(net.layers)}
    found |= {f"the code of layer {i}": code for i, layer in enumerate(net.layers) if (code := own_code(layer))}
    found |= {name: value if isinstance(value, str) else stable_repr(value) for name, value in others.items()}
    return {
        "fullyconnected": __version__,
        "NumPy": np.__version__,
        "dtype": net.dtype.name,
        "whether there is a checkpoint": str(settings.checkpoint is not None),
        "loss": stable_repr(data.loss),
        **found,
        **_seen("data", data),
        **({} if validation is None else _seen("validation data", validation)),
    }


# what a process may have for itself: what the comparison of data sees, and what says how or by whom it is done
PER_PROCESS = ("sample_weight", "validation", "checkpoint", "checkpoint_every", "warn", "comm", "seed")


def _seen(what: str, data: Data) -> dict[str, str]:
    """Return the shape of rows, targets and weights, and checksums of those that need not be read for it."""
    found = {f"the shape of the {what}": f"{data.x.shape} {data.x.dtype}"}
    source = beneath(data.x)
    if source.in_memory or type(source).checksum is not Source.checksum:
        found[f"the checksum of the rows of the {what}"] = f"{data.x.checksum():08x}"
    for name, a in (("targets", data.t), ("weights", data.sample_weight)):
        if a is not None:
            found[f"the checksum of the {name} of the {what}"] = f"{a.shape} {ArraySource(a).checksum():08x}"
    return found


def adopt_state(comm: Comm, state: TrainingState) -> None:
    """Give all processes the state of process 0: its weights, what it has read from a checkpoint, and its seed."""
    if comm.size == 1:
        return
    of_first: TrainingState = comm.broadcast(state)
    if comm.rank:
        of_first.copied(state)
        state.seed = of_first.seed


def decided(comm: Comm, decide: Callable[[], Any]) -> Any:
    """Return what process 0 decides; if it fails, all of them raise its error."""
    if comm.size == 1:
        return decide()
    value, failed = None, None
    if comm.rank == 0:
        try:
            value = decide()
        except Exception as error:
            failed = error if _travels(error) else CommError(f"process 0: {type(error).__name__}: {error}")
    value, failed = comm.broadcast((value, failed))
    if failed is not None:
        raise failed
    return value


def _travels(error: Exception) -> bool:
    """Whether an exception arrives elsewhere as what it is."""
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        return False


def end(comm: Comm, error: SystemExit) -> None:
    """End all processes, where one of them calls ``sys.exit`` in the middle of a training."""
    if isinstance(error.code, str):
        say(error.code)
    say(f"this was process {comm.rank} of {comm.size}; all of them end")
    comm.abort(error.code if isinstance(error.code, int) else 1)


def require_equal(comm: Comm, state: TrainingState) -> None:
    """Raise in all processes if their weights are not equal in every bit."""
    if comm.size == 1:
        return
    sums = comm.gather(tuple(crc32(vector.data) for vector in state.vectors()))
    if len(set(sums)) > 1:
        others = [rank for rank, each in enumerate(sums) if each != sums[0]]
        raise CommError(
            f"after step {state.step}, the weights of {'process' if len(others) == 1 else 'processes'} "
            f"{', '.join(map(str, others))} differ from those of process 0. The same arithmetic has given different "
            f"digits: the processors, libraries or numbers of threads of the processes are not alike, or a number was "
            f"summed in another order. FULLYCONNECTED_CPU chooses the same kernels for all"
        )


def outputs(
    comm: Comm, net: Network, data: Data, engine: str, n_threads: int | None, link: Link | None = None
) -> Array:
    """Return the outputs of all rows of a data set, of which each process computes a part."""
    if comm.size == 1:
        return net.outputs_checked(data.x, engine, n_threads, link)
    rows = len(data.x)
    start, stop = _share(comm.rank, comm.size, comm.size).of(rows)
    own = net.outputs_checked(some_rows(data.x, start, stop), engine, n_threads, link)
    z = np.zeros((rows, *own.shape[1:]), own.dtype)
    z[start:stop] = own
    comm.sum(z.reshape(-1))
    return z
