"""The choice of an engine: the one that is named, or the fastest that can do the work."""

from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from fullyconnected.base import Solver
from fullyconnected.core.registry import Registry
from fullyconnected.engine.base import Engine, EngineInfo
from fullyconnected.engine.cuda_engine import CudaEngine
from fullyconnected.engine.native_engine import NativeEngine
from fullyconnected.engine.numpy_engine import NumpyEngine
from fullyconnected.errors import ConfigError, InputTypeError, nearest
from fullyconnected.program.program import Program

if TYPE_CHECKING:
    from fullyconnected.annotations import DType

__all__ = ["ENGINES", "IDLE", "Choice", "choose", "engines"]

# the idle predictors of each network, by the id of the dict, whose keys are the names that were given for the engine
IDLE: WeakValueDictionary[int, Any] = WeakValueDictionary()


class _Engines(Registry[Engine]):
    """The engines, the slowest first."""

    def add(self, cls: type[Engine]) -> type[Engine]:
        for predictors in [each for idle in list(IDLE.values()) for each in idle.values()]:
            predictors.clear()  # the class may be in place of their engine, or faster
        return super().add(cls)


ENGINES = _Engines("engine", Engine, (NumpyEngine, NativeEngine, CudaEngine), reserved=("auto",))


SOLVES: str | None = "a full-batch solver takes its gradients from NumPy"


class Choice(NamedTuple):
    """The chosen engine, and why it was chosen."""

    engine: Engine
    why: str


def engines() -> dict[str, EngineInfo]:
    """Return every engine by name, fastest first: whether it is available, and what it runs on, or why it is not.

    ``"numpy"`` is always available. ``"native"``, in C++, is faster; it needs a compiler when the library is installed
    from source. ``"cuda"`` is an NVIDIA GPU, and has to be named. Engines that you have registered come before these.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> fc.engines()["numpy"].available
    True
    """
    return {name: _about(cls) for name, cls in reversed(ENGINES.classes.items())}


def _about(cls: type[Engine]) -> EngineInfo:
    try:
        return EngineInfo(*cls().about())
    except Exception as error:  # of a user's engine: the others can be used all the same
        return EngineInfo(False, f"{cls.__name__}.about does not return (available, text): {error!r}")


def choose(
    name: Any,
    program: Program,
    *,
    averages: bool = False,
    schedules: bool = False,
    shares: bool = False,
    precision: str | None = None,
    dtype: "DType | None" = None,
    **work: Any,
) -> Choice:
    """Return the engine with this name, or for ``"auto"`` the fastest one that can do the work; raise if none can.

    ``work`` are the keyword arguments of :meth:`Engine.supports`; ``averages`` asks for an average in each step,
    ``schedules`` for schedules of weight decay or dropout, ``shares`` for batches that processes share, and
    ``precision`` for products of matrices of a network of this dtype that are rounded more than it.
    """
    if precision is not None and dtype != np.float32:
        raise ConfigError(f"precision={precision!r} is for networks of float32; this one has {dtype}")
    if not isinstance(name, str):
        raise InputTypeError(f"engine is the name of an engine, or 'auto'; got {name!r}")
    if name != "auto" and name not in ENGINES.classes:
        raise nearest("engine", name, ("auto", *ENGINES.classes))
    reasons: list[str] = []
    for each, cls in reversed(ENGINES.classes.items()):
        if name == each or (name == "auto" and cls.automatic):
            engine, reason = ENGINES.build(each), SOLVES
            if each == NumpyEngine.name or not isinstance(work.get("optimizer"), Solver):
                has = precision in engine.precisions
                how: Any = {"precision": precision} if has else {}
                reason = engine.supports(program, **work, **how)
                if reason is None and averages and not engine.averages:
                    reason = "it does not average weights in each step (Engine.averages)"
                if reason is None and schedules and not engine.schedules:
                    reason = "it follows no schedules of weight decay and dropout (Engine.schedules)"
                if reason is None and shares and not engine.shares:
                    reason = "it shares no batches with other processes (Engine.shares)"
                if reason is None and precision is not None and not has:
                    others = " and ".join(
                        f"{name!r}" for name, cls in ENGINES.classes.items() if precision in cls.precisions
                    )
                    own = "".join(f", or in {name}" for name in engine.precisions) or " alone"
                    reason = (
                        f"it computes in the precision of the network{own}; precision={precision!r} is for {others}"
                    )
            if reason is None:
                return Choice(engine, "it was named" if name == each else "; ".join(reasons) or "it is the fastest")
            reasons.append(f"the {each} engine cannot run this: {reason}")
    raise ConfigError("; ".join(reasons) + ". engine='auto' takes the fastest one that can" * (name != "auto"))
