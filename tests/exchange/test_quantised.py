"""Models in int8: C computes the same integers as the formulas, and a report says what that loses."""

import shutil
import subprocess
import warnings
from dataclasses import replace

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.errors import ConfigError, DataError, InputTypeError, ShapeError
from fullyconnected.exchange.graph import Assigned, graph_of
from fullyconnected.exchange.programs.agreement import kappa_of, stretched_columns
from fullyconnected.exchange.programs.c import c_source
from fullyconnected.exchange.programs.exact import distances, inexact
from fullyconnected.exchange.programs.quantised import INT8, INT32, quantised
from fullyconnected.exchange.programs.rows import row_program
from fullyconnected.exchange.vector import NEAR, Vector
from fullyconnected.symbolic.expression import Name, call
from tests.exchange.networks import NETWORKS, rows_for, trained
from tests.exchange.test_formats import COMPILER, STRICT, in_c, needs_compiler

FLOAT32 = np.dtype(np.float32)


# what has no product of numbers with constant weights
WITHOUT = {
    *(
        "activation 0",
        "dropout 0",
        "layer_norm 0",
        "rms_norm 0",
        "batch_norm 0",
        "standardize 0",
        "rescale 0",
        "scale 0",
    ),
    *("parametric 0", "piecewise_linear_encoding 0", "one_hot 0", "embedding 0", "columns 0"),
}


def far_rows(net):
    """Return rows for calibration, and others, among which are some far outside their range."""
    x = rows_for(net, 12, seed=5)
    x[4:8] *= 10
    x[8:10] *= -1e6
    x[10:] = np.sign(x[10:]) * 3e38
    return rows_for(net, 60, seed=3), x


def probed(graph):
    """Return a graph whose results are all its integers, and how many they are."""
    values = graph.results(np.zeros((1, graph.n_in)))
    parts, constants = [], dict(graph.constants)
    for line in graph.lines:
        if line.kept.kind == "i":
            shape = values[line.name].shape
            own = Name("own", line.name.identifier)
            constants[own] = np.zeros(shape[-2:], np.float32)
            flat = call("rows_of", line.name) if len(shape) == 3 else call("wide", line.name, own)
            parts.append(flat)
    out = Name("probe")
    lines = (*graph.lines, Assigned(out, call("beside", *parts), FLOAT32, FLOAT32))
    return replace(graph, lines=lines, constants=constants, output=out)


def c_of(graph, x, path):
    path.write_text(c_source(row_program(graph), Vector.of_integers(x, graph), [], path.name), "utf-8")
    return path


def assert_same_integers(graph, rows, x, folder, name=""):
    """Assert that C has the integers of a graph for rows x, and its results to the last bit where they are exact.

    Rows on which the functions of a machine decide about an integer are left out, and whether any is left is returned.
    """
    every = probed(graph)
    wanted = every.predict(x)
    found = in_c(c_of(every, rows, folder / f"integers{name}.c"), x, wanted.shape[1])
    sure = distances(graph, x) > NEAR
    if inexact(graph):
        sure[10:] = False  # where a sum in another order may be infinite
    np.testing.assert_array_equal(found[sure], wanted[sure])
    wanted = graph.predict(x)
    found = in_c(c_of(graph, rows, folder / f"results{name}.c"), x, wanted.shape[1])
    if graph.output in inexact(graph):
        sure &= np.isfinite(wanted).all(axis=1)
        largest = np.abs(wanted[sure]).max(initial=0.0)
        np.testing.assert_allclose(found[sure], wanted[sure], rtol=2e-5, atol=2e-6 * largest)
    else:
        np.testing.assert_array_equal(found[sure], wanted[sure])
    return bool(sure.any())


