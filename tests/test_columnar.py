"""Rows from Arrow tables and Parquet files: read in parts, checked, and named where they are wrong."""

import os
import pickle
import re
import shutil
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import columnar
from fullyconnected.errors import (
    CheckpointError,
    DataError,
    FileAccessError,
    FileFormatError,
    InputTypeError,
    UnknownNameError,
)
from fullyconnected.program import adapting

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ROWS = 1000
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 3)).astype(np.float32)
T = X[:, 0] - X[:, 1]
W = RNG.uniform(0.5, 2, ROWS)
LOSS = "half_squared_error"


def table(x: Any = X, t: Any = T, w: Any = W) -> Any:
    return pa.table({"a": x[:, 0], "b": x[:, 1], "y": t, "w": w, "c": x[:, 2]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of three files with row groups of many sizes."""
    cuts = [0, 170, 171, 600, ROWS]
    for i, (start, stop) in enumerate(pairwise(cuts)):
        pq.write_table(table().slice(start, stop - start), tmp_path / f"part-{i}.parquet", row_group_size=64)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".hidden.parquet").write_bytes(b"nothing")
    return tmp_path


def parquet(path: Any, **how: Any) -> fc.Parquet:
    return fc.Parquet(path, **{"target": "y", "weight": "w", **how})


def fitted(x: Any, **how: Any) -> fc.Network:
    net = fc.mlp([3, 8, 1], seed=0)
    fc.fit(net, x, loss=LOSS, **{"epochs": 3, "progress": False, **how})
    return net


def test_a_folder_a_pattern_and_a_list_are_the_same_rows(folder: Path) -> None:
    sources = [
        parquet(folder),
        parquet(f"{folder}/part-*.parquet"),
        parquet([folder / f"part-{i}.parquet" for i in range(4)]),
        fc.ArrowTable(table(), "y", weight="w"),
    ]
    for x in sources:
        assert x.shape == (ROWS, 3)
        assert x.columns == ("a", "b", "c")
        assert x.dtype == np.float32
        assert np.array_equal(x.block(0, ROWS), X)
        assert np.array_equal(x.targets(), T)
        assert np.array_equal(x.weights(), W)
    assert sources[0].shards == (64, 64, 42, 1, *[64] * 6, 45, *[64] * 6, 16)


def test_any_range_is_read_whatever_was_read_before(folder: Path) -> None:
    x, rng = parquet(folder), np.random.default_rng(1)
    for _ in range(200):
        start, stop = np.sort(rng.integers(0, ROWS + 1, 2))
        assert np.array_equal(x.block(int(start), int(stop)), X[start:stop])
    rows = rng.integers(0, ROWS, 50)
    out = np.empty((50, 3))
    x.take(rows, out)
    assert np.array_equal(out, X[rows].astype(float))


def test_several_threads_read_one_source(folder: Path) -> None:
    x, wrong = parquet(folder), []

    def read(start: int) -> None:
        for at in range(start, ROWS - 10, 7):
            if not np.array_equal(x.block(at, at + 10), X[at : at + 10]):
                wrong.append(at)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("how", [{}, {"window": 100, "streams": 3}])
def test_training_is_that_of_the_same_rows_in_memory(folder: Path, how: dict[str, Any]) -> None:
    class InMemory(fc.Source):
        shape, dtype, shards = X.shape, X.dtype, parquet(folder).shards

        def block(self, start: int, stop: int) -> Any:
            return X[start:stop]

    net = fitted(parquet(folder), **how)
    other = fitted(InMemory(), t=T, sample_weight=W, **how)
    assert np.array_equal(net.theta, other.theta)
    assert net.columns.x == ("a", "b", "c")
    assert np.array_equal(net.predict(parquet(folder)), net.predict(X))
    assert np.array_equal(net.predict(fc.ArrowTable(table(), columns=["a", "b", "c"])), net.predict(X))
    assert net.evaluate(parquet(folder)).loss == net.evaluate(X, T, LOSS, sample_weight=W).loss
    if not how:
        assert np.array_equal(net.theta, fitted(X, t=T, sample_weight=W).theta)


@pytest.mark.parametrize("zeros", [False, True])
def test_each_row_group_is_read_once_for_constants_and_once_an_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zeros: bool
) -> None:
    weights = np.where(np.arange(ROWS) % 3, W, 0) if zeros else W
    pq.write_table(table(w=weights), tmp_path / "one.parquet", row_group_size=250)
    opened: list[int] = []

    class Reader(columnar._GroupReader):
        def __init__(self, group: Any, *given: Any) -> None:
            opened.append(group.number)
            super().__init__(group, *given)

    monkeypatch.setattr(columnar, "_GroupReader", Reader)
    monkeypatch.setattr(adapting, "BLOCK", 300)  # a row group is read in several blocks
    layers = [fc.Standardize(3), fc.Dense(3, 5, "tanh", init="unit_variance", bias_init="he+5"), fc.Dense(5, 1)]
    for net in (fc.Network([fc.Standardize(3), fc.Dense(3, 1)]), fc.Network(layers)):
        opened.clear()
        net.adapt(parquet(tmp_path))
        assert opened == [0, 1, 2, 3]
        fc.fit(net, parquet(tmp_path), loss=LOSS, epochs=1, window=100, warn=False, progress=False)
        assert sorted(opened) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_run_goes_on_from_its_checkpoint_wherever_the_files_lie(folder: Path, tmp_path: Path) -> None:
    path, how = tmp_path / "run", {"window": 100}
    whole = fitted(parquet(folder), epochs=4, **how)
    fitted(parquet(folder), epochs=2, checkpoint=path, **how)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere, ignore=lambda *_: ["elsewhere", "run"])
    assert np.array_equal(fitted(parquet(elsewhere), epochs=4, checkpoint=path, **how).theta, whole.theta)


def test_what_numbers_are_read_as() -> None:
    def dtype(**columns: Any) -> Any:
        return fc.ArrowTable(pa.table(columns)).dtype

    assert dtype(a=pa.array([1.0], pa.float32()), b=pa.array([1], pa.int16()), c=[True]) == np.float32
    assert dtype(a=pa.array([1.0], pa.float32()), b=pa.array([1], pa.int32())) == np.float64
    assert dtype(a=[1.0]) == np.float64
    x = fc.ArrowTable(pa.table({"a": [1, None, 3], "b": [True, False, True]}))
    assert np.array_equal(x.block(0, 3), [[1, 1], [np.nan, 0], [3, 1]], equal_nan=True)
    assert fc.ArrowTable(pa.table({"a": pa.array([None, None], pa.null()), "b": [1.0, 2.0]})).shape == (2, 2)
    import decimal

    money = pa.table({"a": pa.array([decimal.Decimal("1.25"), decimal.Decimal("2.5")])})
    assert fc.ArrowTable(money).block(0, 2).tolist() == [[1.25], [2.5]]


def test_columns_are_chosen_by_name_and_in_order(folder: Path) -> None:
    x = parquet(folder, columns=["c", "a"], target=["y", "b"], weight=None)
    assert np.array_equal(x.block(5, 9), X[5:9][:, [2, 0]])
    assert np.array_equal(x.targets(), np.stack([T, X[:, 1]], axis=1))
    assert x.weights() is None
    assert pickle.loads(pickle.dumps(x)).columns == ("c", "a")
    assert x[["a"]].columns == ("a",)


@pytest.mark.parametrize(
    ("how", "error", "told"),
    [
        ({"target": "why"}, UnknownNameError, "column of .*part-0.parquet.*'why'.*'y'"),
        ({"columns": ["a", "q"]}, UnknownNameError, "'q'"),
        ({"columns": ["a", "y"]}, DataError, "'y' .* both an input and the target"),
        ({"columns": []}, DataError, "no inputs"),
        ({"columns": 3}, InputTypeError, "columns is the name of a column or a list"),
        ({"weight": ["w", "c"]}, InputTypeError, "weight is the name of one column"),
    ],
)
def test_columns_that_cannot_be_had_are_refused(folder: Path, how: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        parquet(folder, **how)


def test_many_targets_lie_in_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fullyconnected.core.mapped.LARGE", 1000)
    x = parquet(folder, target=["y", "b"])
    assert np.array_equal(x.targets(), np.stack([T, X[:, 1]], axis=1))
    assert isinstance(x.targets(), np.memmap) == hasattr(os, "posix_fallocate")
    net = fc.mlp([2, 8, 2], seed=0)
    history = fc.fit(net, x, loss=LOSS, epochs=2, window=100, progress=False)
    assert history.loss[1] < history.loss[0]


def test_text_is_refused_with_what_takes_it(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x", "y"], "b": [1.0, 2.0], "y": [1.0, 2.0]}), tmp_path / "t.parquet")
    with pytest.raises(InputTypeError, match=r"'a' of .*t.parquet holds no numbers \(string\).*columns="):
        fc.fit(fc.mlp([2, 1], seed=0), fc.Parquet(tmp_path / "t.parquet", "y"), loss=LOSS, progress=False)
    assert fc.Parquet(tmp_path / "t.parquet", "y", columns=["b"]).dtype == np.float64


def test_targets_of_text_come_as_they_are_and_a_loss_of_numbers_says_what_to_do() -> None:
    labels = pa.array(["no", "yes", "no"]).dictionary_encode()
    for column in (labels, labels.cast("string"), labels.cast("large_string")):
        given = fc.ArrowTable(pa.table({"x": [1.0, 2.0, 3.0], "y": column}), "y").targets()
        assert given.tolist() == ["no", "yes", "no"]
        assert given[0] is given[2]  # so that a label takes the memory of a pointer
        x = fc.ArrowTable(pa.table({"a": [1.0, 2.0, 3.0], "y": column}), "y")
        assert x.targets().tolist() == ["no", "yes", "no"]
        with pytest.raises(InputTypeError, match=r"It holds text, such as 'no'.*np.unique"):
            fc.fit(fc.mlp([1, 2], seed=0), x, loss="softmax_cross_entropy", progress=False)


def test_the_index_of_pandas_is_no_input(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "y": [1.0, 2.0]}, index=[5, 9])
    frame.to_parquet(tmp_path / "t.parquet", engine="pyarrow")
    assert "__index_level_0__" in pq.read_schema(tmp_path / "t.parquet").names
    assert fc.Parquet(tmp_path / "t.parquet", "y").columns == ("a",)


READ_FIRST = (
    "read it first, with pandas.read_csv, or for TabularClassifier and .* fullyconnected.tables.files.read_frame"
)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("rows.npy", r'np.load\(path, mmap_mode="r"\)'),
        (Path("ROWS.NPY"), r'np.load\(path, mmap_mode="r"\)'),
        ("rows.parquet", r"fc.Parquet\(path, target=...\)"),
        ("part-*.parquet", r"fc.Parquet\(path, target=...\)"),
        ("part-[0-2]", r"fc.Parquet\(path, target=...\)"),
        (Path(), r"fc.Parquet\(path, target=...\)"),
        ("rows.csv", READ_FIRST),
        (Path("rows.csv.gz"), READ_FIRST),
        ("rows", READ_FIRST),
    ],
)
def test_a_path_in_place_of_rows_is_refused_with_what_reads_it(path: Any, told: str) -> None:
    net = fc.mlp([1, 1], seed=0)
    for call in (lambda: net.predict(path), lambda: fc.fit(net, path, [1.0], LOSS), lambda: net.adapt(path)):
        with pytest.raises(
            InputTypeError, match=rf"^x is the path '{re.escape(str(path))}', and rows are wanted: {told}$"
        ):
            call()


def test_files_that_are_not_there_or_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.parquet").write_text("a,b\n1,2\n3,4\n5,6\n", encoding="utf-8")
    (tmp_path / "nothing.parquet").touch()
    for path, error, told in (
        ("gone.parquet", FileAccessError, "there is no file .*gone.parquet"),
        ("gone-*.parquet", FileAccessError, "there is no file"),
        ("empty", FileAccessError, r"has no files \*.parquet"),
        ("text.parquet", FileFormatError, "text.parquet is no Parquet file"),
        ("nothing.parquet", FileFormatError, "it has 0 bytes"),
    ):
        with pytest.raises(error, match=told):
            fc.Parquet(tmp_path / path)
    for given in (3, [], [3]):
        with pytest.raises(InputTypeError, match="takes a path"):
            fc.Parquet(given)  # type: ignore[arg-type]


def test_a_file_of_another_schema_is_named_with_its_column(folder: Path) -> None:
    other = folder / "part-9.parquet"
    pq.write_table(table().drop_columns(["b"]), other)
    with pytest.raises(DataError, match=r"part-9.parquet has no column 'b', which .*part-0.parquet has"):
        parquet(folder)
    pq.write_table(table().set_column(1, "b", pa.array(X[:, 1].astype(str))), other)
    with pytest.raises(DataError, match=r"'b' is string in .*part-9.parquet, and float in .*part-0.parquet"):
        parquet(folder)
    pq.write_table(table().drop_columns(["b"]), other)
    assert parquet(folder, columns=["a", "c"]).shape == (2 * ROWS, 2)


@pytest.mark.parametrize("keep", [0, 3, 11, 1000, -1, -9, -200])
def test_a_file_that_is_cut_short_is_named(folder: Path, keep: int) -> None:
    path = folder / "part-2.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FileFormatError, match=r"part-2.parquet (is|has)"):
        parquet(folder)


def test_a_damaged_column_is_named_with_its_file_and_row_group(folder: Path) -> None:
    path = folder / "part-3.parquet"
    found = pq.ParquetFile(path).metadata.row_group(4).column(1)
    data = bytearray(path.read_bytes())
    start = found.dictionary_page_offset or found.data_page_offset
    data[start : start + found.total_compressed_size] = np.random.default_rng(0).bytes(found.total_compressed_size)
    path.write_bytes(bytes(data))
    x = parquet(folder)
    net = fc.mlp([3, 8, 1], seed=0)
    before = net.theta.copy()
    with pytest.raises(FileFormatError, match=r"part-3.parquet, row group 4: the column 'b' cannot be read"):
        fc.fit(net, x, loss=LOSS, window=100, warn=False, progress=False)
    assert np.array_equal(net.theta, before)


def test_a_file_that_vanishes_or_changes_during_a_run_is_named(folder: Path) -> None:
    for gone in (True, False):
        x, path, net = parquet(folder), folder / "part-2.parquet", fc.mlp([3, 8, 1], seed=0)
        for epoch in (loop := fc.epochs(net, x, None, LOSS, window=100)):
            if epoch.number == 2:
                break
        after = net.theta.copy()
        loop = fc.epochs(net, x, None, LOSS, window=100)
        next(loop)
        after = net.theta.copy()
        if gone:
            path.rename(folder / "elsewhere")
        else:
            pq.write_table(table(-X).slice(171, 429), path, row_group_size=64)
        with pytest.raises((FileAccessError, DataError), match=r"part-2.parquet (is gone|has changed)"):
            next(loop)
        assert np.array_equal(net.theta, after)
        if gone:
            (folder / "elsewhere").rename(path)


def test_numbers_that_are_missing_are_named_with_their_place(tmp_path: Path) -> None:
    x = X.copy()
    x[777, 2] = np.nan
    pq.write_table(table(x), tmp_path / "t.parquet", row_group_size=100)
    with pytest.raises(DataError, match=r"x\[777, 2\] is nan.*t.parquet, row group 7, its row 77, column 'c'"):
        fitted(parquet(tmp_path / "t.parquet"))
    with pytest.raises(DataError, match=r"row group 7, its row 77, column 'c'"):
        fc.mlp([3, 1], seed=0).predict(parquet(tmp_path / "t.parquet"))
    t = T.astype(object)
    t[5] = None
    pq.write_table(table(t=pa.array(t.tolist())), tmp_path / "u.parquet", row_group_size=100)
    with pytest.raises(DataError, match=r"'y' is missing or NaN in row 5 \(.*u.parquet, row group 0"):
        fitted(parquet(tmp_path / "u.parquet"))


def test_no_rows_are_refused(tmp_path: Path) -> None:
    pq.write_table(table().slice(0, 0), tmp_path / "t.parquet")
    with pytest.raises(fc.errors.ShapeError, match="one row or more"):
        fitted(parquet(tmp_path / "t.parquet"))
    assert fc.mlp([3, 1], seed=0).predict(parquet(tmp_path / "t.parquet")).shape == (0, 1)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(fc.errors.MissingPackageError, match=r"fullyconnected\[files\]"):
        fc.Parquet(folder)


def test_what_takes_rows_in_memory_alone_says_how_to_get_some(folder: Path) -> None:
    with pytest.raises(TypeError, match=r"read when they are needed; source.block\(0, 100\) returns the first"):
        np.asarray(fc.Parquet(folder, columns=["a", "b", "c"]))


def kinds(*columns: Any) -> list[tuple[str, Any]]:
    return [(f"{i}.parquet", pa.table({"x": column, "y": [1.0] * len(column)})) for i, column in enumerate(columns)]


@pytest.mark.parametrize(
    ("columns", "dtype"),
    [
        ([pa.array([1, 2]), pa.array([1.5, None])], "float64"),
        ([pa.array([1, 2], "int8"), pa.array([3, 4], "int16")], "float32"),
        ([pa.nulls(2), pa.array([1.5, 2.5], "float32")], "float32"),
        ([pa.array([1, 2], "int8"), pa.array([300, 70_000], "int32")], "float64"),
        ([pa.array([True, False]), pa.array([2, 3], "int8")], "float32"),
    ],
)
def test_how_wide_a_number_is_may_differ_between_files(tmp_path: Path, columns: list[Any], dtype: str) -> None:
    for name, each in kinds(*columns):
        pq.write_table(each, tmp_path / name)
    rows = fc.Parquet(tmp_path, "y")
    assert rows.dtype == dtype
    expected = [np.nan if v is None else float(v) for column in columns for v in column.to_pylist()]
    np.testing.assert_array_equal(rows.block(0, 4)[:, 0], expected)


def test_text_and_dates_of_several_files_are_one_column(tmp_path: Path) -> None:
    pytest.importorskip("narwhals")
    from fullyconnected.tables.gathered import frame_of_source

    many = pa.array([f"level {i}" for i in range(300)]).dictionary_encode()
    few = pa.array(["level 1", None], "large_string")
    days = [pa.nulls(2), pa.array([19_000 * 86_400, None], "timestamp[s]"), pa.nulls(1)]
    for name, each in kinds(pa.nulls(3), pa.array(["a", "b"]).dictionary_encode(), many, few):
        pq.write_table(each, tmp_path / name)
    (column,) = frame_of_source(fc.Parquet(tmp_path, "y")).columns
    assert column.values[[0, 3, 5, 305, 306]].tolist() == [None, "a", "level 0", "level 1", None]
    for i, day in enumerate(days):
        pq.write_table(pa.table({"day": day}), tmp_path / f"{i}.days")
    (column,) = frame_of_source(fc.Parquet(tmp_path / "?.days")).columns
    assert np.isnat(column.values).tolist() == [True, True, False, True, True]
    for other in (pa.array(["a", "b"]), pa.array([1.0, 2.0])):
        pq.write_table(pa.table({"day": other}), tmp_path / "3.days")
        with pytest.raises(DataError, match=r"column 'day' is (string|double) in .*3.days, and timestamp"):
            fc.Parquet(tmp_path / "?.days")


def test_columns_come_in_the_order_that_is_asked_for(folder: Path) -> None:
    pytest.importorskip("narwhals")
    from fullyconnected.tables.gathered import frame_of_source

    for names in (["c", "a"], np.array(["c", "a"], object), iter(["c", "a"])):
        frame = frame_of_source(fc.Parquet(folder, columns=names))
        assert frame.names == ("c", "a")
        assert np.array_equal(frame.columns[0].values, X[:, 2])
    assert np.array_equal(frame_of_source(fc.ArrowTable(table(), columns=["c", "a"])).columns[1].values, X[:, 0])


def test_a_run_does_not_go_on_with_other_columns(folder: Path, tmp_path: Path) -> None:
    fitted(parquet(folder), epochs=2, checkpoint=tmp_path / "run")
    for names in (["c", "b", "a"], ["a", "b", "w"]):
        with pytest.raises(CheckpointError):
            fitted(fc.Parquet(folder, "y", columns=names), epochs=3, checkpoint=tmp_path / "run")


def test_files_are_found_once_and_folders_among_them_are_entered(tmp_path: Path) -> None:
    (tmp_path / "day0.parquet").mkdir()
    (tmp_path / "day1.parquet").mkdir()
    for i in range(2):
        pq.write_table(table().slice(0, 10), tmp_path / f"day{i}.parquet" / "part-0.parquet")
    for path in (
        tmp_path,
        tmp_path / "*.parquet",
        tmp_path.glob("*.parquet"),
        [tmp_path / "day0.parquet", tmp_path / "day1.parquet"],
    ):
        assert fc.Parquet(path, "y").shape == (20, 4)
    with pytest.raises(DataError, match=r"part-0.parquet comes twice, also as .*: its rows would count twice"):
        fc.Parquet([tmp_path, tmp_path / "day0.parquet" / "part-0.parquet"], "y")
    (tmp_path / "year=2024").mkdir()
    (tmp_path / "day0.parquet" / "part-0.parquet").rename(tmp_path / "year=2024" / "part-0.parquet")
    with pytest.raises(DataError, match=r"values in the names of its folders \(year=2024\), which are in no column"):
        fc.Parquet(tmp_path, "y")
    assert len(fc.Parquet(tmp_path / "**" / "*.parquet", "y")) == 20


def test_a_pickle_finds_its_files_from_elsewhere(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    monkeypatch.chdir(folder)
    kept = pickle.dumps(fc.Parquet("part-*.parquet", "y", columns=["a"]))
    monkeypatch.chdir(tmp_path.anchor)
    assert np.array_equal(pickle.loads(kept).block(5, 9)[:, 0], X[5:9, 0])


def test_rows_that_are_not_there(folder: Path) -> None:
    for source in (fc.Parquet(folder, "y"), fc.ArrowTable(table(), "y")):
        for start, stop in ((ROWS - 2, ROWS + 1), (-1, 3), (5, 4)):
            with pytest.raises((IndexError, ValueError), match=r"are asked for, and there are|negative dimensions"):
                source.block(start, stop)


@pytest.mark.parametrize(
    ("columns", "how", "said"),
    [
        ({"a": [1.0], "y": [b"x"]}, {"target": "y"}, r"the target 'y' of .* holds neither numbers nor text \(binary\)"),
        ({"a": [1.0], "y": [[1.0]]}, {"target": "y"}, r"neither numbers nor text \(list"),
        ({"a": [1.0], "y": pa.array([0], "date32")}, {"target": ["y"]}, r"neither numbers nor text \(date32"),
        ({"a": [1.0], "y": [1.0]}, {"target": ["y", "y"]}, "target names the column 'y' of .* twice"),
        ({"a": [1.0], "y": [1.0]}, {"target": "y", "columns": ["a", "a"]}, "columns names the column 'a' of .* twice"),
        ({"a": [1.0], "y": [1.0]}, {"target": "y", "weight": "y"}, "'y' of .* is both the target and the weight"),
        ({"a\u0301": [1.0], "\u00e1": [1.0]}, {}, "two columns of the name"),
    ],
)
def test_columns_that_cannot_be_what_they_are_asked_for(
    tmp_path: Path, columns: dict[str, Any], how: dict[str, Any], said: str
) -> None:
    made = pa.table(columns)
    pq.write_table(made, tmp_path / "t.parquet")
    for make in (lambda: fc.ArrowTable(made, **how), lambda: fc.Parquet(tmp_path / "t.parquet", **how)):
        with pytest.raises((DataError, InputTypeError), match=said):
            make()


def test_names_in_a_second_file_that_are_not_those_of_the_first(tmp_path: Path) -> None:
    pq.write_table(pa.table({"\u00e1": [1.0], "y": [1.0]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"a\u0301": [1.0], "y": [1.0]}), tmp_path / "1.parquet")
    with pytest.raises(DataError, match=r"is written with other characters in .*1.parquet"):
        fc.Parquet(tmp_path, "y")
    twice = pa.Table.from_arrays([pa.array([1.0])] * 3, ["\u00e1", "y", "y"])
    pq.write_table(twice, tmp_path / "1.parquet")
    with pytest.raises(DataError, match=r"1.parquet has two columns of the name 'y'"):
        fc.Parquet(tmp_path, "y")
