"""The page of a worked example in a real browser: by keyboard, by mouse, without script, narrow, dark, on paper."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.explanation import Explanation, explain
from fullyconnected.explanation.samples import xor
from fullyconnected.symbolic.digits import brief
from tests.browser.watching import one_script, until, until_address


def examples() -> dict[str, Explanation]:
    rng = np.random.default_rng(0)
    small = fc.mlp([2, 2, 2], activation="sigmoid", dtype="float64", seed=0)
    deep = fc.Network(
        [
            fc.Dense(3, 4, "relu"),
            fc.LayerNorm(),
            fc.Residual([fc.Dense(4, 4, "tanh")]),
            fc.Dropout(0.2),
            fc.Dense(4, 3),
        ],
        seed=0,
    )
    layers = fc.mlp([4, 8, 8, 3], seed=0)
    wide = fc.mlp([784, 64, 10], seed=0)
    broken = fc.mlp([2, 3, 1], activation="exp", seed=0)
    broken.theta = np.full(broken.n_params, 200.0)
    x = rng.normal(size=(2, 3))
    net, *data, how = xor()
    return {
        "small": explain(small, [[0.05, 0.1]], [[0.01, 0.99]], "half_squared_error", fc.SGD(0.5)),
        "xor": explain(net, *data, **{**how, "optimizer": fc.Adam(0.1)}),
        "deep": explain(deep, x, [0, 1], "softmax_cross_entropy", fc.SGD(), focus="dense_1.W[0,1]", train=True),
        "layers": explain(layers, rng.normal(size=(5, 4)), [0, 1, 2, 1, 0], "softmax_cross_entropy", fc.SGD()),
        "wide": explain(wide, rng.normal(size=(12, 784)), [3] * 12, "softmax_cross_entropy"),
        "not finite": explain(broken, [[1.0, 1.0]], [[0.0]], "half_squared_error"),
    }


EXAMPLES = examples()
PAGES = {name: example.to_html() for name, example in EXAMPLES.items()}
PAGES["chinese"] = EXAMPLES["deep"].to_html("zh")
SMALL, XOR = PAGES["small"], PAGES["xor"]
LEFT, FIRST = "dense_1.y[0,1]", "dense_1.y[0,0]"


@pytest.fixture
def still(open_page: Any) -> Any:
    """Return what opens pages that do not play by themselves."""
    return lambda page, **how: open_page(page, **{"reduced_motion": True, **how})


def wait(page: Any, until: Callable[[], bool]) -> None:
    """Wait for something; a page's own policy forbids what Playwright would evaluate again and again."""
    for _ in range(200):
        if until():
            return
        page.wait_for_timeout(50)
    assert until()


def follow(page: Any, link: str) -> None:
    """Go to a place within the page; the page hears of it only after Playwright's goto has returned."""
    page.evaluate(
        """link => new Promise(done => {
            if (location.hash === link) return done();
            addEventListener("hashchange", () => done(), { once: true });
            location.hash = link;
        })""",
        link,
    )


def at(page: Any) -> str:
    return page.locator("#at").text_content()


def last(page: Any) -> str:
    return str(page.locator("article").count())


def step_of(name: str, quantity: str) -> int:
    """Return the number of the step that computes a quantity."""
    return next(step.number for step in EXAMPLES[name].trace.steps if step.equation.left.quantity == quantity)


# --- what it looks like ----------------------------------------------------------------------------------------------


# Colours take axe nearly all of its time: it looks for them in all of a short page, and in an eighth of the steps of a
# long one, which are alike; in the dark only they differ. .ci/nightly has all of each page.
@pytest.mark.only_in("chromium", why="axe reads the document, of which each browser makes the same")
@pytest.mark.parametrize(("name", "dark"), [*((name, False) for name in PAGES), ("small", True), ("not finite", True)])
def test_axe_finds_nothing(still: Any, axe: Any, name: str, dark: bool) -> None:
    page = still(PAGES[name], dark=dark)
    if name in ("small", "not finite"):
        assert axe(page, "of colours" if dark else "all") == []
    else:
        assert axe(page, "but of colours") == []
    if name in ("xor", "deep", "wide"):
        page.evaluate("document.querySelectorAll('article').forEach((step, i) => i % 8 && step.remove())")
        assert axe(page, "of colours") == []


