"""What a file format is: how the description of a network and its tensors become bytes, and bytes become them again.

A format of the library's is one file here, with a class such as ``Safetensors`` in ``safetensors_format.py``, and one
line, the class's name in ``FORMATS`` of ``formats.py``. Outside the library it is a class and ``fc.register``. What is
in a file is checked in ``model.py`` for all formats alike, and ``atomic.py`` writes for all of them.
"""

from typing import Any, ClassVar

from fullyconnected.core.arrays import Array
from fullyconnected.core.settings import Settings

__all__ = ["Format"]


class Format(Settings):
    """A format of model files: ``net.save`` takes it for its suffixes, ``fc.load`` where it recognises the content.

    A format of your own needs a ``name``, ``suffixes``, ``recognises``, ``write`` and ``read``; then
    :func:`fullyconnected.register` makes it known. What it handles are a description, a dict of plain JSON values (its
    version, dtype, layers by name and settings, the loss), and tensors, a dict of arrays such as ``"dense_1.W"``. It
    need not check either: whatever it reads is held against what the description says of layers and shapes.

    Examples
    --------
    >>> import json, os, tempfile
    >>> import numpy as np
    >>> import fullyconnected as fc
    >>> @fc.register
    ... class Text(fc.Format):
    ...     name = "text"
    ...     suffixes = (".json",)
    ...     def recognises(self, head):
    ...         return head.startswith(b'{"description"')
    ...     def write(self, description, tensors):
    ...         lists = {name: a.tolist() for name, a in tensors.items()}
    ...         return json.dumps({"description": description, "tensors": lists}).encode()
    ...     def read(self, data):
    ...         found = json.loads(data)
    ...         dtype = found["description"]["dtype"]
    ...         return found["description"], {name: np.array(a, dtype) for name, a in found["tensors"].items()}
    >>> path = os.path.join(tempfile.mkdtemp(), "net.json")
    >>> net = fc.mlp([2, 3, 1], seed=0)
    >>> net.save(path)
    >>> bool((fc.load(path).theta == net.theta).all())
    True
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]  # of the names of files, such as (".safetensors",), in lower case

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes, its first 4096 or all of them, is of this format."""
        raise NotImplementedError(f"{type(self).__name__} has no recognises; see help(fc.Format)")

    def write(self, description: dict[str, Any], tensors: dict[str, Array]) -> bytes:
        """Return the content of a file, or raise TypeError or ValueError for what it cannot hold."""
        raise NotImplementedError(f"{type(self).__name__} has no write; see help(fc.Format)")

    def read(self, data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the description and the tensors in arrays of their own, or raise for a content that is damaged."""
        raise NotImplementedError(f"{type(self).__name__} has no read; see help(fc.Format)")
