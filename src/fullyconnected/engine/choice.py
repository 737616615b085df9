"""The choice of an engine: the one that is named, or the fastest that can do the work."""

from typing import Any, NamedTuple

from fullyconnected.core.registry import Registry
from fullyconnected.engine.base import Engine, EngineInfo
from fullyconnected.engine.native_engine import NativeEngine
from fullyconnected.engine.numpy_engine import NumpyEngine
from fullyconnected.errors import ConfigError, InputTypeError, nearest
from fullyconnected.program.program import Program

__all__ = ["ENGINES", "Choice", "choose", "engines"]

ENGINES = Registry("engine", Engine, (NumpyEngine, NativeEngine))  # the slowest first


class Choice(NamedTuple):
    """The chosen engine, and why it was chosen."""

    engine: Engine
    why: str


def engines() -> dict[str, EngineInfo]:
    """Return every engine by name, fastest first: whether it is available, and what it runs on, or why it is not.

    ``"numpy"`` is always available. ``"native"``, in C++, is faster; it needs a compiler when the library is installed
    from source. Engines that you have registered come before these.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> fc.engines()["numpy"].available
    True
    """
    return {name: EngineInfo(*cls().about()) for name, cls in reversed(ENGINES.classes.items())}


def choose(name: Any, program: Program, **work: Any) -> Choice:
    """Return the engine with this name, or for ``"auto"`` the fastest one that can do the work; raise if none can.

    ``work`` are the keyword arguments of :meth:`Engine.supports`.
    """
    if not isinstance(name, str):
        raise InputTypeError(f"engine is the name of an engine, or 'auto'; got {name!r}")
    if name != "auto":
        if name not in ENGINES.classes:
            raise nearest("engine", name, ("auto", *ENGINES.classes))
        engine = ENGINES.build(name)
        if reason := engine.supports(program, **work):
            raise ConfigError(
                f"the {name} engine cannot run this: {reason}. engine='auto' takes the fastest one that can"
            )
        return Choice(engine, "it was named")
    reasons: list[str] = []
    for cls in reversed(ENGINES.classes.values()):
        if cls.automatic:
            engine = cls()
            reason = engine.supports(program, **work)
            if reason is None:
                return Choice(engine, "; ".join(reasons) or "it is the fastest")
            reasons.append(f"the {cls.name} engine cannot run this: {reason}")
    raise ConfigError("; ".join(reasons))