@pytest.mark.parametrize("width", [320, 1280])
def test_no_digit_is_lost_in_a_matrix(still: Any, width: int) -> None:
    page = still(PAGES["deep"], width=width)
    cut = """all => { const words = document.createElement("canvas").getContext("2d"), place = document.createRange();
        return all.filter(e => { words.font = getComputedStyle(e).font; place.selectNodeContents(e);
            return place.getBoundingClientRect().width < words.measureText(e.textContent).width - 2 })
            .map(e => e.textContent) }"""
    assert page.locator("article mtd mn").count() > 100
    assert page.locator("article mn").evaluate_all(cut) == []  # a line that is broken within a number shows its half


@pytest.mark.in_turn(why="each page and each width is laid out by both browsers")
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [320, 800, 1280, 1920])
def test_nothing_sticks_out_and_no_labels_overlap(
    still: Any, overflow: Any, overlaps: Any, name: str, width: int
) -> None:
    page = still(PAGES[name], width=width)
    for _ in range(2):  # before the first result, and with all of them
        assert overflow(page) == []
        assert overlaps(page, "figure svg text") == []
        page.keyboard.press("End")


@one_script
def test_huge_and_tiny_numbers_stay_within_their_fields(still: Any, overlaps: Any) -> None:
    net = fc.mlp([3, 2], dtype="float64", seed=0)
    net.theta = np.resize([1e-300, -1.23456e-105, 2.3456e-200, -1.234567e-105, 9.87e300], net.n_params)
    x, t = [[-1.2345678e-105, 1.23456e-100, -1.2345678e-305], [1, 2, 3]], [[-1.2345e-105, 1], [2, -1.2345e-105]]
    page = still(explain(net, x, t, "half_squared_error", fc.SGD(0.001)).to_html())
    # Firefox makes the box of a text larger by one px to each side, as look.js knows
    read = """all => all.map(e => [e.textContent,
        e.getBoundingClientRect().width - (navigator.userAgent.includes("Firefox") ? 2 : 0)])"""
    for row, key in ((0, "Home"), (0, "End"), (1, "Home"), (1, "End"), (0, "Home")):
        page.locator(f"input[name=row][value='{row}']").check()
        page.locator("#panel h3").click()  # so that keys are the page's
        page.keyboard.press(key)
        texts = page.locator("#picture text[data-q]").evaluate_all(read)
        assert any(len(text) == 10 for text, _ in texts)
        for text, wide in texts:
            assert wide <= 57.4, text  # the width of a weight's field
            assert len(text) > 8 or wide <= 7 * len(text) + 1, text  # nor is a short one stretched
        assert overlaps(page, "figure svg text") == []


@pytest.mark.in_turn(why="each page and each width is laid out by both browsers")
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844), (1920, 1080)])
@pytest.mark.parametrize("name", ["small", "xor", "deep", "layers", "wide"])
def test_picture_step_and_buttons_are_seen_together(still: Any, name: str, width: int, height: int) -> None:
    page = still(PAGES[name], width=width, height=height)
    follow(page, "#step=3")
    place = {part: page.locator(f"#{part}").bounding_box() for part in ("picture", "panel", "controls")}
    assert place["picture"]["height"] <= 0.6 * height
    assert place["picture"]["y"] >= 0
    assert place["picture"]["y"] + place["picture"]["height"] <= place["panel"]["y"] + 1
    assert place["panel"]["y"] < height - place["controls"]["height"] - 60  # the formula is in view
    assert place["controls"]["y"] + place["controls"]["height"] <= height + 1
    page.evaluate("scrollBy(0, 60)")  # the buttons stay, and the picture
    assert page.locator("#controls").bounding_box()["y"] < height
    assert page.locator("#picture").bounding_box()["y"] >= -1


@pytest.mark.in_turn(why="each page is laid out by one of the browsers, and others of its kind by the other")
@pytest.mark.parametrize("name", ["small", "xor"])
def test_the_first_step_is_seen_below_the_story(still: Any, name: str) -> None:
    page = still(PAGES[name])
    formula, controls = (page.locator(place).bounding_box() for place in ("#panel .formula", "#controls"))
    assert formula["y"] + formula["height"] <= controls["y"]
    assert page.locator("#story tbody tr").last.is_visible()