class TestIntegers:
    @needs_compiler
    @pytest.mark.parametrize("name", NETWORKS)
    def test_c_has_those_of_the_formulas(self, name, tmp_path):
        net = NETWORKS[name](dtype="float32")
        rows, x = far_rows(net)
        if name in WITHOUT:
            with pytest.raises(ConfigError, match="no product"):
                quantised(graph_of(net), rows)
        else:
            assert assert_same_integers(quantised(graph_of(net), rows), rows, x, tmp_path)

    @needs_compiler
    @pytest.mark.parametrize("seed", range(12))
    def test_of_random_networks(self, seed, tmp_path):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 40, rng.integers(2, 6)).tolist()
        activation = ("relu", "tanh", "gelu", "leaky_relu", "sigmoid", "identity")[seed % 6]
        net = fc.mlp(sizes, activation=activation, seed=seed)
        net.theta[:] *= rng.choice([0.1, 1, 10])
        rows, x = far_rows(net)
        graph = quantised(graph_of(net), rows)
        assert graph.output not in inexact(graph)
        assert np.isinf(distances(graph, x)).all()  # nothing depends on the functions of a machine
        assert assert_same_integers(graph, rows, x, tmp_path)

    @pytest.mark.skipif(not any(map(shutil.which, ("gcc", "clang"))), reason="GCC or Clang is needed")
    @pytest.mark.parametrize("name", ["deep", "piecewise_linear_embedding 0", "scaled"])
    def test_no_compiler_contracts_products_and_sums(self, name, tmp_path):
        skip = fc.Network([fc.Dense(4, 6, "relu"), fc.Residual([fc.Dense(6, 6, "relu")]), fc.Dense(6, 2)], seed=0)
        net = trained(skip) if name == "scaled" else NETWORKS[name](dtype="float32")
        rows, _ = far_rows(net)
        graph = probed(quantised(graph_of(net), rows))
        path = c_of(graph, rows, tmp_path / "net.c")
        for compiler in filter(shutil.which, ("gcc", "clang")):
            for how in (["-O3"], ["-O3", "-std=gnu11"], ["-O2", "-std=gnu11", "-mfma"]):
                build = [compiler, *STRICT, *how, "-DFC_MAIN", path, "-o", tmp_path / "net", "-lm"]
                done = subprocess.run(build, check=False, capture_output=True, text=True)
                assert done.returncode == 0 or "-mfma" in done.stderr  # which others lack
                if done.returncode == 0:
                    status = subprocess.run([tmp_path / "net"], check=False).returncode
                    assert status in (0, -4)  # -4: a processor without fused products

    def test_the_test_vector_depends_on_no_machine(self):
        """Its rows stay far from the middle of two integers, between which the sine of a machine might decide."""
        net = fc.Network([fc.PeriodicEmbedding(3, size=4), fc.Dense(12, 2)], seed=0)
        x = rows_for(net, 3000)
        graph = quantised(graph_of(net), x)
        away = distances(graph, x)
        assert 0 <= away.min() < 2e-5
        vector = Vector.of_integers(x, graph)
        assert len(vector.x) == 8
        assert distances(graph, vector.x).min() > 2e-3
        assert (vector.allowed == 0).all()
        alone = Vector.of_integers(x[[away.argmin()]], graph)  # then its tolerance is that of another integer
        assert (alone.allowed > 0.01 * np.abs(alone.y).max(axis=0)).all()

    def test_zero_is_exact_and_codes_saturate(self):
        net = fc.mlp([3, 4, 2], seed=0)
        rows = np.abs(rows_for(net, 50)) + 1  # 0 lies outside
        graph = quantised(graph_of(net), rows)
        values = {name.text: value for name, value in graph.results(np.array([[0, 1e30, -1e30]])).items()}
        zero = next(line.formula for line in graph.lines if line.name.text == "q").operands[1].value
        np.testing.assert_array_equal(values["q"], [[zero, 127, -128]])
        nan = graph.results(np.full((1, 3), np.nan))
        assert next(value for name, value in nan.items() if name.text == "q").tolist() == [[-128] * 3]

    def test_they_are_what_the_formula_of_the_layer_says(self):
        """The sums are those of int64, and stand for the layer's result up to what rounding its operands makes."""
        rng = np.random.default_rng(0)
        net = fc.Network([fc.Dense(30, 5)], seed=0)
        net.theta[-5:] = rng.normal(size=5) * 100
        x = rng.uniform(-1, 3, (200, 30)).astype(np.float32)
        graph = quantised(graph_of(net), x)
        values = {name.text: value for name, value in {**graph.constants, **graph.results(x)}.items()}
        sums = values["q"].astype(np.int64) @ values["q_W1"].astype(np.int64) + values["q_b1"]
        np.testing.assert_array_equal(values["s1"], sums)
        assert values["q"].dtype == INT8
        assert values["s1"].dtype == INT32
        W, b = (np.asarray(each, np.float64) for each in (net.theta[:150].reshape(30, 5), net.theta[150:]))
        scale, of_W = 4 / 255, np.abs(W).max(axis=0) / 127
        bound = 30 * (scale / 2 * np.abs(W).max() + of_W.max() / 2 * 3) + 1e-3
        assert np.abs(values["y1"] - (x @ W + b)).max() < bound

    def test_the_largest_sums_do_not_overflow(self):
        n = 60_000
        net = fc.Network([fc.Dense(n, 1)], seed=0)
        net.theta[:] = 1.0
        net.theta[-1] = 1e9
        x = np.repeat([[-1.0], [1.0], [0.5]], n, axis=1).astype(np.float32)
        found = quantised(graph_of(net), x).predict(x)
        np.testing.assert_allclose(found[:, 0], 1e9 + n * x[:, 0], rtol=1e-4)
        with pytest.raises(ConfigError, match=r"66,000 inputs is too wide for int8"):
            quantised(graph_of(fc.Network([fc.Dense(66_000, 1)], seed=0)), np.ones((2, 66_000), np.float32))

    def test_weights_that_are_nothing_beside_their_bias(self):
        net = fc.Network([fc.Dense(3, 3)], seed=0)
        net.theta[:9].reshape(3, 3)[:, :2] = [0.0, 1e-20]
        net.theta[-3:] = [2.0, 3.0, 4.0]
        x = rows_for(net, 50)
        np.testing.assert_allclose(quantised(graph_of(net), x).predict(x)[:, :2], [[2.0, 3.0]] * 50, rtol=1e-6)


