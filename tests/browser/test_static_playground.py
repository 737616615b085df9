"""The playground without Python in a real browser: it opens from a plain web server, and has the library's numbers."""

import functools
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from fullyconnected.playing.session import Session
from fullyconnected.playing.setup import Setup
from fullyconnected.playing.static import static
from tests.browser.watching import leave, watch

LINKS = [
    "v=1",
    "v=1&data=spirals&hidden=8,8&residual=yes&activation=gelu&optimizer=adamw&dropout=0.2&seed=7",
    "v=1&data=moons&norm=batch&optimizer=nesterov&schedule=cosine&l2=0.01&batch_size=32",
    "v=1&data=formula&task=regression&formula=sin(2*x1)*x2&norm=layer&loss=huber&optimizer=muon&hidden=5,5,5",
]
# a page that runs a backend alone, and writes down the weights at a step: {"setup": ..., "until": ..., "worker": ...}
NUMBERS = """<!doctype html><title>numbers</title><pre></pre><script type="module" src="numbers.js"></script>"""
NUMBERS_JS = """
import { connect } from "./local.js"
const { setup, until, worker } = JSON.parse(decodeURIComponent(location.hash.slice(1)))
if (!worker) delete window.Worker
const backend = await connect()
await backend.send({ do: "setup", setup })
const frame = await new Promise((resolve) => {
    backend.onframe = (each) => each.step === until && !each.running && resolve(each)
    backend.send({ do: "run", until })
})
backend.close()
const W = frame.layers.map((each) => Array.from(each.W))
document.querySelector("pre").textContent = JSON.stringify({ beside: "worker" in backend, loss: frame.loss, W })
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files as ``python -m http.server`` does, and says nothing."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    static(folder / "playground")
    for name, text in {"numbers.html": NUMBERS, "numbers.js": NUMBERS_JS}.items():
        (folder / "playground" / name).write_text(text, encoding="utf-8")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/playground/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def visit(browser: Any, site: str) -> Iterator[Callable[..., Any]]:
    """Return what opens the page; at the end it asserts that nothing was asked elsewhere, and no error written."""
    contexts: list[Any] = []
    problems: list[str] = []

    def run(link: str = "v=1", *, page: str = "", until: str = "#measures b", dark: bool = False) -> Any:
        context = browser.new_context(
            java_script_enabled=True,
            color_scheme="dark" if dark else "light",
            reduced_motion="no-preference",
            viewport={"width": 1280, "height": 900},
            locale="en",
            offline=False,
        )
        contexts.append(context)
        context.set_default_timeout(20_000)
        watch(context, lambda url: url.startswith(site), problems)
        opened = context.new_page()
        opened.goto(f"{site}{page}#{link}")
        opened.locator(until).first.wait_for(state="attached")
        return opened

    yield run
    leave(contexts, problems)


def trained(link: str, step: int) -> Session:
    session = Session(Setup.from_address(link)[0])
    session.seek(step)
    if session.thread is not None:
        session.thread.join()
    return session


@pytest.mark.in_turn(why="each setup, and each way to run it, has its numbers in both browsers")
@pytest.mark.parametrize("worker", [True, False])
@pytest.mark.parametrize("link", LINKS)
def test_a_hundred_steps_have_the_librarys_weights(visit: Callable[..., Any], link: str, worker: bool) -> None:
    asked = {"setup": Setup.from_address(link)[0].plain(), "until": 100, "worker": worker}
    page = visit(quote(json.dumps(asked)), page="numbers.html", until="pre:not(:empty)")
    found = json.loads(page.inner_text("pre"))
    session = trained(link, 100)
    assert session.stepper.step == 100
    assert found["beside"] == worker
    for one, other in zip(found["W"], session.view.layers(), strict=True):
        assert np.abs(np.array(one) - other["W"].ravel()).max() <= 1e-6
    assert abs(found["loss"]["train"] - session.view.judged(session.stepper.training)[0]) <= 1e-6


def test_a_link_opens_its_setup_and_step(visit: Callable[..., Any]) -> None:
    page = visit(f"{LINKS[2]}&at=100")
    page.locator("#where", has_text=re.compile("^100 of")).wait_for()
    assert page.get_by_label("Data", exact=True).input_value() == "moons"
    loss = page.locator("#measures [title]").first.get_attribute("title")
    session = trained(LINKS[2], 100)
    assert abs(float(loss) - session.view.judged(session.stepper.training)[0]) <= 1e-6


def test_a_run_by_hand(visit: Callable[..., Any]) -> None:
    page = visit()
    page.click("#run")
    page.locator("#run[aria-pressed=true]").wait_for()
    page.click("#run")
    page.locator("#run[aria-pressed=false]").wait_for()
    page.click("#rewind")
    page.locator("#where", has_text=re.compile("^0 of")).wait_for()
    page.get_by_role("button", name="Epoch").click()
    page.locator("#where", has_text=re.compile("^14 of")).wait_for()
    loss = float(page.locator("#measures [title]").first.get_attribute("title"))
    session = trained("v=1", 14)
    assert abs(loss - session.view.judged(session.stepper.training)[0]) <= 1e-6
    page.get_by_label("Learning rate", exact=True).last.focus()
    for key in ("Control+A", *"1000", "Tab"):  # out of range
        page.keyboard.press(key)
    page.get_by_text("learning_rate is a number from 0.00001 to 100, such as 0.03; got 1000").first.wait_for()


def test_an_epoch_that_takes_long_can_be_paused(visit: Callable[..., Any]) -> None:
    page = visit("v=1&rows=400&test_share=0&batch_size=1&hidden=64,64,64,64&optimizer=muon")
    page.get_by_role("button", name="Epoch").click()
    page.locator("#run[aria-pressed=true]").wait_for()
    page.click("#run")
    page.locator("#run[aria-pressed=false]").wait_for()
    assert 0 < int(page.locator("#where b").first.inner_text()) < 400
    page.get_by_role("button", name="Epoch").click()  # and goes on to the end of the same
    page.locator("#run[aria-pressed=true]").wait_for()
    page.click("#run")


def test_what_can_be_taken_away(visit: Callable[..., Any]) -> None:
    page = visit()
    assert page.locator("#exports button").all_inner_texts() == [
        "Copy the link",
        "Python script",
        "Model",
        "Picture (PNG)",
    ]
    page.get_by_role("button", name="Model").click()
    link = page.get_by_role("link", name="Download playground.safetensors")
    assert link.get_attribute("download") == "playground.safetensors"
    assert link.get_attribute("href").startswith("blob:")


@pytest.mark.in_turn(why="axe reads the document, of which each browser makes the same")
def test_accessible(visit: Callable[..., Any], axe: Callable[[Any], list[Any]]) -> None:
    page = visit(dark=True)
    assert axe(page) == []
