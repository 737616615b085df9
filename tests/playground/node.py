"""Node, in which the playground's engine is tested beside the library."""

import atexit
import functools
import json
import subprocess
import tempfile
from pathlib import Path

import fullyconnected as fc
from fullyconnected.playing.static import static
from tests.node import NODE

PAGE = Path(fc.__file__).parent / "playing" / "page"
HERE = Path(__file__).parent


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
