"""What is to be learned from a table: the task, the labels, and the rows that count."""

import numpy as np
import pytest

from fullyconnected import errors
from fullyconnected.assessment.problem import Roles, problem_of
from fullyconnected.tables.files import read_frame
from fullyconnected.tables.frame import frame_of


def problem(y, task=None, **columns):
    return problem_of(frame_of({"a": list(range(len(y))), **columns, "y": y}), Roles("y"), task=task)


def written(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    return read_frame(tmp_path / "t.csv", verbatim=["y"])


class TestTheTask:
    @pytest.mark.parametrize(
        ("y", "task", "reason"),
        [
            (["u", "v"] * 4, "classes", "text, 2 different values"),
            ([0, 1, 2] * 4, "classes", "whole numbers, 3 different values"),
            (["0", "1"] * 4, "classes", "whole numbers, 2 different values"),
            ([True, False] * 4, "classes", "true and false"),
            (list(range(12)), "numbers", "numbers, 12 different values"),
            (list(range(21)) * 3, "numbers", "numbers, 21 different values"),
            ([0.5, 1.5] * 4, "numbers", "numbers, 2 different values"),
            (["007", "008"] * 4, "classes", "text, 2 different values"),
        ],
    )
    def test_follows_from_the_values(self, y, task, reason):
        found = problem(y)
        assert (found.task, found.reason) == (task, reason)

    def test_can_be_said(self):
        assert problem([0, 1, 2] * 4, "regression").task == "numbers"
        assert problem([0.5, 1.5] * 4, "classification").y.tolist() == ["0.5", "1.5"] * 4
        with pytest.raises(errors.ConfigError, match="task is classification or regression"):
            problem([0, 1] * 4, "both")

    def test_numbers_in_another_notation_are_read_as_in_any_column(self):
        assert problem(["1,000.5", "2,000", "3,500", "12"]).y.tolist() == [1000.5, 2000, 3500, 12]

    @pytest.mark.parametrize(
        ("y", "said"),
        [
            (np.array(["2024-01-01", "2024-01-02"], "datetime64[us]"), "holds dates, which cannot be predicted"),
            ([1.0, np.inf, 2.0], "column 'y', row 1: inf is not a finite number"),
            (["1", "2", "3", "x"], "column 'y', row 3: 'x' is not a number, as most cells of the column are"),
            (["a", "b", "c"], "3 different texts in 3 rows, which look like names"),
            ([None, None], "missing in every row"),
            ([None, 1.0], "one row alone has a 'y'"),
            ([2.0, 2.0], "holds 2 in every row"),
        ],
    )
    def test_what_cannot_be_learned(self, y, said):
        with pytest.raises(errors.DataError, match=said):
            problem(y)


class TestLabels:
    @pytest.mark.parametrize(
        ("y", "labels"),
        [
            (["1", "1.0", "2", "2"], [1, 1, 2, 2]),
            (["b", " b", "a", "a"], ["b", "b", "a", "a"]),
            (["007", "7", "007", "7"], ["007", "7", "007", "7"]),
            (["2.50", "2.5", "10.0", "10"], ["2.50", "2.50", "10.0", "10.0"]),
            ([3.0, 5.0, 3.0, 5.0], [3, 5, 3, 5]),
            ([True, False, True, False], [True, False, True, False]),
        ],
    )
    def test_are_as_the_first_row_writes_them(self, y, labels):
        found = problem(y, "classification").y.tolist()
        assert found == labels
        assert list(map(type, found)) == list(map(type, labels))

    def test_missing_ones_are_left_out_unless_they_are_said_to_be_labels(self, tmp_path):
        frame = written(tmp_path, "a,y\n1,NA\n2,u\n3,None\n4,v\n5,\n6,u\n7,v\n8,NA\n")
        found = problem_of(frame, Roles("y"))
        assert (found.y.tolist(), found.rows.tolist(), found.lacking) == (["u", "v", "u", "v"], [1, 3, 5, 6], 4)
        found = problem_of(frame, Roles("y"), labels=["NA"])
        assert (found.y.tolist(), found.lacking) == (["NA", "u", "v", "u", "v", "NA"], 2)


class TestRoles:
    TEXT = "a,b,w,g,t,y\n" + "".join(f"{i},x,{i % 3},{i // 2},2024-01-{i + 1:02},{i % 2}\n" for i in range(8))

    def test_columns_are_learned_from_unless_they_have_another_role(self, tmp_path):
        frame = written(tmp_path, self.TEXT)
        found = problem_of(frame, Roles("y", ignore=("b",), weight="w", group="g", time="t"))
        assert found.frame.names == ("a", "t")
        assert found.weights.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
        assert found.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert found.times.tolist()[0] == np.datetime64("2024-01-01").astype("datetime64[us]").tolist()
        assert problem_of(frame, Roles("y", ignore=("t",), time="t")).frame.names == ("a", "b", "w", "g")

    def test_some_rows_have_all_that_belongs_to_them(self, tmp_path):
        found = problem_of(written(tmp_path, self.TEXT), Roles("y", weight="w", group="g")).at(np.array([5, 1]))
        assert (found.rows.tolist(), found.y.tolist(), found.weights.tolist()) == ([5, 1], [1, 1], [2, 1])
        assert found.frame.place(0, "a").endswith("t.csv, line 7, column 'a'")

    @pytest.mark.parametrize(
        ("roles", "said"),
        [
            (Roles("z"), "no column 'z' for --target; the columns are 'a', 'b'"),
            (Roles("y", ids=("aa",)), "no column 'aa' for --id; did you mean 'a'?"),
            (Roles("y", weight="y"), "--weight y: this is the column to predict"),
            (Roles("y", weight="b"), "line 2, column 'b': 'x' is not a number, as a weight is"),
            (Roles("y", time="b"), "line 2, column 'b': 'x' is text"),
            (Roles("y", group="b"), "column 'b' is the same in every row"),
        ],
    )
    def test_what_cannot_be(self, tmp_path, roles, said):
        with pytest.raises(errors.FullyConnectedError) as caught:
            problem_of(written(tmp_path, self.TEXT), roles)
        assert said in str(caught.value)


@pytest.mark.parametrize("text", ["2024-01-{}", "{}.1.2024", "1/{}/2024", "{} Jan 2024"])
@pytest.mark.parametrize("task", [None, "regression"])
def test_dates_written_in_any_form_are_no_target(text, task):
    with pytest.raises(errors.DataError, match="holds dates, which cannot be predicted"):
        problem([text.format(10 + i) for i in range(12)], task)


def test_weights_of_any_size_count_by_their_ratios():
    frame = frame_of({"a": [1, 2, 3], "w": [2.0**1020, 2.0**1021, 0.0], "y": [1.5, 2.5, 3.5]})
    assert problem_of(frame, Roles("y", weight="w")).weights.tolist() == [0.25, 0.5, 0]
