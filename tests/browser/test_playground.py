"""The playground in a real browser: every control by mouse and by keys, narrow, dark, and with a server that goes."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fullyconnected as fc
from fullyconnected.playing.knobs import BY_NAME, KNOBS
from fullyconnected.playing.public import house_of
from fullyconnected.playing.serving import Server
from fullyconnected.playing.setup import Setup
from tests.browser.conftest import EXHAUSTIVE
from tests.browser.watching import leave, one_script, until, watch

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
TABLE = {
    "length": [5.1, 4.9, 7.0, 6.4, 6.3, 5.8, 5.0, 6.9, 6.1, 5.5],
    "width": [3.5, None, 3.2, 3.2, 3.3, 2.7, 3.4, 3.1, 2.9, 2.6],
    "height": [1.4, 1.4, 4.7, 4.5, 6.0, 5.1, 1.5, 4.9, 4.7, 4.4],
    "species": [*["setosa"] * 2, *["versicolor"] * 2, *["virginica"] * 2, "setosa", *["versicolor"] * 3],
}
LINKS = ["v=1", "v=1&data=points", "v=1&data=table", "v=1&data=hills&hidden=20,8,4"]
Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def play() -> Iterator[fc.Playground]:
    with fc.playground(TABLE) as play:
        yield play


@pytest.fixture
def visit(browser: Any, play: fc.Playground) -> Iterator[Visit]:
    """Return what opens the page; at the end it asserts that it asked nobody else, and wrote no error."""
    contexts: list[Any] = []
    problems: list[str] = []

    def run(
        link: str = "v=1", *, server: Any = None, width: int = 1280, height: int = 900, dark: bool = False,
        reduced_motion: bool = False, lenient: bool = False, touch: bool = False,
    ) -> Any:  # fmt: skip
        url = (server or play).url
        (server or play.server).house.session.pause()  # whatever the last page has left running
        context = browser.new_context(
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if reduced_motion else "no-preference",
            viewport={"width": width, "height": height},
            locale="en",
            permissions=["clipboard-read", "clipboard-write"],
            **({"has_touch": True, "is_mobile": True} if touch else {}),
        )
        contexts.append(context)
        context.set_default_timeout(20_000)

        # what the browser says of a refusal, the page itself tells in words
        expected = [""] if lenient else ["status of 400"]
        watch(context, lambda asked: asked.startswith(url), problems, messages=expected)
        page = context.new_page()
        page.goto(f"{url}#{link}")
        until(page, "document.documentElement.dataset.ready && document.getElementById('where').textContent")
        return page

    yield run
    leave(contexts, problems)


def step_of(page: Any) -> int:
    return int(re.sub(r"\D", "", page.inner_text("#where b:first-child")))


def wait_for_step(page: Any, step: int) -> None:
    until(page, "n => document.querySelector('#where b').textContent.replace(/\\D/g, '') === String(n)", step)


def go_epochs(page: Any, count: int) -> None:
    """Go to the end of so many epochs of 14 steps, one after another: the next button pauses one that takes long."""
    for epoch in range(1, count + 1):
        page.click("[data-step=epoch]")
        wait_for_step(page, 14 * epoch)


def wait_for(what: Callable[[], bool]) -> None:
    """Wait until something is true of the server."""
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def pause(page: Any) -> None:
    page.click("#run")
    page.wait_for_selector("#run[aria-pressed=false]")


def typed(page: Any, field: Any, text: str) -> None:
    """Type into a field, as a user does: what is set by a script is no change that Firefox would tell of."""
    field.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def setup_of(page: Any) -> Setup:
    """Return the setup in the address, which the page writes once the backend has taken it."""
    return Setup.from_address(page.evaluate("location.hash"))[0]


@one_script
class TestRunning:
    @pytest.mark.in_turn(why="both browsers run, and buttons are pressed by mouse and by keys in other tests, too")
    @pytest.mark.parametrize("how", ["mouse", "keys"])
    def test_steps_of_every_kind(self, visit: Visit, how: str) -> None:
        page = visit()

        def press(selector: str) -> None:
            if how == "mouse":
                page.click(selector)
            else:
                page.focus(selector)
                page.keyboard.press("Enter")

        press("[data-step=epoch]")
        wait_for_step(page, 14)
        press("[data-step=batch]")
        wait_for_step(page, 15)
        press("[data-step=forward]")
        page.wait_for_selector("#phase:has-text('Forward')")
        press("[data-step=backward]")
        page.wait_for_selector("#phase:has-text('Backward')")
        press("[data-step=sample]")
        page.wait_for_selector("#phase:has-text('Sample 1 of 10')")
        press("[data-step=batch]")
        wait_for_step(page, 16)
        press("#rewind")
        wait_for_step(page, 0)
        press("#run")
        until(page, "document.querySelector('#where').textContent.includes('steps/s')")
        press("#run")
        page.wait_for_selector("#run[aria-pressed=false]")
        assert step_of(page) > 16
        assert f"at={step_of(page)}" in page.evaluate("location.hash")

    def test_the_slider_goes_through_the_run_to_the_same_numbers(self, visit: Visit) -> None:
        page = visit()
        go_epochs(page, 3)
        said = page.get_attribute("#measures div", "title")
        page.focus("#seek")
        page.keyboard.press("Home")
        wait_for_step(page, 0)
        page.keyboard.press("ArrowRight")
        wait_for_step(page, 1)
        page.keyboard.press("End")
        wait_for_step(page, 42)
        until(page, "said => document.querySelector('#measures div').title === said", said)

    def test_the_speed_is_chosen(self, visit: Visit) -> None:
        page = visit()
        page.select_option("#pace", "10")
        began = time.monotonic()
        page.click("#run")
        beyond = "n => Number(document.querySelector('#where b').textContent.replace(/\\D/g, '')) > n"
        until(page, beyond, 9)
        steps = step_of(page)
        assert steps <= 10 * (time.monotonic() - began) + 1
        page.select_option("#pace", "0")
        until(page, beyond, 200 + steps)
        pause(page)

    def test_the_controls_can_be_skipped(self, visit: Visit) -> None:
        page = visit()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "network-title"
        assert page.locator("#refused:visible").count() == 0

    def test_nan_is_said(self, visit: Visit) -> None:
        page = visit("v=1&data=plane&learning_rate=50")
        page.click("#run")
        page.wait_for_selector("#stopped:has-text('numbers that are not finite')")
        page.wait_for_selector("#run[aria-pressed=false]")
        assert "learning rate" in page.inner_text("#stopped")
        page.click("#rewind")
        page.wait_for_selector("#stopped", state="hidden")

    def test_a_screen_reader_is_told_at_a_calm_pace(self, visit: Visit) -> None:
        page = visit()
        page.evaluate(
            """() => { window.told = []; const live = document.getElementById("live")
            new MutationObserver(() => told.push(live.textContent)).observe(live, {childList: true, subtree: true}) }"""
        )
        began = time.monotonic()
        page.click("#run")
        until(page, "told.length > 0 && told[0].startsWith('Running. Step ')")
        page.wait_for_timeout(2500)
        told = page.evaluate("told.length")
        assert told <= 2 + (time.monotonic() - began) // 4
        page.click("#run")
        until(page, "told.at(-1).startsWith('Step ')")


@one_script
class TestKnobs:
    @pytest.mark.in_turn(why="each kind of knob is turned by keys in both browsers")
    @pytest.mark.parametrize("name", [knob.name for knob in KNOBS])
    def test_each_can_be_turned_by_keys(self, visit: Visit, name: str) -> None:
        knob = BY_NAME[name]
        first = "table" if knob.needs else "formula" if name in ("task", "formula") else "xor"
        links = {"data": f"data={first}"}
        for other, values in (knob.when or {}).items():
            if Setup.of({"data": first}).plain()[other] not in values:
                links[other] = f"{other}={values[0]}"
        page = visit("&".join(["v=1", *links.values()]))
        before = getattr(setup_of(page), name)
        box = page.locator(f"[data-knob={name}]")
        assert box.is_visible()
        if knob.kind in ("choice",) or name in ("target", "columns"):
            box.locator("select").first.focus()
            page.keyboard.press("ArrowUp" if name == "activation" else "ArrowDown")
        elif knob.kind in ("number", "integer"):
            field = box.locator("input[type=number]")
            field.focus()
            typed(page, field, "0.5" if knob.kind == "number" else "5")
            page.keyboard.press("Enter")
        elif knob.kind == "text":
            box.locator("input").focus()
            typed(page, box.locator("input"), "x1 - x2")
            page.keyboard.press("Enter")
        elif knob.kind in ("flag", "choices"):
            box.locator("input").last.focus()
            page.keyboard.press("Space")
        elif knob.kind == "widths":
            box.locator("button", has_text="Add a layer").focus()
            page.keyboard.press("Enter")
        else:
            box.locator("button", has_text="Remove the last").focus()
            page.keyboard.press("Enter")
        until(page, "name => location.hash.includes(`${name}=`)", name)
        until(page, "([name, was]) => location.hash !== was", [name, f"#{'&'.join(['v=1', *links.values()])}"])
        assert getattr(setup_of(page), name) != before
        assert page.locator(".wrong:visible").count() == 0

    @pytest.mark.in_turn(why="all sliders are made by one function")
    @pytest.mark.parametrize("name", ["rows", "noise", "learning_rate", "l2", "batch_size"])
    def test_sliders_move_by_mouse(self, visit: Visit, name: str) -> None:
        page = visit()
        slider = page.locator(f"[data-knob={name}] input[type=range]")
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
        until(page, "name => location.hash.includes(`${name}=`)", name)

    def test_layers_are_added_widened_and_removed(self, visit: Visit) -> None:
        page = visit()
        page.click("text=Add a layer")
        until(page, "location.hash.includes('hidden=4,3,3')")
        page.click("[aria-label='One unit more in hidden layer 2']")
        until(page, "location.hash.includes('hidden=4,4,3')")
        typed(page, page.locator("#knobs .widths").get_by_label("Units of hidden layer 1", exact=True), "6")
        page.keyboard.press("Tab")
        until(page, "location.hash.includes('hidden=6,4,3')")
        page.click("[data-knob=hidden] >> text=Remove the last")
        until(page, "location.hash.includes('hidden=6,4&') || location.hash.endsWith('hidden=6,4')")
        assert page.locator(".unit").count() == 2 + 6 + 4 + 1

    def test_other_data_take_a_loss_that_suits_them(self, visit: Visit) -> None:
        page = visit("v=1&loss=hinge")
        page.select_option("#knob-data", "moons")
        until(page, "location.hash === '#v=1&data=moons&loss=hinge'")
        page.select_option("#knob-data", "plane")
        until(page, "location.hash === '#v=1&data=plane'")

    def test_what_follows_at_once_waits_for_what_a_knob_asks_for(self, visit: Visit, play: fc.Playground) -> None:
        page = visit("v=1&rows=20")
        page.select_option("#knob-data", "moons")
        page.click("[data-step=epoch]")
        wait_for_step(page, 2)
        assert play.server.house.session.setup.data == "moons"

    def test_a_wrong_value_is_said_beside_its_knob_and_the_run_stays(self, visit: Visit) -> None:
        page = visit("v=1&data=formula")
        page.click("[data-step=epoch]")
        wait_for_step(page, 14)
        field = page.locator("#knob-formula")
        typed(page, field, "window.alert(1)")
        page.keyboard.press("Enter")
        page.wait_for_selector("#knob-formula-wrong:has-text('cannot be read as a formula')")
        assert field.get_attribute("aria-invalid") == "true"
        assert "knob-formula-wrong" in field.get_attribute("aria-describedby")
        assert step_of(page) == 14

    def test_a_refused_value_does_not_hold_up_other_knobs(self, visit: Visit) -> None:
        page = visit()
        field = page.locator("#knob-learning_rate")
        typed(page, field, "1e9")
        page.keyboard.press("Enter")
        page.wait_for_selector("#refused:has-text('learning_rate'):visible")
        assert page.locator("#knob-learning_rate-wrong").is_visible()
        assert float(field.input_value()) == 1e9
        page.select_option("#knob-data", "spirals")
        until(page, "location.hash === '#v=1&data=spirals'")
        assert page.locator(".wrong:visible, #refused:visible").count() == 0
        assert float(field.input_value()) == Setup.of({}).learning_rate

    def test_what_is_wrong_is_shown_where_its_knobs_are_folded(self, visit: Visit) -> None:
        page = visit("v=1&data=formula", width=390, height=844)
        page.locator("summary", has_text="Training").click()
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        page.evaluate("location.hash = '#v=1&learning_rate=1e9'")
        page.wait_for_selector("#knob-learning_rate-wrong:visible")
        until(
            page,
            """() => { const told = document.getElementById("knob-learning_rate-wrong").getBoundingClientRect()
            const bar = document.getElementById("bar").getBoundingClientRect()
            return told.top >= bar.bottom && told.bottom <= innerHeight }""",
        )

    def test_each_says_what_it_does(self, visit: Visit) -> None:
        page = visit()
        assert page.locator(".says:visible").count() == 0
        page.check("#explain-knobs")
        shown = page.locator("[data-knob]:visible").count()
        assert page.locator(".says:visible").count() == shown
        for input_ in page.locator("[data-knob]:visible input, [data-knob]:visible select").all():
            described = input_.get_attribute("aria-describedby")
            assert page.locator(f"#{described.split()[0]}").text_content()


@one_script
class TestTheAddress:
    def test_it_holds_everything(self, visit: Visit) -> None:
        link = "v=1&data=spirals&rows=150&classes=4&hidden=6,5&activation=relu&optimizer=adam&learning_rate=0.01&at=40"
        one = visit(link)
        wait_for_step(one, 40)
        other = visit(one.evaluate("location.hash.slice(1)"))
        wait_for_step(other, 40)
        titles = [page.get_attribute("#measures div", "title") for page in (one, other)]
        assert titles[0] == titles[1]
        assert one.evaluate("location.hash") == f"#{link}"

    @pytest.mark.in_turn(why="that Python and the page agree on numbers is tested without a browser, too")
    @pytest.mark.parametrize(
        "setup",
        [
            {},
            {"data": "points", "points": [[0.5, -1.25, 3], [1e-7, 2, 0]], "shuffle": False, "residual": True},
            {"data": "formula", "formula": "x1^2 - sin(3*x2) < 0.5 + pi", "hidden": [], "features": ["x2", "x1*x2"]},
            {"data": "table", "columns": "length,width", "target": "species", "learning_rate": 1e-5, "seed": 2**53 - 1},
        ],
    )
    def test_the_page_writes_it_as_python_does(self, visit: Visit, play: fc.Playground, setup: dict[str, Any]) -> None:
        text = Setup.of(setup).address()
        page = visit(text)
        until(page, "text => location.hash === text", f"#{text}")
        assert Setup.from_address(page.evaluate("location.hash"))[0] == Setup.of(setup)

    @pytest.mark.in_turn(why="what is said is the server's, and shown in one place")
    @pytest.mark.parametrize(
        ("link", "said"),
        [
            ("v=9", "this playground reads setups of version 1; got v=9"),
            ("data=no", "data: there is no value 'no'"),
            ("x", "a link has name=value between the signs &, such as v=1"),
            ("rows=1e9", "rows is a whole number from 4 to 2000, such as 200; got 1000000000"),
            ("rows=many", "rows is a whole number from 4 to 2000, such as 200; got 'many'"),
            ("a=%", "a link writes odd characters as % and two digits"),
            ("a=1", "there is no knob 'a'; there are data, rows,"),
            ("at=1.5", "at is the step to train to, a whole number from 0 to 1000000000; got '1.5'"),
            ("data=formula&formula=alert(1)", "formula: alert(1) is not known"),
            ("hidden=;", "hidden: layer 1 has a whole number of units from 1 to 64; got ';'"),
        ],
    )
    def test_a_wrong_one_is_said(self, visit: Visit, link: str, said: str) -> None:
        page = visit(link, lenient=True)
        page.locator("#refused:visible", has_text=said).wait_for()
        page.click("[data-step=batch]")  # and all goes on


class TestThePicture:
    def test_points_are_drawn_by_mouse_and_by_keys(self, visit: Visit) -> None:
        page = visit("v=1&data=points")
        box = page.locator("#ground").bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector("[data-knob=points] >> text=9 points")
        page.focus("#ground")
        page.keyboard.press("2")  # the class
        for key in ("ArrowRight", "Shift+ArrowUp", "ArrowUp", "Enter"):
            page.keyboard.press(key)
        page.wait_for_selector("[data-knob=points] >> text=10 points")
        until(page, "location.hash.split(';').length === 10")
        *_, (x1, x2, t) = setup_of(page).points
        assert (x1 > 0, x2 > 0, t) == (True, True, 2)
        assert page.locator("#legend canvas").count() == 3
        page.keyboard.press("Delete")
        page.wait_for_selector("[data-knob=points] >> text=9 points")
        page.mouse.move(0, 0)
        page.keyboard.down("Shift")
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.keyboard.up("Shift")
        page.wait_for_selector("[data-knob=points] >> text=8 points")

    def test_it_is_read_by_arrow_keys(self, visit: Visit) -> None:
        page = visit()
        page.focus("#ground")
        page.keyboard.press("ArrowLeft")
        assert re.match(r"x1 .*, x2 .*: class 1 with probability .* %", page.inner_text("#reading"))

    def test_a_point_that_is_chosen_shows_its_values(self, visit: Visit) -> None:
        page = visit("v=1&data=points")
        page.select_option("#knob-data", "circles")
        until(page, "location.hash.includes('circles')")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.focus("#ground")
        for _ in range(30):
            page.keyboard.press("Enter")
            page.evaluate("0")
            if asked:  # for the values of a point
                break
            page.keyboard.press("ArrowRight")
        said = page.locator("#reading", has_text="Point")
        said.wait_for()
        assert re.match(r"Point \d+ \((test|training)\), class \d: output .*, loss", said.inner_text())


class TestTheNetwork:
    def test_units_are_reached_by_keys_and_have_all_digits(self, visit: Visit, play: fc.Playground) -> None:
        page = visit()
        page.locator(".unit").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert page.inner_text("#numbers h3") == "Unit 2 of hidden layer 1"
        W = play.server.house.session.stepper.net.params[0].W
        assert [float(text) for text in page.locator("#numbers input").evaluate_all("all => all.map(e => e.value)")][
            :2
        ] == [
            W[0, 1],
            W[1, 1],
        ]

    def test_all_units_are_one_stop_of_tab(self, visit: Visit) -> None:
        page = visit("v=1&hidden=4,3")
        focused = "document.activeElement.dataset.unit"
        stops = "document.querySelectorAll('.unit[tabindex=\"0\"]').length"
        assert page.evaluate(stops) == 1
        page.focus("#network-title")
        page.keyboard.press("Tab")
        assert page.evaluate(focused) == "-1,0"
        for key, unit in {"ArrowDown": "-1,1", "End": "2,0", "ArrowLeft": "1,0", "Home": "-1,0"}.items():
            page.keyboard.press(key)
            assert page.evaluate(focused) == unit
        page.keyboard.press("ArrowRight")
        for key, pressed in {"Space": "true", "Enter": "false"}.items():
            page.keyboard.press(key)
            assert page.get_attribute(".unit[data-unit='0,0']", "aria-pressed") == pressed
        page.keyboard.press("Tab")
        assert page.evaluate(focused) is None
        page.keyboard.press("Shift+Tab")
        assert page.evaluate(focused) == "0,0"
        assert page.evaluate(stops) == 1
        page.set_viewport_size({"width": 900, "height": 900})  # the picture is built anew
        until(page, "document.activeElement.dataset.unit === '0,0'")
        page.select_option("#knob-data", "moons")
        until(page, "location.hash.includes('moons')")
        assert page.evaluate(stops) == 1

    def test_a_weight_is_set(self, visit: Visit, play: fc.Playground) -> None:
        page = visit()
        page.click(".unit[data-unit='1,0']")
        field = page.locator("#numbers input").first
        typed(page, field, "-1.25")
        page.keyboard.press("Enter")
        until(page, "document.querySelector('#numbers input').value === '-1.25'")
        page.click("[data-step=batch]")
        wait_for_step(page, 1)
        page.click("#rewind")
        wait_for_step(page, 0)
        assert play.server.house.session.stepper.net.params[1].W[0, 0] == -1.25

    def test_lines_have_their_numbers(self, visit: Visit) -> None:
        page = visit()
        unit, other = (page.locator(f".unit[data-unit='{at}']").bounding_box() for at in ("-1,0", "0,0"))
        x = (unit["x"] + unit["width"] + other["x"]) / 2
        y = (unit["y"] + other["y"] + unit["height"]) / 2
        page.mouse.move(x, y)
        page.locator(".tip:visible", has_text=re.compile(r"weight -?\d\.\d{6,}")).wait_for()


class TestTakingAway:
    @pytest.mark.only_in("chromium", why="Firefox ESR 140 tells nothing of its downloads")
    def test_everything_can_be(self, visit: Visit) -> None:
        page = visit("v=1&batch_size=2&rows=20")
        page.click("[data-step=epoch]")
        wait_for_step(page, 7)
        for what, name in {"python": "playground.py", "model": "playground.safetensors", "svg": "network.svg"}.items():
            page.click(f"[data-export={what}]")
            with page.expect_download() as download:
                page.click(f"#taken a[download='{name}']")
            assert download.value.path().stat().st_size > 500
        page.click("[data-export=png]")
        with page.expect_download() as download:
            page.click("#taken a")
        assert download.value.path().read_bytes()[:4] == b"\x89PNG"
        page.click("[data-export=link]")
        page.wait_for_selector("#taken >> text=v=1&rows=20")
        assert page.evaluate("navigator.clipboard.readText()") == page.evaluate("location.href")

    def test_the_explanation_of_the_very_step_opens(self, visit: Visit) -> None:
        page = visit("v=1&batch_size=2&rows=20&hidden=2")
        page.click("[data-step=epoch]")
        wait_for_step(page, 7)
        page.click("[data-export=explanation]")
        with page.context.expect_page() as opened:
            page.click("#taken >> text=Open the explanation")
        opened.value.wait_for_load_state()
        assert "Worked example" in opened.value.title() or opened.value.locator("article").count() > 0


class TestLayout:
    @pytest.mark.in_turn(why="axe reads the document, of which each browser makes the same")
    @pytest.mark.parametrize(
        ("link", "dark"),
        # in the dark, one of each kind of target has all colours
        [*((link, False) for link in LINKS), *((link, True) for link in (LINKS if EXHAUSTIVE else LINKS[2:]))],
    )
    def test_axe_finds_nothing(self, visit: Visit, axe: Any, link: str, dark: bool) -> None:
        page = visit(link, dark=dark)
        page.click("[data-step=sample]")
        page.wait_for_selector("#phase:has-text('Sample 1')")
        page.click(".unit[data-unit='0,1']")
        page.click("[data-export=python]")
        page.wait_for_selector("#taken pre")
        page.check("#explain-knobs")
        assert axe(page, "of colours" if dark else "all") == []  # in the dark only colours differ

    @pytest.mark.in_turn(why="each page is laid out by both browsers, and each width by one for each page")
    @pytest.mark.parametrize("width", [320, 390, 600, 768, 1024, 1280, 1920])
    @pytest.mark.parametrize("link", ["v=1&data=table", "v=1&data=spirals&hidden=16,8,8,4,4,2,2,2&classes=6"])
    def test_nothing_sticks_out_or_overlaps(
        self, visit: Visit, overflow: Any, overlaps: Any, link: str, width: int
    ) -> None:
        page = visit(link, width=width)
        page.click("[data-step=epoch]")
        page.click(".unit[data-unit='0,1']")
        page.click("[data-export=python]")
        page.wait_for_selector("#taken pre")
        assert overflow(page) == []
        assert overlaps(page, "#bar button, #bar input, #bar output") == []
        assert overlaps(page, "#knobs label, #knobs input:not(.chip input), #knobs select, #knobs button") == []
        assert overlaps(page, "main > *") == []
        assert overlaps(page, ".unit") == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    @pytest.mark.in_turn(why="the words stand beside what each browser draws, narrow in one and wide in the other")
    @pytest.mark.parametrize("width", [320, 1280])
    def test_an_empty_chart_says_what_it_will_show(self, visit: Visit, width: int) -> None:
        page = visit("v=1&data=hills", width=width)
        said = page.locator(".charts .empty:visible")
        assert said.all_inner_texts() == [
            f"Run, or make a step: the {what} of each step is drawn here."
            for what in ("loss", "R\u00b2", "learning rate", "length of the gradient")
        ]
        for i in range(4):
            text, chart = said.nth(i).bounding_box(), page.locator(".charts canvas").nth(i).bounding_box()
            assert chart["x"] + 50 <= text["x"]
            assert text["x"] + text["width"] <= chart["x"] + chart["width"]
            assert chart["y"] <= text["y"]
            assert text["y"] + text["height"] <= chart["y"] + chart["height"] - 18
        page.click("[data-step=batch]")
        until(page, "document.querySelectorAll('.charts .empty:not([hidden])').length === 0")
        page.select_option("#knob-data", "moons")
        page.locator(".charts .empty:visible", has_text="the accuracy of each step").wait_for()

    def small(self, page: Any, least: int) -> list[str]:
        """Return the controls that are smaller; a box within its label counts with it."""
        return page.evaluate(
            """least => [...document.querySelectorAll("input, button, select, summary")]
            .filter(each => each.offsetParent && !each.matches(".unit"))
            .map(each => [each, (each.closest("label") ?? each).getBoundingClientRect()])
            .filter(([, box]) => box.width < least || box.height < least)
            .map(([each, box]) => `${each.outerHTML.slice(0, 90)} ${box.width} x ${box.height}`)""",
            least,
        )

    @pytest.mark.in_turn(why="between them the two have all controls, whose sizes are those of one style")
    @pytest.mark.parametrize("link", ["v=1&data=table", "v=1&data=points&schedule=step&optimizer=adamw"])
    def test_every_control_can_be_hit(self, visit: Visit, link: str) -> None:
        for width in (390, 1280):
            assert self.small(visit(link, width=width), 24) == []

    @pytest.mark.only_in("chromium", why="Firefox shows a page as for fingers by a setting of its own alone")
    @pytest.mark.parametrize("link", ["v=1&data=table", "v=1&data=points&schedule=step&optimizer=adamw"])
    def test_every_control_can_be_hit_by_a_finger(self, visit: Visit, overflow: Any, overlaps: Any, link: str) -> None:
        page = visit(link, width=390, height=844, touch=True)
        assert page.evaluate("matchMedia('(pointer: coarse)').matches")
        small = self.small(page, 44)
        in_bar = [each for each in small if "data-step" in each or re.search('id="(rewind|run|pace|seek|skip)"', each)]
        boxes = [each for each in small if 'type="checkbox"' in each]  # whose label beside them is 44 px high
        assert set(small) == {*in_bar, *boxes}
        assert self.small(page, 30) == []
        assert page.evaluate("document.getElementById('bar').offsetHeight") < 844 / 4
        assert overflow(page) == []
        assert overlaps(page, "#knobs label, #knobs input:not(.chip input), #knobs select, #knobs button") == []
        assert overlaps(page, "#bar button, #bar input, #bar output") == []

    @pytest.mark.only_in("chromium", why="in Firefox, what a test sets in a document is not seen by the page's scripts")
    def test_a_picture_that_moves_little_is_shown_where_that_is_wanted(self, visit: Visit) -> None:
        page = visit(reduced_motion=True)
        page.evaluate(
            """() => { window.drawn = 0; window.began = performance.now()
            const put = CanvasRenderingContext2D.prototype.putImageData
            CanvasRenderingContext2D.prototype.putImageData = function (...all) {
              if (this.canvas.width === 80) drawn++
              return put.apply(this, all) } }"""
        )
        page.click("#run")
        page.wait_for_timeout(2000)
        drawn, seconds = page.evaluate("[drawn, (performance.now() - began) / 1000]")
        assert 1 <= drawn <= 2 * seconds + 1
        pause(page)


@one_script
class TestServersThatGo:
    def test_the_page_says_so_and_goes_on_with_what_it_showed(self, visit: Visit) -> None:
        server = Server(house_of(None, None, {}, framed=False))
        server.start()
        page = visit("v=1&data=circles&hidden=5", server=server, lenient=True)
        go_epochs(page, 3)
        loss = page.get_attribute("#measures div", "title")
        server.stop()
        page.wait_for_selector("#gone:has-text('does not answer')")
        page.click("[data-step=epoch]")  # which must not break anything
        again = Server(house_of(None, None, {}, framed=False), server.port, server.token)
        again.start()
        try:
            page.wait_for_selector("#gone", state="hidden", timeout=30_000)
            wait_for(lambda: again.house.session.stepper.step == 42)  # the page may show the 42 of the old one still
            wait_for_step(page, 42)
            until(page, "was => document.querySelector('#measures div').title === was", loss)
            assert again.house.session.setup.hidden == (5,)
            page.click("[data-step=epoch]")
            wait_for_step(page, 56)
        finally:
            again.stop()

    def test_another_server_at_the_port_is_told_apart(self, visit: Visit) -> None:
        server = Server(house_of(None, None, {}, framed=False))
        server.start()
        page = visit("v=1&data=circles", server=server, lenient=True)
        page.click("#run")
        page.wait_for_selector("#run[aria-pressed=true]")
        server.stop()
        page.wait_for_selector("#gone:has-text('does not answer')")
        page.wait_for_selector("#run[aria-pressed=false]:has-text('Run')")
        other = Server(house_of(None, None, {}, framed=False), server.port)
        other.start()
        try:
            page.wait_for_selector("#gone:has-text('Another playground runs at this port')")
            assert "#v=1&data=circles" in page.inner_text("#gone")
            page.click("[data-step=epoch]")  # whatever is asked for
            page.wait_for_selector("#gone:has-text('Another playground runs at this port')")
        finally:
            other.stop()

    @pytest.mark.only_in(
        "chromium", why="Firefox opens both as tabs of one window, and the one behind asks for nothing"
    )
    def test_two_pages_show_the_same(self, visit: Visit) -> None:
        one, other = visit(), visit()
        one.select_option("#knob-data", "moons")
        until(other, "document.getElementById('knob-data').value === 'moons'")
        other.click("[data-step=epoch]")
        wait_for_step(one, 14)

    @pytest.mark.only_in("chromium", why="in Firefox, what a test sets in a document is not seen by the page's scripts")
    def test_a_hidden_page_asks_for_nothing(self, visit: Visit, play: fc.Playground) -> None:
        page = visit()
        page.evaluate(
            """() => { Object.defineProperty(document, "hidden", {value: true, configurable: true})
            document.dispatchEvent(new Event("visibilitychange")) }"""
        )
        house = play.server.house
        wait_for(lambda: house.streams == 0)
        page.evaluate(
            """() => { Object.defineProperty(document, "hidden", {value: false, configurable: true})
            document.dispatchEvent(new Event("visibilitychange")) }"""
        )
        wait_for(lambda: house.streams == 1)


def test_a_wrong_token_is_said(browser: Any, play: fc.Playground) -> None:
    context = browser.new_context()
    page = context.new_page()
    answer = page.goto(play.url.replace(play.server.token, "x" * 32))
    assert answer.status == 403
    assert "with its token" in page.inner_text("body")
    context.close()


def test_another_page_cannot_reach_it(browser: Any, play: fc.Playground) -> None:
    """A page elsewhere that even knows the token can neither command nor read."""
    with fc.playground() as elsewhere:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{elsewhere.url}playground.css")  # a document of another origin, without a policy in the way
        tried = page.evaluate(
            """async url => { try { await fetch(url + "command", {method: "POST", body: '{"do":"run"}',
            headers: {"content-type": "text/plain"}, mode: "no-cors"}) } catch {}
            try { return (await fetch(url + "hello")).status } catch { return "refused" } }""",
            play.url,
        )
        assert tried == "refused"
        assert not play.server.house.session.running
        context.close()
