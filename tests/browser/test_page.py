"""The page of a worked example in a real browser: by keyboard, by mouse, without script, narrow, dark, on paper."""

import re
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.explanation import explain


def pages() -> dict[str, str]:
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
    wide = fc.mlp([784, 64, 10], seed=0)
    broken = fc.mlp([2, 3, 1], activation="exp", seed=0)
    broken.theta = np.full(broken.n_params, 200.0)
    x = rng.normal(size=(2, 3))
    return {
        "small": explain(small, [[0.05, 0.1]], [[0.01, 0.99]], "half_squared_error", fc.SGD(0.5)).to_html(),
        "deep": explain(
            deep, x, [0, 1], "softmax_cross_entropy", fc.SGD(), focus="dense_1.W[0,1]", train=True
        ).to_html(),
        "wide": explain(wide, rng.normal(size=(2, 784)), [3, 1], "softmax_cross_entropy").to_html(),
        "not finite": explain(broken, [[1.0, 1.0]], [[0.0]], "half_squared_error").to_html(),
    }


PAGES = pages()
SMALL = PAGES["small"]


def at(page: Any) -> str:
    return page.locator("#at").text_content()


# a page of many steps takes axe half a minute; in the dark only colours differ, and the small pages have all of them
@pytest.mark.parametrize(("name", "dark"), [*((name, False) for name in PAGES), ("small", True), ("not finite", True)])
def test_axe_finds_nothing(open_page: Any, axe: Any, name: str, dark: bool) -> None:
    assert axe(open_page(PAGES[name], dark=dark)) == []


@pytest.mark.parametrize("width", [320, 1280])
def test_no_digit_is_lost_in_a_matrix(open_page: Any, width: int) -> None:
    page = open_page(PAGES["deep"], width=width)
    cut = """all => { const words = document.createElement("canvas").getContext("2d"), place = document.createRange();
        return all.filter(e => { words.font = getComputedStyle(e).font; place.selectNodeContents(e);
            return place.getBoundingClientRect().width < words.measureText(e.textContent).width - 2 })
            .map(e => e.textContent) }"""
    assert page.locator("article mtd mn").count() > 100
    assert page.locator("article mn").evaluate_all(cut) == []  # a line that is broken within a number shows its half


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [320, 800, 1280])
def test_nothing_sticks_out_and_no_labels_overlap(
    open_page: Any, overflow: Any, overlaps: Any, name: str, width: int
) -> None:
    page = open_page(PAGES[name], width=width)
    assert overflow(page) == []
    assert overlaps(page, "figure svg text") == []
    page.check("input[value=both]")
    assert overlaps(page, "figure svg text") == []


def test_arrow_keys_move_the_step_and_the_address_holds_it(open_page: Any) -> None:
    page = open_page(SMALL)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert at(page) == "3"
    assert page.url.endswith("#step=3")
    assert "dense_2" in page.locator("#panel h3").text_content()
    page.keyboard.press("End")
    last = at(page)
    assert last == str(page.locator("article").count())
    page.keyboard.press("ArrowRight")  # there is nothing after the last step
    assert at(page) == last
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert at(page) == "1"


def test_an_address_opens_its_step_with_its_number_marked(open_page: Any) -> None:
    page = open_page(SMALL)
    address = page.url.partition("#")[0]
    page.goto(address + "#step=7&q=dense_2.W%5B0%2C1%5D")
    assert at(page) == "7"
    assert page.locator("#mark").input_value() == "dense_2.W[0,1]"
    last = str(page.locator("article").count())
    for mistyped, step in {"none&q=nothing": "1", "2.5": "2", "-3": "1", "1e99": last, "%E0%A4%A&q=%": "1"}.items():
        page.goto(f"{address}#step={mistyped}")
        assert at(page) == step
        assert page.locator(".marked").count() == 0


@pytest.mark.parametrize("width", [1280, 400])
def test_an_address_shows_the_panel_and_a_link_within_the_page_keeps_the_step(open_page: Any, width: int) -> None:
    page = open_page(SMALL, width=width, reduced_motion=True)
    address = page.url + "#step=3"
    page.goto("about:blank")
    page.goto(address)
    assert page.locator("#panel h3").bounding_box()["y"] < 900
    page.get_by_role("link", name="All steps as one document").click()
    assert abs(page.locator("#steps").bounding_box()["y"]) < 200
    assert at(page) == "3"


