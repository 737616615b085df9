"""The server of the playground: the page, a stream of frames, and commands, for whoever knows the token alone.

It answers on 127.0.0.1, and to an address with a random token. A request must name this host, so that no other name
that is made to lead here is answered; a command must come from the page itself (Origin); no cache may keep anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fullyconnected.errors import FullyConnectedError, InputTypeError, missing
from fullyconnected.playing.commands import hello, knob_of, perform
from fullyconnected.playing.session import Frame, Session
from fullyconnected.playing.wire import as_json

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["PAGE", "Playhouse", "app_of"]

LARGEST_BODY = 1 << 18  # bytes of a command; the longest, 500 points drawn by hand, take 30,000
MOST_STREAMS = 16
BEAT = 2.0  # seconds after which a stream without frames says that it is there
STEPS_KEPT = 8  # explanations that can be opened
SCRIPT, STYLE, HTML = "text/javascript; charset=utf-8", "text/css; charset=utf-8", "text/html; charset=utf-8"
PAGE = {
    "": ("index.html", HTML),
    "playground.css": ("playground.css", STYLE),
    **{
        name: (name, SCRIPT)
        for name in ("playground.js", "remote.js", "address.js", "controls.js", "network.js", "ground.js", "charts.js",
                     "colours.js", "words.js")
    },
}  # fmt: skip
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
log = logging.getLogger("fullyconnected.playground")

Answer = Callable[["Request"], Awaitable["Response"]]


class Playhouse:
    """What a server serves: a session, the step that its address named, and what was explained."""

    def __init__(self, session: Session, at: int = 0, *, framed: bool = False) -> None:
        self.session, self.at, self.framed = session, at, framed
        self.streams = 0
        self.explained: dict[str, str] = {}
        self.number = 0
        self.closing = False

    def explain(self, text: str) -> str:
        """Keep an explanation, and return the name under which it can be opened."""
        self.number += 1
        name = f"step-{self.number}.html"
        self.explained[name] = text
        while len(self.explained) > STEPS_KEPT:
            del self.explained[next(iter(self.explained))]
        return name


def app_of(house: Playhouse, token: str, hosts: Callable[[], frozenset[str]]) -> Any:
    """Return the application (ASGI); ``hosts`` are the hosts with their port under which it is reached."""
    try:
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.requests import ClientDisconnect
        from starlette.responses import PlainTextResponse, Response, StreamingResponse
        from starlette.routing import Route
    except ImportError:
        raise missing("starlette", "playground", "the playground") from None

    class Stream(StreamingResponse):
        """A stream that is counted until it ends, however it does."""

        async def __call__(self, *asgi: Any) -> None:
            frames: Any = self.body_iterator
            try:
                async with contextlib.aclosing(frames):
                    await super().__call__(*asgi)
            finally:
                house.streams -= 1

    policy = POLICY if house.framed else f"{POLICY}; frame-ancestors 'none'"
    page = {
        name: (files("fullyconnected").joinpath("playing", "page", file).read_bytes(), kind)
        for name, (file, kind) in PAGE.items()
    }

    def refused(request: Request, *, changes: bool, opened: bool) -> Response | None:
        """Return the answer to a request that is not the page's own, or None if it is."""
        if request.headers.get("host", "") not in hosts():
            return PlainTextResponse("This address is unknown here.\n", 421)
        if not hmac.compare_digest(request.path_params["token"].encode("utf-8", "replace"), token.encode()):
            return PlainTextResponse("Open the address that the playground has printed, with its token.\n", 403)
        origin = request.headers.get("origin")
        own = {f"http://{host}" for host in hosts()}
        if (origin is None and changes) or (origin is not None and origin not in own):
            return PlainTextResponse("This comes from another page.\n", 403)
        # a link or a notebook elsewhere may open a page, which then asks for all else itself
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and not opened:
            return PlainTextResponse("This comes from another page.\n", 403)
        return None

    def guarded(answer: Answer, *, changes: bool = False, opened: bool = False) -> Answer:
        async def run(request: Request) -> Response:
            response = refused(request, changes=changes, opened=opened) or await answer(request)
            for name, value in HEADERS.items():
                response.headers[name] = value
            if "content-security-policy" not in response.headers:
                response.headers["content-security-policy"] = policy
            return response

        return run

    async def file(request: Request) -> Response:
        content, kind = page[request.path_params.get("file", "")]
        return Response(content, media_type=kind)

    async def greeting(request: Request) -> Response:
        told = await run_in_threadpool(lambda: as_json(hello(house.session, house.at)))
        return Response(told, media_type="application/json")

    async def explanation(request: Request) -> Response:
        text = house.explained.get(f"step-{request.path_params['number']}.html")
        if text is None:
            return PlainTextResponse("This explanation is no longer kept.\n", 404)
        # the page has a policy of its own, with the checksums of its one script and style
        return Response(text, media_type=HTML, headers={"content-security-policy": "frame-ancestors 'none'"})

    async def command(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _error(415, "a command is sent as application/json")
        body = bytearray()
        try:
            async for part in request.stream():
                body += part
                if len(body) > LARGEST_BODY:
                    return _error(413, f"a command has at most {LARGEST_BODY:,} bytes")
        except ClientDisconnect:  # the page was closed, and nobody hears the answer
            return _error(400, "the command has not arrived")
        try:
            reply = await run_in_threadpool(_performed, house, bytes(body))
        except FullyConnectedError as error:
            return _error(400, str(error))
        except Exception:
            log.exception("a command has failed")
            return _error(500, "the playground has failed at this, which is a mistake in it; its terminal says more")
        return Response(reply, media_type="application/json")

    def _error(status: int, message: str) -> Response:
        told = as_json({"error": message, "knob": knob_of(message)})
        return Response(told, status, media_type="application/json")

    async def stream(request: Request) -> Response:
        if house.streams >= MOST_STREAMS:
            return PlainTextResponse("There are too many pages of this playground.\n", 503)
        house.streams += 1  # here, and not once it is read: many may ask at once
        return Stream(_frames(house), media_type="text/event-stream")

    get, post = ["GET"], ["POST"]
    names = [name for name in page if name]
    app = Starlette(
        routes=[
            Route("/{token}/", guarded(file, opened=True), methods=get),
            Route("/{token}/hello", guarded(greeting), methods=get),
            Route("/{token}/stream", guarded(stream), methods=get),
            Route("/{token}/command", guarded(command, changes=True), methods=post),
            Route("/{token}/step-{number:int}.html", guarded(explanation, opened=True), methods=get),
            *(Route(f"/{{token}}/{name}", _named(guarded(file), name), methods=get) for name in names),
        ]
    )
    app.router.redirect_slashes = False  # which would repeat the host of a request before it is checked
    return app


def _named(answer: Answer, name: str) -> Answer:
    async def run(request: Request) -> Response:
        request.path_params["file"] = name
        return await answer(request)

    return run


def _performed(house: Playhouse, body: bytes) -> bytes:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise InputTypeError("a command is an object in JSON") from None
    reply = perform(house.session, given)
    if isinstance(given, dict) and given.get("do") == "export" and given.get("what") == "explanation":
        reply = {**reply, "url": house.explain(reply["text"])}
    return as_json(reply)


async def _frames(house: Playhouse) -> AsyncIterator[bytes]:
    """Yield frames as events: always the newest, so that a slow reader falls behind in none of them."""
    loop, fresh = asyncio.get_running_loop(), asyncio.Event()
    newest: list[bytes] = []

    def arrived(text: bytes) -> None:
        newest[:] = [text]
        fresh.set()

    def listen(frame: Frame) -> None:  # in the thread that trains
        text = as_json(frame)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(arrived, text)

    house.session.listeners.append(listen)
    try:
        yield b"retry: 1000\n\n"
        first = await loop.run_in_executor(None, lambda: as_json(house.session.frame()))
        yield b"data: " + first + b"\n\n"
        silent = 0.0
        while not house.closing:
            try:
                await asyncio.wait_for(fresh.wait(), 0.25)
            except TimeoutError:
                silent += 0.25
                if silent >= BEAT:
                    silent = 0.0
                    yield b": here\n\n"
                continue
            fresh.clear()
            silent = 0.0
            yield b"data: " + newest[0] + b"\n\n"
    finally:
        house.session.listeners.remove(listen)
