"""Files of the network for a table that version 0.1.0 trained: they are read, predict as they did, and are checked."""

import json
import re

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.files import Model, read_model, write_model
from fullyconnected.tables.model import TableModel, load_table_model

LABELS = ["never", "no", "yes"]


def described(**changes):
    """What such a file says of the columns of a table."""
    return {
        "format": 1,
        "features": ["f0", "f1"],
        "means": [0.25, -1.5],
        "scales": [2.0, 0.5],
        "target": "y",
        "classes": LABELS,
        "target_mean": 0.0,
        "target_scale": 1.0,
        **changes,
    }


def write(path, net=None, **changes):
    """Write a file as version 0.1.0 did, and return its network."""
    net = fc.mlp([2, 4, 3], seed=0) if net is None else net
    write_model(path, Model(net.layers, net.theta, net.state, {"table": described(**changes)}))
    return net


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "m.safetensors"
    return write(path), path


class TestPredictions:
    X = np.array([[1.0, 2.0], [3.0, -4.0], [0.25, -1.5]])

    def test_classes(self, saved):
        net, path = saved
        model = load_table_model(path)
        p = model.predict_proba({"f1": self.X[:, 1], "f0": self.X[:, 0], "other": ["a", "b", "c"]})
        net.loss = fc.SoftmaxCrossEntropy()
        np.testing.assert_allclose(p, net.predictions((self.X - [0.25, -1.5]) / [2.0, 0.5]), rtol=1e-5)
        assert model.predict({"f0": self.X[:, 0], "f1": self.X[:, 1]}).tolist() == [LABELS[i] for i in p.argmax(axis=1)]
        assert model.classes_.tolist() == LABELS
        assert (model.n_features_in_, model.feature_names_in_.tolist()) == (2, ["f0", "f1"])

    def test_numbers_are_in_the_unit_of_the_target(self, tmp_path):
        net = write(tmp_path / "m", fc.mlp([2, 4, 1], seed=0), classes=None, target_mean=4e5, target_scale=1e4)
        model = load_table_model(tmp_path / "m")
        z = net.predict((self.X - [0.25, -1.5]) / [2.0, 0.5])[:, 0]
        np.testing.assert_allclose(model.predict({"f0": self.X[:, 0], "f1": self.X[:, 1]}), 4e5 + 1e4 * z, rtol=1e-6)
        with pytest.raises(errors.ConfigError, match="predicts a number, 'y'"):
            model.predict_proba({"f0": [1.0], "f1": [1.0]})
        assert not hasattr(model, "classes_")

    def test_text_is_read_as_numbers_with_1_for_true(self, saved):
        model = load_table_model(saved[1])
        written = model.predict_proba({"f0": ["1", "-3e0"], "f1": ["true", " False "]})
        assert np.array_equal(written, model.predict_proba({"f0": [1.0, -3.0], "f1": [1.0, 0.0]}))

    @pytest.mark.parametrize(
        ("cells", "said"),
        [
            ([1.0, None], "column 'f1', row 1: the cell is empty. Every feature is a number in every row"),
            (["1", ""], "column 'f1', row 1: the cell is empty"),
            (["1", "red"], "column 'f1', row 1: 'red' is not a number"),
            (["1", "3,5"], "column 'f1', row 1: '3,5' is not a number; decimals are written with a point"),
            ([1.0, np.inf], "column 'f1', row 1: 'inf' is not a finite number"),
            (["1", "1e39"], "column 'f1', row 1: '1e39' is too large"),
            ([1.0, 3e38], "column 'f1', row 1: 3e+38 is too far from the training data, whose mean is -1.5"),
            (np.array(["2024-01-01"] * 2, "datetime64[us]"), "column 'f1' holds dates, and numbers are wanted"),
        ],
    )
    def test_a_cell_that_cannot_be_used(self, saved, cells, said):
        with pytest.raises(errors.DataError, match=re.escape(said)):
            load_table_model(saved[1]).predict({"f0": [0.0, 0.0], "f1": cells})

    def test_a_column_that_is_missing(self, saved):
        with pytest.raises(errors.ShapeError, match="a column is missing: 'f1'; the table has 'f0', 'f2'"):
            load_table_model(saved[1]).predict({"f0": [1.0], "f2": [1.0]})

    def test_probabilities_sum_to_one_even_where_logits_are_huge(self, tmp_path):
        net = fc.mlp([2, 4, 3], seed=0)
        net.params[-1].b = [1000, -1000, 900]
        write(tmp_path / "m", net)
        p = load_table_model(tmp_path / "m").predict_proba({"f0": [0.0], "f1": [0.0]})
        np.testing.assert_allclose(p, [[1, 0, 0]], atol=1e-30)

    def test_what_overflows_is_no_prediction(self, tmp_path):
        net = fc.mlp([2, 4, 1], seed=0)
        net.params[0].W *= 100
        write(tmp_path / "m", net, classes=None)
        with pytest.raises(errors.DataError, match="no finite number can be predicted"):
            load_table_model(tmp_path / "m").predict({"f0": [6e38], "f1": [0.0]})

    def test_targets_are_as_the_loss_takes_them(self, saved, tmp_path):
        model = load_table_model(saved[1])
        assert model.targets({"y": ["yes", "never", " no"]}).tolist() == [2, 0, 1]
        with pytest.raises(errors.DataError, match=r"column 'y', row 1: 'maybe' is no class of the model, which knows"):
            model.targets({"y": ["yes", "maybe"]})
        write(tmp_path / "n", fc.mlp([2, 1], seed=0), classes=None, target_mean=2.0, target_scale=4.0)
        assert load_table_model(tmp_path / "n").targets({"y": ["4", 2]}).tolist() == [0.5, 0.0]
        write(tmp_path / "d", fc.mlp([2, 2], seed=0), classes=["1", "2.50"])
        assert load_table_model(tmp_path / "d").targets({"y": [2.5, 1.0]}).tolist() == [1, 0]


