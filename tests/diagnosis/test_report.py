"""The report: what it says, what it refuses, of estimators, and in what time and memory."""

import html.parser
import pickle
import tracemalloc

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.diagnosis.examine import examine
from fullyconnected.program.data import check_data

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
T = (X[:, 0] > 0).astype(int)
LOSS = "softmax_cross_entropy"


def net(**settings):
    return fc.mlp([4, 16, 2], seed=0, **settings)


def ill():
    broken = net()
    broken.params[0].b = -100.0
    return broken


class TestText:
    def test_nothing_found(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "100")
        report = fc.diagnose(net(), X, T, LOSS)
        assert report.ok
        assert report.findings == ()
        assert str(report).startswith("nothing was found: 300 rows; the loss on them is ")
        assert "not looked at: the curves of the training, for there is no history" in str(report)

    def test_table(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "100")
        report = fc.diagnose(ill(), X, T, LOSS)
        lines = str(report).splitlines()
        assert lines[0].startswith("2 warnings, 1 note: 300 rows; the loss on them is 0.693")
        assert " ".join(lines[2].split()) == "severity where what was seen, and what to change"
        assert lines[4].startswith("warning   dense_1      dead units: 16 of the 16 units (100%) of dense_1 are dead")
        assert "-> No gradient reaches their weights" in str(report)
        assert not report.ok
        assert repr(report) == str(report)

    @pytest.mark.parametrize("columns", [12, 40, 60, 80, 200])
    def test_any_width(self, monkeypatch, columns):
        monkeypatch.setenv("COLUMNS", str(columns))
        text = str(fc.diagnose(ill(), X, T, LOSS))
        assert text.isascii()
        assert max(map(len, text.splitlines())) <= max(columns, 30)

    def test_the_same_advice_is_not_repeated(self):
        net = fc.mlp([4, 8, 8, 2], seed=0)
        net.params[0].b = net.params[1].b = -100.0
        text = str(fc.diagnose(net, X, T, LOSS))
        assert text.count("No gradient reaches") == 1
        assert text.count("-> the same") == 1

    def test_names_that_are_no_ascii_or_are_html(self):
        class Table:
            columns = ("größe", "<b>", "c", "d")

            def __array__(self, dtype=None, copy=None):
                return X * [1e6, 1, 1, 1]

        report = fc.diagnose(net(), Table(), T, LOSS)
        assert str(report).isascii()
        assert report._repr_html_().isascii()
        assert "<b>" not in fc.diagnose(net(), np.asarray(Table())[:, [1, 0, 2, 3]], T, LOSS)._repr_html_()

    def test_html_is_well_formed(self):
        opened = []

        class Parser(html.parser.HTMLParser):
            def handle_starttag(self, tag, attrs):
                opened.append(tag)

            def handle_endtag(self, tag):
                assert opened.pop() == tag

        for report in (fc.diagnose(ill(), X, T, LOSS), fc.diagnose(net(), X, T, LOSS)):
            text = report._repr_html_()
            Parser().feed(text)
            assert not opened
            assert text.count("<tr>") == (len(report.findings) + 1 if report.findings else 0)

    def test_it_can_be_kept(self):
        report = fc.diagnose(ill(), X, T, LOSS)
        assert pickle.loads(pickle.dumps(report)) == report


def test_a_network_without_parameters():
    assert fc.diagnose(fc.Network([fc.Activation("tanh", n_in=4)]), X, np.tanh(X), "half_squared_error").ok


class Table:
    """A table with names of columns, of which some may have two forms in Unicode."""

    def __init__(self, x, columns):
        self.x, self.columns = x, columns

    def __array__(self, dtype=None, copy=None):
        return self.x


class Estimator:
    """A fitted estimator, as far as a diagnosis looks at one."""

    def __init__(self, network_, **fitted):
        self.network_ = network_
        vars(self).update(fitted)