@pytest.mark.in_turn(why="each page and each width is laid out by both browsers")
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
@pytest.mark.parametrize("name", ["xor", "deep", "layers", "wide", "chinese"])
def test_the_story_leads_to_the_steps(still: Any, name: str, width: int, height: int) -> None:
    page = still(PAGES[name], width=width, height=height)
    link = page.locator("#story .go")
    box = link.bounding_box()
    assert box["y"] + box["height"] <= page.locator("#controls").bounding_box()["y"]
    assert last(page) in link.text_content()
    page.keyboard.press("ArrowRight")
    link.click()
    assert at(page) == "1"
    title, controls = page.locator("#panel h3").bounding_box(), page.locator("#controls").bounding_box()
    assert 0 < title["y"] < title["y"] + title["height"] <= controls["y"]


@one_script
def test_the_contents_lead_to_each_section_and_say_where_one_is(still: Any) -> None:
    page = still(SMALL, width=390)
    names = page.locator("#bar a").evaluate_all("all => all.map(a => a.hash.slice(1))")
    sections = page.locator("section[id]").evaluate_all("all => all.map(s => s.id)")
    assert names == sections
    for name in ("check", "steps", "story"):
        page.locator(f"#bar a[href='#{name}']").click()
        wait(page, lambda name=name: page.locator(f"#bar a[href='#{name}'][aria-current]").count() == 1)
        assert 0 <= page.locator(f"#{name} h2").bounding_box()["y"] < 422


# --- the story -------------------------------------------------------------------------------------------------------


@one_script
def test_it_opens_with_what_the_network_says_and_what_was_wanted(still: Any) -> None:
    page, trace = still(XOR), EXAMPLES["xor"].trace
    rows = page.locator("#story tbody tr")
    assert rows.count() == 4
    for i, line in enumerate(rows.all()):
        said = [cell.inner_text() for cell in line.locator("td").all()]
        assert float(said[1]) == pytest.approx(trace.predicted[i, 0], rel=5e-3)
        assert float(said[2]) == trace.wanted[i, 0]
        assert float(said[3]) == pytest.approx(trace.losses[i], rel=5e-3)
    said = page.locator("#story").inner_text()
    assert brief(trace.loss) in said
    assert brief(trace.loss_after) in said


@one_script
def test_the_first_row_that_is_shown_has_no_zeros_and_another_can_be_chosen(still: Any) -> None:
    page = still(XOR)
    unit = page.locator("#picture text[data-q^='dense_1.y[']").first
    trace = EXAMPLES["xor"].trace
    y = trace.values[trace.wires[2]]
    follow(page, "#step=14")  # before the update
    assert page.locator("input[name=row]:checked").input_value() == "3"  # (1, 1)
    assert float(unit.text_content()) == pytest.approx(y[3, 0], rel=5e-3)
    page.locator("input[name=row][value='1']").check()
    assert float(unit.text_content()) == pytest.approx(y[1, 0], rel=5e-3)
    assert unit.get_attribute("data-q") == "dense_1.y[1,0]"
    address = until_address(page, "#step=14&row=1")
    assert "row 1" in page.locator("#readout").text_content()
    page.goto("about:blank")
    page.goto(address)
    assert page.locator("input[name=row]:checked").input_value() == "1"
    assert float(page.locator("#picture text[data-q^='dense_1.y[']").first.text_content()) == pytest.approx(
        y[1, 0], rel=5e-3
    )


@pytest.mark.in_turn(why="the words are put there by the same script")
@pytest.mark.parametrize(("lang", "said"), [("en", "row {} of 4"), ("zh", "第 {} 行，共 4 行")])
def test_the_picture_says_which_row_it_shows_in_every_language(still: Any, lang: str, said: str) -> None:
    page = still(EXAMPLES["xor"].to_html(lang))
    heading = page.locator("#picture text[data-kind=row]")
    assert heading.text_content() == said.format(3)
    for row in (1, 0):
        page.locator(f"input[name=row][value='{row}']").check()
        assert heading.text_content() == said.format(row)


