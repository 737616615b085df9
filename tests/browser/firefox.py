"""Stands between Playwright and Firefox ESR 140, which does not know yet all of WebDriver BiDi that Playwright speaks.

Run with the path of Firefox and the arguments for it. It starts Firefox, and prints an address of its own in place of
Firefox's. Whoever connects there speaks with Firefox, but is told that a command in ``NOT_NEEDED`` has been done where
Firefox answers that it does not know it. Any other command that Firefox does not know fails: no test asks in vain.
"""

import asyncio
import contextlib
import json
import re
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve

# Playwright sends these for every browser, window or page, whatever is asked of it
NOT_NEEDED = {
    "network.addDataCollector",  # the bodies of responses, which no test reads
    "browser.setDownloadBehavior",
    "emulation.setScreenOrientationOverride",  # that of a desktop
    "emulation.setScreenSettingsOverride",  # the screen around the window
}
MEDIA = "emulation.setMediaFeaturesOverride"
REFUSED = (
    "an open page's media cannot be changed in Firefox: open it dark, or with reduced motion, or test it in Chromium"
)
FILLS = "__pw_bidiInsertText"  # Playwright's function that types a text
# what Firefox now and then says of a formula that it lays out while half of it has not been read yet
EARLY = "Incorrect number of children for <m"
ADDRESS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


def may_be_left_undone(message: dict[str, Any]) -> bool:
    """Say whether nothing is lost where Firefox does not know a command."""
    if message["method"] == MEDIA:
        return all(value is None for value in message["params"]["features"].values())
    return message["method"] in NOT_NEEDED


def refused(message: dict[str, Any]) -> bool:
    """Say whether a command is to change the media of an open page: of those, Playwright passes only the colours on."""
    return message["method"] == MEDIA and "userContexts" not in message["params"]


def changed(message: dict[str, Any]) -> dict[str, Any]:
    """Change a command so that it can be done in Firefox, and in less time.

    What a test evaluates in a page runs beside the page's scripts, on the same document: Playwright hands it to
    ``eval``, which a page's policy may forbid to the page's own scripts, but not to these. What it
    makes there itself, to fill in a field, it looks for in the window. And pages open in tabs, as a new window takes
    longer than most tests.
    """
    params = message["params"]
    if "context" in params.get("target", {}):
        params["target"].setdefault("sandbox", "test")
    if message["method"] == "script.callFunction" and FILLS in json.dumps(params["arguments"]):
        function = params["functionDeclaration"]
        params["functionDeclaration"] = (
            f"(...all) => {{ window.{FILLS} = globalThis.{FILLS}; return ({function})(...all) }}"
        )
    if message["method"] == "browsingContext.create":
        params["type"] = "tab"
    return message


async def carry(client: ServerConnection, firefox: Connection) -> None:
    """Carry messages both ways until one side leaves."""
    undone: set[int] = set()

    async def there() -> None:
        async for text in client:
            message = json.loads(text)
            if refused(message):
                no = {"type": "error", "id": message["id"], "error": "unsupported operation", "message": REFUSED}
                await client.send(json.dumps(no))
                continue
            if may_be_left_undone(message):
                undone.add(message["id"])
            await firefox.send(json.dumps(changed(message)))

    async def back() -> None:
        async for text in firefox:
            if EARLY in text and "log.entryAdded" in text:
                continue
            message = json.loads(text) if undone else {}
            if message.get("id") in undone:
                undone.remove(message["id"])
                if message.get("error") == "unknown command":
                    text = json.dumps({"type": "success", "id": message["id"], "result": {}})
            await client.send(text)

    tasks = [asyncio.create_task(there()), asyncio.create_task(back())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def run(firefox: Process) -> int:
    """Serve Firefox to one client, and end it when that leaves."""
    free: dict[str, Any] = {"max_size": None, "compression": None}  # screenshots are large, and nothing leaves here

    async def meet(client: ServerConnection) -> None:
        assert client.request is not None
        async with connect(address + client.request.path, **free) as connection:
            await carry(client, connection)
        with contextlib.suppress(ProcessLookupError):
            firefox.terminate()

    async with contextlib.AsyncExitStack() as stack:
        assert firefox.stderr is not None
        async for line in firefox.stderr:
            text = line.decode(errors="replace")
            if found := ADDRESS.search(text):
                address = found[1]
                server = await stack.enter_async_context(serve(meet, "127.0.0.1", 0, **free))
                port = next(iter(server.sockets)).getsockname()[1]
                text = text.replace(address, f"ws://127.0.0.1:{port}")
            sys.stderr.write(text)
            sys.stderr.flush()
        return await firefox.wait()


async def main() -> int:
    """Start Firefox."""
    return await run(await asyncio.create_subprocess_exec(*sys.argv[1:], stderr=PIPE, limit=2**20))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
