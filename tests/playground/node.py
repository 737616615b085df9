"""Node, in which the playground's engine is tested beside the library."""

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

import fullyconnected as fc

PAGE = Path(fc.__file__).parent / "playground" / "page"
RUNNER = Path(__file__).with_name("engine.mjs")


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


def ask(*requests, runner=RUNNER):
    """Return what the engine answers to requests, each a pair of a name and its arguments; NaN comes as None."""
    done = subprocess.run(
        [NODE, runner, PAGE], input=json.dumps(requests), capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
