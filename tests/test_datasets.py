"""CIFAR-10 and MNIST: files in the true formats, everything that can be wrong with them, and downloads."""

import gzip
import hashlib
import io
import struct
import sys
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fullyconnected import datasets, errors

CIFAR_FILES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
MNIST_FILES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
IDX = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def idx_bytes(array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, IDX[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def cifar_data(rows=3):
    """Six batches of (images, labels), each image different."""
    rng = np.random.default_rng(0)
    return {
        name: (rng.integers(0, 256, (rows, 3, 32, 32), np.uint8), rng.integers(0, 10, rows, np.uint8))
        for name in CIFAR_FILES
    }


def cifar_bytes(x, t):
    return b"".join(bytes([label]) + image.tobytes() for image, label in zip(x, t, strict=True))


def write_cifar_tar(path, contents, mode="w:gz", folder="cifar-10-batches-bin/"):
    with tarfile.open(path, mode) as archive:
        for name, content in {"readme.html": b"<html>", **contents}.items():
            member = tarfile.TarInfo(folder + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def mnist_data(train_rows=5, test_rows=2):
    rng = np.random.default_rng(1)
    arrays = []
    for rows in (train_rows, test_rows):
        arrays += [rng.integers(0, 256, (rows, 28, 28), np.uint8), rng.integers(0, 10, rows, np.uint8)]
    return dict(zip(MNIST_FILES, arrays, strict=True))


def assert_is_cifar(split, data):
    np.testing.assert_array_equal(split.x_train, np.concatenate([data[name][0] for name in CIFAR_FILES[:5]]))
    np.testing.assert_array_equal(split.t_train, np.concatenate([data[name][1] for name in CIFAR_FILES[:5]]))
    np.testing.assert_array_equal(split.x_test, data["test_batch.bin"][0])
    np.testing.assert_array_equal(split.t_test, data["test_batch.bin"][1])
    assert [a.dtype for a in split] == [np.uint8, np.int64, np.uint8, np.int64]
    assert all(a.flags.c_contiguous and a.flags.writeable for a in split)


def assert_is_mnist(split, data):
    for got, wanted in zip(split, data.values(), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert [a.dtype for a in split] == [np.uint8, np.int64, np.uint8, np.int64]
    assert all(a.flags.c_contiguous and a.flags.writeable for a in split)


# CIFAR-10


def test_a_cifar_batch_is_label_then_red_green_blue_row_by_row():
    content = bytes([9]) + b"".join(bytes([plane * 32 + row]) * 32 for plane in range(3) for row in range(32))
    x, t = datasets.read_cifar10_batch(content)
    assert x.shape == (1, 3, 32, 32)
    assert t.tolist() == [9]
    assert x[0, 2, 5, 0] == 2 * 32 + 5
    assert (x[0, :, :, 0] == x[0, :, :, 31]).all()
    assert datasets.CIFAR10_CLASSES[t[0]] == "truck"
    assert len(datasets.CIFAR10_CLASSES) == 10


def test_a_cifar_batch_is_read_from_path_text_and_bytes_alike(tmp_path):
    x, t = cifar_data()["test_batch.bin"]
    file = tmp_path / "batch.bin"
    file.write_bytes(cifar_bytes(x, t))
    for source in (file, str(file), file.read_bytes()):
        got_x, got_t = datasets.read_cifar10_batch(source)
        np.testing.assert_array_equal(got_x, x)
        np.testing.assert_array_equal(got_t, t)
        got_x[0] = 0  # the caller's own


@pytest.mark.parametrize("nested", [False, True])
def test_cifar_from_a_folder(tmp_path, nested):
    data = cifar_data()
    folder = tmp_path / "cifar-10-batches-bin" if nested else tmp_path
    folder.mkdir(exist_ok=True)
    for name, batch in data.items():
        (folder / name).write_bytes(cifar_bytes(*batch))
    assert_is_cifar(datasets.cifar10(tmp_path), data)


@pytest.mark.parametrize("mode", ["w:gz", "w"])
@pytest.mark.parametrize("folder", ["cifar-10-batches-bin/", "./cifar-10-batches-bin/", ""])
def test_cifar_from_the_archive_leaves_the_disk_alone(tmp_path, mode, folder):
    data = cifar_data()
    contents = {name: cifar_bytes(*data[name]) for name in reversed(CIFAR_FILES)}  # the order inside does not matter
    file = write_cifar_tar(tmp_path / "cifar-10-binary.tar.gz", contents, mode, folder)
    assert_is_cifar(datasets.cifar10(str(file)), data)
    assert list(tmp_path.iterdir()) == [file]


def test_an_archive_that_points_elsewhere_writes_and_follows_nothing(tmp_path):
    data = cifar_data()
    contents = {name: cifar_bytes(*batch) for name, batch in data.items()}
    inside = tmp_path / "inside"
    inside.mkdir()
    file = write_cifar_tar(inside / "up.tar.gz", contents, folder="../../")
    assert_is_cifar(datasets.cifar10(file), data)
    assert sorted(tmp_path.rglob("*")) == [inside, file]

    (tmp_path / "secret.bin").write_bytes(contents["test_batch.bin"])
    link = tarfile.TarInfo("test_batch.bin")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.bin")
    with tarfile.open(inside / "link.tar", "w") as archive:
        archive.addfile(link)
    with pytest.raises(errors.FileFormatError, match=r"test_batch\.bin"):
        datasets.cifar10(inside / "link.tar")


@pytest.mark.parametrize("n_bytes", [0, 1, 3072, 3074, 5 * 3073 - 1])
def test_a_cifar_batch_of_no_whole_records_is_refused(tmp_path, n_bytes):
    file = tmp_path / "short.bin"
    file.write_bytes(bytes(n_bytes))
    with pytest.raises(errors.FileFormatError, match=rf"short\.bin.*found {n_bytes} bytes.*wanted.*3073 bytes"):
        datasets.read_cifar10_batch(file)
    with pytest.raises(errors.FileFormatError, match=rf"the given bytes.*found {n_bytes} bytes"):
        datasets.read_cifar10_batch(bytes(n_bytes))


def test_a_cifar_label_above_nine_is_refused_with_its_row(tmp_path):
    file = tmp_path / "wrong.bin"
    file.write_bytes((bytes([3]) + bytes(3072)) * 2 + bytes([10]) + bytes(3072))
    with pytest.raises(errors.FileFormatError, match=r"wrong\.bin.*found the label 10 in row 2.*wanted 0 to 9"):
        datasets.read_cifar10_batch(file)


def test_a_cifar_folder_or_archive_that_lacks_a_batch_says_which(tmp_path):
    contents = {name: cifar_bytes(*batch) for name, batch in cifar_data(1).items() if name != "data_batch_4.bin"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(errors.FileFormatError, match=r"found data_batch_1\.bin.*wanted data_batch_4\.bin"):
        datasets.cifar10(tmp_path)
    file = write_cifar_tar(tmp_path / "few.tar.gz", contents)
    with pytest.raises(errors.FileFormatError, match=r"few\.tar\.gz.*found data_batch_1\.bin.*data_batch_4\.bin too"):
        datasets.cifar10(file)


def test_the_python_version_of_cifar_is_refused_by_name(tmp_path):
    file = write_cifar_tar(tmp_path / "cifar-10-python.tar.gz", {"data_batch_1": b"pickle"}, folder="")
    with pytest.raises(errors.FileFormatError, match=r"binary version: found readme\.html, data_batch_1; wanted"):
        datasets.cifar10(file)


def test_a_damaged_batch_in_an_archive_is_named(tmp_path):
    contents = {name: cifar_bytes(*batch) for name, batch in cifar_data(1).items()}
    contents["data_batch_2.bin"] = contents["data_batch_2.bin"][:-1]
    file = write_cifar_tar(tmp_path / "c.tar.gz", contents)
    with pytest.raises(errors.FileFormatError, match=r"c\.tar\.gz: cifar-10-batches-bin/data_batch_2\.bin.*3072 bytes"):
        datasets.cifar10(file)


@pytest.mark.parametrize("keep", [1, 12, 1000, 50_000, -9, -1])
def test_an_archive_cut_short_is_refused(tmp_path, keep):
    file = write_cifar_tar(tmp_path / "c.tar.gz", {name: cifar_bytes(*b) for name, b in cifar_data().items()})
    content = file.read_bytes()
    assert len(content) > 50_000
    file.write_bytes(content[:keep])
    with pytest.raises(errors.FileFormatError, match=r"c\.tar\.gz.*wanted cifar-10-binary\.tar\.gz"):
        datasets.cifar10(file)


def test_an_archive_with_one_flipped_bit_is_refused(tmp_path):
    data = cifar_data()
    content = {name: cifar_bytes(*batch) for name, batch in data.items()}
    plain = bytearray(write_cifar_tar(tmp_path / "c.tar", content, "w").read_bytes())
    packed = bytearray(gzip.compress(plain, compresslevel=0))  # stored, not deflated: only the checksum can tell
    place = packed.index(data["data_batch_3.bin"][0][1].tobytes()[:64])
    packed[place] ^= 1
    (tmp_path / "c.tar.gz").write_bytes(packed)
    with pytest.raises(errors.FileFormatError, match=r"c\.tar\.gz is damaged.*CRC"):
        datasets.cifar10(tmp_path / "c.tar.gz")


@pytest.mark.parametrize("size", [1 << 30, 1 << 40, 1 << 80])
@pytest.mark.parametrize("name", ["data_batch_1.bin", "readme.html"])
def test_an_archive_whose_sizes_reach_past_its_end_takes_no_memory_for_them(tmp_path, name, size):
    member = tarfile.TarInfo(name)
    member.size = size
    file = tmp_path / "huge.tar.gz"
    file.write_bytes(gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))
    tracemalloc.start()
    try:
        with pytest.raises(errors.FileFormatError, match=r"huge\.tar\.gz"):
            datasets.cifar10(file)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", [b"", b"hello", bytes(100)])
def test_what_is_no_archive_is_refused(tmp_path, content):
    for name, written in {"plain.tar": content, "packed.tar.gz": gzip.compress(content)}.items():
        (tmp_path / name).write_bytes(written)
        with pytest.raises(errors.FileFormatError, match=name):
            datasets.cifar10(tmp_path / name)


def test_a_path_that_does_not_exist_is_the_file_not_found_of_python(tmp_path):
    for read in (datasets.cifar10, datasets.mnist, datasets.read_idx, datasets.read_cifar10_batch):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            read(tmp_path / "nowhere")


# MNIST and idx


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", IDX)
@pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 1, 3, 2), (0,), (4, 0, 2)])
def test_idx_of_every_type_comes_back_as_written(tmp_path, dtype, shape, packed):
    values = np.random.default_rng(2).normal(0, 50, shape)
    array = (np.abs(values) if dtype == "uint8" else values).astype(dtype)
    file = tmp_path / "array"
    file.write_bytes(gzip.compress(idx_bytes(array)) if packed else idx_bytes(array))
    got = datasets.read_idx(file)
    np.testing.assert_array_equal(got, array, strict=True)
    assert got.dtype.isnative
    assert got.flags.writeable


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dotted", [False, True])
def test_mnist_from_a_folder_by_every_name(tmp_path, suffix, dotted):
    data = mnist_data()
    for name, array in data.items():
        name = (name.replace("-idx", ".idx") if dotted else name) + suffix
        content = idx_bytes(array)
        (tmp_path / name).write_bytes(gzip.compress(content) if suffix else content)
    assert_is_mnist(datasets.mnist(tmp_path), data)
    assert_is_mnist(datasets.mnist(str(tmp_path)), data)


def test_compression_is_told_from_the_content_not_the_name(tmp_path):
    data = mnist_data()
    for i, (name, array) in enumerate(data.items()):
        content = idx_bytes(array)
        file, written = (f"{name}.gz", content) if i % 2 else (name, gzip.compress(content))
        (tmp_path / file).write_bytes(written)
    assert_is_mnist(datasets.mnist(tmp_path), data)


def test_a_mnist_folder_that_lacks_a_file_says_which_and_what_is_there(tmp_path):
    for name, array in mnist_data().items():
        (tmp_path / name).write_bytes(idx_bytes(array))
    (tmp_path / "t10k-labels-idx1-ubyte").rename(tmp_path / "labels")
    (tmp_path / "t10k-labels-idx1-ubyte").mkdir()  # some archives unpack to a folder of this name
    with pytest.raises(errors.FileFormatError, match=r"found labels, .*wanted t10k-labels-idx1-ubyte or .*\.gz or"):
        datasets.mnist(tmp_path)


def test_the_message_for_an_empty_folder_and_for_a_crowded_one(tmp_path):
    with pytest.raises(errors.FileFormatError, match="found no file"):
        datasets.mnist(tmp_path)
    for i in range(50):
        (tmp_path / f"file{i:02}").touch()
    with pytest.raises(errors.FileFormatError, match="file07 and 42 more"):
        datasets.mnist(tmp_path)


MAGICS = [b"", b"\0\0\x08", b"\1\0\x08\1", b"\0\1\x08\1", b"\0\0\x07\1", b"\0\0\x0a\1", b"\0\0\x08\0", b"\0\0\x08A"]


@pytest.mark.parametrize("magic", MAGICS)
def test_a_wrong_magic_number_is_refused(tmp_path, magic):
    file = tmp_path / "what"
    file.write_bytes(magic + (bytes(100) if len(magic) == 4 else b""))
    with pytest.raises(
        errors.FileFormatError, match=r"what is not an idx file: it starts with the bytes.*wanted 00 00"
    ):
        datasets.read_idx(file)


@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_file_is_refused_at_every_length_but_its_own(tmp_path, packed):
    content = idx_bytes(np.arange(6, dtype=np.int16).reshape(2, 3))
    file = tmp_path / "cut"
    for wrong in [*(content[:n] for n in range(len(content))), content + b"\0"]:
        file.write_bytes(gzip.compress(wrong) if packed else wrong)
        with pytest.raises(errors.FileFormatError, match=r"cut.* wanted|cut.* of the 8 bytes|12 bytes of data; found"):
            datasets.read_idx(file)


def test_a_gzip_stream_cut_anywhere_is_refused(tmp_path):
    content = gzip.compress(idx_bytes(mnist_data()["train-images-idx3-ubyte"]))
    file = tmp_path / "cut.gz"
    for n in [*range(2, 30), len(content) // 2, *range(len(content) - 9, len(content))]:
        file.write_bytes(content[:n])
        with pytest.raises(errors.FileFormatError, match=r"cut\.gz"):
            datasets.read_idx(file)


def test_a_gzip_file_with_a_wrong_checksum_is_refused(tmp_path):
    content = bytearray(gzip.compress(idx_bytes(np.arange(10, dtype=np.uint8))))
    content[-5] ^= 1
    (tmp_path / "crc.gz").write_bytes(content)
    with pytest.raises(errors.FileFormatError, match=r"crc\.gz is damaged.*CRC"):
        datasets.read_idx(tmp_path / "crc.gz")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(1 << 31,), (0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 64])
def test_a_size_in_the_header_takes_no_memory(tmp_path, shape, packed):
    content = struct.pack(f">BBBB{len(shape)}I", 0, 0, 0x0E, len(shape), *shape) + bytes(64)
    file = tmp_path / "huge"
    file.write_bytes(gzip.compress(content) if packed else content)
    tracemalloc.start()
    try:
        with pytest.raises(errors.FileFormatError, match=r"huge has the wrong length.*announces float64.*found 64"):
            datasets.read_idx(file)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_sizes_that_multiply_to_nothing_but_fit_no_array_are_refused(tmp_path):
    file = tmp_path / "empty"
    file.write_bytes(struct.pack(">BBBB4I", 0, 0, 0x08, 4, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    with pytest.raises(errors.FileFormatError, match="empty cannot be an array"):
        datasets.read_idx(file)


@pytest.mark.parametrize(
    ("which", "array", "message"),
    [
        (0, np.zeros((5, 28, 27), np.uint8), r"found uint8 of shape \(5, 28, 27\); wanted uint8.*28, 28"),
        (0, np.zeros((5, 28, 28), np.float32), r"found float32.*wanted uint8"),
        (0, np.zeros(5, np.uint8), r"found uint8 of shape \(5,\); wanted"),
        (1, np.zeros(4, np.uint8), r"found uint8 of shape \(4,\); wanted uint8 of shape \(5,\)"),
        (1, np.zeros((5, 1), np.uint8), r"found uint8 of shape \(5, 1\); wanted"),
        (1, np.zeros(5, np.int32), r"found int32.*wanted uint8"),
        (
            1,
            np.array([0, 1, 10, 200, 3], np.uint8),
            r"found the label 10 in row 2 \(and 1 more above 9\); wanted 0 to 9",
        ),
    ],
)
def test_mnist_files_that_hold_something_else_are_refused(tmp_path, which, array, message):
    data = mnist_data()
    data[MNIST_FILES[which]] = array
    for name, values in data.items():
        (tmp_path / name).write_bytes(idx_bytes(values))
    with pytest.raises(errors.FileFormatError, match=rf"{MNIST_FILES[which]} .*{message}"):
        datasets.mnist(tmp_path)


# Downloads


@pytest.fixture
def pooch():
    return pytest.importorskip("pooch", reason="downloads need pooch, the extra 'datasets'")


@pytest.fixture
def server(pooch, monkeypatch, tmp_path):
    """Stand in for the network, below pooch: its cache and its checksums are the real ones."""
    retrieve, files = pooch.retrieve, {}

    def downloader(url, output, _):
        answer = files[url.rpartition("/")[2]]
        if isinstance(answer, Exception):
            raise answer
        Path(output).write_bytes(answer)

    def stand_in(url, known_hash, fname, **kwargs):
        kwargs |= {"path": tmp_path / "cache", "downloader": downloader}
        return retrieve(url, known_hash, fname, **kwargs)

    monkeypatch.setattr(pooch, "retrieve", stand_in)
    return files


def test_cifar_is_downloaded_with_a_sha256(pooch, monkeypatch, tmp_path):
    data = cifar_data()
    file = write_cifar_tar(tmp_path / "c.tar.gz", {name: cifar_bytes(*batch) for name, batch in data.items()})
    asked = []
    monkeypatch.setattr(pooch, "retrieve", lambda url, known_hash, **_: asked.append((url, known_hash)) or str(file))
    assert_is_cifar(datasets.cifar10(), data)
    [(url, known_hash)] = asked
    assert url == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert known_hash == "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"


def test_mnist_is_downloaded_as_four_files_each_with_a_sha256(pooch, monkeypatch, tmp_path):
    data = mnist_data()
    hashes = []

    def retrieve(url, known_hash, **_):
        assert url.startswith("https://")
        hashes.append(known_hash)
        file = tmp_path / url.rpartition("/")[2]
        file.write_bytes(gzip.compress(idx_bytes(data[file.name.removesuffix(".gz")])))
        return str(file)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert_is_mnist(datasets.mnist(), data)
    assert len(set(hashes)) == 4
    assert all(known.startswith("sha256:") and len(known) == 7 + 64 for known in hashes)


def test_without_a_network_the_error_says_what_from_where_and_what_to_do(server):
    server["cifar-10-binary.tar.gz"] = server["train-images-idx3-ubyte.gz"] = ConnectionError("no route to host")
    with pytest.raises(errors.DownloadError) as caught:
        datasets.cifar10()
    for part in ("CIFAR-10", "https://www.cs.toronto.edu/", "no route to host", "path=", "cifar-10-binary.tar.gz"):
        assert part in str(caught.value)
    assert isinstance(caught.value, OSError)
    with pytest.raises(errors.DownloadError) as caught:
        datasets.mnist()
    for part in ("MNIST", "https://", "no route to host", "path=", *MNIST_FILES):
        assert part in str(caught.value)


def test_a_refused_connection_is_a_download_error(pooch, monkeypatch, tmp_path):
    retrieve = pooch.retrieve

    def nobody_there(url, known_hash, **kwargs):
        return retrieve("http://127.0.0.1:1/" + url.rpartition("/")[2], known_hash, **kwargs | {"path": tmp_path})

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(pooch, "retrieve", nobody_there)
    with pytest.raises(errors.DownloadError, match="MNIST could not be downloaded from https"):
        datasets.mnist()


def test_a_file_with_another_checksum_is_an_error_and_is_not_kept(server, tmp_path):
    server["cifar-10-binary.tar.gz"] = b"<html>please log in</html>"
    for _ in range(2):  # the second call does not take the first one's file from the cache
        with pytest.raises(errors.DownloadError, match=r"CIFAR-10 could not be downloaded.*(?s:.*)does not match"):
            datasets.cifar10()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_closed_standard_error_does_not_end_a_download(pooch, server, monkeypatch, tmp_path):
    closed, content = io.StringIO(), b"anything"
    closed.close()
    (handler,) = pooch.get_logger().handlers
    monkeypatch.setattr(handler, "stream", closed)
    server["file"] = content
    path = datasets._download("ANYTHING", "https://host/file", hashlib.sha256(content).hexdigest(), "a file")
    assert path.read_bytes() == content
    assert handler.stream is closed


def test_without_pooch_the_error_says_how_to_install_it_and_files_still_work(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pooch", None)
    for read in (datasets.cifar10, datasets.mnist):
        with pytest.raises(errors.MissingPackageError, match=r"path=.*pooch.*pip install 'fullyconnected\[datasets\]'"):
            read()
    data = mnist_data()
    for name, array in data.items():
        (tmp_path / name).write_bytes(idx_bytes(array))
    assert_is_mnist(datasets.mnist(tmp_path), data)
