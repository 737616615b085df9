"""CIFAR-10 and MNIST as arrays, from files that are downloaded once and checked, or from your own files.

``cifar10()`` and ``mnist()`` download files into a cache and compare them with their published checksums, for which
they need the extra ``datasets``. With ``path=`` they read existing files, and need no internet and no extra. Pixels
stay whole numbers from 0 to 255, which take a quarter of the memory of float32; scale them for your network, for
example by ``x / np.float32(255)``.

The sizes in a file's header are not trusted. A file that is cut short, too long or of another kind raises
`FileFormatError`, and memory is taken for the bytes that are there, not for those that a header announces.
"""

import gzip
import io
import math
import os
import struct
import sys
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fullyconnected.errors import DownloadError, FileFormatError, missing
from fullyconnected.training.progress import Stream

__all__ = ["CIFAR10_CLASSES", "Split", "cifar10", "mnist", "read_cifar10_batch", "read_idx"]

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""The names of CIFAR-10's classes: class number ``k`` is ``CIFAR10_CLASSES[k]``."""

_CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CIFAR10_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
_CIFAR10_FOLDER = "cifar-10-batches-bin"
_CIFAR10_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
_RECORD = 1 + 3 * 32 * 32  # bytes of one image: its label, then its red, green and blue planes

# The address in the paper, yann.lecun.com, refuses downloads; this copy is byte for byte the same.
_MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}

_IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class Split(NamedTuple):
    """A data set with its published training and test rows: images ``x`` (uint8) and class numbers ``t`` (int64)."""

    x_train: NDArray[np.uint8]
    t_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    t_test: NDArray[np.int64]