class TestEstimators:
    labels = np.array(["no", "yes"])[T]

    def test_labels_curves_and_names(self):
        trained = net()
        history = fc.fit(trained, X, T, LOSS, fc.Adam(0.01), epochs=40, progress=False)
        fitted = Estimator(trained, classes_=np.array(["no", "yes"]), loss_curve_=history.loss)
        assert fc.diagnose(fitted, X, self.labels).findings == fc.diagnose(trained, X, T, None, history).findings
        fitted.loss_curve_ = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]
        assert [each.name for each in fc.diagnose(fitted, X, self.labels).findings] == ["loss_still_falling"]
        vars(fitted).update(early_stopping=True, n_iter_=6, max_iter=200)
        assert fc.diagnose(fitted, X, self.labels).ok  # it was early stopping that ended the fit
        fitted.max_iter = 6
        fitted.validation_loss_curve_ = [1.0, 0.5, 0.8, 0.9, 1.0, 1.0]
        assert [each.name for each in fc.diagnose(fitted, X, self.labels).findings] == ["overfitting"]
        assert fc.diagnose(fitted, X, self.labels, history=history).ok  # what is given counts
        fitted.feature_names_in_ = np.array(["a", "b", "c", "d"], dtype=object)
        (note,) = fc.diagnose(fitted, X * [0, 1, 1, 1], self.labels, history=history).findings[-1:]
        assert note.where == "x[:, 0] ('a')"

    def test_a_table_with_other_columns_than_the_estimator_was_fitted_with(self):
        names = ["a", "b", "c", "\u00e9"]
        fitted = Estimator(net(), feature_names_in_=np.array(["a", "b", "c", "e\u0301"], dtype=object))
        assert fc.diagnose(fitted, Table(X, names), T, LOSS).ok
        for order, error, message in (
            ([3, 2, 1, 0], errors.DataError, "in another order"),
            ([0, 1, 2], errors.ShapeError, "other columns"),
        ):
            with pytest.raises(error, match=message) as raised:
                fc.diagnose(fitted, Table(X[:, order], [names[i] for i in order]), T, LOSS)
            assert "x[list(estimator.feature_names_in_)]" in str(raised.value)

    def test_without_curves(self):
        trained = net()
        fc.fit(trained, X, T, LOSS, fc.Adam(0.01), epochs=40, progress=False)
        assert fc.diagnose(Estimator(trained), X, T).ok
        assert fc.diagnose(Estimator(trained, loss_curve_=None, classes_=[0, 1]), X, T).ok

    def test_an_unknown_label(self):
        fitted = Estimator(net(), classes_=np.array(["no", "yes"]))
        with pytest.raises(errors.DataError, match=r"t has the label .*'maybe'.*none of the estimator's classes"):
            fc.diagnose(fitted, X, np.where(T, "maybe", "no"), LOSS)

    def test_not_fitted(self):
        class Unfitted:
            pass

        with pytest.raises(errors.InputTypeError, match="or a fitted estimator with one, network_; got a Unfitted"):
            fc.diagnose(Unfitted(), X, T)


class TestBadInput:
    @pytest.mark.parametrize("other", [None, 3, "net", [1, 2], fc.Dense(2, 3)])
    def test_no_network(self, other):
        with pytest.raises(errors.InputTypeError, match=r"a Network is diagnosed.*fc\.diagnose\(net, x, t, loss\)"):
            fc.diagnose(other, X, T, LOSS)

    def test_no_loss(self):
        with pytest.raises(errors.ConfigError, match="the network has no loss, since it has not been trained"):
            fc.diagnose(net(), X, T)
        known = net()
        known.loss = LOSS
        assert fc.diagnose(known, X, T).ok

    @pytest.mark.parametrize(
        ("x", "t", "error", "message"),
        [
            (X[:, :3], T, errors.ShapeError, "3 numbers a row; the network takes 4"),
            (X[0], T, errors.ShapeError, "For a single row"),
            (X[:0], T[:0], errors.ShapeError, "x has no rows"),
            (X, T[:5], errors.ShapeError, "x has 300 rows and t has shape"),
            (X, T + 5, errors.DataError, "there is no class"),
            (X, X[:, 0], errors.InputTypeError, "class numbers as integers"),
            (np.where(X > 2, np.nan, X), T, errors.DataError, "is nan; x must be finite"),
            (X.astype(str), T, errors.InputTypeError, "x has dtype"),
        ],
    )
    def test_data(self, x, t, error, message):
        with pytest.raises(error, match=message):
            fc.diagnose(net(), x, t, LOSS)

    @pytest.mark.parametrize("history", [3, "history", [[1.0, 2.0]], {"loss": [1.0]}, ["a"], object()])
    def test_history(self, history):
        with pytest.raises(errors.InputTypeError, match=r"history is what fc\.fit returned, or a list"):
            fc.diagnose(net(), X, T, LOSS, history)

    @pytest.mark.parametrize("history", [[], [0.5], np.ones(3), fc.History(), range(5, 0, -1)])
    def test_short_histories(self, history):
        fc.diagnose(net(), X, T, LOSS, history)


