"""Rows of tables as numbers and codes: whole tables, single rows, what does not fit, and what a file holds."""

import copy
import datetime as dt
import json
import pickle
import subprocess
import sys
import threading
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_wine

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.tables.encoders import CategoryEncoder, NumberEncoder
from fullyconnected.tables.frame import frame_of
from fullyconnected.tables.kinds import judge
from fullyconnected.tables.levels import MOST_LEVELS
from fullyconnected.tables.vocabulary import Vocabulary

NAN = float("nan")
START = dt.datetime(2023, 11, 30, 6)
TABLE = {
    "age": [31, 22, None, 40],
    "city": ["Oslo", "Bergen", "Oslo", None],
    "member": [True, False, True, True],
    "country": ["NO"] * 4,
    "when": [START, START + dt.timedelta(days=3), None, START + dt.timedelta(days=40, hours=6)],
    "price": ["1,5", "2", "1.000,25", "NA"],
    "size": ["S", "M", "S", "M"],
}


def made(X, categorical_features="from_dtype", **options):
    frame = frame_of(X, **options)
    return Vocabulary.of(frame, judge(frame, categorical_features))


@pytest.fixture(scope="module")
def vocabulary():
    return made(TABLE)


def by_name(vocabulary, x):
    return dict(zip([feature.name for feature in vocabulary.features], x.T.tolist(), strict=True))


def test_a_table_becomes_numbers_and_codes(vocabulary):
    x = vocabulary.encode(frame_of(TABLE))
    assert (x.shape, x.dtype) == ((4, vocabulary.width), np.float64)
    found = by_name(vocabulary, x)
    assert vocabulary.names == tuple(TABLE)
    np.testing.assert_array_equal(found["age"], [31, 22, NAN, 40])
    assert found["city"] == [1, 0, 1, 2]  # Bergen, Oslo, missing
    assert found["member"] == [1, 0, 1, 1]
    np.testing.assert_array_equal(found["price"], [1.5, 2, 1000.25, NAN])
    assert found["size"] == [1, 0, 1, 0]
    assert not any(feature.source == "country" for feature in vocabulary.features)


def test_dates_become_days_and_the_parts_that_vary(vocabulary):
    found = by_name(vocabulary, vocabulary.encode(frame_of(TABLE)))
    assert [name for name in found if name.startswith("when")] == [
        *("when: days", "when: month, sin", "when: month, cos", "when: day", "when: weekday, sin"),
        *("when: weekday, cos", "when: hour, sin", "when: hour, cos"),
    ]
    first = (START - dt.datetime(1970, 1, 1)).total_seconds() / 86400
    np.testing.assert_allclose(found["when: days"], [first, first + 3, NAN, first + 40.25])
    np.testing.assert_array_equal(found["when: day"], [30, 3, NAN, 9])
    angle = 2 * np.pi * np.array([10, 11, NAN, 0]) / 12
    np.testing.assert_allclose(found["when: month, sin"], np.sin(angle))
    np.testing.assert_allclose(found["when: month, cos"], np.cos(angle))
    angle = 2 * np.pi * np.array([3, 6, NAN, 1]) / 7  # a Thursday, a Sunday, a Tuesday
    np.testing.assert_allclose(found["when: weekday, sin"], np.sin(angle))
    angle = 2 * np.pi * np.array([6, 6, NAN, 12]) / 24
    np.testing.assert_allclose(found["when: hour, cos"], np.cos(angle))
    of_days = made({"d": [dt.date(2024, 1, 1), dt.date(2024, 1, 8)]})
    assert [feature.name for feature in of_days.features] == ["d: days", "d: day"]
    assert [feature.name for feature in made({"d": [START, None]}).features] == ["d: days"]  # which is NaN, or is not
    before = made({"d": [dt.date(1969, 12, 31), dt.date(1899, 3, 1)]}).encode(frame_of({"d": [dt.date(1969, 12, 31)]}))
    assert before[0, 0] == -1
    assert before[0, 3] == 31


def test_features_say_what_each_column_is(vocabulary):
    found = {feature.name: feature for feature in vocabulary.features}
    assert found["age"] == ("age", "age", "number", 0, True, False)
    assert found["city"] == ("city", "city", "code", 3, True, False)
    assert found["size"] == ("size", "size", "code", 2, False, False)
    assert found["member"].kind == "boolean"
    assert (found["when: day"].source, found["when: day"].kind, found["when: day"].missing) == ("when", "date", True)
    assert made({"a": np.exp(3 * np.random.default_rng(0).normal(size=500))}).features[0].heavy


