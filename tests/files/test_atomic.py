"""A file that is being replaced is the old one or the new one, whole, whatever happens."""

import errno
import io
import itertools
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import fullyconnected as fc
from fullyconnected.files import atomic
from fullyconnected.files.atomic import check_writable, write_atomically

KILLING = Path(__file__).with_name("killing.py")
ONE_THREAD = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # the script forks

posix = pytest.mark.skipif(os.name != "posix", reason="permissions, links, limits, or replacing an open file")
linux = pytest.mark.skipif(sys.platform != "linux", reason="forks")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_writes_and_replaces(tmp_path):
    path = tmp_path / os.fsdecode("größe [1] *.bin".encode())  # whatever the locale says of names
    for data in (b"one", b"", b"two" * 10**6):
        write_atomically(path, data)
        assert path.read_bytes() == data
        write_atomically(str(path), data[::-1])
        assert path.read_bytes() == data[::-1]
    assert names(tmp_path) == [path.name]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    write_atomically(tmp_path / ("n" * 255), b"data")
    assert names(tmp_path) == ["n" * 255]


def test_a_path_relative_to_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomically("net", b"data")
    assert names(tmp_path) == ["net"]


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder of this file does not exist.*nowhere"):
        write_atomically(tmp_path / "nowhere" / "net", b"data")


def test_folders_are_not_replaced(tmp_path):
    with pytest.raises(FileExistsError, match="cannot be replaced"):
        write_atomically(tmp_path, b"data")
    assert names(tmp_path) == []


@posix
def test_a_device_stays_one(tmp_path):
    write_atomically(os.devnull, b"data")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    (tmp_path / "link").symlink_to(os.devnull)
    write_atomically(tmp_path / "link", b"data")
    assert names(tmp_path) == ["link"]


@posix
def test_a_pipe_with_a_name_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    data, read = bytes(range(256)) * 2000, []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_atomically(tmp_path / "pipe", data)
    reader.join()
    assert read == [data]
    assert names(tmp_path) == ["pipe"]


WRITES = """
import sys
from fullyconnected.files.atomic import check_writable, write_atomically
print("before")
write_atomically(sys.argv[1], b"data\\n")
print("after")
"""


@posix
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link", "link to a link"])
@pytest.mark.parametrize("mode", ["a", "r+"])
def test_what_is_redirected_to_a_file_keeps_what_that_holds(tmp_path, name, mode):
    if not os.path.exists("/dev/stdout" if "link" in name else name):
        pytest.skip(f"there is no {name} here")
    (tmp_path / "link").symlink_to("/dev/stdout")
    (tmp_path / "link to a link").symlink_to("link")
    log = tmp_path / "log"
    log.write_bytes(b"kept\n")
    with open(log, mode) as file:
        file.seek(0, os.SEEK_END)
        subprocess.run([sys.executable, "-c", WRITES, tmp_path / name], stdout=file, check=True)
    assert log.read_bytes() == b"kept\nbefore\ndata\nafter\n"
    assert names(tmp_path) == ["link", "link to a link", "log"]


@posix
@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="streams have no names here")
def test_a_stream_that_another_program_reads(tmp_path):
    done = subprocess.run([sys.executable, "-c", WRITES, "/dev/stdout"], capture_output=True, check=True)
    assert done.stdout == b"before\ndata\nafter\n"
    with open(tmp_path / "log", "ab") as file:
        write_atomically(f"/dev/fd/{file.fileno()}", b"data")
        assert not file.closed
        file.write(b" and more")
    assert (tmp_path / "log").read_bytes() == b"data and more"
    with pytest.raises(OSError, match="/dev/fd/987"):
        write_atomically("/dev/fd/987", b"data")