def cifar10(path: str | os.PathLike[str] | None = None) -> Split:
    """Return CIFAR-10: 50,000 training and 10,000 test photographs of 32 by 32 pixels, in 10 classes.

    Parameters
    ----------
    path : str, path or None
        None downloads the archive (170 MB; the university's server can be slow) into pooch's cache. Otherwise, your
        files of the *binary* version: ``cifar-10-binary.tar.gz``, which is not unpacked to disk; or a folder with
        ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``, or with ``cifar-10-batches-bin/``.

    Returns
    -------
    Split
        ``x_train`` (rows, 3, 32, 32) and ``x_test`` uint8, planes in the order red, green, blue; ``t_train``
        (rows,) and ``t_test`` int64, indices of `CIFAR10_CLASSES`.

    Raises
    ------
    DownloadError
        If there is no internet, or a downloaded file does not have the published checksum.
    FileFormatError
        For a file that is missing from the folder or archive, cut short, or not of the binary version.
    MissingPackageError
        If ``path`` is None and pooch is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fullyconnected.datasets import CIFAR10_CLASSES, cifar10
    >>> with tempfile.TemporaryDirectory() as folder:  # in place of the real files: one truck in each
    ...     for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
    ...         _ = Path(folder, name).write_bytes(bytes([9]) + bytes(3072))
    ...     data = cifar10(folder)
    >>> data.x_train.shape, CIFAR10_CLASSES[data.t_test[0]]
    ((5, 3, 32, 32), 'truck')

    References
    ----------
    A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009;
    https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    if path is None:
        wanted = f"{Path(_CIFAR10_URL).name}, or the folder {_CIFAR10_FOLDER} unpacked from it"
        source = _download("CIFAR-10", _CIFAR10_URL, _CIFAR10_SHA256, wanted)
    else:
        source = Path(path)
    if source.is_dir():
        nested = source / _CIFAR10_FOLDER
        folder = nested if nested.is_dir() else source
        batches = [read_cifar10_batch(_find(folder, [name])) for name in _CIFAR10_FILES]
    else:
        batches = _read_cifar10_archive(source)
    xs, ts = zip(*batches, strict=True)
    return Split(np.concatenate(xs[:-1]), np.concatenate(ts[:-1]), xs[-1], ts[-1])


def mnist(path: str | os.PathLike[str] | None = None) -> Split:
    """Return MNIST: 60,000 training and 10,000 test images of handwritten digits, 28 by 28 pixels.

    Data sets in the same four files, such as Fashion-MNIST, can be read with ``path``.

    Parameters
    ----------
    path : str, path or None
        None downloads the four files (12 MB) into pooch's cache. Otherwise, a folder with the files, compressed or
        not: ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
        ``t10k-labels-idx1-ubyte``, with or without ``.gz``, or with a dot as in ``train-images.idx3-ubyte``.

    Returns
    -------
    Split
        ``x_train`` (rows, 28, 28) and ``x_test`` uint8, 0 for the background; ``t_train`` (rows,) and ``t_test``
        int64, the digits 0 to 9.

    Raises
    ------
    DownloadError
        If there is no internet, or a downloaded file does not have the published checksum.
    FileFormatError
        For a file that is missing from the folder, cut short, or of another kind.
    MissingPackageError
        If ``path`` is None and pooch is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fullyconnected.datasets import mnist
    >>> images = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(28 * 28)
    >>> labels = bytes([0, 0, 8, 1, 0, 0, 0, 1, 7])
    >>> with tempfile.TemporaryDirectory() as folder:  # in place of the real files: one empty image in each
    ...     for part in ["train", "t10k"]:
    ...         _ = Path(folder, f"{part}-images-idx3-ubyte").write_bytes(images)
    ...         _ = Path(folder, f"{part}-labels-idx1-ubyte").write_bytes(labels)
    ...     data = mnist(folder)
    >>> data.x_train.shape, data.t_train
    ((1, 28, 28), array([7]))

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-Based Learning Applied to Document Recognition,
    Proceedings of the IEEE 86 (11), 1998; Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database.
    """
    if path is None:
        wanted = f"a folder with {', '.join(_MNIST_SHA256)}"
        files = [_download("MNIST", _MNIST_URL + name, sha256, wanted) for name, sha256 in _MNIST_SHA256.items()]
    else:
        plain = [name.removesuffix(".gz") for name in _MNIST_SHA256]
        dotted = [name.replace("-idx", ".idx") for name in plain]
        files = [_find(Path(path), [a, f"{a}.gz", b, f"{b}.gz"]) for a, b in zip(plain, dotted, strict=True)]
    return Split(*_read_mnist_pair(files[0], files[1]), *_read_mnist_pair(files[2], files[3]))


def read_cifar10_batch(path_or_bytes: str | os.PathLike[str] | bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images and class numbers of one file of CIFAR-10's binary version.

    The file consists of records of 3073 bytes: the label, then the red, green and blue planes, row by row. Published
    files have 10,000 records; files of one record or more can be read.

    Parameters
    ----------
    path_or_bytes : str, path or bytes
        The path of the file, or its content.

    Returns
    -------
    x : ndarray of uint8, (rows, 3, 32, 32)
        The images, planes in the order red, green, blue.
    t : ndarray of int64, (rows,)
        Indices of `CIFAR10_CLASSES`.

    Raises
    ------
    FileFormatError
        For a file that is empty, ends within a record, or has a label above 9.

    Examples
    --------
    >>> from fullyconnected.datasets import read_cifar10_batch
    >>> x, t = read_cifar10_batch(bytes([3]) + bytes(3072))
    >>> x.shape, t
    ((1, 3, 32, 32), array([3]))

    References
    ----------
    https://www.cs.toronto.edu/~kriz/cifar.html, section "Binary version".
    """
    if isinstance(path_or_bytes, bytes):
        return _parse_cifar10_batch(path_or_bytes, "the given bytes")
    path = Path(path_or_bytes)
    with _open(path, "a file of CIFAR-10's binary version") as stream:
        content = _read(stream, sys.maxsize)
    return _parse_cifar10_batch(content, str(path))


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Return the array in a file of MNIST's idx format, compressed with gzip or not.

    Parameters
    ----------
    path : str or path
        The file. Whether it is compressed is seen from its content, not from its name.

    Returns
    -------
    ndarray of the file's shape
        uint8, int8, int16, int32, float32 or float64, as the file says, in this machine's byte order.

    Raises
    ------
    FileFormatError
        If the first four bytes are not those of an idx file, or the file is shorter or longer than its header says.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fullyconnected.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "two-shorts")
    ...     _ = file.write_bytes(bytes([0, 0, 0x0B, 1, 0, 0, 0, 2, 0, 1, 255, 255]))
    ...     read_idx(file)
    array([ 1, -1], dtype=int16)

    References
    ----------
    Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database, section "The IDX file format".
    """
    path = Path(path)
    with _open(path, "an idx file, compressed with gzip or not") as stream:
        magic = stream.read(4)
        code, ndim = (magic[2], magic[3]) if len(magic) == 4 else (0, 0)
        # 64 is as many dimensions as a NumPy array can have.
        if magic[:2] != b"\0\0" or code not in _IDX_DTYPES or not 1 <= ndim <= 64:
            codes = " ".join(f"{known:02x}" for known in _IDX_DTYPES)
            raise FileFormatError(
                f"{path} is not an idx file: it starts with the bytes {magic.hex(' ') or '(none)'}; wanted 00 00, then "
                f"a type ({codes}), then a number of dimensions (01 to 40)."
            )
        sizes = stream.read(4 * ndim)
        if len(sizes) < 4 * ndim:
            raise FileFormatError(
                f"{path} is cut short: found {len(sizes)} of the {4 * ndim} bytes that hold the sizes of its {ndim} "
                f"dimensions."
            )
        shape, dtype = struct.unpack(f">{ndim}I", sizes), np.dtype(_IDX_DTYPES[code])
        n_bytes = math.prod(shape) * dtype.itemsize
        # One byte more than needed shows a file that is too long, and makes gzip read on to its checksum.
        content = _read(stream, n_bytes + 1)
    announced = f"its header announces {dtype.name} of shape {shape}, {n_bytes} bytes of data"
    if len(content) != n_bytes:
        found = "more than that" if len(content) > n_bytes else f"{len(content)}"
        raise FileFormatError(f"{path} has the wrong length: {announced}; found {found}.")
    try:
        array = np.frombuffer(content, dtype).reshape(shape)
    except ValueError as error:  # a size of 0 among others so large that NumPy cannot index them
        raise FileFormatError(f"{path} cannot be an array: {announced} ({error}).") from error
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_cifar10_archive(path: Path) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Return the six batches of the archive, found by their file names; nothing is written to disk."""
    batches, others = {}, []
    with _open(path, Path(_CIFAR10_URL).name) as stream:
        # Read all of it first: gzip then checks its checksum, and no size in the archive can exceed the content.
        content = io.BytesIO(_read(stream, sys.maxsize))
        with tarfile.open(fileobj=content, mode="r:") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                # Links are not followed; a sparse member may claim a size without having the bytes.
                plain = member.isreg() and not member.issparse()
                if name in _CIFAR10_FILES and plain and (file := archive.extractfile(member)):
                    with file:
                        batches[name] = _parse_cifar10_batch(file.read(), f"{path}: {member.name}")
                else:
                    others.append(name)
    if lacking := [name for name in _CIFAR10_FILES if name not in batches]:
        raise FileFormatError(
            f"{path} is not the archive of CIFAR-10's binary version: found {_listed([*batches, *others])}; wanted "
            f"{', '.join(lacking)} too."
        )
    return [batches[name] for name in _CIFAR10_FILES]


