"""Runs the server of the playground: in the foreground, for the command, or in a thread, for a notebook."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from types import FrameType
from typing import Any

from fullyconnected.errors import ConfigError, missing
from fullyconnected.playing.server import Playhouse, app_of

__all__ = ["Server"]

HOST = "127.0.0.1"
PATIENCE = 10.0  # seconds to begin or to end


class Server:
    """A server on 127.0.0.1 with its address, which has a random token; it is bound at once, and answers once it runs.

    Parameters
    ----------
    house : Playhouse
        What it serves.
    port : int
        The port, or 0 for any that is free.
    token : str, optional
        The token of an earlier server, whose page then finds this one; None makes a new one.
    """

    def __init__(self, house: Playhouse, port: int = 0, token: str | None = None) -> None:
        try:
            import uvicorn
        except ImportError:
            raise missing("uvicorn", "playground", "the playground") from None

        class Quiet(uvicorn.Server):
            """A server that lets streams end when it is told to stop."""

            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                house.closing = True
                super().handle_exit(sig, frame)

        self.house = house
        self.token = secrets.token_urlsafe(24) if token is None else token
        app = app_of(house, self.token, lambda: self.hosts)
        self.socket = _bound(port)
        self.port: int = self.socket.getsockname()[1]
        self.hosts = frozenset(f"{name}:{self.port}" for name in (HOST, "localhost"))
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=1 << 16,
        )
        self.server = Quiet(config)
        self.thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def run(self) -> None:
        """Serve until Ctrl-C or SIGTERM."""
        with contextlib.closing(self.house.session):
            self.server.run(sockets=[self.socket])

    def start(self) -> None:
        """Serve in a thread, and return once it answers."""
        work: Any = self.server.run
        self.thread = threading.Thread(target=work, args=([self.socket],), name="playground server", daemon=True)
        self.thread.start()
        end = time.monotonic() + PATIENCE
        while not self.server.started:
            if time.monotonic() > end or not self.thread.is_alive():
                raise ConfigError("the playground's server did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """End serving, and wait for it."""
        self.house.closing = self.server.should_exit = True
        if self.thread is not None:
            self.thread.join(PATIENCE)
        self.house.session.close()
        self.socket.close()


def _bound(port: int) -> socket.socket:
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port < 65536:
        raise ConfigError(f"port is from 0 to 65535, 0 for any that is free; got {port!r:.80}")
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows: nobody else may take the same port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
        found.listen(128)  # from here on a browser that is quick waits, and is not refused
    except OSError as error:
        found.close()
        raise ConfigError(
            f"port {port} cannot be used: {error.strerror or error}. Choose another one, or 0 for any that is free"
        ) from None
    return found