class TestFile:
    @pytest.mark.parametrize("load", [fc.load_estimator, fc.Predictor], ids=["load_estimator", "Predictor"])
    def test_it_is_read_as_any_file_of_an_estimator(self, saved, load):
        table = {"f0": [1.0, 2.0], "f1": [0.0, -3.0]}
        expected = load_table_model(saved[1])
        model = load(saved[1])
        assert np.array_equal(model.predict(table), expected.predict(table))
        assert np.array_equal(model.predict_proba(table), expected.predict_proba(table))

    def test_a_predictor_knows_its_classes_and_features(self, saved):
        predictor = fc.Predictor(saved[1])
        assert predictor.classes.tolist() == LABELS
        assert predictor.features == ("f0", "f1")
        assert repr(predictor) == "<Predictor: 2 features, classes ['never', 'no', 'yes']>"

    def test_its_network_alone_is_not_loaded_by_mistake(self, saved):
        """Standardisation and labels would be left out: nonsense without a word. What the message says is done here."""
        net, path = saved
        with pytest.raises(errors.FileFormatError, match=r"a model for a table.*fullyconnected predict") as caught:
            fc.load(path)
        advice = re.search(r"In Python: (import .*; model = .*?);", str(caught.value)).group(1)
        found = {}
        exec(advice, found)
        assert isinstance(found["model"], TableModel)
        np.testing.assert_array_equal(found["model"].net.theta, net.theta)
        found["model"].net.save(path)  # who wants the network alone has it
        np.testing.assert_array_equal(fc.load(path).theta, net.theta)

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
        net, path = saved
        write_model(path, Model(net.layers, net.theta, net.state, {"table": described}))
        with pytest.raises(errors.FileFormatError, match="was not trained from a table"):
            load_table_model(path)

    @pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
    def test_statistics_that_are_not_finite_are_refused(self, saved, value):
        """Python's JSON reads NaN; a file can hold it though write_model would not write it."""
        _, path = saved
        data = path.read_bytes()
        mean = repr(-1.5)
        assert data.count(mean.encode()) == 1
        path.write_bytes(data.replace(mean.encode(), value.ljust(len(mean)).encode()))
        with pytest.raises(errors.FileFormatError):
            load_table_model(path)
