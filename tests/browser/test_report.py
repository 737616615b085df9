"""The report on a model for a table in a real browser: nothing sticks out, narrow or wide, light or dark."""

from typing import Any

import numpy as np
import pytest

from fullyconnected.pages.outcomes import Classes, Numbers
from fullyconnected.pages.report import Model, Report, to_html
from fullyconnected.tables.frame import frame_of
from fullyconnected.tables.kinds import judge
from tests.browser.watching import until_address


def pages() -> dict[str, str]:
    rng = np.random.default_rng(0)
    long = "a name of a column that goes on and on, as some of them do, and has_no_space_where_it_could_be_broken" * 2
    columns = judge(
        frame_of({"size": [1.5, None, 3, 4], long: ["a", "b", "a", None], "same": [1] * 4, "<b>": [1, 2, 3, 5]})
    )
    names = ["this model", "linear model", "boosted trees", "random forest", "trivial"]
    models = [Model(name, {"R2": 0.9, "RMSE": 278.1}, {"R2": 0.8, "RMSE": 310.0}, 7.3) for name in names]
    about: dict[str, Any] = {
        "facts": [("table", f"{long}.csv"), ("rows", "80")],
        "models": models,
        "trivial": "always the mean",
        "suspects": [f"{long} tells the target by itself"],
        "advice": [f"look at {long}"],
        "importances": [(each.column, 1 / (i + 1)) for i, each in enumerate(columns)],
        "columns": columns,
        "networks": [("smooth", 1.0, 64, (12, 31))],
    }
    t = rng.normal(3000, 800, 400)
    p = rng.dirichlet(np.ones(14), 300)
    few = rng.dirichlet(np.ones(3), 300)
    return {
        "numbers": to_html(Report(f"Predicting {long}", outcomes=[Numbers(long, t, t + 90, t)], **about)),
        "classes": to_html(
            Report("Predicting kinds", outcomes=[Classes("kind", ["u", long, "w"], few.argmax(1), few, few.argmax(1))])
        ),
        "several": to_html(
            Report(
                "Several",
                outcomes=[
                    Classes("many", [f"class {i}" for i in range(14)], rng.integers(0, 14, 300), p),
                    Numbers("plain", np.exp(3 * t / 800), np.exp(2.9 * t / 800), t),
                ],
            )
        ),
    }


PAGES = pages()


@pytest.mark.only_in("chromium", why="axe reads the document, of which each browser makes the same")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(open_page: Any, axe: Any, name: str, dark: bool) -> None:
    assert axe(open_page(PAGES[name], dark=dark), "of colours" if dark else "all") == []  # only they differ


@pytest.mark.in_turn(why="each page and each width is laid out by both browsers")
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [320, 390, 800, 1280])
def test_nothing_sticks_out_and_no_words_overlap(
    open_page: Any, overflow: Any, overlaps: Any, name: str, width: int
) -> None:
    page = open_page(PAGES[name], width=width, script=True)
    assert overflow(page) == []
    assert overlaps(page, "figure svg text") == []


def test_a_link_leads_to_its_section(open_page: Any) -> None:
    page = open_page(PAGES["numbers"], reduced_motion=True)
    page.get_by_role("link", name="What is in the table").click()
    assert abs(page.locator("#columns").bounding_box()["y"]) < 200 or page.locator("#columns").is_visible()
    until_address(page, "#columns")
