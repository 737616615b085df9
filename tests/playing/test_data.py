"""The points of the playground: always the same for a setup, and what is said of a table."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fullyconnected.errors import ConfigError, FullyConnectedError
from fullyconnected.playing.data import FEATURES, made
from fullyconnected.playing.knobs import BY_NAME
from fullyconnected.playing.setup import Setup
from fullyconnected.playing.table import Table

DRAWN = [choice.value for choice in BY_NAME["data"].choices if choice.value not in ("table", "points")]


def of(**knobs: Any) -> Setup:
    return Setup.of(knobs)


@pytest.mark.parametrize("data", DRAWN)
class TestDrawn:
    def test_more_points_begin_with_fewer(self, data: str) -> None:
        few, many = made(of(data=data, rows=20)), made(of(data=data, rows=50))
        assert many.x[:20].tobytes() == few.x.tobytes()
        assert many.t[:20].tobytes() == few.t.tobytes()

    def test_the_seed_decides(self, data: str) -> None:
        one, same, other = (made(of(data=data, data_seed=seed)) for seed in (1, 1, 2))
        assert one.x.tobytes() == same.x.tobytes()
        assert (one.test == same.test).all()
        assert (one.x != other.x).any()

    def test_noise_moves_points_or_numbers(self, data: str) -> None:
        still, moved = made(of(data=data, noise=0)), made(of(data=data, noise=0.5))
        assert (still.x != moved.x).any() or (still.t != moved.t).any()
        assert made(of(data=data, noise=0)).x.tobytes() == still.x.tobytes()

    def test_classes_are_in_balance(self, data: str) -> None:
        found = made(of(data=data, rows=400))
        if found.classes is not None:
            counts = np.bincount(found.t, minlength=len(found.classes))
            assert counts.min() > 0.6 * 400 / len(found.classes)

    @pytest.mark.parametrize("share", [0, 0.3, 0.9])
    def test_the_test_part(self, data: str, share: float) -> None:
        found = made(of(data=data, rows=40, test_share=share))
        assert found.test.sum() == round(40 * share)


def test_one_row_is_left_to_train() -> None:
    assert made(of(data="points", points=[[0, 0, 0], [1, 1, 1]], test_share=0.9)).test.sum() == 1


def test_the_numbers_of_xor_stay() -> None:
    """Links and scripts rely on them; the same random numbers are drawn by every version of NumPy's Philox."""
    found = made(of(noise=0))
    wanted = [[1.1879290902358184, 1.3037738757880013], [-0.863566819053433, -1.9183397169411123]]
    assert found.x[:2] == pytest.approx(np.array(wanted), rel=1e-13)
    assert np.flatnonzero(found.test[:5]).tolist() == [3, 4]
    assert ((found.x[:, 0] * found.x[:, 1] < 0) == (found.t == 1)).all()


def test_features_are_those_of_their_names() -> None:
    found = made(of(features=list(FEATURES)))
    x1, x2 = found.x.T
    wanted = np.column_stack([x1, x2, x1**2, x2**2, x1 * x2, np.sin(x1), np.sin(x2)])
    assert found.rows == pytest.approx(wanted, rel=1e-15)
    assert found.inputs(found.x).tobytes() == found.rows.tobytes()


def test_points_are_as_drawn() -> None:
    found = made(of(data="points", points=[[0, 0.5, 2], [1, -2, 0], [9, 9, 1]]))
    assert found.x.tolist() == [[0, 0.5], [1, -2], [9, 9]]
    assert found.classes == ("0", "1", "2")
    assert found.domain[1] > 9


def test_a_formula_without_a_value_says_where() -> None:
    with pytest.raises(ConfigError, match=r"formula: 'log\(x1\)' has no finite value at x1 = -"):
        made(of(data="formula", formula="log(x1)"))


class TestTables:
    IRIS: Any = {
        "length": [5.1, 4.9, 7.0, 6.4, 6.3, 5.8, 5.0, 6.9],
        "width": [3.5, None, 3.2, 3.2, 3.3, 2.7, 3.4, 3.1],
        "colour": ["red", "blue", "red", "red", "blue", "blue", "red", None],
        "species": ["setosa", "setosa", "versicolor", "versicolor", "virginica", "virginica", "setosa", "versicolor"],
    }

    def test_all_columns_are_seen_on_a_plane_and_that_is_said(self) -> None:
        found = made(of(data="table"), Table.of(self.IRIS))
        assert found.input_names[:2] == ("length", "width")
        assert found.input_names[2] == "colour=blue"
        assert found.classes == ("setosa", "versicolor", "virginica")
        assert found.says is not None
        assert "The picture is a plane through them, the first two principal components" in found.says
        assert "1 missing values are set to their column's mean" in found.says
        train = found.rows[~found.test]
        assert train.mean(axis=0) == pytest.approx(np.zeros(train.shape[1]), abs=1e-12)
        # what the picture shows of a row is where its inputs lie on the plane
        assert found.inputs(found.x).shape == found.rows.shape
        again = found.inputs(found.inputs(found.x) @ np.linalg.pinv(found.inputs(np.eye(2))))
        assert again == pytest.approx(found.inputs(found.x))

    def test_two_columns_are_the_axes(self) -> None:
        found = made(of(data="table", columns="width, length"), Table.of(self.IRIS))
        assert found.names == ("width", "length")
        assert found.x.tobytes() == found.rows.tobytes()

    def test_numbers_are_learned_in_units_of_their_deviation(self) -> None:
        found = made(of(data="table", target="length"), Table.of(self.IRIS))
        assert found.classes is None
        assert found.t[~found.test].std() == pytest.approx(1)
        assert found.says is not None
        assert "in units of its standard deviation" in found.says

    @pytest.mark.parametrize(
        ("knobs", "said"),
        [
            ({"columns": "width"}, "columns: two different names with a comma between them are wanted"),
            ({"columns": "width,widht"}, "did you mean 'width'"),
            ({"columns": "width,colour"}, "columns: colour is no axis, since it is category"),
            ({"target": "specie"}, "did you mean 'species'"),
            ({"loss": "huber"}, "loss: huber is for numbers"),
        ],
    )
    def test_what_is_wrong_is_said(self, knobs: dict[str, Any], said: str) -> None:
        with pytest.raises(FullyConnectedError) as error:
            made(of(data="table", **knobs), Table.of(self.IRIS))
        assert said in str(error.value)

    def test_many_classes_are_refused(self) -> None:
        table = {"a": list(range(40)), "b": [f"class {i % 8}" for i in range(40)]}
        with pytest.raises(ConfigError, match=r"target: b has 8 classes; the playground shows up to 6"):
            made(of(data="table"), Table.of(table))

    def test_of_a_long_one_some_rows_are_taken_and_that_is_said(self) -> None:
        table = {"a": np.arange(5000.0), "b": np.arange(5000.0) % 7, "c": np.arange(5000) % 2}
        found = made(of(data="table"), Table.of(table))
        assert len(found.t) == 2000
        assert found.says is not None
        assert "2000 of 5000 rows are shown and trained on" in found.says

    def test_there_may_be_none(self) -> None:
        with pytest.raises(ConfigError, match="data: there is no table"):
            made(of(data="table"))

    def test_a_file_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text("a,b,c\n" + "".join(f"{i},{i % 3},{i % 2}\n" for i in range(30)), encoding="utf-8")
        found = made(of(data="table"), Table.read(path))
        assert len(found.t) == 30
        assert found.classes == ("0", "1")