@pytest.mark.parametrize("mode", [0o444, 0o400])
def test_a_file_that_is_marked_read_only_stays(tmp_path, mode):
    """Also where root writes, who may."""
    path = tmp_path / "net"
    path.write_bytes(b"old")
    path.chmod(mode)
    with pytest.raises(PermissionError, match="read-only") as caught:
        write_atomically(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    with pytest.raises(PermissionError, match="read-only"):
        check_writable(path)
    path.chmod(0o644)
    check_writable(path)
    write_atomically(path, b"new")
    assert names(tmp_path) == ["net"]


@pytest.mark.parametrize("path", ["nowhere/net", "net/", "", "net/net", "."])
def test_a_path_that_names_no_file_is_told_as_it_was_given(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    if path == "net/net":
        (tmp_path / "net").touch()
    before = names(tmp_path)
    for write in (check_writable, lambda path: write_atomically(path, b"data")):
        with pytest.raises(OSError) as caught:
            write(path)
        assert caught.value.filename == path
        assert names(tmp_path) == before


@posix
@pytest.mark.parametrize("step", ["open", "replace"])
@pytest.mark.parametrize("why", ["EBUSY", "EACCES", "EPERM", "EROFS"])
@pytest.mark.parametrize("data", [b"longer than it was", b"short", b""])
def test_where_no_other_file_can_take_its_place_it_is_written_itself(tmp_path, monkeypatch, step, why, data):
    """As a mount of its own, or in a folder that is read-only."""
    path = tmp_path / "net"
    path.write_bytes(b"what it was")
    path.chmod(0o640)
    before = path.stat()

    def refuse(*args):
        raise OSError(getattr(errno, why), "not here", "a temporary name")

    if step == "open":
        monkeypatch.setattr(atomic, "open", refuse, raising=False)
    else:
        monkeypatch.setattr(os, step, refuse)
    write_atomically(path, data)
    after = path.stat()
    assert path.read_bytes() == data
    assert (after.st_ino, after.st_mode, after.st_uid) == (before.st_ino, before.st_mode, before.st_uid)
    assert names(tmp_path) == ["net"]
    with pytest.raises(OSError) as caught:
        write_atomically(tmp_path / "other", data)  # there is no such file to write to
    assert caught.value.filename == str(tmp_path / "other")
    assert names(tmp_path) == ["net"]


@posix
def test_a_full_disk_leaves_a_file_that_is_written_itself_as_it_was(tmp_path, monkeypatch):
    path, write = tmp_path / "net", os.pwrite
    path.write_bytes(b"what it was")

    def refuse(*args):
        raise OSError(errno.EBUSY, "not here", "a temporary name")

    def full(handle, data, at):
        if at + len(data) > 11:
            write(handle, data[:3], at)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data, at)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(path, b"longer than it was")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"what it was"


@posix
def test_ctrl_c_waits_until_a_file_that_is_written_itself_is_whole(tmp_path, monkeypatch):
    path, write, pressed = tmp_path / "net", os.pwrite, []
    path.write_bytes(b"what it was")

    def refuse(*args):
        raise OSError(errno.EBUSY, "not here", "a temporary name")

    def press(handle, data, at):
        if not at and not pressed:
            pressed.append(True)
            write(handle, data[:3], at)
            raise KeyboardInterrupt
        return write(handle, data, at)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "pwrite", press)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


@linux
def test_a_file_that_is_a_mount_of_its_own(tmp_path):
    code = "import sys, fullyconnected as fc; fc.mlp([3, 2], seed=1).save(sys.argv[1])"
    fc.mlp([3, 2], seed=0).save(tmp_path / "net")
    fc.mlp([30, 20], seed=0).save(tmp_path / "other")
    mount = f'mount --bind other net && exec "{sys.executable}" -c "$0" net'
    try:
        done = subprocess.run(["unshare", "-rm", "sh", "-c", mount, code], cwd=tmp_path, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if "Traceback" not in done.stderr and done.returncode:
        pytest.skip(f"nothing can be mounted: {done.stderr}")
    assert done.stderr == ""
    assert (fc.load(tmp_path / "other").theta == fc.mlp([3, 2], seed=1).theta).all()
    assert names(tmp_path) == ["net", "other"]


root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")


@root
def test_root_keeps_the_owner_of_a_file(tmp_path):
    path = tmp_path / "net"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    path.chmod(0o640)
    inode = path.stat().st_ino
    fc.mlp([2, 1]).save(path)
    after = path.stat()
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (1234, 2345, 0o640)
    assert after.st_ino != inode  # it was replaced, whole


@root
def test_who_may_write_to_a_file_but_not_own_it_leaves_it_to_its_owner(tmp_path, monkeypatch):
    path = tmp_path / "net"
    path.write_bytes(b"what it was")
    os.chown(path, 1234, 2345)
    path.chmod(0o666)

    def refuse(*args):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)  # as for anybody but root
    write_atomically(path, b"new")
    assert (path.stat().st_uid, path.read_bytes()) == (1234, b"new")
    assert names(tmp_path) == ["net"]


@linux
def test_attributes_are_kept(tmp_path):
    path = tmp_path / "net"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.made_by", b"me")
    except OSError as error:
        pytest.skip(f"this file system has none: {error}")
    write_atomically(path, b"new")
    assert os.getxattr(path, "user.made_by") == b"me"


@posix
def test_another_hard_link_keeps_the_old_content(tmp_path):
    (tmp_path / "net").write_bytes(b"old")
    os.link(tmp_path / "net", tmp_path / "kept")
    write_atomically(tmp_path / "net", b"new")
    assert (tmp_path / "kept").read_bytes() == b"old"


@posix
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(Path("folder") / "net")
    for data in (b"one", b"two"):  # at first the link points to nothing
        write_atomically(tmp_path / "link", data)
        assert (tmp_path / "folder" / "net").read_bytes() == data
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path) == ["folder", "link"]