ROWS = [{name: values[i] for name, values in TABLE.items()} for i in range(4)] + [
    {**dict.fromkeys(TABLE), "city": "Paris", "age": Decimal(3), "member": np.bool_(True)}
]


@pytest.mark.parametrize("i", range(5))
def test_a_single_row_is_what_it_is_in_a_table(vocabulary, i):
    row = ROWS[i]
    x = vocabulary.encode(frame_of([row]))
    for given_row in (row, list(row.values()), tuple(row.values()), pd.Series(row), np.array([*row.values()], object)):
        single = vocabulary.encode_row(given_row)
        assert (single.shape, single.dtype) == ((1, vocabulary.width), np.float64)
        np.testing.assert_array_equal(single, x)
    np.testing.assert_array_equal(vocabulary.encode_row({"extra": 1, **dict(reversed(row.items()))}), x)


@pytest.mark.parametrize("form", [pd.DataFrame, pl.DataFrame, lambda X: pl.DataFrame(X).to_arrow()])
def test_every_form_of_a_table_gives_the_same(vocabulary, form):
    x = vocabulary.encode(frame_of(TABLE))
    np.testing.assert_array_equal(vocabulary.encode(frame_of(form(TABLE))), x)
    assert made(form(TABLE)) == vocabulary
    shuffled = {"other": [1, 2, 3, 4], **dict(reversed(TABLE.items()))}
    np.testing.assert_array_equal(vocabulary.encode(frame_of(form(shuffled))), x)
    rows = [list(row) for row in zip(*TABLE.values(), strict=True)]
    np.testing.assert_array_equal(vocabulary.encode(frame_of(rows)), x)  # by place


def test_levels_that_training_did_not_have():
    plain = made({"a": ["x", "y", "x", "y"]})
    assert plain.encode(frame_of({"a": ["z", None, " x", "", "Y"]}))[:, 0].tolist() == [-1, -1, 0, -1, -1]
    gaps = made({"a": ["x", "y", None, "y"]})
    assert gaps.encode(frame_of({"a": ["z", None, "", "y "]}))[:, 0].tolist() == [-1, 2, 2, 1]
    assert made({"a": ["e\u0301", "b"]}).encode(frame_of({"a": ["\xe9"]}))[0, 0] == 1


def test_rare_levels_share_a_code_with_unknown_ones():
    texts = [f"{i:04}x" for i in range(MOST_LEVELS)] * 2 + ["rare 1", "rare 2", None]
    for values, unknown in (
        (texts, "new"),
        ([None if t is None else float(len(t) * 1e4 + i % 1000) for i, t in enumerate(texts)], 5.0),
    ):
        vocabulary = made({"a": values}, ["a"])
        (feature,) = vocabulary.features
        x = vocabulary.encode(frame_of({"a": [*values[-3:], unknown]}))[:, 0]
        assert feature.levels == MOST_LEVELS + 2
        assert x.tolist() == [MOST_LEVELS, MOST_LEVELS, MOST_LEVELS + 1, MOST_LEVELS]
        assert vocabulary.encode(frame_of({"a": values}))[:MOST_LEVELS, 0].tolist() == list(range(MOST_LEVELS))


def test_numbers_that_are_categories_have_codes_by_their_values():
    vocabulary = made({"a": [3, 1, None, 2], "b": [1.0, 2.0, 3.0, 4.0]}, ["a"])
    x = vocabulary.encode(frame_of({"a": [1, 2.0, 3, None, 4, True, 1.5], "b": [0] * 7}))[:, 0]
    assert x.tolist() == [0, 1, 2, 3, -1, 0, -1]
    rows = [
        vocabulary.encode_row({"a": value, "b": 0})[0, 0] for value in (1, "2", 3.0, NAN, 9, True, np.int8(2), None)
    ]
    assert rows == [0, 1, 2, 3, -1, 0, 1, 3]
    assert vocabulary.encode(frame_of({"a": ["1", "", "7"], "b": [0] * 3}))[:, 0].tolist() == [0, 3, -1]


