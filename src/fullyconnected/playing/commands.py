"""What a page may ask of a session: each command with what it takes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fullyconnected.core.version import __version__
from fullyconnected.errors import ConfigError, InputTypeError, nearest
from fullyconnected.playing.knobs import BY_NAME, described
from fullyconnected.playing.session import Session, of_data
from fullyconnected.playing.setup import Setup

__all__ = ["CAPABILITIES", "hello", "knob_of", "perform"]

PROTOCOL = 1
PATIENCE = 0.2  # seconds that a step or a replay may take before it goes on while other commands are answered
CAPABILITIES = ("server", "python", "model", "explanation", "picture", "link", "svg", "advice", "edit", "pace")


def hello(session: Session, at: int) -> dict[str, Any]:
    """Return what a page is told first: what this backend can do, the knobs, the setup, and the step to begin with."""
    more = [*["table"] * (session.table is not None), *["model-file"] * (session.model is not None)]
    return {
        "protocol": PROTOCOL,
        "version": __version__,
        "capabilities": [*CAPABILITIES, *more],
        "columns": [] if session.table is None else list(session.table.frame.names),
        "knobs": described(),
        "at": at,
        **session.described(),
    }


def perform(session: Session, command: Any) -> dict[str, Any]:
    """Do what a command says, and return the reply; raise for one that is not known, or has something else in it."""
    if not isinstance(command, dict) or not isinstance(command.get("do"), str):
        raise InputTypeError(f'a command is an object such as {{"do": "pause"}}; got {command!r:.80}')
    given = dict(command)
    name = given.pop("do")
    if name not in COMMANDS:
        raise nearest("command", name[:80], COMMANDS)
    takes, run = COMMANDS[name]
    if unknown := sorted(set(given) - set(takes)):
        raise ConfigError(f"the command {name} takes {', '.join(takes) or 'nothing'}; got {unknown[0]!r:.80}")
    return run(session, given)


def knob_of(message: str) -> str | None:
    """Return the knob that an error is about: its message begins with the name."""
    word = message.split(" ", 1)[0].rstrip(":")
    return word if word in BY_NAME else None


def _setup(session: Session, given: Mapping[str, Any]) -> dict[str, Any]:
    session.begin(Setup.of(given.get("setup")))
    return session.described()


def _run(session: Session, given: Mapping[str, Any]) -> dict[str, Any]:
    session.run(given.get("until"), given.get("pace"))
    return {}


def _weight(session: Session, given: Mapping[str, Any]) -> dict[str, Any]:
    layer, part = given.get("layer"), given.get("part")
    at: Any = given.get("at")
    value: Any = given.get("value")
    if not isinstance(layer, str) or part not in ("W", "b"):
        raise InputTypeError(
            f"a weight is in a layer, such as dense_1, and in its part, W or b; got {layer!r:.80} and {part!r:.80}"
        )
    session.set_weight(layer, part, at, value)
    return {}


def _export(session: Session, given: Mapping[str, Any]) -> dict[str, Any]:
    return session.export(str(given.get("what"))[:80])


COMMANDS: dict[str, tuple[tuple[str, ...], Callable[[Session, Mapping[str, Any]], dict[str, Any]]]] = {
    "setup": (("setup",), _setup),
    "run": (("until", "pace"), _run),
    "pause": ((), lambda session, _: {"step": session.pause()}),
    "step": (("what",), lambda session, given: {"step": session.step(str(given.get("what", "batch"))[:80], PATIENCE)}),
    "seek": (("to",), lambda session, given: {"step": session.seek(given.get("to", 0), PATIENCE)}),
    "look": (("row", "x"), lambda session, given: session.look(given.get("row"), given.get("x"))),
    "weight": (("layer", "part", "at", "value"), _weight),
    "export": (("what",), _export),
    "data": ((), lambda session, _: {"data": of_data(session.data)}),
}
