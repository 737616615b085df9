"""The playground while it trains: steps and pictures a second, how soon inputs are answered, and memory.

``python benchmarks/playground.py [--seconds 60]`` needs Chromium and Playwright. It starts the command ``fullyconnected
playground`` as a program of its own, opens its page, and uses it as somebody would: units, places in the picture,
keys, ten inputs a second. The delay of an input is what the Event Timing of the browser measures, from the event to the
picture after it; it leaves out those below 16 ms. Memory is taken after a tenth of the time and at the end.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from fullyconnected.playing.session import Session
from fullyconnected.playing.setup import Setup

WATCH = """() => { window.delays = []; window.frames = 0
  new PerformanceObserver(list => { for (const e of list.getEntries()) if (e.interactionId) delays.push(e.duration) })
    .observe({type: "event", durationThreshold: 16, buffered: true})
  const put = CanvasRenderingContext2D.prototype.putImageData
  CanvasRenderingContext2D.prototype.putImageData = function (...all) {
    if (this.canvas.width === 80) frames++
    return put.apply(this, all) } }"""
INPUTS = 10  # a second


def alone() -> float:
    """Return the steps a second of XOR without a page, over two seconds after the first 20,000 steps."""
    session = Session(Setup.of())
    session.go(20_000)
    began, step = time.perf_counter(), session.stepper.step
    while time.perf_counter() - began < 2:
        session.go(session.stepper.step + 2000)
    return (session.stepper.step - step) / (time.perf_counter() - began)


def resident(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1000


def heap(page: Any, devtools: Any) -> float:
    """Return the memory of the page's JavaScript in MB, after its rubbish is collected."""
    devtools.send("HeapProfiler.collectGarbage")
    return float(page.evaluate("performance.memory.usedJSHeapSize")) / 1e6


def use(page: Any, rng: np.random.Generator) -> None:
    """Do one thing that somebody would do."""
    what = rng.integers(5)
    if what == 0:
        page.click(f".unit >> nth={rng.integers(9)}", no_wait_after=True)
    elif what == 1:
        page.focus("#ground")
        page.keyboard.press(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"][rng.integers(4)])
    elif what == 2:
        page.locator("#explain-knobs").click(no_wait_after=True)
    elif what == 3:
        page.keyboard.press("Tab")
    else:
        page.click("#ground", position={"x": int(rng.integers(10, 300)), "y": int(rng.integers(10, 300))})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long the page is used (600 for ten minutes)")
    seconds = parser.parse_args().seconds
    print(f"XOR without a page: {alone():,.0f} steps a second")
    command = [sys.executable, "-m", "fullyconnected", "playground", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
        assert server.stdout is not None
        url = re.findall(r"http://\S+", server.stdout.readline())[0]
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell") or shutil.which("chromium"),
            args=["--enable-precise-memory-info"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        devtools = page.context.new_cdp_session(page)
        page.goto(url)
        page.wait_for_selector("[data-ready]", state="attached")
        page.evaluate(WATCH)
        page.select_option("#pace", "0")  # as fast as it can
        page.click("#run")
        rng, began, before = np.random.default_rng(0), time.monotonic(), None
        frames: list[int] = []
        while (gone := time.monotonic() - began) < seconds:
            use(page, rng)
            time.sleep(1 / INPUTS)
            if before is None and gone > seconds / 10:
                before = resident(server.pid), heap(page, devtools)
                frames = [page.evaluate("frames"), int(time.monotonic() - began)]
        many = (page.evaluate("frames") - frames[0]) / (seconds - frames[1])
        after = resident(server.pid), heap(page, devtools)
        delays = np.array(page.evaluate("delays") or [0])
        steps = page.inner_text("#where")
        page.click("#run")
        browser.close()
        server.terminate()
    assert before is not None
    print(f"with a page, after {seconds:.0f} s: {steps}; {many:.1f} pictures a second")
    shares = ", ".join(f"{q} % in {np.percentile(delays, q):.0f} ms" for q in (50, 95, 99))
    print(f"{len(delays)} inputs that took 16 ms or more were answered: {shares}")
    print(f"server: {before[0]:.0f} -> {after[0]:.0f} MB; page: {before[1]:.1f} -> {after[1]:.1f} MB")


if __name__ == "__main__":
    main()