@one_script
def test_a_beginners_questions_are_answered_with_the_numbers_of_the_record(still: Any) -> None:
    page, example = still(XOR), EXAMPLES["xor"]
    said = page.locator("#answers").inner_text()
    slopes = {n: a for n, a in example.trace.values.items() if n.of == "L" and n.letter in "Wb"}
    name = max(slopes, key=lambda n: abs(slopes[n]).max())
    at_most = np.unravel_index(abs(slopes[name]).argmax(), slopes[name].shape)
    weight = f"{name.letter}{name.index}[{','.join(map(str, at_most))}]"
    assert weight in said
    page.locator("#answers a").nth(0).click()
    assert page.locator("#panel").is_visible()
    assert at(page) == str(step_of("xor", name.quantity))
    assert page.locator("#panel .marked").count() >= 1
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator("#answers a").nth(0).click()  # the address has that step already
    box = page.locator("#panel h3").bounding_box()
    assert 0 <= box["y"] < 900


# --- the picture takes part ------------------------------------------------------------------------------------------


@pytest.mark.in_turn(why="the numbers are put there by the same script")
def test_numbers_appear_in_the_picture_as_they_are_computed(still: Any) -> None:
    page = still(XOR)
    texts = page.locator("#picture text[data-q]")
    seen = (
        """all => all.filter(e => getComputedStyle(e).visibility === "visible").map(e => e.dataset.q.split("[")[0])"""
    )
    before, same = "", []
    for step in EXAMPLES["xor"].trace.steps:
        shown = set(texts.evaluate_all(seen))
        known = {s.equation.left.quantity for s in EXAMPLES["xor"].trace.steps[: step.number]}
        computed = {s.equation.left.quantity for s in EXAMPLES["xor"].trace.steps}
        assert not {q for q in shown if q in computed and q not in known}
        look = page.locator("#picture svg").evaluate(
            "svg => [...svg.querySelectorAll('[data-q]')].map(e => e.getAttribute('class') + e.textContent).join()"
        )
        if look == before:
            same.append(step.name)
        before = look
        page.keyboard.press("ArrowRight")
    assert all(name.startswith("v_") for name in same)  # a second memory of the same weight, after its first


@one_script
def test_result_operands_and_the_lines_in_play_are_told_apart(still: Any) -> None:
    page = still(XOR)
    names = "all => [...new Set(all.map(e => e.dataset.q.split('[')[0]))].sort()"
    assert page.locator("#picture text.now").evaluate_all(names) == ["dense_1.z"]
    assert page.locator("#picture text.in").evaluate_all(names) == ["dense_1.W", "dense_1.b", "x"]
    assert page.locator("#picture .live").evaluate_all(names) == ["dense_1.W", "dense_1.b"]
    assert page.locator("#picture .live.back").count() == 0
    assert page.locator("#panel .now").evaluate_all(names) == ["dense_1.z"]
    follow(page, f"#step={step_of('xor', 'dL:dense_2.W')}")
    assert page.locator("#picture text.now").evaluate_all(names) == ["dL:dense_2.W"]
    assert page.locator("#picture .live.back").evaluate_all(names) == ["dense_2.W"]


@one_script
def test_after_the_update_the_picture_has_the_new_weights(still: Any) -> None:
    page, trace = still(XOR), EXAMPLES["xor"].trace
    weight = page.locator("#picture text[data-q='dense_1.W[0,0]']")
    old = float(weight.text_content())
    page.keyboard.press("End")
    new = next(a for n, a in trace.values.items() if n.quantity == "dense_1.W_new")
    assert float(weight.text_content()) == pytest.approx(new[0, 0], rel=5e-3) != old
    page.keyboard.press("Home")
    assert float(weight.text_content()) == old