class TestOperations:
    def operations(self, layers, n_in=4):
        net = trained(fc.Network(layers, seed=0))
        x = rows_for(net, 200)
        graph = quantised(graph_of(net), x)
        assert np.corrcoef(graph.predict(x).ravel(), net.predict(x).ravel())[0, 1] > 0.999
        return [line.kept.name for line in graph.lines], graph

    @pytest.mark.parametrize("activation", ["relu", "identity"])
    def test_an_activation_that_is_the_end_of_a_range(self, activation):
        kept, _ = self.operations([fc.Dense(4, 6, activation), fc.Dense(6, 2)])
        assert kept == ["int8", "int32", "int8", "int32", "float32"]

    @pytest.mark.parametrize("activation", ["tanh", "gelu", "mish", "selu", "silu"])
    def test_an_activation_that_is_a_table(self, activation):
        kept, graph = self.operations([fc.Dense(4, 6, activation), fc.Dense(6, 2)])
        assert kept == ["int8", "int32", "int8", "int8", "int32", "float32"]
        assert graph.output not in inexact(graph)

    def test_norms_are_one_with_products_beside_them(self):
        before = [fc.Dense(4, 6), fc.BatchNorm(), fc.Dense(6, 2)]
        after = [fc.Dense(4, 6, "relu"), fc.BatchNorm(), fc.Dense(6, 2)]
        for layers in (before, after):
            assert self.operations(layers)[0] == ["int8", "int32", "int8", "int32", "float32"]

    def test_what_is_used_twice_is_kept_in_float32_too(self):
        kept, _ = self.operations([fc.Dense(4, 6, "tanh"), fc.Residual([fc.Dense(6, 6, "relu")]), fc.Dense(6, 2)])
        assert kept.count("int32") == 3
        assert kept.count("float32") == 6  # of the block: what comes in (2), its end (2) and the sum; and the result


