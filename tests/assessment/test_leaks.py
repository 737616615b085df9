"""Columns that tell the target by themselves, and rows that repeat others."""

import numpy as np
import pytest

from fullyconnected.assessment import leaks
from fullyconnected.assessment.leaks import repeated, suspects
from fullyconnected.assessment.problem import Roles, problem_of
from fullyconnected.tables.frame import frame_of
from fullyconnected.tables.kinds import judge
from fullyconnected.tables.vocabulary import Vocabulary

RNG = np.random.default_rng(0)
ROWS = 400
NOISE = RNG.normal(size=ROWS)
NUMBER = NOISE + RNG.normal(size=ROWS)
LABEL = np.where(NUMBER > 0, "up", "down")
CODES = {"up": "U", "down": "D"}


def found(y, **columns):
    problem = problem_of(frame_of({"noise": NOISE, **columns, "y": y}), Roles("y"))
    return suspects(problem, Vocabulary.of(problem.frame, judge(problem.frame)))


@pytest.mark.parametrize(
    ("y", "column", "said"),
    [
        (NUMBER, NUMBER, "it equals the target in every row"),
        (NUMBER, np.exp(NUMBER), "it has the order of the target"),
        (NUMBER, -3 * NUMBER + 1, "it has the order of the target"),
        (NUMBER, np.where(np.arange(ROWS) % 50 == 0, np.nan, 2 * NUMBER), "it has the order of the target"),
        (LABEL, LABEL, "it equals the target in every row"),
        (LABEL, [CODES[each] for each in LABEL], "each of its texts stands for one class"),
        (LABEL, NUMBER, "a rule on this column alone leaves"),
        (LABEL, np.where(np.arange(ROWS) == 7, "?", LABEL), "a rule on this column alone leaves"),
    ],
)
def test_a_column_that_tells_the_target(y, column, said):
    (suspect,) = found(list(y), leak=list(column))
    assert suspect.column == "leak"
    assert suspect.why.startswith(said)


def test_strong_columns_and_identifiers_are_no_leaks():
    columns = {"strong": NUMBER + 0.3 * RNG.normal(size=ROWS), "key": [f"k{i}" for i in range(ROWS)]}
    columns["levels"] = [f"level {i // 2}" for i in range(ROWS)]
    assert found(NUMBER, **columns) == ()
    assert found(list(LABEL), **columns) == ()
    assert found(list(LABEL[:12]) if len(set(LABEL[:12])) == 2 else ["a", "b"] * 6, **{"noise": NOISE[:12]}) == ()


def test_repeated_rows_are_counted_and_gaps_are_equal():
    x = np.array([[1.0, np.nan], [1.0, np.nan], [2.0, 0.0], [2.0, -0.0], [3.0, 1.0]])
    assert repeated(x) == 2
    assert repeated(x[:3], x[3:]) == 1
    assert repeated(x[:0], x) == 0


def test_rows_that_differ_in_one_bit_or_in_the_order_of_cells_are_different(monkeypatch):
    monkeypatch.setattr(leaks, "ROWS", 1000)
    x = np.array([[i, j] for i in range(200) for j in range(200)], float)
    assert repeated(x) == 0
    assert repeated(x[:100] + 2.0**-40, x) == 0
    assert repeated(np.concatenate([x, x[::7]])) == len(x[::7])
    assert repeated(x[::7], x) == len(x[::7])
    assert repeated(x[:, :0]) == len(x) - 1