@pytest.mark.in_turn(why="the numbers are put there by the same script")
@pytest.mark.parametrize("notation", ["xW", "Wx"])
def test_lines_and_marks_of_matrices_are_those_of_the_new_weights(still: Any, notation: str) -> None:
    net = fc.mlp([2, 8, 8, 1], activation="tanh", dtype="float64", seed=0)
    x, t = np.random.default_rng(0).normal(size=(2, 4, 2))
    loss = "half_squared_error"
    example = explain(net, x, t[:, :1], loss, fc.SGD(8.0), notation=notation)
    known = {name.quantity: array for name, array in example.trace.values.items()}
    page = still(example.to_html())

    def entries(quantity: str, new: str = "") -> float:
        name, _, at = quantity.partition("[")
        return float(known[name + new][tuple(map(int, at.rstrip("]").split(",")))])

    def assert_thick(new: str) -> None:
        lines = page.locator("#picture [data-kind=weight]")
        widths = lines.evaluate_all("all => all.map(e => [e.dataset.q, parseFloat(getComputedStyle(e).strokeWidth)])")
        largest = max(abs(entries(q)) for q, _ in widths)
        assert len(widths) > 80
        for q, wide in widths:
            assert wide == pytest.approx(0.8 + 2.7 * min(1, abs(entries(q, new)) / largest), abs=0.06), q

    def assert_marked(new: str) -> None:
        # each mark, and the entry that it is in
        read = """all => all.flatMap(matrix => [...matrix.querySelectorAll(":scope > g path")].flatMap(mark =>
            (mark.getAttribute("d") || "").split("M").slice(1).map(part => {
                const [x, y, side] = part.match(/[\\d.]+/g).map(Number);
                const cell = [...matrix.querySelectorAll("path[data-q]")].find(cell => {
                    const [left, top] = cell.getAttribute("d").match(/[\\d.]+/g).map(Number);
                    return Math.abs(x + side / 2 - left - 5.75) < 1 && Math.abs(y + side / 2 - top - 5.75) < 1;
                });
                return [cell.dataset.q, mark.getAttribute("fill") === "none", side];
            })))"""
        marks = page.locator("#picture [data-largest]").evaluate_all(read)
        assert len({q for q, *_ in marks}) == len(marks) == 8 * 8 + 8
        assert any(q.startswith("dense_2.b[") for q, *_ in marks)
        every = np.concatenate([known["dense_2.W"].ravel(), known["dense_2.b"].ravel()])
        for q, hollow, side in marks:
            value = entries(q, new)
            assert hollow == (value < 0), q
            half = max(0.6, 5 * min(1, abs(value) / np.abs(every).max()) ** 0.5) - 0.6 * hollow
            assert side == pytest.approx(2 * max(0.4, half), abs=0.21), q

    assert_thick("")
    assert_marked("")
    assert any(entries(f"dense_2.W[{i},{j}]") * entries(f"dense_2.W[{i},{j}]", "_new") < 0 for i, j in np.ndindex(8, 8))
    page.keyboard.press("End")
    assert_thick("_new")
    assert_marked("_new")
    page.keyboard.press("Home")
    assert_thick("")
    assert_marked("")


def test_nothing_moves_when_other_numbers_are_shown(still: Any) -> None:
    page = still(XOR)
    page.keyboard.press("End")
    where = "all => all.map(e => { const r = e.getBoundingClientRect(); return [r.left, r.top] })"
    before = page.locator("#picture [data-unit]").evaluate_all(where)
    for choice in ("values", "gradients", "both", "auto"):
        page.select_option("#show", choice)
        assert page.locator("#picture [data-unit]").evaluate_all(where) == before
    page.select_option("#show", "values")
    hidden = page.locator("#picture [data-layer=gradients] text").first
    assert hidden.evaluate("e => getComputedStyle(e).visibility") == "hidden"


def test_units_are_walked_through_with_the_arrow_keys_and_read_out(still: Any) -> None:
    page = still(XOR)
    page.keyboard.press("End")
    inputs = page.locator("#picture [data-unit][tabindex='0']")
    assert inputs.count() == 1
    inputs.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert at(page) == last(page)  # the step stays
    focused = page.evaluate("document.activeElement.dataset.q")
    assert focused.startswith("dense_2.y[") or focused.startswith("dense_1.y[")
    digits = page.locator("#readout").text_content()
    assert re.search(r"\d\.\d{6,}", digits), "all digits are read out"
    page.keyboard.press("Enter")
    assert page.locator(f"#picture .marked[data-q='{focused}']").count() >= 1
    assert page.locator("#picture [data-unit][tabindex='0']").count() == 1


def test_pointing_at_a_number_tells_all_of_its_digits(still: Any) -> None:
    page = still(XOR)
    follow(page, "#step=15")
    page.locator("#picture text[data-q='dense_1.W[0,0]']").hover()
    trace = EXAMPLES["xor"].trace
    W, slope = (next(a for n, a in trace.values.items() if n.quantity == q) for q in ("dense_1.W", "dL:dense_1.W"))
    said = page.locator("#readout").text_content()
    assert f"{W[0, 0]:.6f}"[:-1] in said
    assert f"{slope[0, 0]:.6f}"[:-1] in said
    page.keyboard.press("End")  # after the update, the number that stands there is the new one
    page.locator("#picture text[data-q='dense_1.W[0,1]']").hover()
    page.locator("#picture text[data-q='dense_1.W[0,0]']").hover()
    assert "W1_new[0,0]" in page.locator("#readout").text_content()