def test_the_slider_and_the_buttons_move_the_step(open_page: Any) -> None:
    page = open_page(SMALL)
    slider = page.locator("#slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert at(page) == "2"
    assert slider.get_attribute("aria-valuetext").startswith("2 Forward")
    page.get_by_role("button", name="Next step").click()
    assert at(page) == "3"
    page.get_by_role("button", name="Last step").click()
    page.get_by_role("button", name="Previous step").click()
    assert at(page) == str(page.locator("article").count() - 1)
    page.get_by_role("button", name="Backward").click()
    assert page.locator("#panel h3").text_content().split()[1] == "Backward"


def test_choosing_a_number_marks_the_same_quantity_everywhere(open_page: Any) -> None:
    page = open_page(SMALL)
    quantity = "dense_1.y[0,1]"
    page.locator(f'article mn[data-q="{quantity}"]').first.click()
    marked = page.locator(".marked")
    names = marked.evaluate_all("all => [...new Set(all.map(e => e.dataset.q))]")
    assert sorted(names) == ["dense_1.y", quantity]  # where an array stands as a whole, in the computation, the whole
    assert page.locator(f'.marked[data-q="{quantity}"]').count() == page.locator(f'[data-q="{quantity}"]').count() > 5
    assert marked.locator("xpath=ancestor::*[local-name()='svg']").count() > 0  # in the pictures, too
    assert "q=dense_1.y" in page.url
    page.keyboard.press("ArrowRight")  # a mark stays when the step moves on
    assert page.locator("#mark").input_value() == quantity
    page.locator(f'article mn[data-q="{quantity}"]').first.click()
    assert marked.count() == 0


def test_an_array_in_the_computation_is_marked_by_all_of_its_numbers(open_page: Any) -> None:
    page = open_page(SMALL)
    page.locator("#graph text[data-q='dense_1.W']").first.click()
    names = page.locator(".marked").evaluate_all("all => [...new Set(all.map(e => e.dataset.q))].sort()")
    assert names == ["dense_1.W", *(f"dense_1.W[{i},{j}]" for i in range(2) for j in range(2))]
    assert page.locator("#mark option:checked").text_content() == "dense_1.W"


def test_choosing_a_neuron_puts_it_in_focus(open_page: Any) -> None:
    page = open_page(SMALL)
    picture = page.locator("#network svg:visible")
    picture.locator("circle[data-q='dense_1.y[0,1]']").click()
    near = picture.locator("[data-ends]:not(.far)")
    touching = {f"dense_1.{n}" for n in ("b[1]", "W[0,1]", "W[1,1]")} | {"dense_2.W[1,0]", "dense_2.W[1,1]"}
    assert set(near.evaluate_all("all => all.map(e => e.dataset.q)")) == touching
    assert picture.locator("text[data-q='dense_2.W[1,0]']:not(.far)").count() == 1
    assert picture.locator("text[data-q='dense_2.W[0,0]'].far").count() == 1
    picture.locator("circle[data-q='dense_1.y[0,1]']").click()
    assert picture.locator(".far").count() == 0


def test_a_number_is_marked_by_keyboard_alone(open_page: Any) -> None:
    page = open_page(SMALL)
    page.select_option("#mark", "dL:dense_2.W[1,0]")
    assert page.locator(".marked").count() >= 3
    assert "marked in" in page.locator("#said").text_content()


def test_everything_is_there_without_script(open_page: Any) -> None:
    page = open_page(SMALL, script=False)
    text = page.locator("main").inner_text()
    assert page.locator("article:visible").count() == len(re.findall("<article", SMALL)) > 20
    assert page.locator("table.check tbody tr:visible").count() == 14 + 5  # each number, and a line for each tensor
    assert page.locator(".scripted:visible").count() == 0
    assert page.locator("figure svg:visible").count() == 2
    assert "chain rule" in text
    page.goto(page.url + "#step=5")  # the same address leads to the step in the document
    assert page.locator("article[id='step=5']").is_visible()


def test_the_picture_shows_values_gradients_or_both(open_page: Any) -> None:
    page = open_page(SMALL)
    shown = page.locator("#network svg:visible")
    both = shown.locator("text").count()
    page.check("input[value=values]")
    values = shown.locator("text").count()
    assert values < both
    assert shown.count() == 1


def test_on_paper_the_controls_are_gone_and_the_document_is_whole(open_page: Any, overflow: Any) -> None:
    page = open_page(SMALL, width=700)
    page.emulate_media(media="print")
    assert page.locator("button:visible").count() == 0
    assert page.locator("article:visible").count() > 20
    assert overflow(page) == []


def test_the_first_step_that_is_not_finite_is_named(open_page: Any) -> None:
    page = open_page(PAGES["not finite"])
    verdict = page.locator(".verdict").text_content()
    assert "NOT FINITE" in verdict
    number = re.search(r"step (\d+)", verdict)
    assert number is not None
    assert "Not finite" in page.locator("article").nth(int(number[1]) - 1).text_content()


def test_small_pages_are_small_and_have_nothing_from_elsewhere() -> None:
    assert len(SMALL.encode()) < 150_000
    assert "http" not in re.sub(r'xmlns="http[^"]*"|http-equiv', "", SMALL)
