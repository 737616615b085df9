"""A network for a table: split, standardisation, labels, and the file that keeps them together."""

import json
import math
import re

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.files import Model, read_model, write_model
from fullyconnected.tables.model import TableModel, load_table_model, prepare
from fullyconnected.tables.table import Table, read_table


def table(x, labels, path="t.csv"):
    x = np.asarray(x, np.float64)
    return Table(path, tuple(f"f{i}" for i in range(x.shape[1])), x, "y", tuple(labels))


@pytest.fixture
def numbers(rng):
    """A linear problem in far-off units: features and target have large means and scales of their own."""
    x = rng.normal(size=(200, 3)) * [1e-3, 1.0, 1e6] + [5, -1000, 3e7]
    y = 4e5 + 1e4 * ((x - [5, -1000, 3e7]) / [1e-3, 1.0, 1e6]) @ [1.0, -2.0, 0.5]
    return table(x, [repr(float(value)) for value in y])


class TestSplit:
    def test_it_holds_back_the_share_of_every_class(self):
        labels = ["a"] * 100 + ["b"] * 50 + ["c"] * 10
        plan = prepare(table(np.zeros((160, 1)), labels), "classification")
        assert np.bincount(plan.t[plan.validation_rows]).tolist() == [20, 10, 2]
        assert sorted([*plan.training_rows, *plan.validation_rows]) == list(range(160))

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.9, 0.99])
    def test_every_class_can_be_learned(self, share):
        labels = ["a"] * 40 + ["rare"] + ["b"] * 3
        plan = prepare(table(np.zeros((44, 1)), labels), "classification", validation=share)
        assert set(plan.t[plan.training_rows]) == {0, 1, 2}
        assert abs(len(plan.validation_rows) - 44 * share) <= 3

    def test_the_seed_decides(self, numbers):
        held = [prepare(numbers, "regression", seed=seed).validation_rows.tolist() for seed in (0, 0, 1)]
        assert held[0] == held[1] != held[2]
        assert len(held[0]) == 40

    @pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, math.nan])
    def test_a_share_out_of_range_is_refused(self, numbers, share):
        with pytest.raises(errors.ConfigError, match="validation must be 0 or more and less than 1"):
            prepare(numbers, "regression", validation=share)


class TestStandardisation:
    def test_the_statistics_are_those_of_the_rows_learned_from(self, numbers):
        plan = prepare(numbers, "regression")
        x, y = numbers.x[plan.training_rows], plan.t[plan.training_rows]
        np.testing.assert_allclose(plan.model.means, x.mean(axis=0))
        np.testing.assert_allclose(plan.model.scales, x.std(axis=0))
        assert plan.model.target_mean == pytest.approx(y.mean())
        assert plan.model.target_scale == pytest.approx(y.std())
        np.testing.assert_allclose(plan.x[plan.training_rows].std(axis=0), 1, rtol=1e-5)

    def test_predictions_come_in_the_targets_unit(self, numbers):
        plan = prepare(numbers, "regression")
        plan.train(epochs=60, batch_size=32, patience=20, progress=False)
        value, usual = plan.scores()["R2"]
        assert value > 0.98
        assert usual < 0.01
        error, of_mean = plan.scores()["mean absolute error"]
        y = plan.model.predict(numbers)
        assert error == pytest.approx(np.abs(y - plan.t)[plan.validation_rows].mean())
        assert of_mean == pytest.approx(np.abs(plan.t[plan.validation_rows] - plan.t[plan.training_rows].mean()).mean())

    @pytest.mark.parametrize("constant", [0.0, 0.1, 1e30])
    def test_a_column_that_never_varied_has_no_effect_later(self, rng, constant):
        x = np.column_stack([rng.normal(size=100), np.full(100, constant)])
        plan = prepare(table(x, ["a" if value > 0 else "b" for value in x[:, 0]]), "classification")
        plan.train(epochs=5, progress=False)
        assert plan.model.scales[1] == 1
        other = table(np.column_stack([x[:, 0], np.full(100, 17.0)]), [])
        np.testing.assert_array_equal(plan.model.predict(other), plan.model.predict(table(x, [])))

    def test_a_value_far_from_training_is_named_and_not_predicted_for(self, numbers):
        plan = prepare(numbers, "regression")
        x = numbers.x[:3].copy()
        x[1, 0] = 1e37  # 1e40 standard deviations
        with pytest.raises(errors.DataError, match=r"t.csv, row 3, column 'f0': 1e\+37 is too far"):
            plan.model.predict(table(x, []))
        x[1, 0] = 3e35  # representable, but the network overflows
        plan.model.net.params[0].W *= 100
        with pytest.raises(errors.DataError, match=r"t.csv, row 3: no finite number"):
            plan.model.predict(table(x, []))


