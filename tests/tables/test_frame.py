"""Tables as columns: arrays, dicts and rows with NumPy alone, and DataFrames and Arrow tables by narwhals."""

import datetime as dt
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from sklearn.datasets import load_iris

from fullyconnected import errors
from fullyconnected.tables.frame import frame_of, without_gaps

NAN = float("nan")
DATA = {"age": [31, None, 22], "city": ["Oslo", None, "Bergen"], "weight": [1.5, 2.5, None]}
ROWS = [list(row) for row in zip(*DATA.values(), strict=True)]


def columns(frame):
    return {c.name: [None if gone else v for v, gone in zip(c.values, c.missing, strict=True)] for c in frame.columns}


@pytest.mark.parametrize(
    "X",
    [
        DATA,
        [dict(zip(DATA, row, strict=True)) for row in ROWS],
        [{"age": 31, "city": "Oslo", "weight": 1.5}, {"weight": 2.5}, {"city": "Bergen", "age": 22}],
        {name: np.array(values, object) for name, values in DATA.items()},
        {name: pd.Series(values) for name, values in DATA.items()},
        {name: pl.Series(values) for name, values in DATA.items()},
        pd.DataFrame(DATA),
        pd.DataFrame(DATA).convert_dtypes(),
        pd.DataFrame(DATA).convert_dtypes(dtype_backend="pyarrow"),
        pd.DataFrame(DATA, index=[5, 5, 1]),
        pd.DataFrame(DATA).astype(object),
        pl.DataFrame(DATA),
        pa.table(DATA),
    ],
    ids=lambda X: type(X).__name__,
)
def test_a_table_with_names_is_the_same_in_every_form(X):
    frame = frame_of(X)
    assert (frame.rows, frame.named, frame.names) == (3, True, ("age", "city", "weight"))
    assert columns(frame) == DATA


@pytest.mark.parametrize("X", [ROWS, [tuple(row) for row in ROWS], np.array(ROWS, object)])
def test_rows_and_arrays_have_places_or_given_names(X):
    frame = frame_of(X)
    assert (frame.named, frame.names) == (False, ("x0", "x1", "x2"))
    assert [*columns(frame).values()] == [*DATA.values()]
    named = frame_of(X, ["age", "city", "weight"])
    assert named.named
    assert columns(named) == DATA


def test_a_structured_array_has_names():
    frame = frame_of(np.array([(1, "a"), (2, "")], [("n", int), ("t", "U3")]))
    assert frame.named
    assert columns(frame) == {"n": [1, 2], "t": ["a", None]}


def test_a_dict_of_single_values_is_one_row():
    frame = frame_of({"age": 31, "city": "Oslo", "when": dt.date(2024, 1, 1), "weight": None})
    assert frame.rows == 1
    assert [c.origin for c in frame.columns] == ["integer", "text", "date", "nothing"]


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float32, "U4", object, "M8[D]"])
def test_an_array_of_any_dtype_has_its_columns(dtype):
    frame = frame_of(np.array([[1, 0], [0, 1], [1, 1]]).astype(dtype))
    assert (frame.rows, len(frame.columns)) == (3, 2)


def test_masked_and_memory_mapped_arrays_and_matrices_are_arrays(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[1.0, 2.0], [3.0, 4.0]]))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected = [[1.0, 3.0], [2.0, 4.0]]
    for X in (mapped, mapped[:, ::-1][:, ::-1], np.asfortranarray(mapped), mapped.view(np.matrix)):
        assert [c.values.tolist() for c in frame_of(X).columns] == expected
    masked = frame_of(np.ma.array(mapped, mask=[[True, False], [False, False]]))
    np.testing.assert_array_equal(masked.columns[0].values, [NAN, 3.0])


def test_a_row_of_text_and_numbers_keeps_its_numbers():
    assert [c.origin for c in frame_of([[1, "a"], [2, "b"]]).columns] == ["integer", "text"]


def test_columns_of_pandas_without_names_are_known_by_place():
    frame = frame_of(pd.DataFrame(np.eye(2)))
    assert (frame.named, frame.names) == (False, ("0", "1"))
    assert frame_of(pd.DataFrame(np.eye(2), columns=[0, "a"])).named


def test_a_table_may_have_no_rows():
    for X in ({"a": []}, pd.DataFrame({"a": []}), pl.DataFrame({"a": []}), np.zeros((0, 1)), pa.table({"a": []})):
        assert frame_of(X).rows == 0