def _parse_cifar10_batch(content: bytes | bytearray, source: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    rows, rest = divmod(len(content), _RECORD)
    if rest or not rows:
        raise FileFormatError(
            f"{source} is not a whole batch of CIFAR-10's binary version: found {len(content)} bytes, {rows} records "
            f"and {rest} bytes more; wanted records of {_RECORD} bytes (a published file has 10000, 30730000 bytes)."
        )
    records = np.frombuffer(content, np.uint8).reshape(rows, _RECORD)
    t = _as_classes(records[:, 0], source)
    # A copy, since the caller may write to it.
    return records[:, 1:].copy().reshape(rows, 3, 32, 32), t


def _read_mnist_pair(images: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    x, t = read_idx(images), read_idx(labels)
    if x.dtype != np.uint8 or x.shape[1:] != (28, 28):
        raise FileFormatError(
            f"{images} does not hold MNIST's images: found {x.dtype} of shape {x.shape}; wanted uint8 of shape "
            f"(rows, 28, 28)."
        )
    if t.dtype != np.uint8 or t.shape != x.shape[:1]:
        raise FileFormatError(
            f"{labels} does not hold the labels of {images.name}: found {t.dtype} of shape {t.shape}; wanted uint8 of "
            f"shape {x.shape[:1]}."
        )
    return x, _as_classes(t, str(labels))


def _as_classes(labels: NDArray[np.uint8], source: str) -> NDArray[np.int64]:
    wrong = np.flatnonzero(labels > 9)
    if wrong.size:
        raise FileFormatError(
            f"{source} is damaged or of another data set: found the label {labels[wrong[0]]} in row {wrong[0]} (and "
            f"{wrong.size - 1} more above 9); wanted 0 to 9."
        )
    return labels.astype(np.int64)


@contextmanager
def _open(path: Path, wanted: str) -> Iterator[io.BufferedIOBase]:
    """Open a file, and decompress it if gzip made it; errors of gzip and tar become a FileFormatError."""
    # By content and not by name: browsers may decompress a download without changing its name.
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if compressed else path.open("rb") as stream:
            yield stream
    except FileFormatError:
        raise
    # ValueError and OverflowError: tarfile raises them for some damaged numbers in a header.
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError, ValueError, OverflowError) as error:
        raise FileFormatError(f"{path} is damaged, cut short or of another kind: {error}; wanted {wanted}.") from error


def _read(stream: io.BufferedIOBase, at_most: int) -> bytearray:
    """Return at most ``at_most`` bytes, a size that a damaged header may announce: memory grows with what is read."""
    content = bytearray()
    while chunk := stream.read(min(1 << 20, at_most - len(content))):
        content += chunk
    return content


def _find(folder: Path, names: Sequence[str]) -> Path:
    """Return the path of the first of the names that is a file in the folder."""
    present = {entry.name for entry in folder.iterdir() if entry.is_file()}
    for name in names:
        if name in present:
            return folder / name
    raise FileFormatError(f"{folder} lacks a file: found {_listed(sorted(present))}; wanted {' or '.join(names)}.")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8]) or "no file"
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown


