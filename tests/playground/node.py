"""Node, in which the playground's engine is tested beside the library."""

import atexit
import functools
import json
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import fullyconnected as fc
from fullyconnected.playing.static import static

PAGE = Path(fc.__file__).parent / "playing" / "page"
HERE = Path(__file__).parent


def find_node():
    """Return Node: the one that is installed, or that of Playwright."""
    if found := shutil.which("node"):
        return found
    if (spec := find_spec("playwright")) is not None and spec.origin is not None:
        own = Path(spec.origin).parent / "driver" / "node"
        return str(own) if own.exists() else None
    return None


NODE = find_node()
needs_node = pytest.mark.skipif(NODE is None, reason="Node is needed to run JavaScript")


@functools.cache
def built():
    """Return a folder with the playground without Python, as long as this process runs."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    static(folder.name)
    # a browser is told by the page that these are modules, and Node by this
    Path(folder.name, "package.json").write_text('{"type": "module"}', encoding="utf-8")
    return folder


def ask(*requests, runner="engine.mjs"):
    """Return what a script for Node answers to requests; what is not finite comes as None."""
    given = json.dumps(requests)
    done = subprocess.run(
        [NODE, HERE / runner, built().name], input=given, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