# --- playing ---------------------------------------------------------------------------------------------------------


@one_script
def test_it_plays_by_itself_until_a_reader_takes_over(open_page: Any) -> None:
    page = open_page(SMALL, height=2000)
    wait(page, lambda: at(page) != "1")
    assert page.get_by_role("button", name="Pause").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("button", name="Play").is_visible()
    number = at(page)
    page.wait_for_timeout(2500)
    assert at(page) == number


@one_script
def test_it_does_not_start_by_itself_where_motion_is_unwelcome_or_a_step_was_asked_for(open_page: Any) -> None:
    still = open_page(SMALL, height=2000, reduced_motion=True)
    asked = open_page(SMALL, height=2000)
    follow(asked, "#step=2")
    asked.reload()
    asked.wait_for_timeout(2500)
    assert (at(still), at(asked)) == ("1", "2")


@one_script
def test_the_speed_can_be_set_and_playing_ends_at_the_last_step(still: Any) -> None:
    page = still(SMALL, height=2000)
    page.select_option("#speed", "4")
    follow(page, f"#step={int(last(page)) - 2}")
    page.get_by_role("button", name="Play").click()
    wait(page, lambda: at(page) == last(page))
    page.get_by_role("button", name="Play").wait_for()
    page.keyboard.press("Home")
    page.keyboard.press(" ")  # at the button it is its own key; elsewhere it plays
    wait(page, lambda: at(page) != "1")


# --- the step --------------------------------------------------------------------------------------------------------


def test_arrow_keys_move_the_step_and_the_address_holds_it(still: Any) -> None:
    page = still(SMALL)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert at(page) == "3"
    until_address(page, "#step=3")
    assert "dense_2" in page.locator("#panel h3").text_content()
    page.keyboard.press("End")
    assert at(page) == last(page)
    page.keyboard.press("ArrowRight")  # there is nothing after the last step
    assert at(page) == last(page)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert at(page) == "1"


@one_script
def test_an_address_opens_its_step_with_its_number_marked(still: Any) -> None:
    page = still(SMALL)
    follow(page, "#step=7&q=dense_2.W%5B0%2C1%5D")
    assert at(page) == "7"
    assert page.locator("#find").input_value() == "W2[0,1]"
    for mistyped, step in {
        "none&q=nothing": "1",
        "2.5": "2",
        "-3": "1",
        "1e99": last(page),
        "%E0%A4%A&q=%": "1",
    }.items():
        follow(page, f"#step={mistyped}&row=77")
        assert at(page) == step
        assert page.locator(".marked").count() == 0


@one_script
def test_an_address_of_a_number_alone_opens_the_step_where_it_begins(still: Any) -> None:
    page = still(XOR)
    for quantity, step in {
        "dense_2.W[0,0]": 3,  # is given, and read there
        "dL:dense_2.W[0,0]": step_of("xor", "dL:dense_2.W"),
        "dense_1.W_new[0,1]": step_of("xor", "dense_1.W_new"),
        "L": step_of("xor", "L"),
    }.items():
        follow(page, f"#q={quantity}")
        assert at(page) == str(step)
        assert page.locator(f".marked[data-q='{quantity}']").count() >= 1
    follow(page, "#q=nothing")
    assert at(page) == str(step_of("xor", "L"))
    follow(page, "#row=2")
    assert page.locator("input[name=row]:checked").input_value() == "2"


@pytest.mark.in_turn(why="each width is laid out by one of the browsers")
@pytest.mark.parametrize("width", [1280, 400])
def test_an_address_shows_the_panel_and_a_link_within_the_page_keeps_the_step(still: Any, width: int) -> None:
    page = still(SMALL, width=width)
    address = until_address(page, ".html") + "#step=3"
    page.goto("about:blank")
    page.goto(address)
    assert page.locator("#panel h3").bounding_box()["y"] < 900
    page.locator("#bar a[href='#steps']").click()
    wait(page, lambda: page.locator("#steps").bounding_box()["y"] < 200)
    assert at(page) == "3"


