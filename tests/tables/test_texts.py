"""Text that stands for numbers, dates, true and false: what a column is read as, by all of it."""

import numpy as np
import pytest

from fullyconnected.tables.cells import number_in
from fullyconnected.tables.dates import as_date
from fullyconnected.tables.levels import MOST_LEVELS, count_levels, key_of_level, most_frequent
from fullyconnected.tables.texts import reading_of


def read(texts):
    """Return what a column of these texts is read as, or None, and the note."""
    levels = count_levels(texts)
    reading, note = reading_of(levels)
    return (None if reading is None else [reading.value(text) for text in texts]), note


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1", "2.5", "-3e2", "\u22124"], [1.0, 2.5, -300.0, -4.0]),
        (["1,234.50", "12", "1,234,567"], [1234.5, 12.0, 1234567.0]),
        (["1.234,50", "12", "1.234.567"], [1234.5, 12.0, 1234567.0]),
        (["3,14", "2,7", "1,234"], [3.14, 2.7, 1.234]),  # a decimal comma, by the first two
        (["1,234", "12,500"], [1234.0, 12500.0]),
        (["1.234", "12.500"], [1.234, 12.5]),
        (["1 234", "1\u00a0234,5", "7"], [1234.0, 1234.5, 7.0]),
        (["1'234.5", "7"], [1234.5, 7.0]),
        (["1,00,000", "7"], [100000.0, 7.0]),  # as in India
        (["12 %", "5%", "7"], [12.0, 5.0, 7.0]),
        (["$ 5", "$1,000.50", "($3)"], [5.0, 1000.5, -3.0]),
        (["5 \u20ac", "1,5 \u20ac"], [5.0, 1.5]),
        ([" 1 ", "2"], [1.0, 2.0]),
        (["1", "NA", "?", "2"], [1.0, None, None, 2.0]),
        (["True", "false", "TRUE"], [1.0, 0.0, 1.0]),
    ],
)
def test_numbers_are_read_as_they_are_written(texts, numbers):
    assert read(texts)[0] == numbers


@pytest.mark.parametrize(
    "texts",
    [
        ["a", "b"],
        ["007", "12", "13"],  # names made of digits
        ["02134"] + ["94110"] * 50,
        ["$ 5", "5 %"],
        ["10.12.2024", "1.1.2024"],
        ["yes", "no"],
        ["1", "2", "three", "four"],
        ["inf", "-inf"],
        ["1_000"],
        ["NA", "?"],
        ["1/2/2024"],
        ["2024-02-30"],
        ["true", "maybe"],
    ],
)
def test_other_text_is_not_read(texts):
    assert read(texts)[0] is None


def test_the_note_says_how_numbers_are_read_and_what_is_left_out():
    assert read(["1", "2"])[1] == "numbers as text"
    assert read(["1,5", "2"])[1] == "numbers as text with a decimal comma"
    assert read(["1,234", "2"])[1] == "numbers as text, where '1,234' is read as 1234"
    assert read(["12 %", "2 %"])[1] == "numbers as text; % is left out"
    assert read(["$ 5", "5 %"])[1] == "the numbers have different symbols, $ and %, and are taken as text"
    assert read(["007"])[1] == "digits that begin with a zero are names"


def test_nine_cells_in_ten_make_a_column_of_numbers():
    reading, note = reading_of({"1": 45, "2": 45, "many": 10})
    assert reading is not None
    assert reading.others
    assert note == "numbers as text; 10 other cells, such as 'many', are missing"
    reading, note = reading_of({"1": 45, "2": 44, "many": 11})
    assert reading is None
    assert note == "89 of 100 cells are numbers; from 90% on, the others would be missing values"
    assert reading_of({"1": 9, "many": 1})[1].endswith("one other cell, such as 'many', is missing")


def test_many_levels_of_text_are_seen_from_a_few():
    levels = {f"user {i}": 1 for i in range(100_000)}
    assert reading_of(levels) == (None, "")
    assert reading_of({str(i): 1 for i in range(1000)})[0] is not None


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2024-02-29", "2024-02-29"),
        ("2024-02-29 13:05", "2024-02-29T13:05"),
        ("2024-02-29T13:05:06.5", "2024-02-29T13:05:06.5"),
        ("2024-02-29 13:05:06.123456789", "2024-02-29T13:05:06.123456"),
        ("2024-02-29T13:05:06Z", "2024-02-29T13:05:06"),
        ("2024-02-29 13:05 +01:00", "2024-02-29T12:05"),
        ("2024-02-29T13:05-0130", "2024-02-29T14:35"),
    ],
)
def test_dates_in_iso_form_are_read(text, date):
    assert as_date(text) == np.datetime64(date)
    assert read([text, text])[0] == [np.datetime64(date)] * 2
    assert read([text] * 9 + ["soon"])[1] == "dates as text; one other cell, such as 'soon', is missing"


@pytest.mark.parametrize("text", ["", "0001-01-01T00:00+05:00", "2024-13-01", "20240229", "2024-02-29x", "29.02.2024"])
def test_no_date_is_made_up(text):
    assert as_date(text) is None


@pytest.mark.parametrize(
    ("cell", "point", "comma"),
    [
        ("", None, None),
        ("-", None, None),
        ("()", None, None),
        ("%", None, None),
        ("1,2,3", None, None),
        ("1.2.3", None, None),
        ("12,34", None, 12.34),
        ("0,123", None, 0.123),
        (",5", None, 0.5),
        (".5", 0.5, None),
        ("1,5e3", None, 1500.0),
        ("\u0663", 3.0, 3.0),  # a digit of another script
    ],
)
def test_a_number_with_separators_is_never_guessed(cell, point, comma):
    assert (number_in(cell, "."), number_in(cell, ",")) == (point, comma)


def test_levels_are_equal_but_for_space_and_form():
    assert count_levels([" a", "a", None, "e\u0301", "\xe9", "A"]) == {"a": 2, "\xe9": 2, "A": 1}
    assert key_of_level("x\udce9") == "x\\udce9"


def test_the_most_frequent_levels_have_codes_whatever_the_order_of_the_rows():
    levels = {f"{i:05}": 1 + (i % 7 == 0) for i in range(3 * MOST_LEVELS)}
    kept = most_frequent(levels)
    assert len(kept) == MOST_LEVELS
    assert set(kept) > {level for level, times in levels.items() if times == 2}
    assert list(kept) == sorted(kept)
    assert kept == most_frequent(dict(reversed(levels.items())))