@pytest.mark.parametrize(
    ("column", "values", "numbers"),
    [
        ("age", ["31", None, "1e1"], [31, NAN, 10]),
        ("age", [True, None, Decimal(5)], [1, NAN, 5]),
        ("age", [None, None], [NAN, NAN]),
        ("member", ["true", "False", ""], [1, 0, NAN]),
        ("member", [1, 0, 2.5], [1, 0, 2.5]),
        ("price", [1.5, 2, None], [1.5, 2, NAN]),
        ("price", ["1.000,5", "?", ""], [1000.5, NAN, NAN]),
        ("city", [None, NAN], [2, 2]),
        ("when", [None, None], [NAN, NAN]),
        ("when", ["2023-11-30 06:00", ""], [(START - dt.datetime(1970, 1, 1)).total_seconds() / 86400, NAN]),
    ],
)
def test_what_means_the_same_may_come_as_another_type(vocabulary, column, values, numbers):
    table = {name: [None] * len(values) for name in TABLE}
    table[column] = values
    first = [feature.source for feature in vocabulary.features].index(column)
    np.testing.assert_array_equal(vocabulary.encode(frame_of(table))[:, first], numbers)
    for value, number in zip(values, numbers, strict=True):
        row = dict.fromkeys(TABLE) | {column: value}
        np.testing.assert_array_equal(vocabulary.encode_row(row)[0, first], number)


def test_numbers_in_a_column_of_text_are_levels_where_levels_look_so():
    vocabulary = made({"code": ["02134", "94110", "x", "x"]})
    assert vocabulary.encode(frame_of({"code": [94110, 94110.0, 2134]}))[:, 0].tolist() == [1, 1, -1]
    assert vocabulary.encode_row([94110])[0, 0] == 1


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("age", "abc", "'abc' does not fit the column, which held numbers in training"),
        ("age", "1,000", "'1,000' does not fit .* write 1000 or 1.000"),
        ("age", "NA", "'NA' does not fit the column, which held numbers"),
        ("age", START, "2023-11-30[T ]06:00:00.*, a datetime(64)?, does not fit the column, which held numbers"),
        ("age", "inf", "'inf' does not fit"),
        ("member", "maybe", "'maybe' does not fit the column, which held numbers"),
        ("price", "cheap", "'cheap' does not fit"),
        ("city", 5, "5.*, a (int|float), does not fit the column, which held text such as 'Bergen'"),
        ("city", True, "(True|1.0), a (bool|float), does not fit"),
        ("city", START, "2023-11-30.* does not fit the column, which held text"),
        ("when", 5, "5.*, a (int|float), does not fit the column, which held dates"),
        (
            "when",
            "30.11.2023",
            "'30.11.2023' does not fit the column, which held dates in training; they are read in the form of 2024",
        ),
    ],
)
def test_a_cell_of_another_kind_is_named_with_column_and_row(vocabulary, column, value, said):
    table = {name: [None, None] for name in TABLE} | {column: [None, value]}
    with pytest.raises(errors.DataError, match=f"column '{column}', row 1: ({said})"):
        vocabulary.encode(frame_of(table))
    with pytest.raises(errors.DataError, match=f"column '{column}': ({said})"):
        vocabulary.encode_row(dict.fromkeys(TABLE) | {column: value})


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.float32(np.inf), Decimal("Infinity")])
def test_infinite_numbers_are_refused_where_they_are_used(vocabulary, value):
    table = {name: [None] for name in TABLE}
    with pytest.raises(errors.DataError, match=r"column 'age', row 0: -?inf is no finite number"):
        vocabulary.encode(frame_of({**table, "age": [value]}))
    with pytest.raises(errors.DataError, match=r"column 'age': -?[iI]nf.* which held finite numbers"):
        vocabulary.encode_row(dict.fromkeys(TABLE) | {"age": value})
    vocabulary.encode(frame_of({**table, "country": [value], "more": [value]}))


def test_a_number_too_large_for_a_float_is_refused(vocabulary):
    with pytest.raises(errors.DataError, match="column 'age'"):
        vocabulary.encode_row(dict.fromkeys(TABLE) | {"age": 10**400})


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"x", 1j, object()])
@pytest.mark.parametrize("column", ["age", "city", "when"])
def test_a_cell_of_a_row_that_is_no_value_is_refused(vocabulary, column, value):
    with pytest.raises(errors.DataError, match=f"column '{column}': .* does not fit"):
        vocabulary.encode_row(dict.fromkeys(TABLE) | {column: value})


