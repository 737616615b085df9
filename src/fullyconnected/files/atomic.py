"""Writing a file so that at every moment its name stands for the old content or the new, whole."""

import contextlib
import errno
import glob
import os
import re
import select
import stat
import sys
import time
from collections.abc import Iterator

__all__ = ["check_writable", "write_atomically"]

TEMPORARY = ".fullyconnected-{}.tmp"
STALE = 600.0  # seconds after which a temporary file that nobody has written to is taken for a dead process's

# Why no file can take the place of another whose content may be changed all the same: the folder is read-only, the file
# is a mount of its own, or its owner cannot be kept.
KEPT_OUT = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV} if os.name == "posix" else set()
UNABLE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}  # of a file system that has no such thing
DESCRIPTORS = re.compile(r"/dev/fd|/proc/(?P<process>\d+)(/task/\d+)?/fd")
KEPT_ATTRIBUTES = ("user.", "system.posix_acl_access", "security.selinux")  # others say something of the content


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write to a temporary file in the same folder, sync it, and rename it to ``path``.

    A process killed at any moment leaves the old file whole, and at most a temporary one, which a later save removes.
    The folder is synced too, so that the new file survives a power cut. The file keeps its owner, its permissions, its
    access list and its attributes; a link stays a link; another hard link to the file keeps the old content. Where
    anything fails (a full disk, say) the temporary file is removed and the operating system's error goes on to the
    caller, with ``path`` for its file name.

    Three things are written to as they are: what the program or another one has open (``/dev/stdout``, ``/dev/fd/3``),
    a pipe or a device, which take ``data`` at their end; and a file whose place no other can take, because its folder
    is read-only, it is a mount of its own (as in a container), or its owner could not be kept. A full disk leaves that
    one as it was, too, but a process that is killed in the midst of it leaves a torn file.

    Raises
    ------
    PermissionError
        For a file that is marked read-only, also where the process (as root) might write to it.
    OSError
        For whatever else the operating system refuses.
    """
    with _named(path):
        _write(os.fsdecode(path), data)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise now what :func:`write_atomically` would raise later, as far as it can be known; nothing is written."""
    with _named(path):
        name = os.fsdecode(path)
        if _stream(name) is not None:
            return
        before = _before(name)
        if before is None and not os.access(os.path.dirname(os.path.realpath(name)), os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "You may not write to the folder of this file")


@contextlib.contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the caller's path in every error of the operating system, instead of a file that only we know of."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            del error.filename2
            error.filename = os.fspath(path)
        raise


def _before(name: str) -> os.stat_result | None:
    """Return what there is at a path, None where there is nothing, or raise where no file can be written to it."""
    if not name:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    try:
        before = os.stat(name)
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(os.path.realpath(name))):
            raise FileNotFoundError(errno.ENOENT, "There is no such folder to save a file in") from None
        if name.endswith(("/", os.sep)):
            raise IsADirectoryError(errno.EISDIR, "This names a folder, and a file is to be saved") from None
        return None
    kind = before.st_mode
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        return before
    if not stat.S_ISREG(kind):
        raise FileExistsError(errno.EEXIST, "A file cannot take the place of this folder or device")
    if not kind & 0o222:  # root may write to it; but who marked it so wants it to stay
        raise PermissionError(errno.EACCES, "This file is read-only; make it writable, or choose another name")
    if not os.access(name, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, "You may not write to this file")
    return before


def _write(name: str, data: bytes) -> None:
    if (stream := _stream(name)) is not None:
        return _append(stream, data)
    before = _before(name)
    if before is not None and not stat.S_ISREG(before.st_mode):
        return _pour(os.open(name, os.O_WRONLY | getattr(os, "O_NOCTTY", 0)), data)
    target = os.path.realpath(name)  # a link keeps pointing to the file that is replaced
    try:
        _replace(target, before, data)
    except OSError as error:
        if before is None or error.errno not in KEPT_OUT:
            raise
        _overwrite(target, data)
    return None