def fit(model, x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few iterations do not converge
        return model.fit(x, y)


def of_numbers(n=400):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return x, np.tanh(x[:, 0] * x[:, 1]) + x[:, 2]


class TestReport:
    def test_of_a_regressor(self, tmp_path):
        pytest.importorskip("sklearn")
        x, y = of_numbers()
        model = fc.MLPRegressor(hidden_layer_sizes=(16,), max_iter=60, random_state=0, scale=True)
        model = fit(model, x, y)
        report = fc.exchange.to_c(model, tmp_path / "net.c", "int8", x)
        assert (report.rows, report.calibrated, report.same_class) == (400, 400, None)
        assert 0.999 < report.middle_r2 < 1
        assert 0 < report.mean_difference < report.largest_difference < 1
        assert report.int8 == ("dense_1", "dense_2")
        assert report.float32 == {"standardize_1": "works on columns as they are given"}
        assert report.bytes_int8 < report.bytes_float32 / 1.5
        assert not report.loses_much
        text = (tmp_path / "net.c").read_text("utf-8")
        assert all(f" * {line}".rstrip() in text for line in str(report).splitlines())
        if COMPILER is not None:
            program = in_c(tmp_path / "net.c", x, 1)[:, 0]
            wanted = model.predict(x)
            middle = np.argsort(wanted)[4:-4]
            r2 = 1 - np.square(program - wanted)[middle].mean() / wanted[middle].var()
            assert r2 == pytest.approx(report.middle_r2)

    def test_of_a_classifier(self, tmp_path):
        pytest.importorskip("sklearn")
        x, y = of_numbers()
        for i, labels in enumerate((y > 0, np.digitize(y, [-1, 1]), np.stack([y > 0, y > 1], axis=1).astype(int))):
            model = fit(fc.MLPClassifier(max_iter=40, random_state=0), x, labels)
            report = fc.exchange.to_c(model, path := tmp_path / f"{i}.c", "int8", x)
            assert report.middle_r2 is None
            assert 0.94 < report.kappa <= 1
            assert 0.97 < report.same_class <= 1
            if COMPILER is not None:
                p = in_c(path, x, model.predict_proba(x).shape[1])
                found = p > 0.5 if labels.ndim == 2 else model.classes_[p.argmax(axis=1)]
                wanted = model.predict(x)
                same = np.mean((found == wanted).reshape(len(x), -1).all(axis=1))
                assert same == pytest.approx(report.same_class, abs=0.003)

    def test_a_large_loss_is_said_first(self, tmp_path):
        rng = np.random.default_rng(0)
        net = fc.Network([fc.Dense(4, 4), fc.LayerNorm(), fc.Dense(4, 3)], seed=0)
        net.theta[20:24] = [1e-4, 1e-4, 1e-4, 1e4]
        net.theta[28:40].reshape(4, 3)[...] = [[1e4], [1e4], [1e4], [1e-5]]
        report = fc.exchange.to_c(net, tmp_path / "net.c", "int8", rng.normal(size=(200, 4)))
        assert report.loses_much
        assert str(report).startswith("int8 LOSES MUCH: R2 between its results and those of float32 is ")
        assert " * int8 LOSES MUCH" in (tmp_path / "net.c").read_text("utf-8")

    def test_columns_of_other_sizes(self, tmp_path):
        """Columns of x have units, and may have a scale each."""
        rng = np.random.default_rng(0)
        net = fc.mlp([3, 16, 1], seed=0)
        net.theta[:48].reshape(3, 16)[...] *= np.array([[1e-3], [1.0], [1e2]])
        x = (rng.normal(size=(500, 3)) * [1e3, 1.0, 1e-2]).astype(np.float32)
        assert fc.exchange.to_c(net, tmp_path / "net.c", "int8", x).middle_r2 > 0.999

    @pytest.mark.parametrize("far", [1e3, 1e6])
    def test_a_few_rows_far_away_do_not_hide_what_the_others_lose(self, far, tmp_path):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(300, 4)).astype(np.float32)
        x[17, 1] = far
        layers = [fc.Standardize(4, mean=[0.0] * 4, scale=[1.0] * 4), fc.Dense(4, 16, "relu"), fc.Dense(16, 1)]
        net = fc.Network(layers, seed=0)
        report = fc.exchange.to_c(net, tmp_path / "net.c", "int8", x)
        assert report.loses_much is True
        assert report.middle_r2 < 0.5
        assert report.stretched == ("x[1]",)
        assert "Few rows stretch the range of x[1], more than 20 times beyond" in " ".join(str(report).split())
        x[17, 1] = 0
        report = fc.exchange.to_c(net, tmp_path / "net.c", "int8", x)
        assert (report.loses_much, report.stretched) == (False, ())

    def test_a_class_with_few_rows_counts(self):
        """Of 1,000 rows, int8 moves the only 5 of a class: 99.5% have the same class."""
        wanted = (np.arange(1000) < 5).astype(int)[:, None]
        assert kappa_of(np.zeros((1000, 1), int), wanted)[0] == pytest.approx(0)
        assert kappa_of(wanted, wanted)[0] == 1
        half = np.arange(1000)[:, None] % 2
        assert kappa_of(np.where(np.arange(1000)[:, None] < 10, 1 - half, half), half)[0] == pytest.approx(0.98)
        assert np.isnan(kappa_of(wanted, np.zeros((1000, 1), int))[0])

    def test_columns_that_few_rows_stretch(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(1000, 5))
        x[:, 2] += 1e6
        x[:, 3] = rng.random(1000) < 0.002  # a flag that is seldom set
        x[:, 4] = np.nan
        graph = graph_of(fc.mlp([5, 3, 1], seed=0))
        assert stretched_columns(x, graph) == []
        x[5, 0], x[6, 2], x[7, 3] = -1e2, 1e6 + 1e3, 1e4
        assert stretched_columns(x, graph) == [0, 2, 3]

    def test_codes_have_no_range(self):
        parts = [([1], fc.Embedding(900, 2)), ([0], fc.Standardize(1, mean=[0.0], scale=[1.0]))]
        net = fc.Network([fc.Columns(parts), fc.Dense(3, 1)], seed=0)
        x = np.random.default_rng(0).normal(size=(500, 2))
        x[:, 1] = np.r_[np.arange(499) % 3, 800]
        x[3, 0] = 1e4
        assert stretched_columns(x, graph_of(net)) == [0]

    def test_names_of_columns_do_not_end_the_comment(self, tmp_path):
        pd, _ = pytest.importorskip("pandas"), pytest.importorskip("sklearn")
        x, y = of_numbers()
        x[3, 0] = 1e3
        table = pd.DataFrame(x, columns=["a */ b", "c", "d", "e"])
        model = fit(fc.MLPRegressor(max_iter=5, random_state=0, scale=True), table, y)
        report = fc.exchange.to_c(model, tmp_path / "net.c", "int8", table)
        assert report.stretched == ("x[0] (a * / b)",)
        if COMPILER is not None:
            in_c(tmp_path / "net.c", x, 1)

    def test_rows_that_say_little(self, tmp_path):
        net = fc.mlp([3, 4, 2], seed=0)
        one = fc.exchange.to_c(net, tmp_path / "net.c", "int8", rows_for(net, 1))
        assert one.largest_difference < 0.05
        assert (one.middle_r2, one.loses_much) == (None, None)
        said = " ".join(str(one).split())
        assert said.startswith("int8 CANNOT BE JUDGED by 1 row, only by 100 or more: its results differ")
        assert "on the 1 row of data. 1 row is few" in said
        same = fc.exchange.to_c(net, tmp_path / "net.c", "int8", np.repeat(rows_for(net, 1), 200, axis=0))
        assert (same.middle_r2, same.loses_much) == (None, None)
        assert str(same).startswith("int8 CANNOT BE JUDGED by rows that have the same results: its results differ")
        for size in (1e-36, 1e30):
            report = fc.exchange.to_c(net, tmp_path / "net.c", "int8", rows_for(net, 60) * size)
            assert np.isfinite([report.middle_r2, report.mean_difference]).all()
            assert report.middle_r2 > 0.98
            assert report.loses_much is not False
        zero = fc.exchange.to_c(net, tmp_path / "net.c", "int8", rows_for(net, 60) * 0)
        assert (zero.middle_r2, zero.loses_much, zero.mean_difference) == (None, None, 0)

    def test_a_result_that_does_not_vary_is_named(self, tmp_path):
        net = fc.mlp([3, 8, 2], seed=0)
        net.theta[-18:-2].reshape(8, 2)[:, 1] = 0  # the weights of the second output
        net.theta[-1] = 2.5
        report = fc.exchange.to_c(net, tmp_path / "net.c", "int8", rows_for(net, 200))
        assert (report.loses_much, report.unvarying) == (False, (1,))
        assert "These rows cannot tell what y[1] loses, since it does not vary in the middle 98% of them." in " ".join(
            str(report).split()
        )

    def test_rows_of_one_class_say_little(self, tmp_path):
        pytest.importorskip("sklearn")
        x, y = of_numbers()
        model = fit(fc.MLPClassifier(max_iter=40, random_state=0), x, y > 0)
        report = fc.exchange.to_c(model, tmp_path / "net.c", "int8", x[model.predict_proba(x)[:, 1] > 0.6])
        assert (report.same_class, report.kappa, report.loses_much) == (1, None, None)
        assert report.rows >= 100
        said = " ".join(str(report).split())
        assert said.startswith(
            "int8 CANNOT BE JUDGED by rows that have the same class: 100% of the rows have the class"
        )
        report = replace(report, same_class=0.99996, kappa=0.9)
        assert "int8 loses little: 99.99% of the rows" in str(report)
        assert "Cohen's kappa" in str(report)
        assert replace(report, kappa=0.8).loses_much

    def test_few_rows_and_many(self, tmp_path):
        net = fc.mlp([3, 4, 1], seed=0)
        few = fc.exchange.to_c(net, tmp_path / "net.c", "int8", rows_for(net, 7))
        assert "7 rows are few" in str(few)
        many = fc.exchange.to_c(net, tmp_path / "net.c", "int8", rows_for(net, 5000))
        assert (many.rows, many.calibrated) == (5000, 4096)
        assert "4,096 of them" in str(many)

    @needs_compiler
    def test_every_estimator(self, estimator, tmp_path):
        if hasattr(estimator, "vocabulary_"):
            from fullyconnected.tables.frame import frame_of
            from tests.exchange.conftest import table

            data = table()[0]
            x = estimator.vocabulary_.encode(frame_of(data)).astype(np.float32)
        else:
            data = x = (np.random.default_rng(3).normal(size=(150, 4)) * [1, 10, 100, 0.1] + 5).astype(np.float32)
        report = fc.exchange.to_c(estimator, tmp_path / "model.c", "int8", data)
        n_out = 1
        for line in (tmp_path / "model.c").read_text("utf-8").splitlines():
            if line.startswith("#define FC_N_OUT"):
                n_out = int(line.split()[-1])
        found = in_c(tmp_path / "model.c", x, n_out)  # whose own test passes
        assert np.isfinite(found).all()
        assert report.rows == len(x)
        fc.exchange.to_c(estimator, tmp_path / "float.c")
        wanted = in_c(tmp_path / "float.c", x, n_out)
        left_out = -(-len(x) // 100)
        off = np.abs(found - wanted) / np.sort(wanted, axis=0)[left_out:-left_out].std(axis=0)
        assert off.mean() == pytest.approx(report.mean_difference, rel=0.02)


class TestBadInput:
    def test_what_does_not_fit_together(self, tmp_path):
        net, path = fc.mlp([3, 4, 1], seed=0), tmp_path / "net.c"
        x = rows_for(net, 20)
        for how, error, said in (
            ({"dtype": "int8"}, ConfigError, "int8 needs data"),
            ({"data": x}, ConfigError, "add dtype='int8'"),
            ({"dtype": "int4", "data": x}, ConfigError, "'float32' or 'int8'; got 'int4'"),
            ({"dtype": np.int8, "data": x}, ConfigError, "'float32' or 'int8'"),
            ({"dtype": "int8", "data": x[:0]}, ShapeError, "no rows"),
            ({"dtype": "int8", "data": x[:, :2]}, ShapeError, "3"),
            ({"dtype": "int8", "data": x[0]}, ShapeError, "rows"),
            ({"dtype": "int8", "data": np.where(x > 1, np.nan, x)}, DataError, "NaN|nan"),
            ({"dtype": "int8", "data": x.astype(np.float64) * 1e300}, DataError, "too large|finite"),
            ({"dtype": "int8", "data": "rows.csv"}, InputTypeError, "is the path"),
            ({"dtype": "int8", "data": [["a", "b", "c"]]}, InputTypeError, "numbers"),
            ({"dtype": "int8", "data": {"a": [1]}}, InputTypeError, "dict|numbers"),
        ):
            with pytest.raises(error, match=said):
                fc.exchange.to_c(net, path, **how)
        assert not any(tmp_path.iterdir())

    def test_rows_of_a_source(self, tmp_path):
        class Rows(fc.Source):
            shape, dtype = (50, 3), np.dtype(np.float64)

            def block(self, start, stop):
                return np.random.default_rng(0).normal(size=(50, 3))[start:stop]

        net = fc.mlp([3, 4, 2], seed=0)
        fc.exchange.to_c(net, tmp_path / "a.c", "int8", Rows())
        fc.exchange.to_c(net, tmp_path / "b.c", "int8", Rows().block(0, 50))
        assert (tmp_path / "a.c").read_text("utf-8").replace("a.", "b.") == (tmp_path / "b.c").read_text(
            "utf-8"
        ).replace("a.", "b.")

    def test_a_table_without_a_column(self, tmp_path):
        pytest.importorskip("sklearn")
        table = {"length": np.arange(60.0).tolist(), "kind": ["oak", "elm", "yew"] * 20}
        model = fc.TabularClassifier(epochs=2, hidden=(4,), n_members=2, random_state=0).fit(table, ["a", "b"] * 30)
        with pytest.raises(ShapeError, match="kind"):
            fc.exchange.to_c(model, tmp_path / "net.c", "int8", {"length": [1.0]})
        assert fc.exchange.to_c(model, tmp_path / "net.c", "int8", table | {"more": [0] * 60}).rows == 60
        assert fc.exchange.to_c(model, tmp_path / "net.c", "int8", {"length": 3.0, "kind": "oak"}).rows == 1

    def test_a_model_without_products(self, tmp_path):
        net = fc.Network([fc.Standardize(2, mean=[0.0, 1.0], scale=[1.0, 2.0])], seed=0)
        with pytest.raises(ConfigError, match="no product"):
            fc.exchange.to_c(net, tmp_path / "net.c", "int8", [[1.0, 2.0]])

    def test_results_that_overflow(self, tmp_path):
        net = fc.mlp([3, 4, 1], activation="exp", seed=0)
        with pytest.raises(DataError, match="not finite"):
            fc.exchange.to_c(net, tmp_path / "net.c", "int8", np.full((200, 3), 1e4))

    @needs_compiler
    def test_the_self_test_finds_a_wrong_weight(self, tmp_path):
        net = fc.mlp([2, 3, 1], seed=0)
        fc.exchange.to_c(net, path := tmp_path / "net.c", "int8", rows_for(net, 100))
        text = path.read_text("utf-8")
        start = text.index("127", text.index("fc_q_W2"))
        path.write_text(text[:start] + "126" + text[start + 3 :], "utf-8")
        subprocess.run([COMPILER, *STRICT, "-DFC_MAIN", path, "-o", tmp_path / "net", "-lm"], check=True)
        assert subprocess.run([tmp_path / "net"], check=False).returncode == 1


class TestTheCommand:
    def run(self, *given):
        from fullyconnected.cli import main

        return main(["export", *map(str, given)])

    def table(self, path, x, names="abc"):
        path.write_text("\n".join([",".join(names), *(",".join(map(str, row)) for row in x.tolist())]), "utf-8")
        return path

    def test_it_writes_and_reports(self, tmp_path, capsys):
        net = fc.mlp([3, 4, 1], seed=0)
        net.save(tmp_path / "net.safetensors")
        rows = self.table(tmp_path / "rows.csv", rows_for(net, 120))
        path = tmp_path / "net.c"
        assert self.run(tmp_path / "net.safetensors", path, "--dtype", "int8", "--data", rows) == 0
        out = capsys.readouterr().out
        assert "int8 loses little: R2 between" in out
        assert "In int8: the products of dense_1, dense_2." in out
        fc.exchange.to_c(net, tmp_path / "own.c", "int8", rows_for(net, 120))
        assert path.read_text("utf-8") == (tmp_path / "own.c").read_text("utf-8").replace("own.c", "net.c")

    def test_of_an_estimator_for_tables(self, tmp_path, capsys):
        pytest.importorskip("sklearn")
        table = {"length": np.arange(60.0).tolist(), "kind": ["oak", "elm", "yew"] * 20}
        model = fc.TabularClassifier(epochs=2, hidden=(4,), n_members=2, random_state=0).fit(table, ["a", "b"] * 30)
        model.save(tmp_path / "model.safetensors")
        lines = ["kind,more,length", *(f"{k},1,{n}" for n, k in zip(table["length"], table["kind"], strict=True))]
        (tmp_path / "rows.csv").write_text("\n".join(lines), "utf-8")
        how = ["--dtype", "int8", "--data", tmp_path / "rows.csv"]
        assert self.run(tmp_path / "model.safetensors", tmp_path / "model.c", *how) == 0
        assert "60 rows are few" in capsys.readouterr().out

    def test_of_an_estimator_that_knows_its_columns(self, tmp_path, capsys):
        pd = pytest.importorskip("pandas")
        pytest.importorskip("sklearn")
        x, y = of_numbers(150)
        fit(fc.MLPRegressor(max_iter=5, random_state=0), pd.DataFrame(x, columns=list("abcd")), y).save(
            tmp_path / "model.safetensors"
        )
        table = pd.DataFrame(x[:, ::-1], columns=list("dcba"))
        table.assign(name="oak").to_csv(tmp_path / "rows.csv", index=False)
        how = ["--dtype", "int8", "--data", tmp_path / "rows.csv"]
        assert self.run(tmp_path / "model.safetensors", tmp_path / "model.c", *how) == 0
        wanted = fc.exchange.to_c(tmp_path / "model.safetensors", tmp_path / "own.c", "int8", x)
        assert str(wanted) in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (["net.c", "--dtype", "int8"], "needs --data"),
            (["net.c", "--data", "rows.csv"], "add --dtype int8"),
            (["net.py", "--dtype", "int8", "--data", "rows.csv"], "are for C"),
            (["net.c", "--dtype", "int8", "--data", "none.csv"], "none.csv"),
            (["net.c", "--dtype", "int8", "--data", "texts.csv"], "texts.csv, line 2, column 'b'"),
            (["net.c", "--dtype", "int8", "--data", "narrow.csv"], "narrow.csv"),
            (["rows.csv", "--dtype", "int8", "--data", "rows.csv"], "suffix"),
        ],
    )
    def test_what_it_cannot_write(self, given, said, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        net = fc.mlp([3, 4, 1], seed=0)
        net.save("net.safetensors")
        rows = rows_for(net, 9)
        self.table(tmp_path / "rows.csv", rows)
        self.table(tmp_path / "narrow.csv", rows[:, :2], "ab")
        (tmp_path / "texts.csv").write_text("a,b,c\n1,oak,2\n", "utf-8")
        before = sorted(each.name for each in tmp_path.iterdir())
        assert self.run("net.safetensors", *given) == 2
        assert said in capsys.readouterr().err
        assert sorted(each.name for each in tmp_path.iterdir()) == before