@contextmanager
def _expendable(logger: Any) -> Iterator[None]:
    """Drop log messages if standard error is closed, so that the download goes on."""
    before = [(handler, handler.stream) for handler in logger.handlers if hasattr(handler, "stream")]
    for handler, stream in before:
        handler.stream = Stream(stream)
    try:
        yield
    finally:
        for handler, stream in before:
            handler.stream = stream


def _download(what: str, url: str, sha256: str, wanted: str) -> Path:
    """Return the path of the file in pooch's cache; download it unless it is there with the right checksum."""
    try:
        import pooch
    except ImportError as error:
        raise missing("pooch", "datasets", f"downloading {what} (path= takes files you already have)") from error
    try:
        with _expendable(pooch.get_logger()):
            file = pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}",
                fname=url.rpartition("/")[2],
                path=pooch.os_cache("fullyconnected") / what.lower(),
                # Seconds to connect, and between two chunks, which are large since pooch flushes each to disk.
                downloader=pooch.HTTPDownloader(timeout=(10, 30), chunk_size=1 << 16),
            )
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong checksum is a ValueError
        raise DownloadError(
            f"{what} could not be downloaded from {url}. If you have the files, or can fetch them elsewhere, give them "
            f"as path=: {wanted}. What went wrong: {error}"
        ) from error
    return Path(file)