@posix
def test_the_old_files_permissions_are_kept(tmp_path):
    path = tmp_path / "net"
    write_atomically(path, b"one")
    usual = stat.S_IMODE(path.stat().st_mode)
    (tmp_path / "other").touch()
    assert usual == stat.S_IMODE((tmp_path / "other").stat().st_mode)
    path.chmod(0o600)
    write_atomically(path, b"two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, error):
    path = tmp_path / "net"
    write_atomically(path, b"old")

    def fail(*args):
        raise error

    class Full(io.FileIO):
        def write(self, data):
            super().write(data[:2])
            raise error

    if step == "open":
        monkeypatch.setattr(atomic, "open", fail, raising=False)
    elif step == "write":
        monkeypatch.setattr(atomic, "open", Full, raising=False)
    else:
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)) as caught:
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert getattr(caught.value, "filename", str(path)) == str(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["net"]


@posix
def test_a_disk_that_is_full(tmp_path):
    path = tmp_path / "net"
    old = fc.mlp([10, 10], seed=0)
    old.save(path)
    code = (
        "import resource, sys, fullyconnected as fc\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    fc.mlp([300, 300]).save(sys.argv[1])\n"
        "except OSError as error:\n"
        "    print('refused', error.errno)\n"
    )
    out = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout
    assert out == f"refused {errno.EFBIG}\n"
    assert (fc.load(path).theta == old.theta).all()
    assert names(tmp_path) == ["net"]


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            write_atomically(tmp_path / "net", b"data")
    finally:
        tmp_path.chmod(0o700)
    assert names(tmp_path) == []


@posix
def test_a_file_system_that_cannot_sync_a_folder(tmp_path, monkeypatch):
    sync = os.fsync

    def only_files(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    write_atomically(tmp_path / "net", b"data")
    assert (tmp_path / "net").read_bytes() == b"data"


@pytest.mark.parametrize("why", ["EINVAL", "ENOSYS", "ENOTSUP"])
def test_a_file_system_that_cannot_sync_at_all(tmp_path, monkeypatch, why):
    def unable(handle):
        raise OSError(getattr(errno, why), "not here")

    monkeypatch.setattr(os, "fsync", unable)
    for data in (b"one", b"two"):
        write_atomically(tmp_path / "net", data)
        assert (tmp_path / "net").read_bytes() == data
    assert names(tmp_path) == ["net"]


@posix
def test_file_then_name_then_folder_are_synced(tmp_path, monkeypatch):
    done, sync, replace = [], os.fsync, os.replace

    def synced(handle):
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def replaced(old, new):
        done.append("name")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    write_atomically(tmp_path / "net", b"data")
    assert done == ["file", "name", "folder"]


def test_what_the_dead_have_left_is_removed_and_nothing_else(tmp_path):
    old, new = tmp_path / f".fullyconnected-{'a' * 16}.tmp", tmp_path / f".fullyconnected-{'b' * 16}.tmp"
    others = [tmp_path / name for name in ("fullyconnected-mine.tmp", ".fullyconnected-mine", ".net.tmp")]
    for path in (old, new, *others):
        path.touch()
    long_ago = time.time() - 2 * atomic.STALE
    for path in (old, *others):
        os.utime(path, (long_ago, long_ago))
    write_atomically(tmp_path / "net", b"data")
    assert names(tmp_path) == sorted(path.name for path in (new, *others, tmp_path / "net"))


@posix
def test_many_writers_at_once(tmp_path):
    path, errors = tmp_path / "net", []
    contents = [bytes([i]) * 200_000 for i in range(8)]

    def write(data):
        try:
            for _ in range(20):
                write_atomically(path, data)
                assert path.read_bytes() in contents
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(data,)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert names(tmp_path) == ["net"]


@posix
def test_two_processes_save_to_one_path_at_once(tmp_path):
    path = tmp_path / "net"
    code = (
        "import sys, threading, fullyconnected as fc\n"
        "net, told = fc.mlp([50, 50], seed=int(sys.argv[2])), threading.Event()\n"
        "threading.Thread(target=lambda: (sys.stdin.read(), told.set()), daemon=True).start()\n"
        "while not told.is_set(): net.save(sys.argv[1])\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, path, str(seed)], stdin=subprocess.PIPE) for seed in (0, 1)
    ]
    nets, seen = [fc.mlp([50, 50], seed=seed).theta.tobytes() for seed in (0, 1)], set()
    for reads in itertools.count():  # as many as it takes to meet both, and fifty more
        assert [writer.poll() for writer in writers] == [None, None]
        if path.exists():
            seen.add(nets.index(fc.load(path).theta.tobytes()))
        if len(seen) == 2 and reads >= 50:
            break
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert names(tmp_path) == ["net"]


@linux
def test_a_save_killed_at_any_call_leaves_the_old_file_and_then_the_new_one(tmp_path):
    subprocess.run([sys.executable, KILLING, "calls", tmp_path], env=ONE_THREAD, check=True)


@linux
def test_a_save_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    subprocess.run([sys.executable, KILLING, "saves", tmp_path, "100", "1"], env=ONE_THREAD, check=True)


def test_a_save_killed_on_any_system_leaves_a_whole_file(tmp_path, rng):
    path = tmp_path / "net"
    nets = [fc.mlp([300, 300], seed=seed) for seed in (0, 1)]
    nets[0].save(path)
    code = (
        "import sys, fullyconnected as fc\n"
        "nets = [fc.mlp([300, 300], seed=seed) for seed in (1, 0)]\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for net in nets: net.save(sys.argv[1])\n"
    )
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
        assert any((fc.load(path).theta == net.theta).all() for net in nets)
