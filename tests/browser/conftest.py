"""A page in a real browser: the system's Chromium, which Playwright drives, cut off from everything but the page.

Without either, the tests are skipped with a reason; with FULLYCONNECTED_REQUIRE_BROWSER=1, as in CI, they fail.
"""

import importlib.resources
import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# where a page's scripts are off, its timers never fire, and axe would wait for one for ever
IMPATIENT = """if (matchMedia("(scripting: none)").matches) window.setTimeout = (f) => { Promise.resolve().then(f) }"""
PATIENCE = 10_000  # ms, for whatever a page is waited for: its machine has other tests to run


def find_chromium() -> str | None:
    """Return the path of a Chromium. A snap's is none: it has a /tmp of its own, and sees no test's files."""
    names = ("chromium-headless-shell", "chromium", "google-chrome")
    paths = (shutil.which(name) for name in names)
    return next((path for path in paths if path and not path.startswith("/snap/")), None)


def pytest_runtest_setup() -> None:
    """Skip the tests of this folder where they cannot run, here and not in a fixture, so that it is told once."""
    if find_chromium() is None:
        reason = "Chromium is not installed (a snap's cannot open the tests' files): apt install chromium"
    elif not (find_spec("playwright") and find_spec("axe_playwright_python")):
        reason = "playwright or axe-playwright-python is not installed: pip install --group browser"
    else:
        return
    if os.environ.get("FULLYCONNECTED_REQUIRE_BROWSER", "0") not in ("", "0"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


# For a module and not the session, since Playwright keeps an event loop running in the thread, and a process beside:
# no other test shall meet them. It takes less than a second.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a browser for the tests of one module in this process."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium())  # unsandboxed by default: root may too
        yield browser
        browser.close()


class Opener:
    """Opens pages, each in a window of its own, and notes in ``problems`` what no page may do."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self.browser = browser
        self.folder = folder
        self.problems: list[str] = []
        self.contexts: list[Any] = []

    def __call__(
        self,
        html: str | Path,
        *,
        script: bool = True,
        dark: bool = False,
        width: int = 1280,
        height: int = 900,
        reduced_motion: bool = False,
    ) -> Any:
        """Open HTML, or the file it is in, and return Playwright's page once it is loaded."""
        if isinstance(html, str):
            path = self.folder / f"page{len(self.contexts)}.html"
            path.write_text(html, encoding="utf-8")
        else:
            path = html
        own = path.resolve().as_uri()
        context = self.browser.new_context(
            java_script_enabled=script,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if reduced_motion else "no-preference",
            viewport={"width": width, "height": height},
            locale="en",  # not whatever this machine's is
            offline=True,
        )
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE)

        def is_own(url: str) -> bool:
            return url.partition("#")[0] == own or url.startswith(("data:", "blob:"))

        def note_request(request: Any) -> None:
            if not is_own(request.url):
                self.problems.append(f"request: {request.url}")

        def note_message(message: Any) -> None:
            if message.type in ("error", "warning", "assert"):
                self.problems.append(f"console.{message.type}: {message.text}")

        context.route(lambda url: not is_own(url), lambda route: route.abort())
        context.on("request", note_request)
        context.on("console", note_message)
        context.on("weberror", lambda error: self.problems.append(f"page error: {error.error}"))
        page = context.new_page()
        # is no request, and the message that it has failed may come after the answer that close() waits for
        page.on("websocket", lambda socket: self.problems.append(f"request: {socket.url}"))
        page.goto(own)
        return page

    def close(self) -> None:
        """Close all pages and assert that they behaved."""
        for context in self.contexts:
            for page in context.pages:
                page.evaluate("0")  # its answer comes after whatever the page has done by now
            context.close()
        problems, self.problems, self.contexts = self.problems, [], []
        assert not problems, "\n".join(problems)


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Opener]:
    """Return what opens pages; at the end of the test it asserts that they kept to themselves and without errors."""
    opener = Opener(browser, tmp_path)
    yield opener
    opener.close()


@pytest.fixture
def overlaps() -> Callable[[Any, str], list[list[str]]]:
    """Return what lists the pairs of visible elements whose boxes share more than 1 px each way."""
    return lambda page, selector: page.evaluate(f"selector => {LOOK}.overlaps(selector)", selector)


@pytest.fixture
def overflow() -> Callable[[Any], list[str]]:
    """Return what lists the elements that stick out sideways, where no container of theirs scrolls."""
    return lambda page: page.evaluate(f"() => {LOOK}.overflow()")


@pytest.fixture
def axe() -> Callable[[Any], list[dict[str, Any]]]:
    """Return what lists the violations of rules on accessibility that axe-core finds."""
    source = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")

    def run(page: Any) -> list[dict[str, Any]]:
        page.evaluate(IMPATIENT)
        page.evaluate(source)  # not as an element of the page, whose own rules may forbid that
        options = {"runOnly": AXE_TAGS, "resultTypes": ["violations"], "preload": False}  # there is nothing to load
        found = page.evaluate("options => axe.run(options)", options)
        return [
            {"id": rule["id"], "help": rule["help"], "nodes": [node["html"] for node in rule["nodes"]]}
            for rule in found["violations"]
        ]

    return run
