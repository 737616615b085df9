"""Tables whose rows are read a few at a time are those that are read at once."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import columnar, errors
from fullyconnected.core import mapped
from fullyconnected.core.mapped import is_mapped
from fullyconnected.tables import gathered
from fullyconnected.tables.frame import frame_of

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("narwhals")

TABLE = pa.table(
    {
        "n": pa.array([None, None, 3, 2**60, 5]),
        "x": pa.array([1.5, None, 2, 3, 4], pa.float32()),
        "nan": pa.array([np.nan, np.nan, 2.0, 1.0, np.inf]),
        "text": pa.array([None, None, "07", "a", " "], pa.large_string()),
        "code": pa.array([None, None, "u", "v", "u"]).dictionary_encode(),
        "grade": pa.array([None, None, 3, 1, 3]).dictionary_encode(),
        "yes": pa.array([None, None, False, True, True]),
        "price": pa.array([None, None, Decimal("1.25"), Decimal(3), None]),
        "day": pa.array([None, None, dt.date(2024, 2, 29), None, dt.date(1969, 1, 1)]),
        "at": pa.array([dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)] * 5, pa.timestamp("ms", "Europe/Oslo")),
        "lasts": pa.array([None, None, dt.timedelta(hours=1), None, dt.timedelta(0)]),
        "clock": pa.array([None, None, dt.time(1, 30), None, dt.time(0)]),
        "none": pa.nulls(5),
    }
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read two rows at a time, and let all that is kept lie in files."""
    monkeypatch.setattr(columnar, "CELLS", 26)
    monkeypatch.setattr(gathered, "BLOCK", 8)
    monkeypatch.setattr(mapped, "LARGE", 1)


def told(frame: Any) -> list[Any]:
    return [(c.name, c.origin, c.note, c.holds, c.values.tolist()) for c in frame.columns]


@pytest.mark.parametrize("start", range(5))
def test_columns_of_every_kind(small: None, tmp_path: Path, start: int) -> None:
    table = TABLE.slice(start)
    pq.write_table(table.slice(0, 1), tmp_path / "0.parquet")
    pq.write_table(table.slice(1), tmp_path / "1.parquet")
    read = pa.concat_tables([pq.read_table(tmp_path / name) for name in ("0.parquet", "1.parquet")])
    for source, whole in ((fc.ArrowTable(table), table), (fc.Parquet(tmp_path), read)):
        frame, expected = gathered.frame_of_source(source), frame_of(whole)
        assert (frame.rows, frame.named) == (5 - start, True)
        for ours, theirs in zip(told(frame), told(expected), strict=True):
            np.testing.assert_equal(ours, theirs)


def test_numbers_lie_in_a_file_and_texts_are_there_once(small: None) -> None:
    table = pa.table({"a": np.arange(100.0), "b": ["x", "y"] * 50, "day": np.arange(100).astype("M8[D]")})
    a, b, day = gathered.frame_of_source(fc.ArrowTable(table)).columns
    assert is_mapped(a.values) == is_mapped(day.values) == hasattr(mapped.os, "posix_fallocate")
    assert len({id(each) for each in b.values}) == 2
    assert day.values[99] == np.datetime64("1970-04-10")


def test_identifiers_are_kept_although_they_are_many(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered, "LEVELS", 4)
    texts = [f"number {i}" for i in range(50)]
    (column,) = gathered.frame_of_source(fc.ArrowTable(pa.table({"id": texts}))).columns
    assert column.values.tolist() == texts


class Rows(fc.Source):
    shape, dtype = (7, 3), np.dtype(np.int64)

    def block(self, start: int, stop: int) -> Any:
        return np.arange(3 * start, 3 * stop).reshape(-1, 3)


def test_sources_of_numbers_and_arrays_in_files(small: None, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", x := np.arange(21).reshape(7, 3))
    whole = told(frame_of(x))
    assert told(gathered.frame_of_source(Rows())) == whole
    assert told(gathered.frame_of_source(np.load(tmp_path / "x.npy", mmap_mode="r"))) == whole
    named = Rows()
    named.columns = ("a", "b", "c")
    assert gathered.frame_of_source(named).names == ("a", "b", "c")


def test_what_is_a_source(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    assert gathered.is_source(Rows())
    assert gathered.is_source(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert not gathered.is_source(np.ones((2, 3)))
    assert not gathered.is_source({"a": [1]})


def test_what_a_table_cannot_hold(small: None) -> None:
    far = pa.table({"day": pa.array([0, 0, 0, 2**60], pa.timestamp("s"))})
    with pytest.raises(errors.DataError, match=r"column 'day', row 3: .* too far away"):
        gathered.frame_of_source(fc.ArrowTable(far))
    with pytest.raises(errors.InputTypeError, match="'a' is of the type List"):
        gathered.frame_of_source(fc.ArrowTable(pa.table({"a": [[1], [2]]})))
    with pytest.raises(errors.InputTypeError, match="bytes"):
        gathered.frame_of_source(fc.ArrowTable(pa.table({"a": [b"x"]})))
