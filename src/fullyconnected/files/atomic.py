"""Writing a file atomically: at any moment it has the whole old content, or the whole new content."""

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
STALE = 600.0  # seconds without a write after which a temporary file is taken for a leftover of a killed process

# Errors after which a file cannot be replaced but may be overwritten: the folder is read-only, the file is a mount
# point, or the new file cannot have the same owner.
KEPT_OUT = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV} if os.name == "posix" else set()
UNABLE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}  # errors of a file system without fsync
DESCRIPTORS = re.compile(r"/dev/fd|/proc/(?P<process>\d+)(/task/\d+)?/fd")
KEPT_ATTRIBUTES = ("user.", "system.posix_acl_access", "security.selinux")  # others describe the content


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write to a temporary file in the same folder, sync it, and rename it to ``path``.

    If the process is killed, the old file stays whole; at most a temporary file is left, which a later save removes.
    The folder is synced too, so that the new file survives a power cut. The file keeps its owner, permissions, access
    list and attributes; a link stays a link; other hard links to the file keep the old content. If anything fails (the
    disk is full, say), the temporary file is removed, and the operating system's error is raised with ``path`` as its
    file name.

    Some things are written to directly. Open files of a process (``/dev/stdout``, ``/dev/fd/3``), pipes and devices get
    ``data`` at their end. A file that cannot be replaced is overwritten: its folder is read-only, it is a mount point
    (as in a container), or its owner could not be kept. A full disk leaves such a file as it was, but a process that
    is killed while it writes leaves a damaged one.

    Raises
    ------
    PermissionError
        For a file that is marked read-only, even if the process (as root) may write to it.
    OSError
        For any other error of the operating system.
    """
    with _named(path):
        _write(os.fsdecode(path), data)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise what :func:`write_atomically` would raise, as far as it can be known without writing."""
    with _named(path):
        name = os.fsdecode(path)
        if _stream(name) is not None:
            return
        before = _before(name)
        if before is None and not os.access(os.path.dirname(os.path.realpath(name)), os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "You may not write to the folder of this file")


@contextlib.contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the caller's path into each error of the operating system, instead of the name of a temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            del error.filename2
            error.filename = os.fspath(path)
        raise


def _before(name: str) -> os.stat_result | None:
    """Return the status of what is at a path, or None if nothing is; raise if no file can be written there."""
    if not name:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    try:
        before = os.stat(name)
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(os.path.realpath(name))):
            raise FileNotFoundError(errno.ENOENT, "The folder of this file does not exist") from None
        if name.endswith(("/", os.sep)):
            raise IsADirectoryError(errno.EISDIR, "This is the name of a folder, not of a file") from None
        return None
    kind = before.st_mode
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        return before
    if not stat.S_ISREG(kind):
        raise FileExistsError(errno.EEXIST, "A folder or device cannot be replaced by a file")
    if not kind & 0o222:  # root could write to it, but whoever marked it read-only wants to keep it
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
    """Return the path of the file descriptor that ``name`` leads to, such as /proc/123/fd/1; None for other files."""
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
    """Write to an open file at its current position, which all processes that have it open share."""
    folder, number = os.path.split(stream)
    matched = DESCRIPTORS.fullmatch(folder)
    if matched and matched["process"] not in (None, str(os.getpid())):
        return _pour(os.open(stream, os.O_WRONLY | os.O_APPEND), data)
    for text in (sys.stdout, sys.stderr):  # what was printed earlier must come first
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
    if os.name == "posix":  # elsewhere a folder cannot be opened, and its file system keeps a journal of renames
        _sync_folder(folder)


def _keep(handle: int, temporary: str, target: str, before: os.stat_result) -> None:
    """Give the new file the owner, permissions and attributes of the old one, before it holds any data to protect."""
    if os.name != "posix":
        return os.chmod(temporary, stat.S_IMODE(before.st_mode))
    now = os.fstat(handle)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        os.fchown(handle, before.st_uid, before.st_gid)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # the file system has no attributes
            names = set(os.listxattr(target))
            for name in set(os.listxattr(handle)) - names:  # a new file may get an access list from its folder
                if name.startswith(KEPT_ATTRIBUTES):
                    os.removexattr(handle, name)
            for name in names:
                if name.startswith(KEPT_ATTRIBUTES):
                    os.setxattr(handle, name, os.getxattr(target, name))
    return os.fchmod(handle, stat.S_IMODE(before.st_mode))


def _overwrite(target: str, data: bytes) -> None:
    """Write into the file itself: first to its end what it grows by, so that a full disk leaves the old content."""
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
        except KeyboardInterrupt:  # the interrupt has to wait until the file is whole
            _put(handle, data)
            raise
    finally:
        os.close(handle)


def _put(handle: int, data: bytes, at: int = 0) -> None:
    """Write ``data[at:]`` at offset ``at``; if that is 0, cut off what is left of an older, longer content."""
    left = memoryview(data)[at:]
    while left:
        written = os.pwrite(handle, left, len(data) - len(left))
        left = left[written:]
    if not at:
        os.ftruncate(handle, len(data))
    _sync(handle)


def _sync(handle: int) -> None:
    """Wait until a file is on the disk, if the file system supports that."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNABLE:
            raise


def _sync_folder(folder: str) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder; the file is whole all the same
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove_stale(folder: str) -> None:
    """Remove temporary files that killed processes have left."""
    for path in glob.glob(os.path.join(glob.escape(folder), TEMPORARY.format("*"))):
        with contextlib.suppress(OSError):  # another process may remove it first
            if time.time() - os.path.getmtime(path) > STALE:
                os.unlink(path)
