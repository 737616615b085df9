"""Run emitted scripts, each as a program of its own, where there is nothing but Python and NumPy.

``python -I -W error running.py FOLDER``: prints a line for each file, its output or what went wrong.
"""

import contextlib
import importlib.abc
import io
import sys
from pathlib import Path

import numpy as np


class NumPyAlone(importlib.abc.MetaPathFinder):
    """Refuses every package that is neither Python's own nor NumPy."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "numpy"}:
            raise ImportError(f"the script imports {name}")


def main(folder):
    sys.meta_path.insert(0, NumPyAlone())
    for path in sorted(Path(folder).glob("*.py")):
        out, before = io.StringIO(), np.geterr()
        try:
            with contextlib.redirect_stdout(out):
                exec(compile(path.read_text(encoding="utf-8"), path, "exec"), {"__name__": "__main__"})
            said = out.getvalue().strip()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}".replace("\n", " ")
        np.seterr(**before)
        sys.stdout.write(f"{path.stem}\t{said}\n")
    assert "fullyconnected" not in sys.modules


if __name__ == "__main__":
    main(sys.argv[1])
