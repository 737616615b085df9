"""Node, which runs JavaScript: where it is, and the mark of tests that need it."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

__all__ = ["NODE", "needs_node"]


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
