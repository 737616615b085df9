"""``fc.playground``: a playground in a notebook, or in a browser beside a script."""

from __future__ import annotations

import webbrowser
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from fullyconnected.core.checks import flag
from fullyconnected.errors import ConfigError, InputTypeError
from fullyconnected.network import Network, load
from fullyconnected.playing.model import Model
from fullyconnected.playing.server import Playhouse
from fullyconnected.playing.serving import Server
from fullyconnected.playing.session import Session
from fullyconnected.playing.setup import Setup
from fullyconnected.playing.table import Table

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike, TableLike

__all__ = ["Playground", "house_of", "playground"]

Knobs: TypeAlias = bool | float | str | Sequence[int] | Sequence[str] | Sequence[Sequence[float]]

HEIGHT = 900  # pixels in a notebook


class Playground:
    """A playground that runs; a notebook shows it, and :attr:`url` opens it in a browser.

    Attributes
    ----------
    url : str
        Its address on this machine, with a token: whoever has it can use the playground.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.url

    def network(self) -> Network:
        """Return a copy of the network as it is now."""
        session = self.server.house.session
        with session.locked():
            return session.stepper.net.copy()

    def address(self) -> str:
        """Return the setup and the step as the part of a link behind #."""
        session = self.server.house.session
        with session.locked():
            return f"{session.setup.address()}&at={session.stepper.step}"

    def stop(self) -> None:
        """End it; the page says so."""
        self.server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Playground at {self.url}; .stop() ends it>"

    def _repr_html_(self) -> str:
        url = escape(self.url, quote=True)
        return (
            f'<iframe src="{url}" title="Playground" width="100%" height="{HEIGHT}" style="border:0"></iframe>'
            f'<p><a href="{url}" target="_blank" rel="noreferrer">Open the playground in a window of its own</a></p>'
        )


def playground(
    given: TableLike | Network | PathLike | None = None,
    *,
    link: str | None = None,
    port: int = 0,
    open: bool = False,
    **knobs: Knobs,
) -> Playground:
    """Start a playground: a small network that is trained before your eyes, by the library, in this Python.

    It answers on this machine alone, at an address with a random token. Its page has a control for each knob, and its
    link holds all of them. It needs the extra ``playground``.

    Parameters
    ----------
    given : table, path or Network, optional
        Your own table: a DataFrame, columns by name, or the path of a file that the estimators read, whose last column
        is the target unless ``target`` names another. Or a network to go on with, or the path of its
        ``.safetensors`` file: of layers that the knobs can make, with one or two inputs.
    link : str, optional
        A link of the playground, or its part behind #: the setup and step to begin with.
    port : int
        The port, from 0 to 65535; 0 takes one that is free.
    open : bool
        Whether to open the page in a browser; a notebook shows it anyway.
    **knobs
        The setup to begin with, by the names of the knobs: ``data="spirals"``, ``hidden=[8, 8]``,
        ``activation="relu"``, and so on.

    Returns
    -------
    Playground
        With ``.url``, ``.network()``, ``.address()`` and ``.stop()``.

    Raises
    ------
    MissingPackageError
        Without Starlette or uvicorn: ``pip install "fullyconnected[playground]"``.
    ConfigError, InputTypeError, UnknownNameError
        For an unknown knob, a value out of range, a network that no knobs can make, or a port that is in use; and the
        errors of reading a file.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> with fc.playground(data="moons", hidden=[8]) as play:
    ...     play.address()
    'v=1&data=moons&hidden=8&at=0'
    """
    opens = flag("open", open)
    running = Playground(Server(house_of(given, link, knobs, framed=True), port))
    running.server.start()
    if opens:
        webbrowser.open(running.url)
    return running


def house_of(given: Any, link: str | None, knobs: Mapping[str, Any], *, framed: bool) -> Playhouse:
    """Return what is served: the session for a table or a network, and the setup to begin with."""
    table, model = _taken(given)
    if table is None and (of_table := [name for name in ("target", "columns") if knobs.get(name)]):
        what = "none was given" if model is None else f"{model.source} given is no table"
        raise ConfigError(
            f"{of_table[0]} is about a table, and {what}; give one: fullyconnected playground t.csv "
            f"--{of_table[0]} {knobs[of_table[0]]!s:.80}"
        )
    at = 0
    if link is not None:
        if knobs:
            raise ConfigError(
                f"a link has the whole setup; got a link and {', '.join(sorted(knobs))}: give either a link or knobs"
            )
        if not isinstance(link, str):
            raise InputTypeError(f"link is text, such as 'v=1&data=moons'; got {link!r:.80}")
        setup, at = Setup.from_address(link)
    else:
        first: dict[str, Any] = {} if model is None else dict(model.knobs)
        if table is not None:
            first["data"] = "table"
        setup = Setup.of({**first, **knobs})
    return Playhouse(Session(setup, table, model), at, framed=framed)


def _taken(given: Any) -> tuple[Table | None, Model | None]:
    """Return the table or the network that was given."""
    if given is None:
        return None, None
    if isinstance(given, Network):
        return None, Model.of(given, "the network")
    if isinstance(given, str | bytes) or hasattr(given, "__fspath__"):
        path: PathLike = given
        if str(path).endswith(".safetensors"):
            return None, Model.of(load(path), str(path))
        return Table.read(path), None
    return Table.of(given), None
