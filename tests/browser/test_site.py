"""The site of the documentation: built without a warning, then walked in browsers that are cut off from all else.

Without the packages of the dependency group ``docs`` these tests are skipped; with FULLYCONNECTED_REQUIRE_BROWSER=1, as
in CI, they fail.
"""

import functools
import http.server
import itertools
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest

import fullyconnected as fc
from tests.browser.conftest import EXHAUSTIVE
from tests.browser.watching import leave, until_address, watch

ROOT = Path(__file__).parents[2]
KINDS = [  # one page of each kind
    "index.html",
    "api/training.html",
    "start-tables.html",
    "worked-examples.html",
    "lessons/xor.html",
    "api/index.html",
    "search.html",
]
LONGEST_BUILD = 300  # s


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; of the processes that run tests, the first does, and the others wait for it."""
    if not (find_spec("pydata_sphinx_theme") and find_spec("myst_parser") and find_spec("math_core")):
        reason = "what builds the site is not installed: pip install --group docs"
        if os.environ.get("FULLYCONNECTED_REQUIRE_BROWSER", "0") not in ("", "0"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    built, said = folder / "site", folder / "site-said"
    try:
        (folder / "site-begun").mkdir()
    except FileExistsError:
        until = time.monotonic() + LONGEST_BUILD
        while not said.exists() and time.monotonic() < until:
            time.sleep(0.2)
    else:
        build = [sys.executable, str(ROOT / "docs" / "site" / "build.py"), str(built)]
        done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=LONGEST_BUILD)
        unfinished = said.with_name("site-saying")
        unfinished.write_text(done.stdout + done.stderr if done.returncode else "", encoding="utf-8")
        unfinished.rename(said)
    assert said.read_text(encoding="utf-8") == ""
    return built


class Seen(HTMLParser):
    """The links of a page, and what they can lead to in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.text = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is not None and name in ("href", "src", "srcset", "data"):
                self.links.append(value)
            elif value is not None and name in ("id", "name"):
                self.anchors.add(value)


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, Seen]:
    """Return all pages by their paths."""
    return {
        path.relative_to(site).as_posix(): Seen(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.parts
    }


def test_every_link_leads_somewhere(site: Path, pages: dict[str, Seen]) -> None:
    faults = []
    for place, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:  # to another host, which cannot be asked here
                if parts.scheme != "data" and not (parts.scheme in ("http", "https") and "." in parts.netloc):
                    faults.append(f"{place}: {link}")
                continue
            target = urlsplit(urljoin(f"/{place}", link))
            path, anchor = unquote(target.path).lstrip("/"), unquote(target.fragment)
            path = f"{path}index.html" if path.endswith("/") or not path else path
            in_scripts = place.startswith("pages/") and path == place  # the address holds what such a page shows
            if not (site / path).exists() or (
                anchor and path in pages and not in_scripts and anchor not in pages[path].anchors
            ):
                faults.append(f"{place}: {link}")
    assert len(pages) > 60
    assert faults == []


def test_what_is_loaded_is_of_the_site(site: Path, pages: dict[str, Seen]) -> None:
    """Whatever a browser would ask for by itself: an image, a script, a style sheet, a font, a frame."""
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text), path.name
    for place in pages:
        html = (site / place).read_text(encoding="utf-8")
        assert "Content-Security-Policy" in html, place
        for outside in ('src="http', 'src="//', '<link rel="stylesheet" href="http', "<base "):
            assert outside not in html, place


def test_every_public_name_has_its_entry(site: Path, pages: dict[str, Seen]) -> None:
    anchors = {anchor for place, page in pages.items() if place.startswith("api/") for anchor in page.anchors}
    for name in set(fc.__all__) - {"__version__"}:
        thing = getattr(fc, name)
        inner = getattr(thing, "__all__", None) if type(thing).__name__ == "module" else None
        for each in [name] if inner is None else [f"{name}.{each}" for each in inner]:
            assert f"fullyconnected.{each}" in anchors, each
    for method in ("Network.predict", "MLPClassifier.fit", "TabularRegressor.predict_interval", "Layer.backward"):
        assert f"fullyconnected.{method}" in anchors
    html = (site / "api" / "training.html").read_text(encoding="utf-8")
    assert "losses.html#fullyconnected.SoftmaxCrossEntropy" in html, "names in docstrings are links"
    assert "api/training.html#fullyconnected.fit" in (site / "concept.html").read_text(encoding="utf-8")


def test_the_examples_are_those_of_the_code_beside_them(site: Path, pages: dict[str, Seen]) -> None:
    shown = [link for link in pages["worked-examples.html"].links if link.startswith("pages/")]
    files = sorted(f"pages/{path.name}" for path in (site / "pages").glob("*.html"))
    assert len(files) == 6
    assert sorted({*shown}) == files
    for file in files:
        assert shown.count(file) == 2, "in a frame, and as a link"
        assert "central differences" in (site / file).read_text(encoding="utf-8")


