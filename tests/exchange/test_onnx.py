"""What leaves as ONNX predicts in ONNX Runtime what the model does, from the cells of a table on."""

import json
import sys
import warnings
from datetime import datetime

import numpy as np
import pytest

import fullyconnected as fc
from tests.exchange.conftest import ESTIMATORS, fitted, table
from tests.exchange.networks import NETWORKS, rows_for
from tests.exchange.test_formats import assert_near

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def session(path):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def results_of(found, given):
    """Return the outputs by their names."""
    return dict(zip([each.name for each in found.get_outputs()], found.run(None, given), strict=True))


def given_for(found, frame):
    """Return the inputs of a model for a DataFrame, by the types that it wants."""
    given = {}
    for each in found.get_inputs():
        column = frame[each.name]
        if each.type == "tensor(string)":
            values = np.array([each if isinstance(each, str) else "" for each in column], object)
        elif each.type == "tensor(int64)":
            seconds = column.to_numpy("datetime64[s]")
            values = np.where(np.isnat(seconds), np.iinfo(np.int64).min, seconds.view(np.int64))
        else:
            values = column.to_numpy(np.float32)
        given[each.name] = values[:, None]
    return given


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, tmp_path):
    for dtype in ("float32", "float64"):
        net = NETWORKS[name](dtype=dtype)
        fc.exchange.to_onnx(net, path := tmp_path / "net.onnx")
        found = session(path)
        for n in (0, 1, 7):
            x = rows_for(net, n, seed=5)
            assert_near(found.run(None, {"x": x})[0], net.predict(x))


@pytest.mark.parametrize("opset", [13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23])
def test_every_opset_has_the_first_format_with_it(opset, tmp_path):
    for name in ("deep", "tabm members, softmax_cross_entropy", "layer_norm 0"):
        net = NETWORKS[name](dtype="float32")
        fc.exchange.to_onnx(net, path := tmp_path / "net.onnx", opset=opset)
        made = onnx.load(path)
        assert [each.version for each in made.opset_import] == [opset]
        assert made.ir_version == min(row[1] for row in onnx.helper.VERSION_TABLE if row[2] >= opset)
        x = rows_for(net, 3)
        assert_near(session(path).run(None, {"x": x})[0], net.predict(x))
    if opset == 17:
        assert made.ir_version == 8


def test_columns_far_from_0_are_read_in_double_and_c_says_what_it_loses(tmp_path):
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    x = x * [50, 1, 1] + [0, 1.7e9, -3e8]
    how = {"random_state": 0, "max_iter": 300, "tol": 1e-2}
    for scale, kind in ((x, "tensor(double)"), (x - [0, 1.7e9, -3e8], "tensor(float)")):
        model = fc.MLPClassifier(scale=True, **how).fit(scale, y)
        fc.exchange.to_onnx(model, path := tmp_path / "model.onnx")
        fc.exchange.to_c(model, tmp_path / "model.c")
        found = session(path)
        (given,) = found.get_inputs()
        assert given.type == kind
        rows = scale.astype(np.float64 if kind == "tensor(double)" else np.float32)
        assert_near(found.run(["y"], {"x": rows})[0], model.predict_proba(scale))
        said = "x[1], x[2]: so far from 0 that float32"
        assert (said in (tmp_path / "model.c").read_text("utf-8")) == (kind == "tensor(double)")