def test_the_slider_and_the_buttons_move_the_step(still: Any) -> None:
    page = still(SMALL)
    slider = page.locator("#slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert at(page) == "2"
    assert slider.get_attribute("aria-valuetext").startswith("2 Forward")
    page.get_by_role("button", name="Next step").click()
    assert at(page) == "3"
    page.get_by_role("button", name="Last step").click()
    page.get_by_role("button", name="Previous step").click()
    assert at(page) == str(int(last(page)) - 1)
    page.get_by_role("button", name="Backward").click()
    assert page.locator("#panel h3").text_content().split()[1] == "Backward"


# --- one number everywhere -------------------------------------------------------------------------------------------


@one_script
def test_choosing_a_number_marks_the_same_quantity_everywhere(still: Any) -> None:
    page = still(SMALL)
    page.locator(f'article mn[data-q="{LEFT}"]').first.click()
    marked = page.locator(".marked")
    names = marked.evaluate_all("all => [...new Set(all.map(e => e.dataset.q))]")
    assert sorted(names) == ["dense_1.y", LEFT]  # where an array stands as a whole, in the computation, the whole
    assert page.locator(f'.marked[data-q="{LEFT}"]').count() == page.locator(f'[data-q="{LEFT}"]').count() > 5
    assert marked.locator("xpath=ancestor::*[local-name()='svg']").count() > 0  # in the pictures, too
    until(page, "location.href.includes('q=dense_1.y')")
    page.keyboard.press("ArrowRight")  # a mark stays when the step moves on
    assert page.locator("#find").input_value() == "y1[0,1]"
    page.locator(f'article mn[data-q="{LEFT}"]').first.click()
    assert marked.count() == 0


@one_script
def test_an_array_in_the_computation_is_marked_by_all_of_its_numbers(still: Any) -> None:
    page = still(SMALL)
    page.locator("#graph text[data-q='dense_1.W']").first.click()
    names = page.locator(".marked").evaluate_all("all => [...new Set(all.map(e => e.dataset.q))].sort()")
    assert names == ["dense_1.W", *(f"dense_1.W[{i},{j}]" for i in range(2) for j in range(2))]


@one_script
def test_a_number_is_found_by_its_name_and_by_its_digits(still: Any) -> None:
    page = still(SMALL)
    for wanted in ("dL/dW2[1,0]", "0.99"):
        page.locator("#find").focus()
        page.keyboard.press("Control+A")
        page.locator("#find").press_sequentially(wanted)
        page.keyboard.press("Enter")
        assert page.locator(".marked").count() >= 1
        assert "places" in page.locator("#said").text_content()
    until_address(page, "q=t%5B0%2C1%5D")
    page.keyboard.press("Control+A")
    page.locator("#find").press_sequentially("no such number")
    page.keyboard.press("Enter")
    assert "no such number" in page.locator("#said").text_content()


# --- without script, on paper, and what is not shown ----------------------------------------------------------------


def test_everything_is_there_without_script(open_page: Any) -> None:
    page = open_page(SMALL, script=False)
    text = page.locator("main").inner_text()
    for summary in page.locator("details summary").all():
        summary.click(force=True)  # without scripts, a browser cannot say whether it moves
    assert page.locator("article:visible").count() == len(EXAMPLES["small"].trace.steps) > 20
    assert page.locator("table.check tbody tr:visible").count() == 14 + 5  # each number, and a line for each tensor
    assert page.locator(".scripted:visible").count() == 0
    assert page.locator("figure svg:visible").count() == 3
    assert "chain rule" in text
    assert "the network says" in text
    page.goto(page.evaluate("location.href") + "#step=5")  # the same address leads to the step in the document
    assert page.locator("article[id='step=5']").is_visible()


@pytest.mark.only_in("chromium", why="Firefox shows a page as on paper only where it prints")
def test_on_paper_the_controls_are_gone_and_the_document_is_whole(still: Any, overflow: Any) -> None:
    page = still(SMALL, width=700)
    page.emulate_media(media="print")
    assert page.locator("button:visible").count() == 0
    assert page.locator("article:visible").count() > 12
    assert overflow(page) == []


@one_script
def test_the_first_step_that_is_not_finite_is_named(still: Any) -> None:
    page = still(PAGES["not finite"])
    verdict = page.locator(".verdict").text_content()
    assert "NOT FINITE" in verdict
    number = re.search(r"step (\d+)", verdict)
    assert number is not None
    assert "Not finite" in page.locator("article").nth(int(number[1]) - 1).text_content()
    page.locator(".verdict a").click()
    wait(page, lambda: at(page) == number[1])


@one_script
def test_formulas_that_come_often_are_shown_once_with_a_count(still: Any) -> None:
    page = still(XOR)
    folded = page.locator("details.fold")
    assert folded.count() >= 1
    inside = folded.last.locator("article")
    assert re.search(r"(\d+) (?:times|further results)", folded.last.locator("summary").text_content())[1] == str(  # type: ignore[index]
        inside.count()
    )
    assert inside.first.is_hidden()
    folded.last.locator("summary").click()
    assert inside.first.is_visible()
    assert inside.first.locator("ul.worked").count() == 0


def test_pages_are_small_and_have_nothing_from_elsewhere() -> None:
    net = fc.mlp([8] * 41, seed=0)
    x, t = np.random.default_rng(0).normal(size=(2, 4, 8))
    deep = explain(net, x, t, "half_squared_error", fc.SGD(0.1)).to_html()
    assert len(XOR.encode()) < 150_000
    assert len(deep.encode()) < 1_000_000
    assert "http" not in re.sub(r'xmlns="http[^"]*"|http-equiv', "", SMALL)


@pytest.mark.in_turn(why="the numbers are put there by the same script")
@pytest.mark.parametrize("notation", ["xW", "Wx"])
def test_every_number_in_the_picture_is_that_of_its_row_and_of_its_step(still: Any, notation: str) -> None:
    net = fc.mlp([4, 8, 8, 8, 8, 3], activation="tanh", seed=0)  # of layers that are alike, matrices are cut
    rng = np.random.default_rng(0)
    example = explain(
        net, rng.normal(size=(7, 4)), rng.normal(size=(7, 3)), "half_squared_error", fc.RMSProp(0.1), notation=notation
    )
    known = {name.quantity: array for name, array in example.trace.values.items()}
    steps = example.trace.steps
    made = {step.equation.left.quantity: step.number for step in steps}
    page = still(example.to_html(), height=1200)
    read = """all => all.filter(e => getComputedStyle(e).visibility === "visible")
        .map(e => [e.dataset.q, e.textContent])"""
    for row, at_step in (("1", 9), ("5", len(steps)), ("6", len(steps) - 1), ("0", len(steps) // 2)):
        follow(page, f"#step={at_step}&row={row}")
        assert at(page) == str(at_step)
        seen = page.locator("#picture text[data-q]").evaluate_all(read)
        assert len(seen) > 40
        for quantity, text in seen:
            name, _, index = quantity.partition("[")
            entry = tuple(map(int, index.rstrip("]").split(","))) if index else ()
            renewed = f"{name}_new"
            # what runs again after the update has no step of its own before the new loss
            new = renewed in known and made.get(renewed, made["L_new"]) <= at_step
            value = float(known.get("dL:L" if name == "dL:L" else renewed if new else name, np.float64(1))[entry])
            assert text == brief(value), (quantity, row, at_step)


@one_script
def test_a_number_is_found_as_the_page_calls_it_and_as_it_is_shown(still: Any) -> None:
    page = still(XOR)
    trace = EXAMPLES["xor"].trace
    shown_loss = brief(trace.loss)
    for wanted, quantity in (("W1[0,1]", "dense_1.W[0,1]"), ("dl / dw1[0,1]", "dL:dense_1.W[0,1]"), (shown_loss, "L")):
        page.locator("#find").focus()
        page.keyboard.press("Control+A")
        page.locator("#find").press_sequentially(wanted)
        page.keyboard.press("Enter")
        assert page.locator(f".marked[data-q='{quantity}']").count() >= 1, wanted
    assert (
        "W1" in page.locator("#numbers option").first.get_attribute("value") or page.locator("#numbers option").count()
    )


def test_a_network_that_is_right_already_is_not_told_that_its_step_was_too_long() -> None:
    net = fc.mlp([2, 1], dtype="float64", seed=0)
    x = np.random.default_rng(0).normal(size=(5, 2))
    t = net.predict(x)
    page = explain(net, x, t + 1e-17, "half_squared_error", fc.SGD(0.1)).to_html()
    assert "too long" not in page
    assert "learns nothing" in page
