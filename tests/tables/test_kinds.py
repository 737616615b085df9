"""What a column is judged to be, and what is said about it."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier

from fullyconnected import errors
from fullyconnected.tables.frame import frame_of
from fullyconnected.tables.kinds import KINDS, judge, tail_of
from fullyconnected.tables.levels import MOST_LEVELS

NAN = float("nan")
MANY = [f"user {i}" for i in range(30)]
DAYS = [dt.date(2024, 1, 1) + dt.timedelta(i) for i in range(30)]


def one(values, categorical_features="from_dtype"):
    (decision,) = judge(frame_of({"a": values}), categorical_features)
    return decision


@pytest.mark.parametrize(
    ("values", "kind", "why", "missing", "levels"),
    [
        ([1.5, 2.5, 3.5, NAN], "number", "3 different numbers", 0.25, 3),
        ([1, 2, 3], "number", "3 different numbers", 0, 3),  # few levels, and a number all the same
        ([1, 2, 1], "boolean", "two values", 0, 2),
        ([True, False, None, None], "boolean", "two values", 0.5, 2),
        ([5, None], "boolean", "one value, or missing", 0.5, 1),
        (["true", "False"], "boolean", "true or false", 0, 2),
        (["true", None], "boolean", "one value, or missing", 0.5, 1),
        (["a", "b", None, "a"], "category", "2 different texts", 0.25, 2),
        (["a", None], "category", "one text, or missing", 0.5, 1),
        (["a", " a", "b"], "category", "2 different texts", 0, 2),
        (["1,5", "2", "3"], "number", "3 different numbers", 0, 3),
        (["1", "1.0", "2"], "boolean", "two values", 0, 2),
        (["1", "2", "3", "NA"], "number", "3 different numbers", 0.25, 3),
        (DAYS, "date", "30 different dates", 0, 30),
        ([*map(str, DAYS), ""], "date", "30 different dates", 1 / 31, 30),
        ([DAYS[0], None], "date", "one date, or missing", 0.5, 1),
        ([dt.timedelta(1), dt.timedelta(2), dt.timedelta(3)], "number", "3 different numbers", 0, 3),
        ([7, 7], "constant", "the same in all rows", 0, 1),
        (["a", "a "], "constant", "the same in all rows", 0, 1),
        (["1.0", "1"], "constant", "the same in all rows", 0, 1),
        ([DAYS[0]] * 2, "constant", "the same in all rows", 0, 1),
        ([None, None], "missing", "missing in all rows", 1, 0),
        (["", "  "], "missing", "missing in all rows", 1, 0),
        (MANY, "identifier", "30 different texts in 30 cells, as identifiers or free text have", 0, 30),
        (MANY[:20], "category", "20 different texts", 0, 20),
        (MANY * 2, "category", "30 different texts", 0, 30),
    ],
)
def test_a_column_is_judged_with_a_reason(values, kind, why, missing, levels):
    found = one(values)
    assert (found.column, found.kind, found.why, found.levels) == ("a", kind, why, levels)
    assert found.missing == pytest.approx(missing)
    assert found.kind in KINDS
    assert found.used == (kind not in ("constant", "missing", "identifier"))


def test_notes_tell_what_the_user_may_want_to_change():
    assert one(["1,5", "2", "3"]).note == "numbers as text with a decimal comma"
    assert "as the numbers of rows are" in one(list(range(100, 130))).note
    assert "as the numbers of rows are" in one([*range(0, 40, 2), *range(41, 81)]).note
    assert one([2 * i for i in range(100)]).note == one(list(range(20))).note == ""
    assert one([2**60, 0, 5]).note.startswith("whole numbers of 2**53 and more are rounded")
    assert "30 of 45 cells are numbers" in one(["1", "2", "x"] * 15).note
    few, many = ([f"{i % n}x" for i in range(10 * n)] for n in (MOST_LEVELS, MOST_LEVELS + 1))
    assert (one(few).note, one(many).note) == (
        "",
        "1,001 levels: the 1,000 most frequent have a code each, and the others share one",
    )


def test_a_hundred_thousand_levels_are_judged():
    rng = np.random.default_rng(0)
    found = one([f"user {i}" for i in rng.integers(0, 100_000, 300_000)])
    assert (found.kind, found.note.startswith(f"{found.levels:,} levels")) == ("category", True)


def test_tails_are_measured_by_quantiles_and_no_single_row_makes_one():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=5000)
    assert tail_of(normal) == pytest.approx(3.82, abs=0.3)
    assert tail_of(-1e6 * normal + 5) == pytest.approx(tail_of(normal), abs=0.3)
    normal[0] = 1e300
    assert not one(normal).heavy
    assert one(np.exp(1.5 * normal.clip(max=5))).heavy
    mostly_zero = np.where(np.arange(5000) % 10, 0, np.exp(2 * rng.normal(size=5000)))
    assert one(mostly_zero).heavy
    for values in (np.zeros(0), np.zeros(5000), rng.integers(0, 5, 5000), rng.normal(size=49)):
        assert tail_of(values.astype(float)) is None
    assert one(np.where(np.arange(100) % 2, 1, -1) * np.linspace(1, 1.7e308, 100)).tail is not None


@pytest.mark.parametrize("loaded", [load_wine, load_breast_cancer, load_diabetes])
def test_real_tables_of_numbers_are_numbers(loaded):
    table = loaded(as_frame=True).data
    found = judge(frame_of(table))
    assert [each.column for each in found] == list(table.columns)
    assert {each.kind for each in found} <= {"number", "boolean"}
    assert [each.kind for each in found if each.column == "sex"] == ["boolean"] * (loaded is load_diabetes)
    assert not any(each.note for each in found)


TABLE = pd.DataFrame({"n": [1, 2, 3, 1], "c": ["u", "v", "u", "v"], "k": pd.Categorical([3, 4, 5, 3])})


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ("from_dtype", ["number", "category", "category"]),
        (None, ["number", "category", "number"]),
        ([], ["number", "category", "number"]),
        (["n"], ["category", "category", "number"]),
        (("n", "c", "k"), ["category"] * 3),
        (np.array(["n"]), ["category", "category", "number"]),
        ([0, 2], ["category"] * 3),
        (np.array([2]), ["number", "category", "category"]),
        ([True, False, False], ["category", "category", "number"]),
        (np.array([False, False, True]), ["number", "category", "category"]),
    ],
)
def test_categories_are_named_as_scikit_learn_names_them(given, kinds):
    found = judge(frame_of(TABLE), given)
    assert [each.kind for each in found] == kinds
    if isinstance(given, str):
        assert found[2].why == "a categorical dtype"
    elif given is not None:
        assert {each.why for each in found if each.column != "c" and each.kind == "category"} <= {
            "said to be a category"
        }
        if np.asarray(given).size:
            codes = TABLE.apply(lambda column: column.astype("category").cat.codes)
            HistGradientBoostingClassifier(categorical_features=given, max_iter=1).fit(codes, [0, 1, 0, 1])


def test_text_that_is_said_to_be_a_category_is_one():
    assert one(MANY, ["a"]).kind == "category"
    assert one(["1", "2", "3"], ["a"]).kind == "category"
    assert one(["true", "false"], [0]).kind == "category"
    assert one(pl.Series(["1", "2"], dtype=pl.Categorical).to_frame("a")["a"].to_list(), [True]).kind == "category"
    assert judge(frame_of(pl.DataFrame({"a": pl.Series(["1", "2"], dtype=pl.Categorical)})))[0].kind == "category"
    assert one([True, None], ["a"]).kind == "category"
    assert one(["x", "x"], ["a"]).kind == "constant"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ("n", errors.InputTypeError, "from_dtype"),
        (5, errors.InputTypeError, "got 5"),
        (["m"], errors.UnknownNameError, "no column in X for categorical_features 'm'"),
        ([3], errors.ConfigError, "has 3; the columns of X are 0 to 2"),
        ([-1], errors.ConfigError, "has -1"),
        ([True], errors.ConfigError, "a mask of 1 columns, and X has 3"),
        ([0, "n"], errors.InputTypeError, "all bools, all numbers or all names"),
        ([0, True], errors.InputTypeError, "all bools"),
        ([1.0], errors.InputTypeError, "all bools"),
    ],
)
def test_categories_that_are_not_there_are_refused(given, error, said):
    with pytest.raises(error, match=said):
        judge(frame_of(TABLE), given)


def test_what_cannot_be_learned_from_is_said():
    with pytest.raises(errors.DataError, match="the table has no rows"):
        judge(frame_of({"a": []}))
    with pytest.raises(errors.DataError, match="column 'a', row 1: inf is no finite number"):
        one([1.0, np.inf])
    with pytest.raises(errors.InputTypeError, match="'a' holds dates; a category is text or numbers"):
        one(DAYS, ["a"])


@pytest.mark.parametrize(
    "form", ["%d.%m.%Y", "%m/%d/%y", "%d %b %Y", "%B %d, %Y", "%Y/%m/%d", "%d-%b-%y", "%d.%m.%Y %H:%M"]
)
def test_dates_in_another_form_are_told(form):
    found = one([day.strftime(form) for day in DAYS])
    assert not found.used
    assert found.note == "they look like dates, which are read in the form 2024-12-31 23:59 alone"
    assert "look like dates" not in one(MANY).note
    assert one([f"{i}-{i}" for i in range(2024, 2060)]).note == ""
