"""The tester's own tests: a page with a known fault each, which must be found, and one without any."""

from pathlib import Path

import pytest

from tests.browser.watching import until_address

CLEAN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A page</title>
<meta name="viewport" content="width=device-width">
<style>
  :root {{ color-scheme: light dark }}
  body {{ font: 16px sans-serif; margin: 0; color: CanvasText; background: Canvas }}
  .wide {{ width: 900px }}
  .scrolls {{ overflow-x: auto }}
  .skip {{ position: absolute; left: -999px }}
  {style}
</style></head>
<body><main><h1>A page</h1>{body}</main></body></html>"""


FORBIDS = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
CHROMIUM_TELLS = pytest.mark.only_in("chromium", why="Firefox tells of no file, and fetches nothing ahead for one")


def html(body: str = "", style: str = "") -> str:
    return CLEAN.format(body=body, style=style)


GOOD = html(
    """<a class="skip" href="#end">Skip</a>
    <p><span class="label">one</span> <span class="label">two</span> <span class="label" hidden>two</span></p>
    <div class="scrolls" tabindex="0"><p class="wide">as wide as a <b class="label">table</b></p></div>
    <svg viewBox="0 0 100 20" width="100" height="20" role="img" aria-label="a line"><path d="M0 10H9999" /></svg>
    <img alt="a dot" src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==">
    <p id="end">The end.</p>
    <script>console.log("a word"); document.getElementById("end").dataset.ran = "yes"</script>"""
)


@pytest.mark.in_turn(why="each browser opens a page narrow and wide, light and dark")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [320, 1280])
def test_a_good_page_has_no_faults(open_page, overlaps, overflow, axe, dark: bool, width: int) -> None:
    page = open_page(GOOD, dark=dark, reduced_motion=dark, width=width)
    assert page.viewport_size["width"] == width
    assert page.get_attribute("#end", "data-ran") == "yes"
    assert overlaps(page, ".label") == []
    assert overflow(page) == []
    assert axe(page) == []
    open_page.close()
    assert open_page.problems == []


def test_a_page_can_be_read_without_script(open_page, overlaps, overflow) -> None:
    page = open_page(GOOD, script=False)
    assert page.get_attribute("#end", "data-ran") is None
    assert page.inner_text("#end") == "The end."
    assert overlaps(page, ".label") == overflow(page) == []


@pytest.mark.only_in("chromium", why="in Firefox, nothing is called back in a page whose scripts are off")
def test_axe_runs_without_script(open_page, axe) -> None:
    assert axe(open_page(GOOD, script=False)) == []


def test_a_page_is_told_the_colours_and_the_motion(open_page) -> None:
    ask = "query => matchMedia(query).matches"
    for chosen in (False, True):
        page = open_page(GOOD, dark=chosen, reduced_motion=chosen)
        assert page.evaluate(ask, "(prefers-color-scheme: dark)") is chosen
        assert page.evaluate(ask, "(prefers-reduced-motion: reduce)") is chosen


@pytest.mark.only_in("firefox", why="it cannot do this, and no test shall believe that it did")
@pytest.mark.parametrize("media", [{"media": "print"}, {"reduced_motion": "reduce"}, {"color_scheme": "dark"}])
def test_the_media_of_an_open_page_are_not_changed_in_vain(open_page, media: dict[str, str]) -> None:
    page = open_page(GOOD)
    with pytest.raises(Exception, match="cannot be changed in Firefox"):
        page.emulate_media(**media)


def test_a_page_may_go_to_a_place_in_itself_and_load_again(open_page, tmp_path) -> None:
    path = tmp_path / "a name with spaces, and ü.html"
    path.write_text(GOOD, encoding="utf-8")
    page = open_page(path)
    page.focus(".skip")
    page.keyboard.press("Enter")
    until_address(page, "#end")
    page.reload()
    until_address(page, "#end")


def test_no_test_takes_an_address_for_the_present_one() -> None:
    """What Playwright was last told of an address may be old: where a page may go, ``until_address`` waits."""
    asked = "page" + ".url"
    found = [path.name for path in Path(__file__).parent.glob("test_*.py") if asked in path.read_text(encoding="utf-8")]
    assert found == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<script>console.error('oh')</script>", "console.error: oh"),
        ("<script>console.warn('oh')</script>", "console.warning: oh"),
        ("<script>console.assert(false, 'oh')</script>", "console.assert: oh"),
        ("<script>null.x</script>", "page error: .*null"),
        ("<script>Promise.reject(Error('oh'))</script>", "page error: .*oh"),
        ("<script>setTimeout(() => { throw Error('oh') })</script>", "page error: .*oh"),
        ("<img alt='' src='https://example.org/x.png'>", "request: https://example.org/x.png"),
        ("<style>@import 'https://example.org/x.css'</style>", "request: https://example.org/x.css"),
        ("<iframe src='https://example.org'></iframe>", "request: https://example.org"),
        ("<script>fetch('https://example.org/x').catch(() => 0)</script>", "request: https://example.org/x"),
        ("<script>navigator.sendBeacon('https://example.org/x')</script>", "request: https://example.org/x"),
        ("<script>new WebSocket('wss://example.org/x')</script>", "request: (wss|https)://example.org/x"),
        *(
            pytest.param(*case, marks=CHROMIUM_TELLS)
            for case in [
                ("<img alt='' src='beside.png'>", "request: file://.*/beside.png"),
                ("<link rel=stylesheet href='//example.org/x.css'>", "request: file://example.org/x.css"),
                ("<link rel=prefetch href='https://example.org/x'>", "request: https://example.org/x"),
            ]
        ),
    ],
)
def test_what_no_page_may_do_fails_its_test(open_page, body: str, problem: str) -> None:
    open_page(html(body))
    with pytest.raises(AssertionError, match=problem):
        open_page.close()


def test_a_fault_that_comes_with_a_click_is_found(open_page) -> None:
    page = open_page(html("<button onclick=\"console.error('oh')\">Press</button>"))
    assert open_page.problems == []
    page.click("button")
    with pytest.raises(AssertionError, match="oh"):
        open_page.close()


def test_a_page_that_forbids_eval_can_be_tested_all_the_same(open_page) -> None:
    page = open_page(html("<input>").replace("<title>", FORBIDS + "<title>"))
    page.fill("input", "a word")
    assert page.locator("input").evaluate_all("(all, i) => all[i].value", 0) == "a word"
    page.evaluate("() => { setTimeout(() => { document.title = 'Later' }, 50) }")
    page.wait_for_function("title => document.title === title", arg="Later")


LABELS = "b { position: absolute; top: 50px; width: 50px; height: 20px; white-space: nowrap }"


@pytest.mark.in_turn(why="one function looks at the boxes that either browser tells")
@pytest.mark.parametrize(
    ("left", "style", "found"),
    [
        (48, "", [['b#one "1"', 'b#two.label "2"']]),
        (49, "", []),  # 1 px is where a letter's box ends, not the letter
        (0, "#two { top: 71px }", []),
        (0, "#two { visibility: hidden }", []),
        (0, "#two { opacity: 0 }", []),
        (0, "main { display: none }", []),
        (0, "#cut { position: absolute; width: 90px; height: 40px; overflow: hidden }", []),
        (0, "#cut { width: 90px; height: 40px; overflow: hidden }", [['b#one "1"', 'b#two.label "2"']]),
    ],
)
def test_overlapping_labels_are_found(open_page, overlaps, left: int, style: str, found: list[list[str]]) -> None:
    body = f"<b id=one>1</b><div id=cut><b id=two class=label style='left: {left}px'>2</b></div>"
    page = open_page(html(body, f"{LABELS} #one {{ left: 0 }} {style}"))
    assert overlaps(page, "b") == found


def test_overlapping_labels_of_a_drawing_are_found(open_page, overlaps) -> None:
    page = open_page(html("<svg viewBox='0 0 90 40'><text y=20>one</text><text y=20 x=9>two</text></svg>"))
    assert overlaps(page, "svg, text") == [['text "one"', 'text "two"']]  # but not each with the drawing it is in


@pytest.mark.in_turn(why="one function looks at the boxes that either browser tells")
@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<p class=wide>wide <b>text</b></p>", ['p.wide "wide text"']),
        ("<p class=wide>wide <b>text</b></p>" + "<p class=scrolls>narrow</p>", ['p.wide "wide text"']),
        ("<div class=scrolls><p class=wide>text</p></div>", []),
        ("<p style='margin-left: -9px'>text</p>", ['p "text"']),
        ("<div style='overflow: hidden'><p class=wide>lost</p></div>", ['p.wide "lost"']),
        ("<pre style='width: 9px'>a long line that has no place to break here, none at all</pre>", ["320"]),
        ("<svg width=300 height=20><text x=290 y=20>too far</text></svg>", ['text "too far"']),
        ("<div class=scrolls><p class=wide style='position: absolute'>text</p></div>", ['p.wide "text"']),
    ],
)
def test_what_sticks_out_is_found(open_page, overflow, body: str, found: list[str]) -> None:
    result = overflow(open_page(html(body), width=320))
    assert len(result) == len(found)
    assert all(part in whole for part, whole in zip(found, result, strict=True))


@pytest.mark.only_in("chromium", why="that axe runs in Firefox is seen above and below")
@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("<img src='data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=='>", "image-alt"),
        ("<p style='color: #777; background: #888'>text</p>", "color-contrast"),
        ("<input type=range>", "label"),
        ("<h4>much lower</h4>", "heading-order"),
        ("<button style='font-size: 4px'>a</button><button style='font-size: 4px'>b</button>", "target-size"),
    ],
)
def test_axe_finds(open_page, axe, body: str, rule: str) -> None:
    (violation,) = axe(open_page(html(body)))
    assert violation["id"] == rule
    assert violation["help"]
    assert violation["nodes"][0].startswith(body[:3])


def test_axe_finds_what_the_dark_alone_hides(open_page, axe) -> None:
    # with a ground of its own, since axe does not see the one that color-scheme makes
    page = html("<p>text</p>", "@media (prefers-color-scheme: dark) { body { background: #111 } p { color: #222 } }")
    assert axe(open_page(page)) == []
    assert [violation["id"] for violation in axe(open_page(page, dark=True, reduced_motion=True))] == ["color-contrast"]


def test_axe_runs_where_the_page_forbids_every_script_but_its_own(open_page, axe) -> None:
    assert axe(open_page(html().replace("<title>", FORBIDS + "<title>"))) == []