class TestBounds:
    def test_rows(self):
        x = RNG.normal(size=(10_000, 4))
        t = (x[:, 0] > 0).astype(int)
        report = fc.diagnose(net(), x, t, LOSS)
        assert "2,000 of 10,000 rows, drawn at random" in report.about
        assert report == fc.diagnose(net(), x, t, LOSS)  # with a fixed seed
        regressor = fc.mlp([4, 16, 1], seed=0)
        found = fc.diagnose(regressor, x, x[:, 0] * 77 + 152, "half_squared_error").findings
        assert [each.name for each in found] == ["targets_unscaled"]

    def test_sparse_rows(self):
        sparse = pytest.importorskip("scipy.sparse", reason="a sparse matrix of SciPy")
        x = np.where(np.abs(X) > 1, X, 0.0)
        for network in (net(), ill()):
            assert fc.diagnose(network, sparse.csr_array(x), T, LOSS) == fc.diagnose(network, x, T, LOSS)
        x = sparse.random_array((20_000, 5000), density=0.001, rng=np.random.default_rng(0), format="csc")
        network = fc.mlp([5000, 4, 2], seed=0)
        tracemalloc.start()
        try:
            fc.diagnose(network, x, np.arange(20_000) % 2, LOSS)
            assert tracemalloc.get_traced_memory()[1] < 20_000 * 5000 * 8 / 2  # a sample of 2,000 rows alone is dense
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("kind", ["dense", "sparse"])
    def test_columns_that_vary_in_other_rows_than_those_of_the_sample(self, kind):
        """A word that is in a few documents is neither constant nor a copy of another word."""
        x = np.zeros((4000, 40), np.float32)
        x[:, 0] = np.arange(4000) % 7
        x[:, 1] = 2 * x[:, 0]
        x[np.arange(2, 40) * 100, np.arange(2, 40)] = 1.0
        x[::50, 2:] *= 3
        x[17, 2:4] = 1.0
        x[:, 39] = 5.0
        t = np.arange(4000) % 2
        if kind == "sparse":
            x = pytest.importorskip("scipy.sparse", reason="a sparse matrix of SciPy").csr_array(x)
        found = fc.diagnose(fc.mlp([40, 8, 2], seed=0), x, t, LOSS).findings
        told = {each.name: each.where for each in found if each.severity == "note"}
        assert told == {"features_constant": "x[:, 39]", "features_duplicate": "x[:, 1]"}

    def test_large_networks_take_fewer_rows(self, monkeypatch):
        """As if a network of 114 parameters were large."""
        monkeypatch.setattr("fullyconnected.diagnosis.examine.WORK", 100 * 114)
        monkeypatch.setattr("fullyconnected.diagnosis.trial.WORK", 1000)
        report = fc.diagnose(net(), X, T, LOSS)
        assert report.about.startswith("100 of 300 rows, drawn at random")
        assert "it is too large to try" in " ".join(report.left_out)
        assert report.ok

    def test_rows_without_weight_do_not_count(self):
        network, weights = net(), np.where(np.arange(300) < 200, 1.0, 0.0)
        data = check_data(network.program, network.dtype, X, T, LOSS, weights)
        found = examine(network, data, quick=True)
        assert found.rows == 200
        assert found.findings == []
        assert found.level.loss == pytest.approx(network.evaluate(X[:200], T[:200], LOSS).loss, rel=1e-5)