def _stream(name: str) -> str | None:
    """Return the path of the open stream that ``name`` leads to, such as /proc/123/fd/1; None for any other file."""
    if os.name != "posix":
        return None
    for _ in range(40):  # as many links as Linux follows
        folder, last = os.path.split(name)
        name = os.path.join(os.path.realpath(folder), last)
        if last.isdecimal() and DESCRIPTORS.fullmatch(os.path.dirname(name)):
            return name
        try:
            name = os.path.join(os.path.dirname(name), os.readlink(name))
        except OSError:
            return None
    return None


def _append(stream: str, data: bytes) -> None:
    """Write to what is open already: at the place where it is, which all who have it open share."""
    folder, number = os.path.split(stream)
    matched = DESCRIPTORS.fullmatch(folder)
    if matched and matched["process"] not in (None, str(os.getpid())):
        return _pour(os.open(stream, os.O_WRONLY | os.O_APPEND), data)
    for text in (sys.stdout, sys.stderr):  # what was printed before comes before
        with contextlib.suppress(OSError, ValueError, AttributeError):
            text.flush()
    return _pour(os.dup(int(number)), data)


def _pour(handle: int, data: bytes) -> None:
    """Write all of ``data``, and close the handle."""
    try:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(handle, left) :]
            except BlockingIOError:
                select.select((), (handle,), ())
    finally:
        os.close(handle)


def _replace(target: str, before: os.stat_result | None, data: bytes) -> None:
    folder = os.path.dirname(target)
    _remove_stale(folder)
    temporary = os.path.join(folder, TEMPORARY.format(os.urandom(8).hex()))
    try:
        with open(temporary, "xb") as file:
            if before is not None:
                _keep(file.fileno(), temporary, target, before)
            file.write(data)
            file.flush()
            _sync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened, and the rename is journalled
        _sync_folder(folder)


def _keep(handle: int, temporary: str, target: str, before: os.stat_result) -> None:
    """Give the new file what the old one has: before the data, so that nobody reads them who may not."""
    if os.name != "posix":
        return os.chmod(temporary, stat.S_IMODE(before.st_mode))
    now = os.fstat(handle)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        os.fchown(handle, before.st_uid, before.st_gid)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a file system without them
            names = set(os.listxattr(target))
            for name in set(os.listxattr(handle)) - names:  # the folder gives new files an access list
                if name.startswith(KEPT_ATTRIBUTES):
                    os.removexattr(handle, name)
            for name in names:
                if name.startswith(KEPT_ATTRIBUTES):
                    os.setxattr(handle, name, os.getxattr(target, name))
    return os.fchmod(handle, stat.S_IMODE(before.st_mode))


def _overwrite(target: str, data: bytes) -> None:
    """Write into the file itself. What it has to grow by comes first: where the disk is full, the old content stays."""
    handle = os.open(target, os.O_WRONLY)
    try:
        size = os.fstat(handle).st_size
        try:
            _put(handle, data, size)
        except BaseException:
            os.ftruncate(handle, size)
            raise
        try:
            _put(handle, data)
        except KeyboardInterrupt:  # it waits until the file is whole
            _put(handle, data)
            raise
    finally:
        os.close(handle)


def _put(handle: int, data: bytes, at: int = 0) -> None:
    """Write ``data[at:]`` to where it belongs in the file; from 0 on, the file holds nothing else."""
    left = memoryview(data)[at:]
    while left:
        written = os.pwrite(handle, left, len(data) - len(left))
        left = left[written:]
    if not at:
        os.ftruncate(handle, len(data))
    _sync(handle)


def _sync(handle: int) -> None:
    """Wait until a file is on the disk, where the file system can tell."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNABLE:
            raise


def _sync_folder(folder: str) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot; the file is whole in any case
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove_stale(folder: str) -> None:
    """Remove what killed processes have left of earlier saves."""
    for path in glob.glob(os.path.join(glob.escape(folder), TEMPORARY.format("*"))):
        with contextlib.suppress(OSError):  # another process may be quicker
            if time.time() - os.path.getmtime(path) > STALE:
                os.unlink(path)