class TestTarget:
    @pytest.mark.parametrize(
        ("labels", "classes"),
        [
            (["b", "a", "C"], ("C", "a", "b")),
            (["10", "9", "-1"], ("-1", "9", "10")),
            (["1", "1.0", "2"], ("1", "2")),
            (["2.50", "10.0"], ("2.50", "10.0")),
            (["007", "7", "042"], ("007", "042", "7")),
        ],
    )
    def test_classes_are_ordered_and_stay_as_they_are_written(self, labels, classes):
        plan = prepare(table(np.zeros((len(labels), 1)), labels), "classification", validation=0)
        assert plan.model.classes == classes
        assert plan.model.net.n_out == len(classes)

    @pytest.mark.parametrize("task", ["classification", "regression"])
    def test_a_target_that_does_not_vary_is_refused(self, task):
        with pytest.raises(errors.DataError, match="column 'y' holds '3' in every row"):
            prepare(table(np.zeros((9, 1)), ["3"] * 9), task)

    @pytest.mark.parametrize("rows", [0, 1])
    def test_too_few_rows_are_refused(self, rows):
        with pytest.raises(errors.DataError, match=f"has {rows} rows"):
            prepare(table(np.zeros((rows, 1)), ["3"] * rows), "regression")

    def test_text_is_no_target_for_regression(self):
        with pytest.raises(errors.DataError, match=r"row 3, column 'y': 'a' is not a number; for text, use --task"):
            prepare(table(np.zeros((2, 1)), ["1", "a"]), "regression")

    def test_two_rows_are_enough(self):
        plan = prepare(table([[0.0], [1.0]], ["no", "yes"]), "classification")
        plan.train(epochs=50, lr=0.01, patience=50, progress=False)
        assert not len(plan.validation_rows)
        assert plan.scores() == {"accuracy": (1.0, 0.5)}


@pytest.fixture
def saved(tmp_path, rng):
    path = tmp_path / "m.safetensors"
    plan = prepare(table(rng.normal(size=(30, 2)), ["no", "yes", "never"] * 10), "classification", hidden=(4,))
    plan.model.save(path)
    return plan.model, path


