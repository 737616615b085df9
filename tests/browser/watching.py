"""What the tests note of pages: whom they ask, what they complain of, where they fail; and how pages are waited for."""

import time
from collections.abc import Callable, Collection
from typing import Any

import pytest

PATIENCE = 20  # s: its machine has other tests to run

one_script = pytest.mark.in_turn(
    why="one script does it in both; what keys and the mouse do is tried in both elsewhere"
)


def until(page: Any, what: str, arg: Any = None) -> None:
    """Wait until an expression, or a function of ``arg``, is true. (Playwright's own way needs eval in the page.)"""
    end = time.monotonic() + PATIENCE
    while not page.evaluate(what, arg):
        assert time.monotonic() < end, f"it never came to {what} with {arg}"
        time.sleep(0.02)


def until_address(page: Any, end: str) -> str:
    """Wait until the address of a page ends so, and return it.

    The page itself is asked: Playwright's ``page.url`` is what it was told last, and a page goes to a place in itself
    some time after a key or a click.
    """
    until(page, "end => location.href.endsWith(end)", end)
    return str(page.evaluate("location.href"))


def watch(
    context: Any,
    own: Callable[[str], bool],
    problems: list[str],
    *,
    messages: Collection[str] = (),
    errors: Collection[str] = (),
) -> None:
    """Note in ``problems`` what no page of a context may do.

    Parameters
    ----------
    context
        Playwright's context, before it has a page.
    own : callable
        Whether an address is the page's own; what an address holds itself (data:, blob:) always is.
    problems : list of str
        Where it is noted.
    messages, errors : collection of str
        Parts of the messages in the console, and of the errors of pages, that a test expects.
    """

    def note_request(thing: Any) -> None:
        if not own(thing.url) and not thing.url.startswith(("data:", "blob:")):
            problems.append(f"request: {thing.url}")

    def note_message(message: Any) -> None:
        if message.type in ("error", "warning", "assert") and not any(each in message.text for each in messages):
            problems.append(f"console.{message.type}: {message.text}")

    def note_error(error: Any) -> None:
        if not any(each in str(error.error) for each in errors):
            problems.append(f"page error: {error.error}")

    context.on("request", note_request)
    context.on("console", note_message)
    context.on("weberror", note_error)
    # is no request, and the message that it has failed may come after the answer that leave() waits for
    context.on("page", lambda page: page.on("websocket", note_request))


def leave(contexts: list[Any], problems: list[str]) -> None:
    """Close all pages, and assert that they behaved."""
    for context in contexts:
        for page in context.pages:
            page.evaluate("0")  # its answer comes after whatever the page has done by now
        context.close()
    found = [*problems]
    contexts.clear()
    problems.clear()
    assert not found, "\n".join(found)
