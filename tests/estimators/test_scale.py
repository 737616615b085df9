"""``scale=True``: the estimators standardise by an operation of their network, and regressors answer in y's unit."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris, load_wine, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fullyconnected as fc

X, Y = load_diabetes(return_X_y=True, scaled=False)
WINE, KINDS = load_wine(return_X_y=True)
W = np.random.default_rng(0).integers(0, 3, len(Y)).astype(float)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def regressor(**settings):
    return fc.MLPRegressor(**{"scale": True, "random_state": 0, "max_iter": 40, **settings})


def piped(**settings):
    """The same with scikit-learn's scalers around it, and without weights for the targets."""
    model = make_pipeline(StandardScaler(), regressor(scale=False, **settings))
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def test_raw_diabetes_with_defaults():
    folds = KFold(5, shuffle=True, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scores = cross_val_score(fc.MLPRegressor(scale=True, random_state=0), X, Y, cv=folds)
    assert scores.mean() > 0.4
    for each in caught:
        assert "scale" not in str(each.message), each.message
    assert scores.mean() > cross_val_score(fc.MLPRegressor(random_state=0), X, Y, cv=folds).mean()


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("engine", [name for name, info in fc.engines().items() if info.available])
def test_it_equals_scikit_learns_scalers_around_it(solver, engine):
    if solver == "lbfgs" and engine == "native":
        engine = "auto"
    settings = {"solver": solver, "engine": engine, "hidden_layer_sizes": (16,), "max_iter": 25}
    for y in (Y, np.c_[Y, X[:, 2] * 1e3]):
        ours, theirs = regressor(**settings).fit(X, y), piped(**settings).fit(X, y)
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-10)
        np.testing.assert_allclose(ours.loss_curve_, theirs.regressor_[-1].loss_curve_, rtol=1e-10)
    ours = fc.MLPClassifier(scale=True, random_state=0, **settings).fit(WINE, KINDS)
    theirs = make_pipeline(StandardScaler(), fc.MLPClassifier(random_state=0, **settings)).fit(WINE, KINDS)
    np.testing.assert_allclose(ours.predict_proba(WINE), theirs.predict_proba(WINE), rtol=1e-10, atol=1e-12)


def test_weights_count_in_the_constants():
    ours = regressor(solver="lbfgs").fit(X, Y, W)
    repeated = regressor(solver="lbfgs").fit(np.repeat(X, W.astype(int), axis=0), np.repeat(Y, W.astype(int)))
    for a, b in zip(ours.network_.layers, repeated.network_.layers, strict=True):
        if isinstance(a, fc.Standardize | fc.Rescale):
            np.testing.assert_allclose([a.mean, a.scale], [b.mean, b.scale], rtol=1e-12)
    np.testing.assert_allclose(ours.predict(X), repeated.predict(X), rtol=1e-4)