def test_a_missing_column_is_named_with_what_may_be_it(vocabulary):
    for rest, said in (
        ({"Age": [3]}, "a column is missing: 'age'; is it 'Age', by another name?"),
        ({"agee": [3]}, "is it 'agee'"),
        ({"x": [3]}, "a column is missing: 'age'; the table has 'city', 'member'"),
    ):
        table = {name: [None] for name in TABLE if name != "age"} | rest
        with pytest.raises(errors.ShapeError, match=said):
            vocabulary.encode(frame_of(table))
        with pytest.raises(errors.ShapeError, match=said):
            vocabulary.encode_row({name: values[0] for name, values in table.items()})
    with pytest.raises(errors.ShapeError, match="6 columns are missing, the first is 'age'; the table has 'zzz'"):
        vocabulary.encode(frame_of({"zzz": [1]}))
    without = {name: values for name, values in TABLE.items() if name != "country"}
    assert len(vocabulary.encode(frame_of(without))) == 4  # no network reads that column


def test_names_are_equal_in_every_form_of_unicode():
    vocabulary = made({"gr\xf6\xdfe": [1, 2, 3], "b": ["x", "y", "x"]})
    x = [[5.0, 0.0]]
    assert vocabulary.encode(frame_of({"b": ["x"], "gro\u0308\xdfe": [5]})).tolist() == x
    assert vocabulary.encode_row({"b": "x", "gro\u0308\xdfe": 5}).tolist() == x


def test_a_table_without_names_is_read_by_place():
    vocabulary = made([[1, "a", 7], [2, "b", 7], [3, "a", 7]])
    assert not vocabulary.named
    assert vocabulary.encode(frame_of([[5, "b", 0]])).tolist() == [[5, 1]]
    assert vocabulary.encode(frame_of({"q": [5], "r": ["b"], "s": [0]})).tolist() == [[5, 1]]
    assert vocabulary.encode_row((5, "b", None)).tolist() == [[5, 1]]
    for X in ([[5, "b"]], [[5, "b", 0, 1]], {"a": [1]}):
        with pytest.raises(errors.ShapeError, match=r"X has \d columns; in training it had 3"):
            vocabulary.encode(frame_of(X))
    with pytest.raises(errors.ShapeError, match="the row has 2 cells; in training there were 3 columns"):
        vocabulary.encode_row([5, "b"])
    with pytest.raises(errors.InputTypeError, match="give the row as a list"):
        vocabulary.encode_row({"x0": 5, "x1": "b", "x2": 0})
    for row in ("abc", 5, None, np.zeros((1, 3))):
        with pytest.raises(errors.InputTypeError, match="a row is a dict or a list of cells"):
            vocabulary.encode_row(row)


def test_a_table_without_rows_has_none_afterwards(vocabulary):
    assert vocabulary.encode(frame_of({name: [] for name in TABLE})).shape == (0, vocabulary.width)
    assert vocabulary.encode(frame_of(pd.DataFrame(TABLE).iloc[:0])).shape == (0, vocabulary.width)


def test_one_column_is_enough():
    vocabulary = made({"a": ["x", "y"], "b": [1, 1]})
    assert vocabulary.encode_row({"a": "y"}).tolist() == [[1.0]]
    assert vocabulary.encode_row(["y", 5]).tolist() == [[1.0]]


def test_nothing_to_learn_from_is_said():
    with pytest.raises(
        errors.DataError, match="no column of the table can be learned from: 'a' is constant and 'b' is mis"
    ):
        made({"a": [1, 1], "b": [None, None]})
    frame = frame_of(TABLE)
    with pytest.raises(errors.ConfigError, match="not those of the columns of this table"):
        Vocabulary.of(frame, judge(frame)[1:])


def test_a_network_reads_what_a_vocabulary_gives():
    table = load_wine(as_frame=True)
    X = table.data.assign(kind=np.where(table.data["hue"] > 1, "high", "low"), where=pd.Categorical([None, "x"] * 89))
    vocabulary = made(X)
    features = vocabulary.features
    numbers = [i for i, feature in enumerate(features) if not feature.levels]
    codes = [(i, fc.OneHot(feature.levels)) for i, feature in enumerate(features) if feature.levels]
    first = fc.Columns([(numbers, fc.Standardize(scale=[1.0] * len(numbers))), *codes])
    x = vocabulary.encode(frame_of(X))
    assert [layer.levels for _, layer in codes] == [2, 2]
    assert np.isfinite(fc.Network([first, fc.Dense(first.n_out, 3)], seed=0).predict(x)).all()


