"""The playground as plain files for any web server, without Python: the browser trains, with the same numbers.

``python -m fullyconnected.playing.static FOLDER`` writes them.
"""

import inspect
import json
import os
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from fullyconnected.core.version import __version__
from fullyconnected.playing import points
from fullyconnected.playing.knobs import described

__all__ = ["static"]

BACKEND = '<meta name="backend" content="./{}.js">'
POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
LEFT_OUT = (".md", "remote.js")


def static(folder: str | os.PathLike[str]) -> Path:
    """Write the playground into a folder, which is made if it is not there, and return the path of its page.

    A web server has to serve it, since browsers load no modules from files: ``python -m http.server``, for instance.

    Parameters
    ----------
    folder : str or path
        The folder. Files of the same names are replaced, and others are left as they are.

    Returns
    -------
    pathlib.Path
        The path of ``index.html`` in it.

    Raises
    ------
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     static(folder).name
    'index.html'
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for each in files("fullyconnected").joinpath("playground", "page").iterdir():
        if each.is_file() and not each.name.endswith(LEFT_OUT):
            (folder / each.name).write_bytes(each.read_bytes())
    (folder / "knobs.js").write_text(_knobs(), encoding="utf-8")
    page = folder / "index.html"
    text = page.read_text(encoding="utf-8")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    text = text.replace("<head>", f"<head>\n{policy}", 1).replace(BACKEND.format("remote"), BACKEND.format("local"))
    page.write_text(text, encoding="utf-8")
    return page


def _knobs() -> str:
    """Return the module with the table of knobs, and the source of the points for scripts in Python."""
    sources = {"REACH": repr(points.REACH)}
    wanted: tuple[Any, ...] = (points.normal, points.square, points.class_of, *points.KINDS.values())
    for function in wanted:
        sources[function.__name__] = inspect.getsource(function).replace("Array", "np.ndarray").rstrip()
    table = [json.dumps(_plain(knob)) for knob in described()]
    return "\n".join(
        [
            f"export const LIBRARY = {json.dumps(__version__)}",
            *("export const KNOBS = [", *(f"{knob}," for knob in table), "]"),
            *("export const SOURCES = {", *(f"{name}: {json.dumps(text)}," for name, text in sources.items()), "}", ""),
        ]
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m fullyconnected.playing.static FOLDER")
    sys.stdout.write(f"{static(sys.argv[1])}\n")