def test_rows_that_are_held_out_do_not_count():
    groups = np.arange(len(Y)) // 10
    model = regressor(early_stopping=True, validation_fraction=0.3).fit(X, Y, groups=groups)
    assert not np.allclose(model.network_.layers[0].mean, X.mean(axis=0), rtol=1e-6)
    apart = regressor(early_stopping=True).fit(X[:300], Y[:300], X_val=X[300:] * 1e3, y_val=Y[300:])
    np.testing.assert_allclose(apart.network_.layers[0].mean, X[:300].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(apart.network_.layers[-1].scale, [Y[:300].std()], rtol=1e-12)


@pytest.mark.parametrize("scoring", [None, "r2", "neg_mean_absolute_error", "loss"])
def test_scores_are_of_y_in_its_unit(scoring):
    model = regressor(early_stopping=True, scoring=scoring, max_iter=20).fit(
        X[:300], Y[:300], X_val=X[300:], y_val=Y[300:]
    )
    best = max(model.validation_scores_)
    if scoring in (None, "r2"):
        assert best == pytest.approx(model.score(X[300:], Y[300:]))
    if scoring == "neg_mean_absolute_error":
        assert best == pytest.approx(-np.abs(model.predict(X[300:]) - Y[300:]).mean())
    assert model.validation_loss_curve_[-1] < 2  # in standard deviations


class TestTheUnitOfY:
    def test_whatever_is_asked(self, tmp_path):
        model = regressor(max_iter=200).fit(X, Y)
        assert model.predict(X).mean() == pytest.approx(Y.mean(), rel=0.05)
        np.testing.assert_array_equal(model.network_.predict(X)[:, 0], model.predict(X))
        assert model.network_.evaluate(X, Y, model.network_.loss, ["r2"]).metrics["r2"] == pytest.approx(
            model.score(X, Y)
        )
        assert fc.check_gradients(model.network_, X[:5], Y[:5], "half_squared_error", entries=10).ok
        found = fc.explain(model.network_, X[:1], Y[:1], "half_squared_error")
        assert found.trace.ok
        assert "standardize_1" in str(found)
        model.save(tmp_path / "model.safetensors")
        for other in (fc.load_estimator(tmp_path / "model.safetensors"), fc.Predictor(tmp_path / "model.safetensors"),
                      pickle.loads(pickle.dumps(model))):  # fmt: skip
            np.testing.assert_array_equal(other.predict(X), model.predict(X))

    @pytest.mark.parametrize(
        ("settings", "scaled"),
        [
            ({"loss": "absolute_error"}, True),
            ({"loss": "huber"}, True),
            ({"loss": "quantile", "quantile": 0.9}, True),
            ({"output_activation": "identity"}, True),
            ({"loss": "poisson"}, False),
            ({"output_activation": "softplus"}, False),
        ],
    )
    def test_of_which_losses_the_targets_are_scaled(self, settings, scaled):
        model = regressor(**settings).fit(X, Y)
        assert isinstance(model.network_.layers[0], fc.Standardize)
        assert isinstance(model.network_.layers[-1], fc.Rescale) == scaled
        assert np.isfinite(model.score(X, Y))

    def test_a_loss_of_ones_own_sees_y_as_it_is(self):
        class Relative(fc.Loss):
            name = "relative"

            def terms(self, z, t, c, dz):
                c.xp.copyto(c.e, (z / t - 1) ** 2)
                c.xp.copyto(dz, 2 * (z / t - 1) / t)

        assert not isinstance(regressor(loss=Relative()).fit(X, Y).network_.layers[-1], fc.Rescale)

    def test_a_quantile_of_y(self):
        model = regressor(loss="quantile", quantile=0.9, solver="lbfgs", hidden_layer_sizes=(4,), max_iter=300).fit(
            X, Y
        )
        assert 0.85 < (model.predict(X) >= Y).mean() < 0.95


def test_timestamps_in_float32():
    x, y = make_regression(400, 3, noise=0.1, random_state=0)
    x[:, 0] = 1e9 + x[:, 0]
    model = regressor(dtype="float32", max_iter=300, learning_rate_init=0.01).fit(x, 1e6 + y)
    assert model.network_.dtype == np.float32
    assert model.score(x, 1e6 + y) > 0.99


@pytest.mark.parametrize("far", [1e-200, 1e200])
def test_data_of_any_size(far):
    near, model = regressor().fit(X, Y), regressor().fit(X * far, Y * far)
    np.testing.assert_allclose(model.predict(X * far), near.predict(X) * far, rtol=1e-6)


def test_sparse_rows():
    x = sparse.csr_array(X * (np.random.default_rng(1).random(X.shape) < 0.5))
    a, b = regressor(engine="numpy").fit(x, Y), regressor(engine="numpy").fit(x.toarray(), Y)
    np.testing.assert_array_equal(a.predict(x), b.predict(x.toarray()))


class TestGoingOn:
    def test_the_first_call_sets_the_constants(self):
        model = regressor().partial_fit(X[:50], Y[:50])
        first = model.network_.layers
        assert first[0] == fc.Standardize.fit(X[:50])
        assert first[-1] == fc.Rescale.fit(Y[:50, None])
        model.partial_fit(X, Y).partial_fit(X * 2, Y)
        assert model.network_.layers == first
        first_row = regressor()
        with pytest.raises(ValueError, match="which one row does not have: give more rows in that call"):
            first_row.partial_fit(X[:1], Y[:1])
        first_row.partial_fit(X[:50], Y[:50]).partial_fit(X[:1], Y[:1])
        kinds = fc.MLPClassifier(scale=True, random_state=0)
        kinds.partial_fit(WINE[:30], KINDS[:30], classes=[0, 1, 2]).partial_fit(WINE, KINDS)
        assert kinds.network_.layers[0] == fc.Standardize.fit(WINE[:30])

    def test_calls_after_pickling_have_the_same_bits(self):
        model = regressor().partial_fit(X, Y)
        twin = pickle.loads(pickle.dumps(model))
        for each in (model, twin):
            each.partial_fit(X, Y)
        assert model.network_.theta.tobytes() == twin.network_.theta.tobytes()

    def test_a_warm_start_and_a_fresh_one(self):
        model = regressor(warm_start=True, max_iter=3).fit(X, Y)
        constants, before = model.network_.layers, model.network_.theta.copy()
        model.fit(X * 2, Y)
        assert model.network_.layers == constants
        assert not np.array_equal(before, model.network_.theta)
        with pytest.raises(ValueError, match="made with scale=True, and scale is False now"):
            model.set_params(scale=False).fit(X, Y)
        model.set_params(warm_start=False).fit(X, Y)
        assert isinstance(model.network_.layers[0], fc.Dense)

    def test_a_checkpoint(self, tmp_path):
        whole = regressor(max_iter=6).fit(X, Y)
        for epochs in (3, 6):
            part = regressor(max_iter=epochs, checkpoint=tmp_path / "run.safetensors").fit(X, Y)
        assert whole.network_.theta.tobytes() == part.network_.theta.tobytes()
        np.testing.assert_array_equal(whole.predict(X), part.predict(X))

    def test_best_weights_are_restored(self):
        model = regressor(early_stopping=True, max_iter=30).fit(X, Y)
        assert model.score(X, Y) > 0.2


def test_it_is_off_by_default_and_checked():
    assert clone(fc.MLPClassifier()).scale is False
    assert isinstance(
        fc.MLPClassifier(random_state=0, max_iter=2).fit(*load_iris(return_X_y=True)).network_.layers[0], fc.Dense
    )
    with pytest.raises(ValueError, match="The 'scale' parameter of MLPRegressor must be"):
        regressor(scale="yes").fit(X, Y)


def test_a_warning_says_that_it_would_help():
    with pytest.warns(ConvergenceWarning, match="set scale=True"):
        fc.MLPRegressor(random_state=0, max_iter=5).fit(X, Y)