def test_a_vocabulary_is_made_and_read_with_numpy_alone():
    code = (
        "import sys, numpy as np; from fullyconnected.tables.frame import frame_of\n"
        "from fullyconnected.tables.kinds import judge; from fullyconnected.tables.vocabulary import Vocabulary\n"
        "for X in (np.eye(3), {'a': ['x', 'y', 'z']}, [[1, 'x'], [2, 'y']], [{'a': 1}, {'a': 2}, {'a': 3}]):\n"
        "    frame = frame_of(X); v = Vocabulary.of(frame, judge(frame)); v.encode(frame)\n"
        "v.from_plain(v.plain()).encode_row({'a': 1})\n"
        "print(*({'narwhals', 'pandas', 'polars', 'pyarrow', 'sklearn'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_holds_all_of_it(vocabulary):
    read = Vocabulary.from_plain(json.loads(json.dumps(vocabulary.plain())))
    assert read == vocabulary
    np.testing.assert_array_equal(read.encode(frame_of(TABLE)), vocabulary.encode(frame_of(TABLE)))
    assert read.features == vocabulary.features
    for same in (pickle.loads(pickle.dumps(vocabulary)), copy.deepcopy(vocabulary), copy.copy(vocabulary)):
        assert same == vocabulary
        np.testing.assert_array_equal(same.encode_row(ROWS[4]), vocabulary.encode_row(ROWS[4]))
    with pytest.raises(AttributeError):
        vocabulary.named = False


CELLS = {
    "numbers": st.one_of(st.none(), st.integers(-5, 5), st.floats(allow_infinity=False)),
    "text": st.one_of(st.none(), st.text(max_size=3)),
    "booleans": st.one_of(st.none(), st.booleans()),
    "dates": st.one_of(st.none(), st.datetimes()),
}


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_table_goes_through_a_file_and_row_by_row(data):
    rows = data.draw(st.integers(1, 12))
    kinds = data.draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    table = {f"c{i}": data.draw(st.lists(CELLS[kind], min_size=rows, max_size=rows)) for i, kind in enumerate(kinds)}
    frame = frame_of(table)
    decisions = judge(frame)
    if not any(decision.used for decision in decisions):
        with pytest.raises(errors.DataError, match="no column of the table can be learned from"):
            Vocabulary.of(frame, decisions)
        return
    vocabulary = Vocabulary.of(frame, decisions)
    x = vocabulary.encode(frame)
    for i, feature in enumerate(vocabulary.features):
        if feature.levels:
            assert set(x[:, i]) <= set(range(feature.levels))
            assert feature.missing == (
                (feature.levels - 1) in x[:, i] and None in frame.columns[frame.names.index(feature.source)].values
            )
        else:
            assert feature.missing == np.isnan(x[:, i]).any()
    read = Vocabulary.from_plain(json.loads(json.dumps(vocabulary.plain())))
    np.testing.assert_array_equal(read.encode(frame), x)
    for i in range(rows):
        row = {name: values[i] for name, values in table.items()}
        np.testing.assert_array_equal(read.encode_row(row), x[i : i + 1])


def damaged(path, value):
    described = made(TABLE).plain()
    place = described
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return described


AGE, CITY, COUNTRY, WHEN, PRICE = (("columns", i) for i in (0, 1, 3, 4, 5))


@pytest.mark.parametrize(
    "described",
    [
        None,
        [],
        {},
        damaged(["format"], 2),
        damaged(["format"], KeyError),
        damaged(["named"], 1),
        damaged(["columns"], {}),
        damaged(["columns"], []),
        damaged(["columns"], [None]),
        damaged(["columns"], [{"name": "a", "kind": "unused"}]),
        *(damaged([*AGE, key], value) for key in ("name", "kind") for value in (None, 5, KeyError, ["a"])),
        damaged([*AGE, "name"], "city"),
        damaged([*AGE, "name"], "\udce9"),
        damaged([*AGE, "kind"], "text"),
        damaged([*AGE, "kind"], "boolean"),
        damaged([*COUNTRY, "kind"], "number"),
        *(damaged([*AGE, key], value) for key in ("missing", "boolean", "heavy") for value in (None, 1, KeyError)),
        *(damaged([*CITY, "levels"], value) for value in (None, [], "ab", ["b", "a"], ["a", "a"], ["a", 1], [[1]])),
        *(damaged([*CITY, "levels"], value) for value in ([""], [" a"], [NAN], [1e999], [10**400], [True], [2, 1])),
        *(damaged([*CITY, "levels"], value) for value in ([1, 1.0], ["e\u0301"], [None], {"a": 1})),
        damaged([*CITY, "rare"], 0),
        *(
            damaged([*WHEN, "parts"], value)
            for value in (None, [], ["year"], ["day", "days"], ["day", "day"], [[]], [5])
        ),
        *(
            damaged([*PRICE, "reading"], value)
            for value in (5, [], {}, {"of": "dates", "decimal": ".", "others": False})
        ),
        damaged([*PRICE, "reading", "decimal"], ";"),
        damaged([*PRICE, "reading", "of"], ["numbers"]),
        damaged([*PRICE, "reading", "others"], None),
        damaged([*WHEN, "reading"], {"of": "numbers", "decimal": ".", "others": False}),
    ],
)
def test_a_damaged_description_is_refused(described):
    with pytest.raises(errors.FileFormatError) as caught:
        Vocabulary.from_plain(described)
    assert len(str(caught.value)) < 600


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.just(10**400), st.floats(), st.text(max_size=2)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=2)),
    max_leaves=3,
)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_other_description_is_refused_or_works(data):
    described = made(TABLE).plain()
    place, last = described, None
    while isinstance(place, dict | list) and place and (last is None or data.draw(st.integers(0, 3))):
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        parent, last = place, data.draw(st.sampled_from(keys))
        place = parent[last]
    parent[last] = data.draw(
        st.one_of(JSON, st.sampled_from(["number", "category", "date", "unused", "city", "numbers"]))
    )
    try:
        vocabulary = Vocabulary.from_plain(described)
    except errors.FileFormatError:
        return
    assert Vocabulary.from_plain(vocabulary.plain()) == vocabulary
    assert vocabulary.encode_row([None] * len(vocabulary.names)).shape == (1, vocabulary.width)
    json.dumps(vocabulary.plain(), ensure_ascii=False).encode()