def test_real_tables_of_pandas_equal_their_arrays():
    table = load_iris(as_frame=True).data
    frame = frame_of(table)
    assert list(frame.names) == list(table.columns)
    np.testing.assert_array_equal(np.stack([c.values for c in frame.columns], axis=1), table.to_numpy())


WHEN = dt.datetime(2024, 2, 29, 12)
IN_OSLO = dt.datetime(2024, 2, 29, 13, tzinfo=dt.timezone(dt.timedelta(hours=1)))


@pytest.mark.parametrize(
    ("values", "dtype", "origin", "kept"),
    [
        ([1, None], pl.Int64, "integer", [1.0, NAN]),
        ([2**53 + 1, None], pl.Int64, "integer", [2.0**53, NAN]),
        ([1.5, None], pl.Float32, "number", [1.5, NAN]),
        ([1, None], pl.Decimal(10, 2), "number", [1.0, NAN]),
        ([True, None], pl.Boolean, "boolean", [1.0, NAN]),
        ([True, False], pl.Boolean, "boolean", [1.0, 0.0]),
        (["a", ""], pl.String, "text", ["a", None]),
        (["a", None], pl.Categorical, "category", ["a", None]),
        (["b", None], pl.Enum(["a", "b"]), "category", ["b", None]),
        ([dt.date(2024, 2, 29), None], pl.Date, "date", [np.datetime64("2024-02-29"), np.datetime64("NaT", "us")]),
        ([WHEN, None], pl.Datetime("ms"), "date", [np.datetime64(WHEN), np.datetime64("NaT", "us")]),
        ([WHEN, None], pl.Datetime("ns"), "date", [np.datetime64(WHEN), np.datetime64("NaT", "us")]),
        ([IN_OSLO, None], pl.Datetime("us", "Europe/Oslo"), "date", [np.datetime64(WHEN), np.datetime64("NaT", "us")]),
        ([dt.timedelta(minutes=1), None], pl.Duration, "duration", [60.0, NAN]),
        ([dt.time(0, 1), None], pl.Time, "duration", [60.0, NAN]),
        ([None, None], pl.Null, None, [NAN, NAN]),
    ],
)
@pytest.mark.parametrize("form", [pl.DataFrame, pl.DataFrame.to_arrow, pl.DataFrame.to_pandas])
def test_every_dtype_is_kept_as_numbers_text_or_dates(values, dtype, origin, kept, form):
    table = pl.DataFrame({"a": pl.Series(values, dtype=dtype)})
    if form is not pl.DataFrame:
        table = form(table)
    (column,) = frame_of(table).columns
    if form is not pl.DataFrame.to_pandas or None not in values:  # pandas turns what has gaps into numbers and objects
        assert origin in (column.origin, None)
        assert ("2**53" in column.note) == (2**53 + 1 in values)
    assert column.values.dtype in (np.float64, object, np.dtype("M8[us]"))
    np.testing.assert_array_equal(column.values, np.array(kept, column.values.dtype))


def test_whole_numbers_that_numpy_lacks_are_kept():
    (column,) = frame_of(pl.DataFrame({"a": pl.Series([1, None], dtype=pl.Int128)})).columns
    np.testing.assert_array_equal(column.values, [1.0, NAN])


