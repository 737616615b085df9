"""A page in real browsers, Chromium and Firefox, which Playwright drives, cut off from everything but the page.

Each test runs in both, unless a mark says why one is enough: ``only_in("chromium", why="...")``, or why one is for each
case: ``in_turn(why="...")``. All cases of the latter run in both with FULLYCONNECTED_EXHAUSTIVE=1, as `.ci/nightly
browsers` sets it. Where a browser is not installed, its tests are skipped with a reason; with
FULLYCONNECTED_REQUIRE_BROWSER=1, as in CI, they fail.
"""

import importlib.resources
import os
import shlex
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.browser.watching import leave, watch

collect_ignore = ["firefox.py"]  # a program, which needs what may not be installed

EXHAUSTIVE = os.environ.get("FULLYCONNECTED_EXHAUSTIVE", "0") != "0"
LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")
BETWEEN = Path(__file__).with_name("firefox.py")
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AXE_COLOURS = ["color-contrast", "link-in-text-block"]  # these take nearly all of the time that axe takes
# where a page's scripts are off, its timers never fire, and axe would wait for one for ever
IMPATIENT = """if (matchMedia("(scripting: none)").matches) window.setTimeout = (f) => { Promise.resolve().then(f) }"""
PATIENCE = 10_000  # ms, for whatever a page is waited for: its machine has other tests to run
PROGRAMS = {  # what each browser's program may be called; the first is the name of Debian's package, too
    "chromium": ("chromium-headless-shell", "chromium", "google-chrome"),
    "firefox": ("firefox-esr", "firefox"),
}
MODULES = ("playwright", "axe_playwright_python", "websockets")


