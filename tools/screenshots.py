"""Make the screenshots for the documentation: ``python tools/screenshots.py`` (needs Chromium, playwright, Pillow).

The page of a worked example shows XOR and a step of Adam; the report is of an estimator for tables, trained on the
table of docs/tables.md.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

import fullyconnected as fc
from fullyconnected.explanation.samples import TASKS, xor
from fullyconnected.pages.outcomes import Numbers

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
LARGEST = 150_000  # bytes of a picture: everyone who clones the repository downloads it

# file, fragment of the page's address, how far down in px (None: where that leads), width in px, dark or light
PAGES: list[tuple[str, str, int | None, int, bool]] = [
    ("explain-light.png", "#step=8", 0, 1280, False),
    ("explain-dark.png", "#step=11&q=dense_1.y%5B3%2C0%5D", None, 1280, True),
    ("explain-narrow.png", "#step=3", None, 400, False),
    ("explain-narrow-dark.png", "#step=8", None, 400, True),
    ("report-light.png", "", None, 1280, False),
    ("report-dark.png", "#outcomes", None, 1280, True),
]
# file, address behind #, the unit that is chosen, width in px, dark or light, and full page or one window
PLAYED: list[tuple[str, str, str, int, bool, bool]] = [
    (
        "playground-light.png",
        "v=1&rows=300&hidden=6,4&activation=relu&learning_rate=0.1&at=2000",
        "1,1",
        1280,
        False,
        False,
    ),
    (
        "playground-dark.png",
        "v=1&data=spirals&hidden=8,8&optimizer=adam&learning_rate=0.02&at=4000",
        "",
        1280,
        True,
        False,
    ),
    ("playground-narrow-dark.png", "v=1&data=moons&at=1500", "", 400, True, False),
]


def report() -> str:
    """Return the HTML of a report."""
    rng, rows = np.random.default_rng(0), 400
    table = {
        "size": rng.normal(80, 20, rows).round(1),
        "rooms": rng.integers(1, 6, rows),
        "city": rng.choice(["Oslo", "Bergen", "Tromso"], rows).tolist(),
        "balcony": rng.random(rows) < 0.5,
        "listed": np.datetime64("2024-01-01") + rng.integers(0, 365, rows),
        "country": ["Norway"] * rows,
    }
    price = 40 * table["size"] + 900 * (np.array(table["city"]) == "Oslo") + 100 * rng.normal(size=rows)
    table["size"][::10] = np.nan
    model = fc.TabularRegressor(random_state=0).fit(table, price)
    return model.report_.to_html("The price of flats", [Numbers("price", price, model.oof_predictions_, price)])


def explanation() -> str:
    """Return the HTML of a worked example."""
    net, x, t, how = xor()
    return fc.explain(net, x, t, how["loss"], fc.Adam(0.1)).about({"task": TASKS["xor"]}).to_html()


def small(png: bytes) -> bytes:
    """Return the picture with as many colours as the size limit allows, at least 64."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64):
        out = io.BytesIO()
        # dithering would turn plain areas into noise, which takes more bytes and looks worse
        picture.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= LARGEST:
            break
    return out.getvalue()


def shoot(html: Path, at: str, out: Path, down: int | None, width: int, dark: bool) -> int:
    """Write a PNG of the page, rendered offline and without animation, and return its size in bytes."""
    chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page(
            viewport={"width": width, "height": 980 if width > 1000 else 860},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            locale="en",
            offline=True,
        )
        page.goto(html.resolve().as_uri() + at)
        if down is not None:
            page.evaluate("down => scrollTo(0, down)", down)
        png = small(page.screenshot(animations="disabled"))
        browser.close()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(png)
    return len(png)


def play() -> None:
    """Write the pictures of the playground."""
    chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium") or shutil.which("google-chrome")
    with fc.playground() as playground, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        for name, at, unit, width, dark, full_page in PLAYED:
            page = browser.new_page(
                viewport={"width": width, "height": 900},
                color_scheme="dark" if dark else "light",
                device_scale_factor=1,
            )
            page.goto(f"{playground.url}#{at}")
            page.wait_for_selector("[data-ready]", state="attached")
            while f"at={at.rpartition('=')[2]}" not in page.url:
                page.wait_for_timeout(100)
            if unit:
                page.click(f".unit[data-unit='{unit}']")
            page.mouse.move(0, 0)
            page.wait_for_timeout(300)
            png = small(page.screenshot(full_page=full_page))
            Path(PICTURES / name).write_bytes(png)
            print(f"{name}: {len(png) / 1000:.0f} kB")
        browser.close()


def main() -> None:
    play()
    with tempfile.TemporaryDirectory() as folder:
        for make in (explanation, report):
            Path(folder, f"{make.__name__}.html").write_text(make(), encoding="utf-8")
        for name, at, *how in PAGES:
            html = Path(folder, "report.html" if name.startswith("report") else "explanation.html")
            size = shoot(html, at, PICTURES / name, *how)
            print(f"{name}: {size / 1000:.0f} kB" + (f", more than {LARGEST / 1000:.0f}" if size > LARGEST else ""))


if __name__ == "__main__":
    main()
