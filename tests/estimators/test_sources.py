"""MLPClassifier and MLPRegressor on rows that are not in memory: sources, and arrays in files."""

import pickle
import threading
import tracemalloc
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

import fullyconnected as fc
from fullyconnected.errors import CheckpointError, ConfigError, DataError, FileAccessError, InputTypeError, ShapeError
from fullyconnected.estimators.compat import VERSION
from fullyconnected.estimators.run import EstimatorRun
from fullyconnected.program import evaluation, sources
from fullyconnected.training import run as training

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ROWS = 900
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 4))
Y = np.array(["no", "maybe", "yes"])[np.digitize(X[:, 0] + 0.5 * X[:, 1], [-0.5, 0.7])]
YR = np.sin(X[:, 0]) - X[:, 1]
W = RNG.uniform(0.5, 2, ROWS)
QUICK: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0, "batch_size": 32}
NAMES = ("a", "b", "c", "d")
CUTS = [0, 170, 171, 600, ROWS]
SHARDS = [stop - start for start, stop in pairwise(CUTS)]


class Rows(fc.Source):
    """Rows of an array that notes which of them are read, and how many at a time."""

    def __init__(self, x: Any = X, t: Any = None, w: Any = None, shards: Any = None, columns: Any = None) -> None:
        self.x, self.t, self.w, self.shards, self.columns = x, t, w, shards, columns
        self.shape, self.dtype = x.shape, x.dtype
        self.read: list[tuple[int, int]] = []
        self.threads: set[str] = set()

    def block(self, start: int, stop: int) -> Any:
        self.read.append((start, stop))
        self.threads.add(threading.current_thread().name)
        return self.x[start:stop]

    def targets(self) -> Any:
        return self.t

    def weights(self) -> Any:
        return self.w


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a window have 100 rows, and a block 50."""
    monkeypatch.setattr(training, "WINDOW", 100 * 4 * 8)
    monkeypatch.setattr("fullyconnected.training.solver.WINDOW", 100 * 2 * 8 * 40)
    monkeypatch.setattr(sources, "BLOCK", 50 * 4)
    monkeypatch.setattr("fullyconnected.layers.statistics.BLOCK", 50 * 4)


def mapped(path: Path, x: Any = X) -> Any:
    np.save(path / "x.npy", x)
    return np.load(path / "x.npy", mmap_mode="r")


def table(y: Any = Y, w: Any = None) -> Any:
    pa = pytest.importorskip("pyarrow")
    return pa.table({**dict(zip(NAMES, X.T, strict=True)), "y": y} | ({} if w is None else {"w": w}))


def parquet(path: Path, of: Any, cuts: Any = CUTS, **how: Any) -> fc.Parquet:
    """Return rows in files, of which each is a row group."""
    pq = pytest.importorskip("pyarrow.parquet")
    path.mkdir(exist_ok=True)
    for i, (start, stop) in enumerate(pairwise(cuts)):
        pq.write_table(of.slice(start, stop - start), path / f"{i}.parquet")
    return fc.Parquet(path, "y", **how)


def classifier(**more: Any) -> fc.MLPClassifier:
    return fc.MLPClassifier(**{**QUICK, **more})


def regressor(**more: Any) -> fc.MLPRegressor:
    return fc.MLPRegressor(**{**QUICK, **more})


def same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a.network_.theta, b.network_.theta)) and a.loss_curve_ == b.loss_curve_


# what fits in a window


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1},
        {"solver": "lbfgs"},
        {"shuffle": False},
        {"dropout": 0.2, "batch_norm": True, "engine": "numpy"},
        {"early_stopping": True, "validation_fraction": 0.2},
        {"early_stopping": True, "scoring": "loss"},
        {"class_weight": "balanced", "early_stopping": True},
    ],
)
def test_rows_of_one_window_give_the_bits_of_an_array(tmp_path: Path, more: dict[str, Any]) -> None:
    model = classifier(**more).fit(X, Y)
    given: list[tuple[Any, ...]] = [(Rows(X, Y),), (Rows(X, shards=SHARDS), Y), (mapped(tmp_path), Y)]
    for each in given:
        other = classifier(**more).fit(*each)
        assert same(model, other)
        assert (other.validation_scores_ or []) == pytest.approx(model.validation_scores_ or [], rel=1e-12)
        assert model.score(X, Y) == other.score(*each)
        assert np.array_equal(model.predict_proba(X), other.predict_proba(each[0]))
        assert np.array_equal(model.predict(X), other.predict(each[0]))


@pytest.mark.parametrize("more", [{}, {"early_stopping": True}, {"loss": "poisson", "solver": "lbfgs"}])
def test_tables_and_files_give_the_bits_of_an_array(tmp_path: Path, more: dict[str, Any]) -> None:
    y = np.exp(YR) if "loss" in more else YR
    model = regressor(**more).fit(X, y, W)
    of = table(y, W)
    for source in (fc.ArrowTable(of, "y", weight="w"), parquet(tmp_path, of, weight="w")):
        other = regressor(**more).fit(source)
        assert same(model, other)
        assert list(other.feature_names_in_) == list(NAMES)
        assert other.n_features_in_ == 4
        assert other.score(source) == model.score(X, y, W)
        assert other.network_.columns.x is None  # as after a fit on a DataFrame


def test_labels_of_a_source_may_be_text_numbers_or_several() -> None:
    several = np.stack([X[:, 0] > 0, X[:, 1] > 0], axis=1).astype(float)
    for y in (Y.astype(object), np.unique(Y, return_inverse=True)[1], several):
        model = classifier().fit(Rows(X, y))
        assert same(model, classifier().fit(X, y))
        assert np.array_equal(model.predict(Rows(X)), model.predict(X))
    two = np.stack([YR, X[:, 2]], axis=1)
    assert same(regressor().fit(Rows(X, two)), regressor().fit(X, two))


@pytest.mark.parametrize("more", [{}, {"early_stopping": True}])
def test_scaling_takes_its_constants_from_the_rows_that_are_learned_from(more: dict[str, Any]) -> None:
    far = 1e3 * X + 5e4
    model, other = regressor(scale=True, **more).fit(far, YR), regressor(scale=True, **more).fit(Rows(far, YR))
    np.testing.assert_allclose(other.network_.layers[0].mean, model.network_.layers[0].mean, rtol=1e-12)
    np.testing.assert_allclose(other.network_.theta, model.network_.theta, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(other.predict(Rows(far)), model.predict(far), rtol=1e-6, atol=1e-9)


def test_the_dtype_is_float32_for_rows_of_float32_else_float64() -> None:
    for dtype, wanted in (("f4", "f4"), ("f8", "f8"), ("i2", "f8"), ("f2", "f8")):
        x = (10 * X).astype(dtype)
        assert regressor().fit(Rows(x, YR)).network_.dtype == np.dtype(wanted)
    assert regressor(dtype="float32").fit(Rows(X, YR)).network_.dtype == np.float32


def test_a_warm_start_and_partial_fit_go_on_with_a_source() -> None:
    models = [classifier(), classifier()]
    for _ in range(3):
        models[0].partial_fit(X, Y, classes=np.unique(Y))
        models[1].partial_fit(Rows(X, Y), classes=np.unique(Y))
    assert same(*models)
    models = [regressor(warm_start=True), regressor(warm_start=True)]
    for _ in range(2):
        models[0].fit(X, YR)
        models[1].fit(Rows(X, YR))
    assert same(*models)
    with pytest.raises(ValueError, match=r"`y` has classes not in `self\.classes_`"):
        classifier().partial_fit(Rows(X, Y), classes=["no", "yes"])


def test_validation_rows_may_be_a_source() -> None:
    how = {"early_stopping": True}
    model = classifier(**how).fit(X[:700], Y[:700], X_val=X[700:], y_val=Y[700:], sample_weight_val=W[700:])
    held_out = Rows(X[700:], Y[700:], W[700:])
    for given in ((X[:700], Y[:700]), (Rows(X[:700], Y[:700]),)):
        other = classifier(**how).fit(*given, X_val=held_out)
        assert same(model, other)
        assert other.validation_scores_ == model.validation_scores_
        assert other.validation_loss_curve_ == pytest.approx(model.validation_loss_curve_, rel=1e-12)


@pytest.mark.parametrize("scoring", ["neg_mean_absolute_error", lambda model, A, b: -abs(model.predict(A) - b).max()])
def test_a_scorer_gets_held_out_rows_of_the_source(scoring: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = regressor(early_stopping=True, scoring=scoring).fit(Rows(X, YR, columns=NAMES))
    other = regressor(early_stopping=True, scoring=scoring).fit(X, YR)
    assert model.validation_scores_ == pytest.approx(other.validation_scores_, rel=1e-12)


# more than a window


def test_windows_come_in_the_order_of_a_run_of_the_same_seed(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []
    order = EstimatorRun.order_of_epochs

    def noted(self: Any) -> Any:
        visits = order(self)
        begun.append((self.net.copy(), self.state.seed))
        return visits

    monkeypatch.setattr(EstimatorRun, "order_of_epochs", noted)
    model = regressor(alpha=0.0).fit(Rows(X, YR, shards=SHARDS))
    (net, seed), rule = begun[0], fc.Adam(0.001, epsilon_hat=True)
    history = fc.fit(
        net, Rows(X, YR, shards=SHARDS), None, "half_squared_error", rule, 4, batch_size=32, seed=seed, progress=False
    )
    assert np.array_equal(net.theta, model.network_.theta)
    assert history.loss == model.loss_curve_
    again, other = (regressor(alpha=0.0, random_state=i).fit(Rows(X, YR, shards=SHARDS)) for i in (0, 1))
    assert same(model, again)
    assert not np.allclose(model.network_.theta, other.network_.theta)


@pytest.mark.parametrize("more", [{}, {"early_stopping": True}, {"solver": "lbfgs"}, {"engine": "numpy"}])
def test_it_does_not_matter_how_rows_are_kept(small: None, tmp_path: Path, more: dict[str, Any]) -> None:
    model = classifier(**more).fit(Rows(X, Y, W, shards=SHARDS))
    of = table(Y, W)
    other = classifier(**more).fit(parquet(tmp_path / "parts", of, weight="w"))
    assert same(model, other)
    pq = pytest.importorskip("pyarrow.parquet")
    with pq.ParquetWriter(tmp_path / "one.parquet", of.schema) as writer:
        for start, stop in pairwise(CUTS):
            writer.write_table(of.slice(start, stop - start))
    assert same(model, classifier(**more).fit(fc.Parquet(tmp_path / "one.parquet", "y", weight="w")))


@pytest.mark.parametrize("more", [{}, {"early_stopping": True}, {"scale": True}, {"solver": "lbfgs"}])
@pytest.mark.parametrize("kind", ["f8", "f4", "i2", "f2", ">f8", "by columns"])
def test_an_array_in_a_file_gives_the_bits_of_one_in_memory_however_large_it_is(
    small: None, tmp_path: Path, kind: str, more: dict[str, Any]
) -> None:
    x = np.asfortranarray(X) if kind == "by columns" else (3 * X).astype(kind)
    of_file = mapped(tmp_path, x)
    more = {"dtype": np.float64, **more}
    model, other = regressor(**more).fit(of_file, YR), regressor(**more).fit(x.astype(x.dtype.newbyteorder("=")), YR)
    if "scale" in more or "solver" in more:  # in whose sums rows come in blocks
        np.testing.assert_allclose(model.network_.theta, other.network_.theta, rtol=1e-6, atol=1e-9)
    else:
        assert same(model, other)
    np.testing.assert_allclose(model.predict(of_file), other.predict(x), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("more", [{}, {"solver": "lbfgs"}, {"early_stopping": True, "scale": True}])
@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_an_array_in_a_file_is_never_copied_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dtype: str, more: dict[str, Any]
) -> None:
    for name in (
        "training.run.WINDOW",
        "program.reading.GATHERED",
        "training.solver.WINDOW",
        "program.sources.BLOCK",
        "layers.statistics.BLOCK",
    ):
        monkeypatch.setattr(f"fullyconnected.{name}", 1 << (16 if name.endswith("BLOCK") else 19))
    rows, columns = 20_000, 400
    x = mapped(tmp_path, np.random.default_rng(0).integers(-9, 9, (rows, columns)).astype(dtype))
    y, w = np.arange(rows) % 7.0, np.arange(rows) % 3.0
    model = regressor(**more, **{"max_iter": 1, "batch_size": 100, "hidden_layer_sizes": (2,)})
    model.fit(x[:200], y[:200])  # what is loaded at first use counts for nothing
    tracemalloc.start()
    try:
        model.fit(x, y, w)
        model.score(x, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes // 2 + 100 * rows  # some numbers of each row


@pytest.mark.parametrize(
    "more",
    [
        {"early_stopping": True},
        {"solver": "lbfgs"},
        {"early_stopping": True, "scale": True},
        {"max_iter": 1, "solver": "sgd"},  # which warns, after a look at some rows
    ],
)
def test_no_more_than_a_window_is_read_at_a_time(small: None, more: dict[str, Any]) -> None:
    w = np.where(np.arange(ROWS) % 5, W, 0)
    source = Rows(X, Y, w, shards=SHARDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = classifier(**more).fit(source)
    model.score(source)
    assert max(stop - start for start, stop in source.read) <= 100
    assert source.threads <= {"MainThread", "fullyconnected-reader"}
    assert threading.active_count() == 1 or not any(
        thread.name == "fullyconnected-reader" for thread in threading.enumerate()
    )


def test_held_out_rows_are_stratified_whole_groups_and_not_trained_on(small: None) -> None:
    groups = np.arange(ROWS) // 9
    marked = X.copy()
    model = classifier(early_stopping=True).fit(Rows(X, Y), groups=groups)
    seen: list[Any] = []
    again = classifier(early_stopping=True, scoring=lambda model, A, b: seen.append((A, b)) or 0.0)
    again.fit(Rows(marked, Y), groups=groups)
    rows, labels = seen[0]
    assert len(set(groups[rows.rows])) * 9 == len(rows)  # each of them whole
    assert np.array_equal(Y[rows.rows], labels)
    share = [np.mean(labels == each) / np.mean(each == Y) for each in np.unique(Y)]
    assert np.allclose(share, 1, atol=0.1)
    marked[rows.rows] = -3.0  # what is held out changes the scores, and no weight before the best epoch is chosen
    third = classifier(early_stopping=True).fit(Rows(marked, Y), groups=groups)
    assert third.loss_curve_ == model.loss_curve_
    assert third.validation_scores_ != model.validation_scores_


def test_rows_of_weight_zero_are_as_if_they_were_not_there(small: None) -> None:
    w = np.where(np.arange(ROWS) % 3, W, 0)
    wrong = X.copy()
    wrong[w == 0] = np.nan
    kept = np.flatnonzero(w)
    within = np.diff(np.searchsorted(kept, CUTS)).tolist()
    for more in ({}, {"early_stopping": True}, {"solver": "lbfgs"}):
        model = regressor(**more).fit(Rows(wrong, YR, w, shards=SHARDS))
        assert same(model, regressor(**more).fit(Rows(X[kept], YR[kept], w[kept], shards=within)))


@pytest.mark.parametrize("more", [{}, {"dropout": 0.2}, {"solver": "sgd", "learning_rate": "invscaling"}])
@pytest.mark.parametrize("windows", [False, True])
def test_a_fit_goes_on_exactly_from_its_checkpoint(
    tmp_path: Path, request: Any, windows: bool, more: dict[str, Any]
) -> None:
    if windows:
        request.getfixturevalue("small")
    how = {"early_stopping": True, **more, "max_iter": 6}
    whole = classifier(**how).fit(Rows(X, Y, shards=SHARDS))

    def stop(epoch: Any) -> None:
        if epoch.number == 3:
            raise RuntimeError("the machine is gone")

    path = tmp_path / "run"
    with pytest.raises(RuntimeError, match="gone"):
        classifier(**how, checkpoint=path, callback=stop).fit(Rows(X, Y, shards=SHARDS))
    resumed = classifier(**how, checkpoint=path).fit(Rows(X, Y, shards=SHARDS))
    assert same(whole, resumed)
    assert whole.validation_scores_ == resumed.validation_scores_
    with pytest.raises(CheckpointError, match="data"):
        classifier(**how, checkpoint=path).fit(Rows(X + 1, Y, shards=SHARDS))
    if windows:
        with pytest.raises(CheckpointError, match="windows"):
            classifier(**how, checkpoint=path).fit(Rows(X, Y, shards=[ROWS]))


def test_windows_and_an_array_train_equally_well(small: None) -> None:
    how = {"max_iter": 60, "learning_rate_init": 0.01}
    scores = [classifier(**how).fit(*each).score(X, Y) for each in ((X, Y), (Rows(X, Y, shards=SHARDS),))]
    assert min(scores) > 0.95


@pytest.mark.parametrize("more", [{}, {"alpha": 0.5}, {"weight_decay": 0.1}, {"layer_norm": True}])
def test_a_solver_sums_over_the_blocks_of_a_source(small: None, more: dict[str, Any]) -> None:
    how = {"solver": "lbfgs", "max_iter": 30, "tol": 1e-8, **more}
    model, other = regressor(**how).fit(X, YR, W), regressor(**how).fit(Rows(X, YR, W))
    assert other.loss_ == pytest.approx(model.loss_, rel=1e-4)
    np.testing.assert_allclose(other.predict(X), model.predict(X), atol=0.02)


def test_a_score_of_very_many_held_out_rows_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "PART", 20)
    model = classifier(early_stopping=True).fit(X, Y)
    assert len(model.validation_scores_) == 4


# features


def test_names_of_features_are_checked_as_those_of_a_table() -> None:
    pd = pytest.importorskip("pandas")
    model = classifier().fit(Rows(X, Y, columns=NAMES))
    frame = pd.DataFrame(X, columns=list(NAMES))
    assert np.array_equal(model.predict(frame), model.predict(Rows(X, columns=NAMES)))
    of_frame = classifier().fit(frame, Y)
    for names in (("a", "b", "d", "c"), ("a", "b", "c", "e")):
        wrong = Rows(X, Y, columns=names)
        with pytest.raises(ValueError, match="feature names should match") as theirs:
            of_frame.predict(pd.DataFrame(X, columns=list(names)))
        for call in (of_frame.predict, model.predict_proba, model.score, model.partial_fit):
            with pytest.raises(ValueError, match="feature names should match") as ours:
                call(wrong)
            assert str(ours.value) == str(theirs.value)
    with pytest.warns(UserWarning, match="X does not have valid feature names, but MLPClassifier was fitted") as caught:
        model.predict(Rows(X))
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="X has feature names, but MLPClassifier was fitted without"):
        classifier().fit(X, Y).score(Rows(X, Y, columns=NAMES))
    model.fit(Rows(X, Y))
    assert not hasattr(model, "feature_names_in_")


def test_the_number_of_features_is_checked() -> None:
    model = classifier().fit(Rows(X, Y))
    for call in (model.predict, model.predict_proba, model.score, model.partial_fit):
        with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier is expecting 4 features as input"):
            call(Rows(X[:, :3], Y))
    with pytest.raises(ValueError, match="X has 3 features"):
        classifier().fit(Rows(X, Y), X_val=Rows(X[:, :3], Y))


def test_files_and_pickles_of_an_estimator_that_has_learned_from_a_source(tmp_path: Path) -> None:
    model = classifier(early_stopping=True).fit(Rows(X, Y, columns=NAMES))
    model.save(tmp_path / "model.safetensors")
    for other in (fc.load_estimator(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(model))):
        assert list(other.feature_names_in_) == list(NAMES)
        assert np.array_equal(other.predict_proba(Rows(X, columns=NAMES)), model.predict_proba(Rows(X, columns=NAMES)))
    predictor = fc.Predictor(tmp_path / "model.safetensors")
    assert np.array_equal(predictor.predict(X), model.predict(Rows(X, columns=NAMES)))


@pytest.mark.parametrize("kind", [classifier, regressor])
def test_a_predictor_reads_a_source_by_the_names_of_its_columns(small: None, tmp_path: Path, kind: Any) -> None:
    model = kind().fit(Rows(X, Y if kind is classifier else YR, columns=NAMES))
    model.save(tmp_path / "model.safetensors")
    predictor = fc.Predictor(tmp_path / "model.safetensors")
    calls = [(predictor.predict, model.predict)]
    if kind is classifier:
        calls += [(predictor.predict_proba, model.predict_proba)]
    order = [2, 0, 3, 1]
    other = Rows(X[:, order], columns=[NAMES[i] for i in order])
    files = parquet(tmp_path / "rows", table(), columns=other.columns)
    more = table().append_column("text", [Y])
    for ours, theirs in calls:
        wanted = theirs(Rows(X, columns=NAMES))
        given = [mapped(tmp_path), Rows(), Rows(columns=NAMES), other, files, fc.ArrowTable(more, "y")]
        for each in [*given, fc.Parquet(tmp_path / "rows")]:
            np.testing.assert_array_equal(ours(each), wanted)
        with pytest.raises(ShapeError, match="the column 'c' is missing; there are 'a', 'b', 'd', 'e'"):
            ours(Rows(X, columns=("a", "b", "d", "e")))
        with pytest.raises(
            InputTypeError, match=r"^X is the path 'rows/\*\.parquet', and rows are wanted: fc\.Parquet"
        ):
            ours("rows/*.parquet")
    assert max(stop - start for start, stop in other.read) <= 50
    with pytest.raises(ConfigError, match="no intervals"):
        predictor.predict_interval(other)
    wrong = X[:, order].copy()
    wrong[605, 1] = np.nan
    with pytest.raises(DataError, match=r"x\[605, 0\] is nan"):
        predictor.predict(Rows(wrong, columns=other.columns))


@pytest.mark.skipif(VERSION < (1, 9), reason="scikit-learn has callbacks from 1.9 on")
def test_callbacks_get_the_source() -> None:
    class Watch:
        def __init__(self) -> None:
            self.given: list[Any] = []

        def setup(self, estimator: Any, context: Any) -> None: ...

        def teardown(self, estimator: Any, context: Any) -> None: ...

        def on_fit_task_begin(self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, **_: Any) -> None:
            self.given.append(X)

        def on_fit_task_end(self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, **_: Any) -> bool:
            self.given.append(X)
            return False

    watch = Watch()
    classifier().set_callbacks(watch).fit(Rows(X, Y))
    assert watch.given
    assert all(isinstance(each, fc.Source) for each in watch.given)


# what is wrong


@pytest.mark.parametrize("kind", [fc.MLPClassifier, fc.MLPRegressor])
def test_targets_and_weights_are_given_once(kind: Any) -> None:
    model = kind(**QUICK)
    y = YR if kind is fc.MLPRegressor else Y
    for call in (model.fit, model.partial_fit, kind(**QUICK).fit(X, y).score):
        with pytest.raises(InputTypeError, match=r"^y is missing: this Rows has no targets of its own\. Give"):
            call(Rows(X))
        with pytest.raises(ConfigError, match=r"^y is given, and X, a Rows, has its own: give one"):
            call(Rows(X, y), y)
        with pytest.raises(ConfigError, match=r"^sample_weight is given, and X, a Rows, has its own"):
            call(Rows(X, y, W), sample_weight=W)
    with pytest.raises(InputTypeError, match=r"^y_val is missing: this Rows"):
        model.fit(Rows(X, y), X_val=Rows(X))
    with pytest.raises(ConfigError, match=r"^sample_weight_val is given, and X_val, a Rows"):
        model.fit(X, y, X_val=Rows(X, y, W), sample_weight_val=W)
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        model.fit(X)
    assert not hasattr(model, "coefs_")


def test_a_path_in_place_of_rows_is_refused_with_what_reads_it() -> None:
    fitted = regressor().fit(X, YR)
    for call in (
        lambda: regressor().fit("rows/*.parquet"),
        lambda: regressor().fit(Path("rows.parquet"), YR),
        lambda: regressor().partial_fit("rows.parquet", YR),
        lambda: fitted.predict("rows.parquet"),
        lambda: fitted.score("rows.parquet", YR),
    ):
        with pytest.raises(InputTypeError, match=r"X is the path 'rows.*fc\.Parquet\(path, target"):
            call()
    with pytest.raises(InputTypeError, match="X_val is the path"):
        regressor().fit(X, YR, X_val="rows.parquet")


@pytest.mark.parametrize("shape", [(0, 4), (900, 0), (900,), (900, 2, 2)])
def test_a_source_has_rows_of_features(shape: tuple[int, ...]) -> None:
    source = Rows()
    source.shape = shape
    with pytest.raises(ShapeError, match=r"X, a Rows, has shape .*; \(rows, features\) is wanted"):
        regressor().fit(source, YR[: shape[0]])
    with pytest.raises(ShapeError, match="X, a Rows, has shape"):
        regressor().fit(X, YR).predict(source)


def test_targets_that_do_not_fit_are_refused_as_those_of_an_array() -> None:
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        regressor().fit(Rows(X, YR[:-1]))
    with pytest.raises(ValueError, match="Input y contains NaN"):
        regressor().fit(Rows(X, np.where(np.arange(ROWS) == 5, np.nan, YR)))
    with pytest.raises(TypeError, match="numbers are wanted"):
        regressor().fit(Rows(X, Y))
    with pytest.raises(ValueError, match="sample_weight"):
        regressor().fit(Rows(X, YR, W[:-1]))
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        regressor().fit(Rows(X, YR, -W))


@pytest.mark.parametrize(
    "more", [{}, {"early_stopping": True}, {"scale": True, "early_stopping": True}, {"solver": "lbfgs"}]
)
def test_a_number_that_is_missing_is_named_with_its_place(tmp_path: Path, more: dict[str, Any]) -> None:
    of = table(YR, W).to_pydict()
    of["c"][605] = None
    pa = pytest.importorskip("pyarrow")
    source = parquet(tmp_path, pa.table(of), weight="w")
    found = r"[xX]\[605, 2\] is nan.*3\.parquet, row group 0, its row 5, column 'c'"
    model = regressor(**more)
    with pytest.raises(DataError, match=found):
        model.fit(source)
    assert not hasattr(model, "coefs_")
    model = regressor().fit(X, YR)
    with pytest.warns(UserWarning, match="X has feature names"), pytest.raises(DataError, match=found):
        model.predict(source)


@pytest.mark.parametrize("more", [{}, {"early_stopping": True}])
def test_a_shard_that_is_gone_leaves_the_estimator_as_after_the_last_epoch(
    small: None, tmp_path: Path, more: dict[str, Any]
) -> None:
    source = parquet(tmp_path, table(YR))

    def remove(epoch: Any) -> None:
        if epoch.number == 2:
            (tmp_path / "3.parquet").rename(tmp_path / "elsewhere")

    model = regressor(callback=remove, **more, max_iter=5)
    with pytest.raises(FileAccessError, match=r"3\.parquet is gone"):
        model.fit(source)
    (tmp_path / "elsewhere").rename(tmp_path / "3.parquet")
    other = regressor(max_iter=2).fit(source) if not more else None
    assert model.n_iter_ == 2
    assert len(model.loss_curve_) == 2
    if other is not None:
        assert same(model, other)
        for each in (model, other):
            each.callback = None
            each.partial_fit(source)
        assert same(model, other)  # the steps of the epoch that was not finished do not count
    model = regressor().fit(X, YR)
    before = pickle.dumps(model)
    (tmp_path / "0.parquet").unlink()
    with pytest.raises(FileAccessError, match="gone"):
        model.partial_fit(source)
    assert pickle.dumps(model) == before


def test_a_block_of_another_shape_is_refused() -> None:
    class Short(Rows):
        def block(self, start: int, stop: int) -> Any:
            return self.x[start : stop - 1]

    for more in ({}, {"early_stopping": True}, {"scale": True}, {"solver": "lbfgs"}):
        with pytest.raises(ShapeError, match=r"a Short, (come with the shape|have 899 rows)"):
            regressor(**more).fit(Short(X, YR))


def test_a_classifier_of_a_source_is_as_good_as_another_librarys() -> None:
    model = classifier(solver="lbfgs", max_iter=100).fit(Rows(X, Y))
    assert model.score(Rows(X, Y)) >= LogisticRegression(solver="newton-cg").fit(X, Y).score(X, Y) - 0.02


# what is said of a fit that has not converged


def long_and_sorted(rows: int = 20_000, shards: int = 100) -> tuple[Any, Any, Any]:
    """Return inputs, labels, and the same in shards of which each is sorted by the label."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 4))
    y = np.array(["no", "yes"])[(x[:, 0] > 0.5).astype(int)]
    by_label = np.lexsort([y == "yes", np.arange(rows) * shards // rows])
    return x, y, Rows(x[by_label], y[by_label], shards=[rows // shards] * shards)


def said(model: Any, *given: Any) -> str:
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(*given)
    return str(caught[0].message)


def test_a_warning_looks_at_rows_of_a_few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "WINDOW", 4000 * 4 * 8)
    x, y, _ = long_and_sorted()
    for shards in ([200] * 100, [0, 150, 50, 0] * 100, None):
        source = Rows(x, y, shards=shards)
        assert "reached" in said(classifier(max_iter=1), source)
        assert sum(stop - start for start, stop in source.read) < 1.1 * len(x)  # the epoch, and some rows
    w = np.where(np.arange(len(x)) % 4000 < 2000, 1.0, 0.0)
    source = Rows(np.where(w[:, None] > 0, x, np.nan), y, w, [200] * 100)
    assert "reached" in said(classifier(max_iter=1), source)
    assert sum(stop - start for start, stop in source.read) < 0.6 * len(x)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize(("model", "epochs"), [(classifier, 2), (regressor, 12)])  # too few to learn, and enough
def test_rows_that_are_sorted_by_their_targets_do_not_stand_for_others(model: Any, epochs: int, weights: bool) -> None:
    x, y, source = long_and_sorted()
    how = {"max_iter": epochs, "learning_rate_init": 0.003, "batch_size": 2000}
    if model is regressor:
        by_number = np.argsort(x[:, 0])
        y, source = 2 * x[:, 0], Rows(x[by_number], 2 * x[by_number, 0], shards=[len(x)])
    source.w = np.where(np.arange(len(x)) % 7 > 0, 1.0, 0.0) if weights else None
    for given in ((source,), (x, y)):
        assert ("nothing has been learned" in said(model(**how), *given)) == (epochs == 2)