@pytest.mark.parametrize(
    ("series", "origin", "kept"),
    [
        (pd.Series([1, 2, None], dtype="category"), "category", [1.0, 2.0, NAN]),
        (pd.Series(["a", "b", None], dtype="category"), "category", ["a", "b", None]),
        (pd.Series([True, False, None], dtype="category"), "category", [1.0, 0.0, NAN]),
        (pd.cut(pd.Series([1, 2, None]), [0, 1, 2]), "category", ["(0, 1]", "(1, 2]", None]),
        (pd.Series([1, None], dtype="Int64"), "integer", [1.0, NAN]),
        (pd.Series([2**60, None], dtype="Int64"), "integer", [2.0**60, NAN]),
        (pd.Series([True, None], dtype="boolean"), "boolean", [1.0, NAN]),
        (pd.Series(["a", None], dtype="string"), "text", ["a", None]),
        (pd.Series(["a", 1, None], dtype=object), "text", ["a", "1", None]),
        (pd.Series([0.0, 1.0, 0.0], dtype="Sparse[float]"), "number", [0.0, 1.0, 0.0]),
        (pd.Series([dt.date(2024, 2, 29)]), "date", [np.datetime64("2024-02-29")]),
        (pd.Series([IN_OSLO]), "date", [np.datetime64(WHEN)]),
        (pd.Series(pd.to_timedelta([60], unit="s")), "duration", [60.0]),
    ],
    ids=lambda each: str(getattr(each, "dtype", "")),
)
def test_what_pandas_alone_has_is_kept_too(series, origin, kept):
    (column,) = frame_of(series.to_frame("a")).columns
    assert column.origin == origin
    assert ("2**53" in column.note) == (2.0**60 in kept)
    np.testing.assert_array_equal(column.values, np.array(kept, column.values.dtype))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pl.DataFrame({"a": [[1], [2]]}), r"'a' is of the type List\(Int64\)"),
        (pl.DataFrame({"a": [{"b": 1}]}), "'a' is of the type Struct"),
        (pa.table({"a": [[1], [2]]}), r"'a' is of the type List"),
        (pl.DataFrame({"a": [b"x"]}), "column 'a', row 0: b'x' is of type bytes"),
        (pa.table({"a": [b"x"]}), "column 'a', row 0: b'x' is of type bytes"),
        (pd.DataFrame({"a": [[1], [2]]}), "column 'a', row 0: .* is of type list"),
        (pd.DataFrame({"a": [1j, 2]}), "complex"),
        (pd.DataFrame({"a": pd.period_range("2024", periods=2, freq="M")}), "Period"),
        (
            pd.DataFrame({"a": pd.Series(pd.to_datetime(["2024-01-01"])).astype("category")}),
            "'a' has dates as the levels of a categorical dtype",
        ),
    ],
)
def test_a_column_of_other_things_is_refused_with_its_name(table, said):
    with pytest.raises(errors.InputTypeError, match=said):
        frame_of(table)


