"""The playground without Python in a real browser: it opens from a plain web server, and has the library's numbers."""

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from fullyconnected.playing.session import Session
from fullyconnected.playing.setup import Setup
from fullyconnected.playing.static import static

LINKS = [
    "v=1",
    "v=1&data=spirals&hidden=8,8&residual=yes&activation=gelu&optimizer=adamw&dropout=0.2&seed=7",
    "v=1&data=moons&norm=batch&optimizer=nesterov&schedule=cosine&l2=0.01&batch_size=32",
    "v=1&data=formula&task=regression&formula=sin(2*x1)*x2&norm=layer&loss=huber&optimizer=muon&hidden=5,5,5",
]
# the weights at a step, as a page finds them in the frames of a backend of its own
RUN = """async ([setup, until]) => {
    const { connect } = await import(new URL("local.js", document.baseURI).href)
    const backend = await connect()
    await backend.send({ do: "setup", setup })
    const frame = await new Promise((resolve) => {
        backend.onframe = (each) => each.step === until && !each.running && resolve(each)
        backend.send({ do: "run", until })
    })
    backend.close()
    return { beside: "worker" in backend, loss: frame.loss, W: frame.layers.map((each) => Array.from(each.W)) }
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files as ``python -m http.server`` does, and says nothing."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    static(folder / "playground")
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

    def run(link: str = "v=1", *, worker: bool = True, **given: Any) -> Any:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en", **given)
        contexts.append(context)
        context.set_default_timeout(20_000)
        context.on(
            "console",
            lambda message: message.type in ("error", "warning") and problems.append(f"{message.type}: {message.text}"),
        )
        context.on("weberror", lambda error: problems.append(f"page error: {error.error}"))
        context.on(
            "request", lambda request: request.url.startswith((site, "data:", "blob:")) or problems.append(request.url)
        )
        page = context.new_page()
        if not worker:
            page.add_init_script("delete window.Worker")
        page.goto(f"{site}#{link}")
        page.locator("#measures b").first.wait_for()
        return page

    yield run
    for context in contexts:
        for page in context.pages:
            page.evaluate("0")
        context.close()
    assert not problems, "\n".join(problems)


def trained(link: str, step: int) -> Session:
    session = Session(Setup.from_address(link)[0])
    session.seek(step)
    if session.thread is not None:
        session.thread.join()
    return session


@pytest.mark.parametrize("worker", [True, False])
def test_a_hundred_steps_have_the_librarys_weights(visit: Callable[..., Any], worker: bool) -> None:
    page = visit(worker=worker)
    for link in LINKS:
        found = page.evaluate(RUN, [Setup.from_address(link)[0].plain(), 100])
        session = trained(link, 100)
        assert session.stepper.step == 100
        assert found["beside"] == worker
        for one, other in zip(found["W"], session.view.layers(), strict=True):
            assert np.abs(np.array(one) - other["W"].ravel()).max() <= 1e-6
        assert abs(found["loss"]["train"] - session.view.judged(session.stepper.training)[0]) <= 1e-6


def test_a_link_opens_its_setup_and_step(visit: Callable[..., Any]) -> None:
    page = visit(f"{LINKS[2]}&at=100")
    page.locator("#where b", has_text="100").first.wait_for()
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
    page.locator("#where", has_text="0 of").wait_for()
    page.get_by_role("button", name="Epoch").click()
    page.locator("#where b", has_text="14").first.wait_for()
    loss = float(page.locator("#measures [title]").first.get_attribute("title"))
    session = trained("v=1", 14)
    assert abs(loss - session.view.judged(session.stepper.training)[0]) <= 1e-6
    page.get_by_label("Learning rate", exact=True).last.fill("1000")  # out of range
    page.keyboard.press("Tab")
    page.get_by_text("learning_rate is from").first.wait_for()


def test_what_can_be_taken_away(visit: Callable[..., Any]) -> None:
    page = visit()
    assert page.locator("#exports button").all_inner_texts() == ["Copy the link", "Model", "Picture (PNG)"]
    page.get_by_role("button", name="Model").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download playground.safetensors").click()
    assert download.value.suggested_filename == "playground.safetensors"


def test_accessible(visit: Callable[..., Any], axe: Callable[[Any], list[Any]]) -> None:
    page = visit(color_scheme="dark")
    assert axe(page) == []
