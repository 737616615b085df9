"""What a file format is: it turns the description of a network and its tensors into bytes, and back.

To add a format to the library, write a class in a file of its own, such as ``Safetensors`` in
``safetensors_format.py``, and add its name to ``FORMATS`` in ``formats.py``. Outside the library, write a class
and ``fc.register`` it. For all formats, ``model.py`` checks what a file holds, and ``atomic.py`` writes it.
"""

from typing import Any, ClassVar

from fullyconnected.core.arrays import Array
from fullyconnected.core.settings import Settings

__all__ = ["Format"]


class Format(Settings):
    """A format of model files: ``net.save`` chooses it by the suffix, ``fc.load`` by the content of the file.

    A format of your own needs a ``name``, ``suffixes``, ``recognises``, ``write`` and ``read``; then
    :func:`fullyconnected.register` makes it known. It handles a description, which is a dict of plain JSON values
    (version, dtype, layers by name and settings, loss), and tensors, a dict of arrays such as ``"dense_1.W"``. It need
    not check them: names, shapes and dtypes of tensors that were read are compared with the description.

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
    suffixes: ClassVar[tuple[str, ...]]  # of file names, in any case, such as (".safetensors",)

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes (the first 4096, or all of a shorter file) is of this format."""
        raise NotImplementedError(f"{type(self).__name__} has no recognises; see help(fc.Format)")

    def write(self, description: dict[str, Any], tensors: dict[str, Array]) -> bytes:
        """Return the content of a file, or raise TypeError or ValueError for what the format cannot hold."""
        raise NotImplementedError(f"{type(self).__name__} has no write; see help(fc.Format)")

    def read(self, data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the description and the tensors (new arrays, not views of data), or raise for damaged content."""
        raise NotImplementedError(f"{type(self).__name__} has no read; see help(fc.Format)")