class TestFile:
    def test_it_comes_back_as_it_was(self, saved, rng):
        model, path = saved
        back = load_table_model(path)
        other = table(rng.normal(size=(7, 2)), [])
        np.testing.assert_array_equal(back.predict(other), model.predict(other))
        for name in TableModel.__dataclass_fields__.keys() - {"net"}:
            np.testing.assert_array_equal(getattr(back, name), getattr(model, name))

    def test_probabilities_sum_to_one_even_where_logits_are_huge(self, saved):
        model, _ = saved
        model.net.params[-1].b = [1000, -1000, 900]
        p = model.predict(table([[0.0, 0.0]], []))
        np.testing.assert_allclose(p, [[1, 0, 0]], atol=1e-30)

    def test_it_predicts_for_the_file_of_a_table(self, saved, tmp_path):
        model, path = saved
        (tmp_path / "new.csv").write_text("f1,f0\n1,2\n3,-4\n", encoding="utf-8")
        model = load_table_model(path)
        csv = tmp_path / "new.csv"
        np.testing.assert_array_equal(model.predict(csv), model.predict(read_table(csv, features=model.features)))

    def test_its_network_alone_is_not_loaded_by_mistake(self, saved):
        """Standardisation and labels would be left out: nonsense without a word. What the message says is done here."""
        model, path = saved
        with pytest.raises(errors.FileFormatError, match=r"a model for a table.*fullyconnected predict") as caught:
            fc.load(path)
        advice = re.search(r"In Python: (from .*; model = .*?);", str(caught.value)).group(1)
        found = {}
        exec(advice, found)
        np.testing.assert_array_equal(found["model"].net.theta, model.net.theta)
        model.net.save(path)  # who wants the network alone has it
        np.testing.assert_array_equal(fc.load(path).theta, model.net.theta)

    def test_a_checkpoint_is_called_one(self, tmp_path):
        path = tmp_path / "run.safetensors"
        fc.fit(fc.mlp([2, 1]), [[1, 2]], [3], "half_squared_error", epochs=1, checkpoint=path, progress=False)
        with pytest.raises(errors.FileFormatError, match=r"holds the checkpoint of a run that was not.*fc.load"):
            load_table_model(path)

    def test_a_network_without_a_table_says_so(self, tmp_path):
        path = tmp_path / "net.safetensors"
        fc.mlp([2, 3], seed=0).save(path)
        with pytest.raises(errors.FileFormatError, match="was not trained from a table"):
            load_table_model(path)

    @pytest.mark.parametrize(
        "damage",
        [
            {"format": 2},
            {"format": None},
            {"features": ["a"]},
            {"features": ["a", "a"]},
            {"features": ["a", 1]},
            {"features": "ab"},
            {"means": [0.0]},
            {"means": [0.0, None]},
            {"means": [0.0, 10**400]},
            {"means": [[0.0], [0.0]]},
            {"scales": [1.0, 1.0, 1.0]},
            {"scales": [1.0, 0.0]},
            {"scales": [1.0, -1.0]},
            {"scales": ["1", "1"]},
            {"scales": {"0": 1}},
            {"classes": None},
            {"classes": ["no", "yes"]},
            {"classes": ["no", "no", "yes"]},
            {"classes": 3},
            {"target_scale": 0.0},
            {"target_scale": None},
            {"target_mean": True},
        ],
        ids=json.dumps,
    )
    def test_a_damaged_description_is_refused(self, saved, damage):
        _, path = saved
        file = read_model(path)
        file.extras["table"] |= damage
        write_model(path, file)
        with pytest.raises(errors.FileFormatError, match="table's description") as error:
            load_table_model(path)
        assert str(error.value).startswith(str(path))

    @pytest.mark.parametrize("key", ["format", "features", "means", "scales", "target", "classes", "target_mean"])
    def test_a_missing_entry_is_refused(self, saved, key):
        _, path = saved
        file = read_model(path)
        del file.extras["table"][key]
        write_model(path, file)
        with pytest.raises(errors.FileFormatError, match="table's description"):
            load_table_model(path)

    @pytest.mark.parametrize("described", [None, 3, [], "text"])
    def test_a_description_of_another_kind_is_refused(self, saved, described):
        model, path = saved
        write_model(path, Model(model.net.layers, model.net.theta, model.net.state, {"table": described}))
        with pytest.raises(errors.FileFormatError, match="was not trained from a table"):
            load_table_model(path)

    @pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
    def test_statistics_that_are_not_finite_are_refused(self, saved, value):
        """Python's JSON reads NaN; a file can hold it though write_model would not write it."""
        model, path = saved
        data = path.read_bytes()
        mean = repr(float(model.means[0]))
        assert data.count(mean.encode()) == 1
        path.write_bytes(data.replace(mean.encode(), value.ljust(len(mean)).encode()))
        with pytest.raises(errors.FileFormatError):
            load_table_model(path)
