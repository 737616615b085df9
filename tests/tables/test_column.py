"""Columns of values: what is kept of numbers, text and dates of every type, and what is refused."""

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullyconnected import errors
from fullyconnected.tables.column import column_of, require_finite

NAN = float("nan")


def kept(values):
    column = column_of("a", values)
    return column.holds, column.origin, column.values.tolist()


@pytest.mark.parametrize(
    ("values", "origin", "numbers"),
    [
        ([1, 2.5, None], "number", [1.0, 2.5, NAN]),
        ([1, 2, None], "integer", [1.0, 2.0, NAN]),
        ([True, None, False], "boolean", [1.0, NAN, 0.0]),
        ([np.bool_(True), False], "boolean", [1.0, 0.0]),
        ([True, 2], "integer", [1.0, 2.0]),
        ([Decimal("1.5"), Decimal("NaN"), Decimal("sNaN"), Fraction(1, 4)], "number", [1.5, NAN, NAN, 0.25]),
        ([np.float32(0.5), np.int8(3), pd.NA, pd.NaT], "number", [0.5, 3.0, NAN, NAN]),
        ([dt.timedelta(minutes=1), None, np.timedelta64(2, "ms")], "duration", [60.0, NAN, 0.002]),
        (np.array([10**15, "NaT"], "m8[D]"), "duration", [8.64e19, NAN]),
        ([np.timedelta64(10**15, "W")], "duration", [6.048e20]),
        ([dt.time(0, 1, 2), None], "duration", [62.0, NAN]),
        ([None, NAN, pd.NA, pd.NaT, np.datetime64("NaT", "s")], "nothing", [NAN] * 5),
        ([], "nothing", []),
        (np.array([1, 2], np.uint8), "integer", [1.0, 2.0]),
        (np.array([1.5, np.nan], np.float16), "number", [1.5, NAN]),
        (np.array([True, False]), "boolean", [1.0, 0.0]),
        (np.array([1500, "NaT"], "m8[ms]"), "duration", [1.5, NAN]),
        (np.array([1, None, 2.5], object), "number", [1.0, NAN, 2.5]),
        (np.ma.array([1, 2], mask=[False, True]), "integer", [1.0, NAN]),
        (np.ma.array([1.0, 2.0]), "number", [1.0, 2.0]),
    ],
)
def test_numbers_are_float64_with_nan_for_missing(values, origin, numbers):
    column = column_of("a", values)
    assert (column.holds, column.origin, column.note) == ("numbers", origin, "")
    assert column.values.dtype == np.float64
    np.testing.assert_array_equal(column.values, numbers)
    np.testing.assert_array_equal(column.missing, np.isnan(numbers))


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["a", None, "", "  ", "\t", "NA", NAN, pd.NA, pd.NaT], ["a", None, None, None, None, "NA", None, None, None]),
        (["a", 1, 2.0, 2.5, True, np.float64(3), Decimal("1.10")], ["a", "1", "2", "2.5", "True", "3", "1.10"]),
        (["a", dt.date(2024, 1, 2), np.datetime64("NaT", "s")], ["a", "2024-01-02", None]),
        (np.array(["a", ""]), ["a", None]),
        (np.array(["a", None], object), ["a", None]),
        (np.array([np.str_("a"), "b"], object), ["a", "b"]),
        (np.array(["a", "b"], np.dtypes.StringDType()), ["a", "b"]),
    ],
)
def test_text_is_str_or_none_and_takes_numbers_along(values, texts):
    column = column_of("a", values)
    assert column.holds == column.origin == "text"
    assert column.values.tolist() == texts
    assert {type(value) for value in column.values} <= {str, type(None)}
    assert column.missing.tolist() == [text is None for text in texts]


@pytest.mark.parametrize(
    "values",
    [
        [dt.date(2024, 2, 29), None],
        [dt.datetime(2024, 2, 29), pd.NaT],
        [pd.Timestamp("2024-02-29"), NAN],
        [dt.datetime(2024, 2, 29, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), None],
        [np.datetime64("2024-02-29"), np.datetime64("NaT", "s")],
        np.array(["2024-02-29", "NaT"], "M8[D]"),
        np.array(["2024-02-29T00:00:00.000000999", "NaT"], "M8[ns]"),
    ],
)
def test_dates_are_microseconds_in_utc(values):
    column = column_of("a", values)
    assert (column.holds, column.values.dtype) == ("dates", np.dtype("M8[us]"))
    assert column.values[0] == np.datetime64("2024-02-29")
    assert column.missing.tolist() == [False, True]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([None, b"a"], "column 'a', row 1: b'a' is of type bytes.*decode"),
        (np.array([b"a"]), "row 0: b'a' is of type bytes"),
        ([1, 2j], "row 1: 2j is of type complex.*imaginary part"),
        (np.array([2j]), "complex"),
        ([[1, 2]], r"row 0: \[1, 2\] is of type list.*each of its parts"),
        ([{"a": 1}, None], "is of type dict"),
        ([np.zeros(2)], "is of type ndarray"),
        ([object()], "is of type object"),
        (pd.period_range("2024", periods=2, freq="M").tolist(), "is of type Period.*to_timestamp"),
        ([1, dt.date(2024, 1, 1)], "'a' holds date, int side by side"),
        (["a", dt.timedelta(1)], "holds str, timedelta side by side"),
    ],
)
def test_other_objects_are_refused_with_column_type_and_remedy(values, said):
    with pytest.raises(errors.InputTypeError, match=said):
        column_of("a", values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1, 10**400], "row 1: the number is too large for float64"),
        (np.array(["300000-01-01", "-300000-01-01"], "M8[D]"), "row 0: 300000-01-01 is too far away"),
        (np.array(["NaT", "2024", "-300000"], "M8[Y]"), "row 2: -300000 is too far away"),
        ([None, np.datetime64("300000-01-01T05")], "row 1: 300000-01-01T05 is too far away"),
        (np.array([1, 5], "m8[Y]"), "column 'a': years and months differ in length; give durations in days"),
        ([dt.timedelta(1), np.timedelta64(5, "M")], "row 1: years and months differ in length"),
        ([dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5)))], "row 0: .* too far away for a date in UTC"),
    ],
)
def test_what_cannot_be_kept_is_refused(values, said):
    with pytest.raises(errors.DataError, match=said):
        column_of("a", values)


@pytest.mark.parametrize("values", [[2**53 + 1, None], np.array([2**53 + 1]), np.array([2**63], np.uint64), [-(2**60)]])
def test_a_note_says_that_large_whole_numbers_are_rounded(values):
    assert "2**53" in column_of("a", values).note


def test_infinite_numbers_are_kept_until_the_column_is_used():
    column = column_of("age", [1.0, -np.inf])
    with pytest.raises(errors.DataError, match="column 'age', row 1: -inf is no finite number"):
        require_finite(column)


def test_the_callers_array_is_copied():
    given_values = np.array([1.0, 2.0])
    column = column_of("a", given_values)
    given_values[0] = 5
    assert column.values[0] == 1


PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(), st.dates())


@given(st.lists(PLAIN, max_size=8))
def test_any_mixture_is_a_column_or_an_error_of_ours(values):
    try:
        column = column_of("a", values)
    except errors.InputTypeError:
        assert any(type(value) is dt.date for value in values)
        return
    assert len(column.values) == len(column.missing) == len(values)
    for value, gone in zip(values, column.missing, strict=True):
        assert gone == (value is None or value != value or (isinstance(value, str) and not value.strip()))