def find_browser(name: str) -> str | None:
    """Return the path of a browser. A snap's is none: it has a /tmp of its own, and sees no test's files."""
    for path in filter(None, map(shutil.which, PROGRAMS[name])):
        with open(path, "rb") as program:  # Ubuntu's firefox is a script that calls a snap
            if not path.startswith("/snap/") and b"/snap/" not in program.read(4096):
                return path
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the other browser where one is enough."""
    out, turns = set(), defaultdict(list)
    for item in items:
        for mark in item.iter_markers("only_in"):
            (name,), _ = mark.args, mark.kwargs["why"]
            if item.callspec.params["browser"] != name:  # type: ignore[attr-defined]
                out.add(item)
        for mark in item.iter_markers("in_turn"):
            assert mark.kwargs["why"]
            if not EXHAUSTIVE and item not in out:
                turns[item.nodeid.partition("[")[0]].append(item)
    count = dict.fromkeys(PROGRAMS, 0)
    for cases in turns.values():
        out |= others(cases, count)
    if out:
        items[:] = [item for item in items if item not in out]
        config.hook.pytest_deselected(items=[*out])


def others(items: list[Any], count: dict[str, int]) -> set[Any]:
    """Of all cases of a test, return those that are left to another browser.

    Each case goes to the browser that has met fewer of its values, so that each value of each parameter meets both; or
    else to the one with fewer cases so far, by ``count``.
    """
    cases, met, left = defaultdict(dict), {name: set() for name in PROGRAMS}, set()
    for item in items:
        values = frozenset((name, repr(value)) for name, value in item.callspec.params.items() if name != "browser")
        cases[values][item.callspec.params["browser"]] = item
    for values in cases:
        chosen = max(cases[values], key=lambda name: (len(values - met[name]), -count[name]))
        met[chosen] |= values
        count[chosen] += 1
        left |= {item for name, item in cases[values].items() if name != chosen}
    return left


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tests of this folder where they cannot run, here and not in a fixture, so that it is told once."""
    name = item.callspec.params.get("browser") if hasattr(item, "callspec") else None
    if name is None:
        return
    if find_browser(name) is None:
        package = PROGRAMS[name][0]
        reason = f"{name} is not installed (a snap's cannot open the tests' files): apt install {package}"
    elif not all(find_spec(module) for module in MODULES):
        reason = f"one of {', '.join(MODULES)} is not installed: pip install --group browser"
    else:
        return
    if os.environ.get("FULLYCONNECTED_REQUIRE_BROWSER", "0") not in ("", "0"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


FOR_TESTS = {  # the first five halve the time that Firefox takes for a page
    "fission.autostart": False,
    "dom.ipc.processCount": 1,
    "dom.ipc.processPrelaunch.enabled": False,
    "dom.ipc.keepProcessesAlive.web": 1,
    "dom.ipc.keepProcessesAlive.file": 1,
    "ui.useOverlayScrollbars": 1,  # a page is as wide as its window, as in Chromium without a head
    "dom.events.testing.asyncClipboard": True,  # a test may read what a page has copied
    "browser.download.folderList": 2,  # what a page gives is put where the next setting says
}


FIREFOXES = 4  # that run at once: each takes half a gigabyte


class Firefox:
    """A Firefox for each way in which pages are shown: what Playwright tells other browsers, ESR 140 must be set to."""

    def __init__(self, playwright: Any, folder: Path) -> None:
        self.playwright = playwright
        self.settings = FOR_TESTS | {"browser.download.dir": str(folder)}
        self.program = folder / "firefox"
        command = shlex.join([sys.executable, str(BETWEEN), str(find_browser("firefox"))])
        self.program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        self.program.chmod(0o755)
        self.running: dict[tuple[Any, ...], Any] = {}

    def new_context(
        self,
        *,
        java_script_enabled: bool = True,
        color_scheme: str = "light",
        reduced_motion: str = "no-preference",
        locale: str = "en",
        offline: bool = False,
        **options: Any,
    ) -> Any:
        """Make a context, as Playwright's browsers do."""
        settings = {
            "javascript.enabled": java_script_enabled,
            "ui.systemUsesDarkTheme": int(color_scheme == "dark"),
            "ui.prefersReducedMotion": int(reduced_motion == "reduce"),
            "intl.accept_languages": locale,
            "network.dns.disabled": offline,
        }
        key = tuple(settings.values())
        if key in self.running:
            self.running[key] = self.running.pop(key)  # the last that was used
        else:
            idle = [each for each, browser in self.running.items() if not browser.contexts]
            for each in idle[: max(0, len(self.running) + 1 - FIREFOXES)]:
                self.running.pop(each).close()
            self.running[key] = self.playwright.firefox.launch(
                channel="moz-firefox", executable_path=self.program, firefox_user_prefs=self.settings | settings
            )
        return self.running[key].new_context(color_scheme="null", **options)

    def close(self) -> None:
        """End them."""
        for browser in self.running.values():
            browser.close()


# For this folder and not the session, since Playwright keeps an event loop running in the thread, and a process beside:
# no other test shall meet them. Chromium takes less than a second, each Firefox two.
@pytest.fixture(scope="package", params=PROGRAMS)
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start a browser for the tests of this folder in this process."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        if request.param == "firefox":
            browser: Any = Firefox(playwright, tmp_path_factory.mktemp("firefox"))
        else:  # unsandboxed by default: root may too
            browser = playwright.chromium.launch(executable_path=find_browser("chromium"))
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

        context.route(lambda url: not is_own(url), lambda route: route.abort())
        watch(context, is_own, self.problems)
        page = context.new_page()
        page.goto(own)
        return page

    def close(self) -> None:
        """Close all pages and assert that they behaved."""
        leave(self.contexts, self.problems)


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
def axe() -> Callable[..., list[dict[str, Any]]]:
    """Return what lists the violations of rules on accessibility that axe-core finds."""
    source = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")

    def run(page: Any, rules: Literal["all", "of colours", "but of colours"] = "all") -> list[dict[str, Any]]:
        """Look for violations of all rules, or of some where the others have said all of a document that is alike."""
        page.evaluate(IMPATIENT)
        page.evaluate(source)  # not as an element of the page, whose own rules may forbid that
        options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}  # there is nothing to load
        if rules == "of colours" and not EXHAUSTIVE:
            options["runOnly"] = {"type": "rule", "values": AXE_COLOURS}
        else:
            options["runOnly"] = AXE_TAGS
        if rules == "but of colours" and not EXHAUSTIVE:
            options["rules"] = {name: {"enabled": False} for name in AXE_COLOURS}
        found = page.evaluate("options => axe.run(options)", options)
        return [
            {"id": rule["id"], "help": rule["help"], "nodes": [node["html"] for node in rule["nodes"]]}
            for rule in found["violations"]
        ]

    return run