@pytest.mark.parametrize(
    ("X", "error", "said"),
    [
        (pl.DataFrame(DATA).lazy(), errors.InputTypeError, r"LazyFrame, whose rows are not in memory.*X\.collect\(\)"),
        (pa.table(DATA).to_batches()[0], errors.InputTypeError, "RecordBatch, which narwhals knows as no table"),
        (pd.Series([1, 2]), errors.InputTypeError, r"X is a Series.*X\.to_frame\(\)"),
        (pl.Series([1, 2]), errors.InputTypeError, r"X is a Series.*X\.to_frame\(\)"),
        (scipy.sparse.eye(2).tocsr(), errors.InputTypeError, r"sparse.*X\.toarray\(\)"),
        ("table.csv", errors.InputTypeError, "X is a str"),
        (5, errors.InputTypeError, "X is a int"),
        (None, errors.InputTypeError, "X is a NoneType"),
        (np.zeros(3), errors.ShapeError, r"\(3,\).*Reshape your data"),
        (np.zeros((2, 2, 2)), errors.ShapeError, r"\(2, 2, 2\)"),
        (np.zeros((2, 2), complex), errors.InputTypeError, "complex128"),
        (np.array([[b"a"]]), errors.InputTypeError, "decode"),
        (np.zeros((1, 2), [("a", int)]), errors.ShapeError, "structured"),
        (np.zeros(2, [("a", int, 3)]), errors.InputTypeError, "'a' is of the dtype"),
        ([1, 2, 3], errors.ShapeError, "row 0 of X is a int.*Reshape your data"),
        (["ab", "cd"], errors.ShapeError, "row 0 of X is a str"),
        ([b"ab"], errors.ShapeError, "row 0 of X is a bytes"),
        ([[1, 2], [3]], errors.ShapeError, "row 1 of X has 1 cells, and row 0 has 2"),
        ([[1], {"a": 1}], errors.ShapeError, "row 1 of X is a dict"),
        ([[[1], [2]]], errors.InputTypeError, "'x0', row 0.*list"),
        ([], errors.ShapeError, r"0 feature\(s\) \(shape=\(0, 0\)\)"),
        ({}, errors.ShapeError, r"0 feature\(s\)"),
        ([[], []], errors.ShapeError, r"0 feature\(s\) \(shape=\(2, 0\)\)"),
        (np.zeros((3, 0)), errors.ShapeError, r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required"),
        (pd.DataFrame(index=range(3)), errors.ShapeError, r"0 feature\(s\) \(shape=\(3, 0\)\)"),
        ({"a": [1, 2], "b": [1]}, errors.ShapeError, "'a' has 2 rows, and 'b' has 1"),
        ({"a": [1, 2], "b": 1}, errors.ShapeError, "'b' is a single value, and 'a' is not"),
        ({"a": np.zeros((2, 2))}, errors.ShapeError, r"'a' has the shape \(2, 2\)"),
        ({"a": {1, 2}}, errors.InputTypeError, "'a' is a set"),
        (pd.DataFrame(np.eye(2), columns=["a", "a"]), errors.DataError, "columns 0 and 1.*both named 'a'"),
        (pd.DataFrame(np.eye(2), columns=[1, "1"]), errors.DataError, "both named '1'"),
        (pd.DataFrame(np.eye(2), columns=["\xe9", "e\u0301"]), errors.DataError, "columns 0 and 1"),
        (pa.table([[1], [2]], names=["a", "a"]), errors.DataError, "both named 'a'"),
        (pd.DataFrame(np.eye(2), columns=["a", None]), errors.DataError, "names of columns are texts; got"),
        (pd.DataFrame(np.eye(2), columns=[("a", 1), ("b", 2)]), errors.DataError, r"got \('a', 1\).*map\(str\)"),
        ({True: [1]}, errors.DataError, "got True of type bool"),
        ({"a\udce9": [1]}, errors.DataError, "UTF-8"),
    ],
)
def test_what_is_no_table_gets_a_sentence(X, error, said):
    with pytest.raises(error, match=said):
        frame_of(X)


def test_names_are_for_what_has_none():
    with pytest.raises(errors.InputTypeError, match="this DataFrame has names of its own"):
        frame_of(pd.DataFrame(DATA), ["a", "b", "c"])
    with pytest.raises(errors.ShapeError, match="names has 2 entries, and X 3 columns"):
        frame_of(ROWS, ["a", "b"])
    with pytest.raises(errors.DataError, match="both named 'a'"):
        frame_of(ROWS, ["a", "b", "a"])
    with pytest.raises(errors.DataError, match="names of columns are texts"):
        frame_of(ROWS, ["a", "b", None])


def test_text_from_a_file_is_missing_where_programs_write_so():
    texts = {"a": ["NA", " ? ", "n/a", "no", ""], "b": ["+", "-", "NA", "+", "-"]}
    frame = frame_of(texts)
    assert columns(frame)["a"] == ["NA", " ? ", "n/a", "no", None]
    a, b = (without_gaps(column).values.tolist() for column in frame.columns)
    assert (a, b) == ([None, None, None, "no", None], ["+", "-", None, "+", "-"])


def test_a_table_is_divided_by_the_names_of_its_columns():
    frame = frame_of({"gr\u00f6\u00dfe": [1, 2], "b": ["x", "y"], "c": [3.0, None]})
    assert frame.column("gro\u0308\u00dfe").values.tolist() == [1, 2]
    assert frame.without("b", "c").names == ("gr\u00f6\u00dfe",)
    assert frame.without("c").rows == 2
    assert frame_of(frame) is frame
    with pytest.raises(errors.UnknownNameError, match="did you mean 'b'"):
        frame.without("B")


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_arrays_dicts_and_rows_need_numpy_alone():
    code = (
        "import sys, numpy as np; from fullyconnected.tables.frame import frame_of\n"
        "for X in (np.eye(3), {'a': ['x', 'y']}, [[1, 'x'], [2, 'y']], [{'a': 1}, {'a': 2}]): frame_of(X)\n"
        "print(*({'narwhals', 'pandas', 'polars', 'pyarrow', 'sklearn'} & sys.modules.keys()))"
    )
    assert run(code) == ""


def test_a_dataframe_without_narwhals_names_the_extra():
    code = (
        "import sys; sys.modules['narwhals'] = None; import pyarrow as pa\n"
        "from fullyconnected.tables.frame import frame_of\n"
        "try: frame_of(pa.table({'a': [1]}))\n"
        "except ImportError as error: print(type(error).__name__, error)"
    )
    said = run(code)
    assert said.startswith("MissingPackageError a table of the type Table needs the package narwhals")
    assert "fullyconnected[tables]" in said


def test_a_frame_is_a_table_and_some_of_its_rows_are_one():
    frame = frame_of({"a": [1.0, 2.0, None], "b": ["x", "", "z"]})
    assert frame_of(frame) is frame
    some = frame.at(np.array([2, 1]))
    assert (some.names, some.rows, some.named) == (("a", "b"), 2, True)
    assert [column.values.tolist() for column in some.columns][1] == ["z", None]
    assert frame.at(np.array([False, True, False])).columns[0].values.tolist() == [2.0]