def test_the_playground_is_that_without_python(site: Path, pages: dict[str, Seen]) -> None:
    assert pages["playground.html"].links.count("pages/playground/index.html") == 2, "in a frame, and as a link"
    assert "./local.js" in (site / "pages" / "playground" / "index.html").read_text(encoding="utf-8")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that says nothing."""

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Serve the site, as any server of files does."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Return what opens a window on the site; at the end it asserts that no page asked another host, or complained."""
    contexts: list[Any] = []
    problems: list[str] = []

    def open_window(
        place: str | None = None, *, dark: bool | None = False, width: int = 1280, script: bool = True
    ) -> Any:
        context = browser.new_context(
            color_scheme="null" if dark is None else "dark" if dark else "light",
            viewport={"width": width, "height": 900},
            locale="en",
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(10_000)

        context.route(lambda url: not url.startswith((address, "data:", "blob:")), lambda route: route.abort())
        # Firefox says so of what a page was still fetching, such as the search its summaries, when it is left
        left = ["The operation was aborted", "NetworkError when attempting to fetch resource"]
        watch(context, lambda url: url.startswith(address), problems, errors=left)
        context.on(
            "response",
            lambda answer: answer.ok or answer.status == 304 or problems.append(f"{answer.status}: {answer.url}"),
        )
        page = context.new_page()
        if place is not None:
            page.goto(address + place)
        return page

    yield open_window
    leave(contexts, problems)


ONCE = pytest.mark.only_in("chromium", why="it looks at many pages, whose theme is tested in both by its makers")
WIDTHS = (320, 768, 1280, 1920)  # each page has the first, where most sticks out, and one of the others in turn


@ONCE
@pytest.mark.parametrize("part", range(4))
def test_every_page_keeps_to_itself_and_fits(
    part: int, pages: dict[str, Seen], visit: Any, address: str, overflow: Any, examples: Callable[[int], int]
) -> None:
    page = visit(dark=part % 2 == 1)
    listings = sorted(place for place in pages if place.startswith("_modules/"))  # of code, one like the other
    places = sorted({*pages} - {*listings[examples(len(listings)) :]})
    others = itertools.cycle(WIDTHS[1:])
    for place in places[part::4]:
        page.goto(address + place)
        if place in listings:
            continue
        for width in WIDTHS if EXHAUSTIVE else (WIDTHS[0], next(others)):
            page.set_viewport_size({"width": width, "height": 900})
            assert overflow(page) == [], f"{place} at {width} px"
        page.evaluate("document.querySelectorAll('iframe').forEach(frame => frame.loading = 'eager')")


@ONCE
@pytest.mark.parametrize(
    ("place", "dark"),
    # what has colours of its own: text and links, the reference, code
    [*((place, False) for place in KINDS), *((place, True) for place in (*KINDS[:2], "lessons/xor.html"))],
)
def test_accessibility(place: str, dark: bool, visit: Any, axe: Any) -> None:
    for width in (1280, 390) if place in KINDS[:2] and not dark else (1280,):
        page = visit(place, dark=dark, width=width)
        assert axe(page, "of colours" if dark else "all") == [], (
            f"{place} at {width} px"
        )  # in the dark only they differ


@ONCE
def test_accessibility_of_formulas(visit: Any, axe: Any) -> None:
    page = visit("derivations.html")
    page.evaluate("document.querySelectorAll('article > section > section:nth-of-type(n+4)').forEach(e => e.remove())")
    assert page.locator("math").count() > 100
    # to axe a head of a table that is a formula has no text; a screen reader reads it
    found = [each for each in axe(page) if not all("<math>" in node for node in each["nodes"])]
    assert found == []


def test_search_by_keyboard(visit: Any) -> None:
    page = visit("index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("label smoothing")
    page.get_by_role("dialog").get_by_role("link", name="SoftmaxCrossEntropy").or_(
        page.get_by_role("dialog").get_by_role("link", name="Reference")
    ).first.wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=label+smoothing*")
    page.locator("#search-results li a").first.wait_for()
    found = page.locator("#search-results li a").all_inner_texts()
    assert any("Losses" in text for text in found)


def test_the_search_is_reached_by_the_tabulator(visit: Any) -> None:
    page = visit("concept.html")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.search-button-field, .search-button')"):
            break
    else:
        pytest.fail("12 steps do not reach it")
    page.keyboard.press("Enter")
    page.keyboard.type("muon")
    assert page.locator("#pst-search-dialog input").input_value() == "muon"


def test_a_reader_chooses_light_or_dark(visit: Any) -> None:
    page = visit("worked-examples.html", dark=None)  # what is emulated would hold in the page within, whatever it is in
    ground = "getComputedStyle(document.body).backgroundColor"
    within = "matchMedia('(prefers-color-scheme: dark)').matches"
    frame = page.frame_locator("iframe").first
    frame.locator("h1").wait_for()
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert frame.locator("h1").evaluate(within) is False
    page.get_by_role("button", name="Color mode").first.click()
    page.get_by_role("button", name="Dark").or_(page.get_by_role("menuitemradio", name="Dark")).first.click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(ground) == "rgb(20, 23, 27)"
    assert frame.locator("h1").evaluate(within) is True, "the page within goes with it"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark", "it is remembered"


def test_the_playground_trains_within_its_page(visit: Any) -> None:
    page = visit("playground.html")
    frame = page.frame_locator("iframe").first
    frame.locator("#network-says").filter(has_text="parameters").wait_for()
    # a click waits in vain in Firefox, where the frame would scroll
    frame.get_by_role("button", name="Batch").press("Enter")
    frame.locator("#where").filter(has_text="1 of 1").wait_for()


def test_without_a_script(visit: Any) -> None:
    page = visit("derivations.html", script=False)
    assert page.locator("math").count() > 100
    assert page.locator("h1").inner_text().startswith("Derivations")
    for name in ("Reference", "Training"):
        page.goto(
            urljoin(
                page.evaluate("location.href"),
                page.get_by_role("link", name=name, exact=True).first.get_attribute("href"),
            )
        )
    until_address(page, "api/training.html")