@pytest.mark.parametrize("name", [each for each in ESTIMATORS if each.startswith("MLP")])
def test_estimators_of_scikit_learns_kind(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few iterations do not converge
        model = fitted()[name]()
    fc.exchange.to_onnx(model, path := tmp_path / "model.onnx")
    x = (np.random.default_rng(3).normal(size=(40, 4)) * [1, 10, 100, 0.1] + 5).astype(np.float32)
    found = results_of(session(path), {"x": x})
    if hasattr(model, "classes_"):
        assert found["label"].tolist() == model.predict(x).tolist()
        if not name.endswith("margins"):
            assert_near(found["y"], model.predict_proba(x))
    else:
        assert_near(found["y"], np.asarray(model.predict(x)).reshape(len(x), -1))


@pytest.mark.parametrize("name", [each for each in ESTIMATORS if each.startswith("Tabular")])
def test_estimators_for_tables_read_cells(name, tmp_path):
    model, rows = fitted()[name](), table()[0].head(60).copy()
    rows.loc[1, "color"] = "a level that is new"
    rows.loc[2, "weight"] = np.nan
    rows.loc[3, "sold"] = datetime(1931, 2, 28, 23, 59, 59)
    rows.loc[4, "sold"] = datetime(2400, 2, 29, 12, 30)
    rows.loc[5, "sold"] = np.datetime64("NaT")
    fc.exchange.to_onnx(model, path := tmp_path / "model.onnx")
    found = session(path)
    given = given_for(found, rows)
    assert {name: each.dtype.kind for name, each in given.items()} == {
        "weight": "f", "size": "f", "color": "O", "sold": "i", "new": "f",
    }  # fmt: skip
    results = results_of(found, given)
    if hasattr(model, "classes_"):
        assert_near(results["y"], model.predict_proba(rows))
        assert results["label"].tolist() == model.predict(rows).tolist()
    else:
        assert_near(results["y"], np.asarray(model.predict(rows)).reshape(len(rows), -1))


def test_dates_have_the_parts_that_the_library_reads(tmp_path):
    rng = np.random.default_rng(0)
    seconds = np.concatenate([rng.integers(-(10**11), 10**11, 300), [0, -1, 86399, 86400, 951782400, 951868799]])
    dates = seconds.astype("datetime64[s]")
    frame = {"at": dates.astype("datetime64[us]")}
    model = fc.TabularRegressor(epochs=2, hidden=(4,), n_members=2, random_state=0).fit(frame, rng.normal(size=306))
    fc.exchange.to_onnx(model, path := tmp_path / "dates.onnx")
    made = onnx.load(path)
    encoded = next(node.output[0] for node in made.graph.node if node.output[0].startswith("encoded"))
    made.graph.output.append(onnx.helper.make_tensor_value_info(encoded, onnx.TensorProto.DOUBLE, None))
    onnx.save(made, path)
    x = session(path).run([encoded], {"at": seconds[:, None]})[0]
    from fullyconnected.tables.frame import frame_of

    np.testing.assert_allclose(x, model.vocabulary_.encode(frame_of(frame)), rtol=1e-12, atol=1e-12)


def test_numbers_that_are_levels_and_gaps_in_them(tmp_path):
    pd = pytest.importorskip("pandas")
    kind = pd.Series([1.5, 2.0, np.nan, 3.0] * 20)
    frame = pd.DataFrame({"kind": kind.astype("category"), "y": np.arange(80.0)})
    model = fc.TabularRegressor(epochs=2, hidden=(4,), n_members=2, random_state=0).fit(frame, np.arange(80.0) % 4)
    fc.exchange.to_onnx(model, path := tmp_path / "model.onnx")
    found = session(path)
    rows = pd.DataFrame({"kind": [1.5, 2.0, np.nan, 3.0, 77.0], "y": [1.0, 2, 3, 4, 5]})
    (y,) = found.run(["y_1"], {name: rows[name].to_numpy(np.float32)[:, None] for name in ("kind", "y")})
    assert_near(y[:, 0][:, None], model.predict(rows)[:, None])  # the output has another name than the column


def test_metadata_say_what_it_is_and_hold_the_test_vector(tmp_path):
    model = fitted()["TabularClassifier, three classes"]()
    fc.exchange.to_onnx(model, path := tmp_path / "model.onnx")
    found = session(path)
    about = found.get_modelmeta().custom_metadata_map
    assert about["what"].startswith("A classifier for a table: 2 networks of 2 members")
    assert json.loads(about["classes"]) == [0, 1, 2]
    vector = json.loads(about["test_vector"])
    kinds = {"tensor(string)": object, "tensor(int64)": np.int64, "tensor(float)": np.float32}
    given = {each.name: np.array(vector[each.name], kinds[each.type]) for each in found.get_inputs()}
    assert_near(found.run(["y"], given)[0], np.array(vector["y"], np.float32))


@pytest.mark.parametrize(
    "levels", [[*range(20240101, 20240129)], [0.1, 0.1 + 1e-12, 0.3, 5.0], [1e300, -1e300, 1.0, 2.0], [1, 2, 3, 4]]
)
def test_levels_that_float32_cannot_tell_apart_are_read_in_double(levels, tmp_path):
    rng = np.random.default_rng(0)
    day, a = np.array(levels, float)[rng.integers(0, len(levels), 300)], rng.normal(size=300).astype(np.float32)
    table = {"day": day, "a": a}
    model = fc.TabularClassifier(preset="fast", random_state=0, categorical_features=["day"]).fit(
        table, np.where(day > np.median(day), "late", "early")
    )
    fc.exchange.to_onnx(model, path := tmp_path / "day.onnx")
    found = session(path)
    types = {each.name: each.type for each in found.get_inputs()}
    assert types == {"day": "tensor(float)" if levels == [1, 2, 3, 4] else "tensor(double)", "a": "tensor(float)"}
    kind = np.float32 if levels == [1, 2, 3, 4] else np.float64
    results = results_of(found, {"day": day[:, None].astype(kind), "a": a[:, None]})
    assert_near(results["y"], model.predict_proba(table))
    assert results["label"].tolist() == model.predict(table).tolist()


def test_numbers_far_from_0_are_read_in_double(tmp_path):
    rng = np.random.default_rng(0)
    table = {"at": 1_700_000_000 + rng.integers(0, 99, 200), "b": rng.normal(size=200).astype(np.float32)}
    model = fc.TabularRegressor(preset="fast", random_state=0).fit(table, table["at"] % 50 + table["b"])
    fc.exchange.to_onnx(model, path := tmp_path / "at.onnx")
    given = {"at": table["at"].astype(np.float64)[:, None], "b": table["b"][:, None]}
    assert_near(session(path).run(["y"], given)[0], model.predict(table)[:, None])


def test_labels_are_chosen_before_probabilities_are_rounded(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = {"hidden_layer_sizes": (), "max_iter": 1, "random_state": 0}
        one_of = fc.MLPClassifier(loss=fc.BinaryCrossEntropy(), **how).fit(x, np.array(list("abc" * 20)))
        three = fc.MLPClassifier(**how).fit(x, np.array(list("abc" * 20)))
        two = fc.MLPClassifier(**how).fit(x, np.array(list("pq" * 30)))
    for model, last in ((one_of, [17, 18, 0]), (three, [0, 1e-9, 2e-9]), (two, [5e-8])):
        model.network_.theta[:] = 0
        model.network_.theta[-len(last) :] = last
        fc.exchange.to_onnx(model, path := tmp_path / "model.onnx")
        assert session(path).run(["label"], {"x": x})[0].tolist() == model.predict(x).tolist()


@pytest.mark.parametrize(
    "labels", [[2**63 + 1, 1], [2**53 + 1, 2**53], [-3, 7], ["a\udce9", "b"], ["größe", 'a "b"'], [True, False]]
)
def test_labels_of_every_kind(labels, tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    kind = np.uint64 if labels[0] == 2**63 + 1 else object if isinstance(labels[0], str) else None
    y = np.array(labels, kind)[(x[:, 0] > 0).astype(int)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = fc.MLPClassifier(max_iter=20, random_state=0).fit(x, y)
    fc.exchange.to_onnx(model, path := tmp_path / "model.onnx")
    found = session(path).run(["label"], {"x": x})[0].tolist()
    escaped = [
        each.encode("utf-8", "backslashreplace").decode() if isinstance(each, str) else each
        for each in model.predict(x).tolist()
    ]
    assert found == escaped


def test_a_column_without_a_name(tmp_path):
    table = {"": np.arange(40.0), "b": np.arange(40.0) % 7}
    model = fc.TabularRegressor(preset="fast", epochs=2, random_state=0).fit(table, np.arange(40.0))
    with pytest.raises(fc.errors.ConfigError, match="a column has no name"):
        fc.exchange.to_onnx(model, tmp_path / "model.onnx")


def test_dense_layers_and_activations_are_onnxs_own(tmp_path):
    fc.exchange.to_onnx(fc.mlp([4, 8, 8, 3], output_activation="softmax", seed=0), path := tmp_path / "net.onnx")
    assert [node.op_type for node in onnx.load(path).graph.node] == ["Gemm", "Relu", "Gemm", "Relu", "Gemm", "Softmax"]


@pytest.mark.parametrize("opset", [12, 24, 17.0, "17", None, True])
def test_other_opsets_are_refused(opset, tmp_path):
    with pytest.raises(fc.errors.FullyConnectedError, match="opset"):
        fc.exchange.to_onnx(fc.mlp([2, 1], seed=0), tmp_path / "net.onnx", opset=opset)
    assert not any(tmp_path.iterdir())


def test_what_onnx_runtime_computes_otherwise_is_not_put_in_place(tmp_path, monkeypatch):
    from fullyconnected.exchange.onnx.nodes import ENTRYWISE

    monkeypatch.setitem(ENTRYWISE, "tanh", "Sin")
    with pytest.raises(fc.errors.ConfigError, match=r"ONNX Runtime does not reproduce.*row 0"):
        fc.exchange.to_onnx(fc.mlp([2, 4, 1], activation="tanh", seed=0), tmp_path / "net.onnx")
    assert not any(tmp_path.iterdir())


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "fullyconnected.exchange.onnx.writer", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    for name in ("onnx_nodes", "onnx_columns"):
        monkeypatch.delitem(sys.modules, f"fullyconnected.exchange.{name}", raising=False)
    with pytest.raises(fc.errors.MissingPackageError, match=r"fullyconnected\[onnx\]"):
        fc.exchange.to_onnx(fc.mlp([2, 1], seed=0), tmp_path / "net.onnx")