# --- speed and threads ------------------------------------------------------------------------------------------------


def test_a_row_of_plain_values_calls_no_encoder(monkeypatch):
    """A row with 20 columns takes a few microseconds only if its usual cells are found without a call for each."""
    table = {f"n{i}": [1.5, 2.5, 3.5] for i in range(15)} | {f"c{i}": ["x", "y", None] for i in range(5)}
    vocabulary = made(table)
    row = {name: values[0] for name, values in table.items()}
    expected = vocabulary.encode_row(row)

    def called(*_):
        raise AssertionError("an encoder was called")

    for kind in (NumberEncoder, CategoryEncoder):
        monkeypatch.setattr(kind, "cells", called)
    np.testing.assert_array_equal(vocabulary.encode_row(row), expected)
    np.testing.assert_array_equal(vocabulary.encode_row(list(row.values())), expected)
    np.testing.assert_array_equal(vocabulary.encode_row(np.array([*row.values()], object)), expected)
    of_numbers = made(np.array([[1.5, 2.5], [2.5, 3.5], [4.5, 0.5]]))
    assert of_numbers.encode_row(np.array([1.5, 2.5])).tolist() == [[1.5, 2.5]]


def test_a_table_of_the_training_kind_is_encoded_without_a_call_for_each_cell(monkeypatch):
    frame = frame_of(TABLE)
    vocabulary = made(TABLE)
    monkeypatch.setattr(CategoryEncoder, "cells", None)
    assert len(vocabulary.encode(frame)) == 4


def test_threads_share_a_vocabulary(vocabulary):
    x, found = vocabulary.encode(frame_of(TABLE)), []

    def work():
        found.extend(np.array_equal(vocabulary.encode_row(ROWS[i % 4]), x[i % 4 : i % 4 + 1], True) for i in range(200))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 800
