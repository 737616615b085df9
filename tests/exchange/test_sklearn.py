"""Models of scikit-learn that arrive, and estimators that leave as its own: they predict the same both ways."""

import pickle
import sys
import warnings
from inspect import signature

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.errors import ConfigError, DataError, InputTypeError, MissingPackageError
from fullyconnected.exchange.sklearn.proof import require_equal

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector  # noqa: E402
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.ensemble import VotingClassifier  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import Ridge  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import Pipeline, make_pipeline  # noqa: E402
from sklearn.preprocessing import (  # noqa: E402
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer"),
    pytest.mark.filterwarnings("ignore:lbfgs failed"),
    pytest.mark.filterwarnings("ignore:Found unknown categories"),
    pytest.mark.filterwarnings("ignore:.*valid feature names"),
    pytest.mark.filterwarnings("ignore:Training ended"),
]
poisson = pytest.mark.skipif("loss" not in signature(MLPRegressor).parameters, reason="scikit-learn 1.7 has the loss")

IRIS, SPECIES = load_iris(return_X_y=True)
SUGAR, PROGRESS = load_diabetes(return_X_y=True)
LABELS = {
    "binary": SPECIES == 0,
    "texts": np.array(["setosa", "versicolor", "virginica"])[SPECIES],
    "two texts": np.where(SPECIES == 0, "yes", "no"),
    "numbers": SPECIES * 7 - 3,
    "several": np.stack([SPECIES == 0, SPECIES != 2], axis=1).astype(int),
}


def classifier(**settings):
    return MLPClassifier(**{"hidden_layer_sizes": (6, 5), "max_iter": 8, "random_state": 0, **settings})


def regressor(**settings):
    return MLPRegressor(**{"hidden_layer_sizes": (6, 5), "max_iter": 8, "random_state": 0, **settings})


def results(model, X):
    found = model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)
    return np.asarray(found).reshape(len(X), -1)


def assert_same(model, made, X, tolerance=1e-9):
    """The estimator predicts what the model does, to a share of the largest result."""
    wanted, found = results(model, X), results(made, X)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= tolerance * np.abs(wanted).max()
    if hasattr(made, "classes_"):
        np.testing.assert_array_equal(made.classes_, model.classes_)
        assert made.classes_.dtype == model.classes_.dtype
        np.testing.assert_array_equal(made.predict(X), model.predict(X))


def assert_same_weights(one, other):
    for a, b in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


# a perceptron alone, there and back


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_a_classifier_keeps_its_weights_bit_for_bit_there_and_back(activation, labels):
    model = classifier(activation=activation).fit(IRIS, LABELS[labels])
    made = fc.exchange.from_sklearn(model)
    assert type(made) is fc.MLPClassifier
    assert_same_weights(model, made)
    assert_same(model, made, IRIS, 1e-12)
    assert made.predict(IRIS).dtype == model.predict(IRIS).dtype
    if labels in ("binary", "two texts"):
        z = model.predict_proba(IRIS)[:, 1]
        np.testing.assert_allclose(1 / (1 + np.exp(-made.decision_function(IRIS))), z, rtol=1e-9)
    back = fc.exchange.to_sklearn(made)
    assert type(back) is MLPClassifier
    assert_same_weights(model, back)
    np.testing.assert_array_equal(results(back, IRIS), results(model, IRIS))
    assert back.get_params() == model.get_params()


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regressor_keeps_its_weights_bit_for_bit_there_and_back(outputs):
    y = PROGRESS if outputs == 1 else np.stack([PROGRESS, -2 * PROGRESS], axis=1)
    model = regressor(activation="tanh").fit(SUGAR, y)
    made = fc.exchange.from_sklearn(model)
    assert made.predict(SUGAR).shape == y.shape
    assert_same(model, made, SUGAR, 1e-12)
    back = fc.exchange.to_sklearn(made)
    assert_same_weights(model, back)
    np.testing.assert_array_equal(back.predict(SUGAR), model.predict(SUGAR))


@poisson
def test_rates_come_and_go():
    model = regressor(loss="poisson", max_iter=30).fit(SUGAR, PROGRESS / 50)
    made = fc.exchange.from_sklearn(make_pipeline(StandardScaler(), model).fit(SUGAR, PROGRESS / 50))
    assert made.loss == "poisson"
    assert_same(make_pipeline(StandardScaler().fit(SUGAR), made and model), made, SUGAR)
    back = fc.exchange.to_sklearn(fc.exchange.from_sklearn(model))
    assert (back.out_activation_, back.loss) == ("exp", "poisson")
    np.testing.assert_array_equal(back.predict(SUGAR), model.predict(SUGAR))


@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "adam"},
        {"solver": "sgd", "learning_rate_init": 0.01},
        {"solver": "sgd", "nesterovs_momentum": False, "learning_rate": "invscaling", "learning_rate_init": 0.1},
        {"solver": "sgd", "momentum": 0.0},
    ],
    ids=str,
)
def test_training_goes_on_with_the_moments_in_both_directions(settings):
    """Without the moments, the first step would differ by far more than rounding."""
    model = classifier(**settings).fit(IRIS, SPECIES)
    made = fc.exchange.from_sklearn(model)
    back = fc.exchange.to_sklearn(made)
    for each in (model, made, back):
        for _ in range(3):
            each.partial_fit(IRIS, SPECIES)
    for a, b, c in zip(model.coefs_, made.coefs_, back.coefs_, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-10)
        np.testing.assert_allclose(c, a, rtol=0, atol=1e-10)


def test_parameters_and_records_are_taken_over():
    model = classifier(alpha=0.3, learning_rate_init=0.02, early_stopping=True, n_iter_no_change=3, max_iter=30)
    made = fc.exchange.from_sklearn(model.fit(IRIS, SPECIES))
    theirs = model.get_params()
    assert {name: value for name, value in made.get_params().items() if name in theirs} == theirs
    assert clone(made).get_params() == made.get_params()
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "loss_"):
        assert getattr(made, name) == getattr(model, name)
    assert made.loss_curve_ == model.loss_curve_
    assert made.validation_scores_ == model.validation_scores_
    back = fc.exchange.to_sklearn(made)
    assert (back.loss_curve_, back.validation_scores_) == (model.loss_curve_, model.validation_scores_)
    pickle.loads(pickle.dumps(back)).set_params(warm_start=True).fit(IRIS, SPECIES)
    made.set_params(warm_start=True).fit(IRIS, SPECIES)


def test_nothing_is_shared_with_the_source():
    model = classifier(random_state=np.random.RandomState(0)).fit(IRIS, SPECIES)
    made = fc.exchange.from_sklearn(model)
    back = fc.exchange.to_sklearn(made)
    before = results(model, IRIS), model.random_state.get_state()[1].copy(), model._optimizer.ms[0].copy()
    for each in (back, made):
        each.partial_fit(IRIS, SPECIES)
        each.coefs_[0][...] = 0
        each.classes_[...] = 7
    np.testing.assert_array_equal(results(model, IRIS), before[0])
    np.testing.assert_array_equal(model.random_state.get_state()[1], before[1])
    np.testing.assert_array_equal(model._optimizer.ms[0], before[2])
    assert model.classes_.tolist() == [0, 1, 2]


def test_weights_of_float32_stay_so():
    model = classifier().fit(IRIS.astype(np.float32), SPECIES)
    made = fc.exchange.from_sklearn(model)
    assert made.network_.dtype == np.float32
    assert_same_weights(model, made)
    assert_same_weights(model, fc.exchange.to_sklearn(made))


def test_a_model_without_hidden_layers_and_one_of_a_single_class():
    for model in (classifier(hidden_layer_sizes=()).fit(IRIS, SPECIES), classifier().fit(IRIS, np.zeros(150))):
        assert_same(model, fc.exchange.from_sklearn(model), IRIS)


def test_sparse_labels_and_rows_stay_possible():
    sparse = pytest.importorskip("scipy.sparse")
    X = sparse.csr_matrix(IRIS)
    model = make_pipeline(StandardScaler(with_mean=False), classifier()).fit(X, SPECIES)
    made = fc.exchange.from_sklearn(model)
    np.testing.assert_allclose(made.predict_proba(X), model.predict_proba(X), atol=1e-12)
    several = classifier().fit(IRIS, sparse.csr_matrix(LABELS["several"]))
    found = fc.exchange.from_sklearn(several).predict(IRIS)
    assert (found != several.predict(IRIS)).nnz == 0


def test_a_pickle_that_lacks_what_later_versions_keep():
    model = classifier().fit(IRIS, SPECIES)
    for name in ("n_features_in_", "loss_curve_", "_no_improvement_count", "_optimizer", "best_loss_"):
        vars(model).pop(name)
    made = fc.exchange.from_sklearn(model)
    assert made.n_features_in_ == 4
    made.partial_fit(IRIS, SPECIES)


# behind scalers


@pytest.mark.parametrize(
    "steps",
    [
        (StandardScaler(),),
        (StandardScaler(with_mean=False),),
        (StandardScaler(with_std=False),),
        (MinMaxScaler((-1, 3)),),
        (RobustScaler(), FunctionTransformer(None), "passthrough"),
        (MaxAbsScaler(), StandardScaler(), MinMaxScaler()),
        (ColumnTransformer([("two", StandardScaler(), [3, 1])], remainder="passthrough"),),
        (
            ColumnTransformer(
                [("one", MinMaxScaler(), slice(2, 4)), ("two", "passthrough", [True, True, False, False])]
            ),
        ),
    ],
    ids=lambda steps: " ".join(type(step).__name__ for step in steps),
)
def test_columns_that_are_scaled_are_the_beginning_of_the_network(steps):
    model = make_pipeline(*steps, classifier()).fit(IRIS, SPECIES)
    made = fc.exchange.from_sklearn(model)
    assert type(made) is fc.MLPClassifier
    assert made.scale
    assert_same(model, made, IRIS)
    inner = model[:-1].transform(IRIS)
    for _ in range(2):  # columns in another order have their moments in another order
        model[-1].partial_fit(inner, SPECIES)
        made.partial_fit(IRIS, SPECIES)
    assert_same(model, made, IRIS)


def test_a_constant_column_and_one_far_from_zero():
    X = IRIS.copy()
    X[:, 1] += 1e9
    X[:, 2] = 5
    for scaler in (StandardScaler(), MinMaxScaler(), RobustScaler(), MaxAbsScaler(), MinMaxScaler(clip=True)):
        model = make_pipeline(scaler, classifier()).fit(X, SPECIES)
        # scikit-learn's MinMaxScaler loses the seven digits itself: x scale + min
        assert_same(model, fc.exchange.from_sklearn(model), X, 1e-6)


@pytest.mark.skipif("clip" not in signature(MaxAbsScaler).parameters, reason="a later scikit-learn has the parameter")
def test_a_scaler_by_the_largest_value_may_cut():
    model = make_pipeline(MaxAbsScaler(clip=True), classifier()).fit(IRIS, SPECIES)
    assert_same(model, fc.exchange.from_sklearn(model), IRIS * 3 - 5)


def test_a_scaler_leaves_as_one_and_its_names_stay():
    frame, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = fc.MLPClassifier((5,), scale=True, max_iter=5, random_state=0).fit(frame, y)
    theirs = fc.exchange.to_sklearn(model)
    assert [type(step) for _, step in theirs.steps] == [StandardScaler, MLPClassifier]
    np.testing.assert_array_equal(theirs.feature_names_in_, frame.columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(theirs.predict_proba(frame), model.predict_proba(frame), atol=1e-12)
    back = fc.exchange.from_sklearn(pickle.loads(pickle.dumps(theirs)))
    np.testing.assert_array_equal(back.feature_names_in_, frame.columns)
    assert back.network_.layers[0] == model.network_.layers[0]
    assert_same_weights(back, model)
    clone(theirs).fit(frame, y)


@pytest.mark.parametrize("outputs", [1, 2])
def test_targets_that_are_scaled_come_and_go(outputs):
    y = PROGRESS if outputs == 1 else np.stack([PROGRESS, -2 * PROGRESS], axis=1)
    inner = make_pipeline(StandardScaler(), regressor())
    model = TransformedTargetRegressor(inner, transformer=StandardScaler()).fit(SUGAR, y)
    made = fc.exchange.from_sklearn(model)
    assert type(made.network_.layers[-1]) is fc.Rescale
    assert_same(model, made, SUGAR)
    back = fc.exchange.to_sklearn(made)
    assert type(back) is TransformedTargetRegressor
    np.testing.assert_array_equal(back.predict(SUGAR), model.predict(SUGAR))
    ours = fc.MLPRegressor(hidden_layer_sizes=5, scale=True, max_iter=5, random_state=0).fit(SUGAR, y)
    assert_same(fc.exchange.to_sklearn(ours), ours, SUGAR)
    assert_same_weights(fc.exchange.from_sklearn(fc.exchange.to_sklearn(ours)), ours)
    made.partial_fit(SUGAR, y)


def test_a_search_gives_its_best_estimator():
    search = GridSearchCV(make_pipeline(StandardScaler(), classifier()), {"mlpclassifier__alpha": [1e-4, 30.0]}, cv=2)
    search.fit(IRIS, SPECIES)
    made = fc.exchange.from_sklearn(search)
    assert made.alpha == search.best_params_["mlpclassifier__alpha"]
    assert_same(search, made, IRIS)
    assert_same(search, fc.exchange.from_sklearn(make_pipeline("passthrough", search).fit(IRIS, SPECIES)), IRIS, 1)


# tables


def table(n=240):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 10, n),
            "pay": rng.exponential(1e4, n),
            "city": rng.choice(["Oslo", "Bergen", "Paris", "Rome", "Tromsø"], n, p=[0.4, 0.3, 0.2, 0.08, 0.02]),
            "sex": rng.choice(["m", "f"], n),
            "code": rng.integers(0, 5, n),
            "note": rng.choice(["a", "b"], n),
        }
    ).astype({"city": object, "sex": object, "note": object})
    frame.loc[::7, "age"] = np.nan
    frame.loc[::9, "city"] = np.nan
    return frame, np.where((frame["pay"] > 8000) ^ (frame["sex"] == "m"), "hi", "lo")


NUMBERS = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
LEVELS = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
USUAL = ColumnTransformer([("numbers", NUMBERS, ["age", "pay"]), ("levels", LEVELS, ["city", "sex"])])
ENCODERS = [
    OneHotEncoder(handle_unknown="ignore"),
    OneHotEncoder(drop="first"),
    OneHotEncoder(drop="if_binary", sparse_output=False),
    OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist"),
    OneHotEncoder(max_categories=3, drop="first", handle_unknown="ignore"),
    OneHotEncoder(min_frequency=0.1, handle_unknown="ignore"),
    OneHotEncoder(drop=["Oslo", "m", 0], handle_unknown="ignore"),
]


def strange(frame):
    """Return rows with missing cells and levels that the training did not have."""
    frame = frame.copy()
    frame.loc[1, ["age", "city"]] = np.nan, "Atlantis"
    frame.loc[2, ["sex"]] = "x"
    return frame


def test_a_usual_pipeline_reads_the_same_table(tmp_path):
    frame, y = table()
    model = make_pipeline(USUAL, classifier()).fit(frame, y)
    made = fc.exchange.from_sklearn(model)
    assert type(made) is fc.TabularClassifier
    assert_same(model, made, frame)
    assert_same(model, made, strange(frame))
    made.save(path := tmp_path / "model.safetensors")
    for again in (fc.load_estimator(path), fc.Predictor(path)):
        np.testing.assert_array_equal(again.predict_proba(frame), made.predict_proba(frame))
    assert fc.Predictor(path).predict({"age": None, "pay": 1.0, "city": "Rome", "sex": "f"}).tolist()[0] in ("hi", "lo")
    said = " ".join(str(fc.load_estimator(path).report_).split())  # lines are as wide as the terminal
    assert "240 rows: 2 numbers and 2 categories; 2 columns are left out" in said
    assert "scikit-learn" in said
    assert "held out" not in said
    assert "scikit-learn" in made.report_.to_html()
    assert "scikit-learn" in made.report_._repr_html_()
    assert clone(made).get_params() == made.get_params()
    with pytest.raises(ConfigError, match="or it was trained elsewhere"):
        made.contributions(frame)


def test_a_usual_pipeline_leaves_as_onnx_with_the_cells_of_the_table(tmp_path):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    frame, y = table()
    model = make_pipeline(USUAL, classifier()).fit(frame, y)
    fc.exchange.to_onnx(fc.exchange.from_sklearn(model), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    odd = strange(frame)
    cells = {name: odd[[name]].to_numpy(np.float32) for name in ("age", "pay")}
    cells |= {name: odd[[name]].fillna("").to_numpy(object) for name in ("city", "sex")}
    label, p = session.run(["label", "y"], cells)
    np.testing.assert_allclose(p, model.predict_proba(odd), atol=1e-5)
    assert label.tolist() == model.predict(odd).tolist()
    fc.exchange.to_c(fc.exchange.from_sklearn(model), tmp_path / "model.c")


def leaving_through():
    """Yield models of scikit-learn with which converters of them are known to have trouble, and their rows."""
    frame, y = table()
    X = frame[["pay", "code"]].to_numpy()
    gaps = frame[["age", "pay"]].to_numpy()
    yield "outputs", regressor().fit(X / 1e4, np.stack([X[:, 0], X[:, 1], -X[:, 0]], axis=1) / 1e4), X / 1e4
    yield "texts", classifier().fit(X, y), X
    yield "truth", classifier().fit(X, X[:, 1] > 2), X
    yield "labels", classifier().fit(X, np.stack([X[:, 1] > 2, X[:, 0] > 8000], axis=1).astype(int)), X
    yield (
        "indicator",
        make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), classifier()).fit(gaps, y),
        gaps,
    )
    few = OneHotEncoder(min_frequency=30, handle_unknown="infrequent_if_exist")
    for name, encoder in (("rare", few), ("a missing level", OneHotEncoder())):
        steps = ColumnTransformer([("c", encoder, ["city"])])
        yield name, make_pipeline(steps, classifier()).fit(frame, y), frame
    if "loss" in signature(MLPRegressor).parameters:
        yield "rates", regressor(loss="poisson").fit(X / 1e4, X[:, 0] / 1e4), X / 1e4


def test_models_leave_through_here_as_onnx_with_their_shapes_and_labels(tmp_path):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    for name, model, X in leaving_through():
        made = fc.exchange.from_sklearn(model)
        fc.exchange.to_onnx(made, path := tmp_path / f"{name}.onnx")
        session = onnxruntime.InferenceSession(path)
        cells = {}
        for each in session.get_inputs():
            if each.name == "x":
                cells["x"] = X.astype(np.float32)
            elif each.type == "tensor(string)":
                cells[each.name] = X[[each.name]].fillna("").to_numpy(object)
            else:
                cells[each.name] = X[:, [int(each.name[1:])]].astype(np.float32)
        wanted = results(model, X)
        found = session.run(["y"], cells)[0]
        assert found.shape[0] == len(X)
        if found.shape[1] < wanted.shape[1]:
            found = np.concatenate([1 - found, found], axis=1)
        np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max(), err_msg=name)
        if hasattr(model, "classes_"):
            labels = session.run(["label"], cells)[0]
            assert (labels == model.predict(X)).mean() > 0.99, name


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_levels_are_encoded_as_each_encoder_does(encoder):
    frame, y = table()
    steps = ColumnTransformer(
        [
            ("levels", encoder, ["city", "sex", "code"]),
            ("cut", MinMaxScaler((-1, 2), clip=True), ["pay"]),
            ("constant", SimpleImputer(strategy="constant", fill_value=-3.5), [0]),
        ]
    )
    model = make_pipeline(steps, classifier()).fit(frame, y)
    made = fc.exchange.from_sklearn(model)
    assert_same(model, made, frame)
    beyond = frame.copy()
    beyond["pay"] = beyond["pay"] * 100 - 1e4  # what is cut
    if encoder.handle_unknown != "error":
        beyond = strange(beyond)
        beyond.loc[3, "code"] = 77
    assert_same(model, made, beyond)


@pytest.mark.parametrize("encoder", ENCODERS[:-1], ids=str)
def test_what_is_encoded_may_be_scaled_and_cut(encoder):
    frame, y = table()
    steps = ColumnTransformer(
        [
            ("levels", encoder, make_column_selector(dtype_include=object)),
            ("gaps", SimpleImputer(add_indicator=True), ["age"]),
        ],
        sparse_threshold=0,
    )
    model = make_pipeline(steps, StandardScaler(), MinMaxScaler(clip=True), classifier()).fit(frame, y)
    made = fc.exchange.from_sklearn(model)
    assert_same(model, made, frame)
    if encoder.handle_unknown != "error":
        assert_same(model, made, strange(frame))


@pytest.mark.parametrize(
    "steps",
    [
        [ColumnTransformer([("n", StandardScaler(), slice(0, 2)), ("c", LEVELS, [2, 3])], remainder="passthrough")],
        [ColumnTransformer([("n", StandardScaler(), [0, 4]), ("c", "drop", [2, 3])])],
        [ColumnTransformer([("a", StandardScaler(), ["pay", "age"]), ("b", RobustScaler(), ["pay"])])],
        [ColumnTransformer([("a", "passthrough", ["age"]), ("b", SimpleImputer(strategy="median"), ["age"])])],
        [ColumnTransformer([("a", NUMBERS, ["age"]), ("b", SimpleImputer(strategy="constant"), ["age"])])],
        [ColumnTransformer([("a", MinMaxScaler(clip=True), ["age"])]), SimpleImputer(add_indicator=True)],
        [ColumnTransformer([("a", make_pipeline(LEVELS, MaxAbsScaler()), ["city"]), ("n", "drop", ["pay"])])],
        [ColumnTransformer([("a", OneHotEncoder(), ["city"]), ("b", OneHotEncoder(drop="first"), ["city", "sex"])])],
        [
            ColumnTransformer(
                [("a", make_pipeline(SimpleImputer(strategy="constant", fill_value="?", add_indicator=True),
                                     OneHotEncoder(handle_unknown="ignore")), ["city", "sex"])]
            )
        ],
    ],
)  # fmt: skip
def test_columns_are_chosen_dropped_and_used_twice(steps):
    frame, y = table()
    frame = frame.drop(columns="note")
    model = make_pipeline(*steps, SimpleImputer(), classifier()).fit(frame, y)
    made = fc.exchange.from_sklearn(model)
    assert isinstance(made, fc.TabularClassifier)
    assert_same(model, made, frame)


def test_arrays_are_read_by_place():
    frame, y = table()
    X = frame[["age", "city", "sex"]].to_numpy(object)
    model = make_pipeline(ColumnTransformer([("n", NUMBERS, [0]), ("c", LEVELS, [1, 2])]), classifier()).fit(X, y)
    made = fc.exchange.from_sklearn(model)
    assert not hasattr(made, "feature_names_in_")
    assert_same(model, made, X)
    numbers = frame[["age", "pay"]].to_numpy()
    for steps in ([SimpleImputer(), StandardScaler()], [StandardScaler(), SimpleImputer(add_indicator=True)]):
        model = make_pipeline(*steps, classifier()).fit(numbers, y)
        assert_same(model, fc.exchange.from_sklearn(model), numbers)


def test_an_encoder_alone_with_levels_in_an_order_of_its_own():
    frame, y = table()
    cities = ["Rome", "Oslo", "Paris", "Tromsø", "Bergen", np.nan]
    encoder = OneHotEncoder(categories=[["m", "f"], cities], handle_unknown="ignore")
    model = make_pipeline(encoder, classifier()).fit(frame[["sex", "city"]], y)
    assert_same(model, fc.exchange.from_sklearn(model), strange(frame)[["sex", "city"]])


OBJECTS = {
    "truth": [True, False, None],
    "truth alone": [True, False],
    "numbers": [1, 2, None],
    "numbers with a gap": [1, 2, np.nan],
    "texts": ["a", "b", None],
}


@pytest.mark.parametrize("as_table", [True, False])
@pytest.mark.parametrize("handle_unknown", ["ignore", "error"])
@pytest.mark.parametrize("name", OBJECTS)
def test_levels_that_are_objects(name, handle_unknown, as_table):
    """Scikit-learn predicts its own table: so does the proof, whose cells are objects, too."""
    pd = pytest.importorskip("pandas")
    cells = pd.Series(OBJECTS[name] * 20, dtype=object)
    frame = pd.DataFrame({"it": cells, "n": np.arange(len(cells)) % 7.0})
    X = frame if as_table else frame.to_numpy(object)
    steps = ColumnTransformer([("c", OneHotEncoder(handle_unknown=handle_unknown), ["it"] if as_table else [0])])
    model = make_pipeline(steps, classifier()).fit(X, np.arange(len(cells)) % len(OBJECTS[name]) == 0)
    assert_same(model, fc.exchange.from_sklearn(model), X)


@pytest.mark.parametrize("gap", [None, np.nan], ids=str)
@pytest.mark.parametrize("strategy", ["most_frequent", "constant"])
def test_missing_cells_are_as_the_imputer_takes_them(gap, strategy):
    """An imputer of None takes no NaN, and one of NaN no None."""
    for some in (["a", "b", "b"], [True, False, True]):
        X = np.array([*some, gap] * 20, object)[:, None]
        imputer = SimpleImputer(missing_values=gap, strategy=strategy, fill_value=some[0])
        model = make_pipeline(imputer, OneHotEncoder(), classifier()).fit(X, np.arange(80) % 4 == 0)
        assert_same(model, fc.exchange.from_sklearn(model), X)


def test_levels_that_are_texts_of_numpy():
    X = np.array(["Oslo", "Rome", "Bergen"] * 20)[:, None]
    model = make_pipeline(OneHotEncoder(), classifier()).fit(X, X[:, 0] == "Rome")
    assert_same(model, fc.exchange.from_sklearn(model), X)


def test_levels_with_space_around_them_and_cells_that_stand_for_missing():
    frame, y = table()
    frame["city"] = [f" {city}" if isinstance(city, str) else "?" for city in frame["city"]]  # as in the adult data set
    filled = make_pipeline(SimpleImputer(missing_values="?", strategy="most_frequent"), OneHotEncoder())
    for each in (OneHotEncoder(), filled):
        model = make_pipeline(ColumnTransformer([("c", each, ["city"])]), classifier()).fit(frame, y)
        assert_same(model, fc.exchange.from_sklearn(model), frame)


@pytest.mark.parametrize("labels", ["several", "numbers", "truth"])
def test_tables_predict_labels_of_each_kind(labels):
    frame, _ = table()
    y = {
        "several": np.stack([frame["sex"] == "m", frame["code"] > 2], axis=1).astype(int),
        "numbers": frame["code"].to_numpy(),
        "truth": (frame["code"] > 2).to_numpy(),
    }[labels]
    model = make_pipeline(USUAL, classifier()).fit(frame, y)
    made = fc.exchange.from_sklearn(model)
    assert_same(model, made, frame)
    assert made.predict(frame).dtype == model.predict(frame).dtype


@pytest.mark.parametrize("loss", ["squared_error", pytest.param("poisson", marks=poisson)])
@pytest.mark.parametrize("outputs", [1, 2])
def test_tables_predict_numbers(loss, outputs, tmp_path):
    frame, _ = table()
    y = frame["pay"].to_numpy() / 1e4
    y = y if outputs == 1 else np.stack([y, 2 * y], axis=1)
    settings = {} if loss == "squared_error" else {"loss": loss}
    model = make_pipeline(USUAL, regressor(**settings)).fit(frame, y)
    made = fc.exchange.from_sklearn(model)
    assert type(made) is fc.TabularRegressor
    assert made.predict(frame).shape == y.shape
    assert_same(model, made, frame)
    made.save(tmp_path / "it")
    np.testing.assert_array_equal(fc.Predictor(tmp_path / "it").predict(frame), made.predict(frame))
    fc.exchange.to_python(made, tmp_path / "it.py")
    for scaler in (StandardScaler(), MinMaxScaler()):
        around = TransformedTargetRegressor(make_pipeline(USUAL, regressor()), transformer=scaler).fit(frame, 1e5 * y)
        assert_same(around, fc.exchange.from_sklearn(around), frame)
    with pytest.raises(ConfigError, match="trained elsewhere"):
        made.predict_interval(frame)


def test_many_levels_and_many_columns():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.permutation(np.resize(np.arange(3000), 6000)), rng.integers(0, 3, (6000, 200))])
    model = make_pipeline(OneHotEncoder(), classifier(max_iter=1, hidden_layer_sizes=(4,))).fit(X, X[:, 1])
    assert_same(model, fc.exchange.from_sklearn(model), X[:500])


# random settings


def test_any_pipeline_is_held_or_refused(examples):
    hypothesis = pytest.importorskip("hypothesis")
    st = hypothesis.strategies
    pytest.importorskip("pandas")
    frame, y = table(120)
    scalers = st.sampled_from(
        [
            StandardScaler(),
            MinMaxScaler(),
            MinMaxScaler((2, 5), clip=True),
            RobustScaler(),
            MaxAbsScaler(),
            "passthrough",
        ]
    )
    imputers = st.builds(
        SimpleImputer,
        strategy=st.sampled_from(["mean", "median", "most_frequent"]),
        add_indicator=st.booleans(),
    )
    encoders = st.builds(
        OneHotEncoder,
        drop=st.sampled_from([None, "first", "if_binary"]),
        handle_unknown=st.sampled_from(["error", "ignore", "infrequent_if_exist"]),
        min_frequency=st.sampled_from([None, 3, 30]),
        sparse_output=st.booleans(),
    )
    numbers = st.permutations(["age", "pay", "code"]).flatmap(lambda names: st.integers(1, 3).map(lambda n: names[:n]))
    texts = st.permutations(["city", "sex", "note"]).flatmap(lambda names: st.integers(0, 3).map(lambda n: names[:n]))

    @hypothesis.settings(max_examples=examples(100), deadline=None, derandomize=True)
    @hypothesis.given(scalers, scalers, imputers, encoders, numbers, texts, st.booleans())
    def held(first, second, imputer, encoder, numeric, levels, imputer_first):
        inner = [imputer, first, second] if imputer_first else [first, imputer, second]
        steps = ColumnTransformer([("n", make_pipeline(*inner), numeric), ("c", encoder, levels)])
        model = make_pipeline(steps, classifier(max_iter=2, hidden_layer_sizes=(3,)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(frame, y)
            try:
                made = fc.exchange.from_sklearn(model)
            except ConfigError as error:
                assert "cuts column" in str(error)  # noqa: PT017
                return
            assert_same(model, made, frame)

    held()


# what is refused


class Reversed(MLPClassifier):
    """A subclass that predicts something else."""

    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]


def numeric():
    return table(60)[0][["pay", "code"]].to_numpy(), table(60)[1]


def by(*transformers, frame=None, **settings):
    frame = table(60)[0] if frame is None else frame
    return make_pipeline(ColumnTransformer([*transformers], **settings), classifier()).fit(frame, table(60)[1])


def after(*steps, fitted=True):
    model = make_pipeline(*steps, classifier())
    return model.fit(*numeric()) if fitted else model


def broken(**changed):
    model = classifier().fit(*numeric())
    vars(model).update(changed)
    return model


def targets(**settings):
    X, _ = numeric()
    return TransformedTargetRegressor(regressor(), **settings).fit(X, X[:, 0])


def with_levels(one, other):
    def make():
        cells = pytest.importorskip("pandas").Series([one, other] * 30, dtype=object)
        return by(("c", OneHotEncoder(), ["city"]), frame=table(60)[0].assign(city=cells))

    return make


def with_dates():
    frame = table(60)[0].assign(when=np.arange(60).astype("datetime64[D]"))
    return by(("c", OneHotEncoder(), ["when"]), frame=frame)


REFUSED = {
    "unfitted": (classifier, "the MLPClassifier is not fitted"),
    "an unfitted step": (lambda: Pipeline([("s", StandardScaler()), ("m", broken())]), "step 's'.*is not fitted"),
    "unfitted targets": (lambda: TransformedTargetRegressor(regressor()), "not fitted"),
    "a step of another width": (
        lambda: Pipeline([("s", StandardScaler().fit(IRIS)), ("m", broken())]),
        "the steps give 4 columns, and the perceptron reads 2",
    ),
    "a subclass": (lambda: Reversed().fit(*numeric()), "derives from MLPClassifier and may predict something else"),
    "a class": (lambda: MLPClassifier, "is the class sklearn"),
    "a path": (lambda: "model.pkl", "builtins.str"),
    "PCA": (lambda: after(PCA(2)), r"the step 'pca' is sklearn's PCA, .* those that can are StandardScaler, MinMax"),
    "ordinal": (lambda: by(("o", OrdinalEncoder(), ["sex"])), "'columntransformer': o is sklearn's OrdinalEncoder"),
    "a function": (lambda: after(FunctionTransformer(np.log1p)), "FunctionTransformer of .*log1p"),
    "a linear model": (lambda: Ridge().fit(IRIS, SPECIES), "it has to end in an MLPClassifier or MLPR"),
    "a vote": (lambda: VotingClassifier([("a", classifier())]).fit(*numeric()), "is a VotingClassifier"),
    "a search": (
        lambda: GridSearchCV(classifier(), {"alpha": [1]}, refit=False, cv=2).fit(*numeric()),
        "a GridSearchCV without a best_estimator_: fit it, with refit=True",
    ),
    "logarithms of targets": (
        lambda: targets(func=np.log1p, inverse_func=np.expm1),
        "FunctionTransformer of .*log1p.*; of targets, StandardScaler",
    ),
    "a number and a category": (
        lambda: by(("a", StandardScaler(), ["pay"]), ("b", OneHotEncoder(), ["pay"])),
        "column 'pay' is a number for one step and a category for another",
    ),
    "weights of transformers": (
        lambda: by(("a", StandardScaler(), ["pay"]), transformer_weights={"a": 2}),
        "has transformer_weights",
    ),
    "zero for missing": (lambda: after(SimpleImputer(missing_values=0)), "replace it in the table"),
    "encoded numbers": (
        lambda: by(("a", make_pipeline(StandardScaler(), OneHotEncoder()), ["code"])),
        "encodes column 4 behind a step that scales or encodes it",
    ),
    "cut twice": (
        lambda: after(MinMaxScaler(clip=True), MinMaxScaler((2, 3), clip=True)),
        "cuts column 0 to a range, which a step before does already",
    ),
    "a level with space": (
        with_levels("Oslo", " Oslo"),
        "tells 'Oslo' of column 2 from ' Oslo', .*: levels are read without the space around them",
    ),
    "large numbers": (with_levels(2**53, 2**53 + 1), "9007199254740993 .*: numbers are read as float64, which rounds"),
    "two forms": (
        with_levels("Troms\xf8\xe9", "Troms\xf8e\u0301"),
        r"composed form, which 'Troms\\xf8\\xe9' and 'Troms\\xf8e\\u0301' have in common",
    ),
    "gaps of two kinds": (with_levels("", None), "None, NaN and an empty text, .* are all missing"),
    "dates": (with_dates, "texts and numbers are known"),
    "no layers": (lambda: broken(coefs_=[]), "0 coefs_"),
    "not finite": (
        lambda: broken(coefs_=[np.full((2, 1), np.nan)], intercepts_=[np.zeros(1)]),
        r"coefs_\[0\] holds numbers that are not finite",
    ),
    "shapes": (
        lambda: broken(coefs_=[np.ones((2, 3)), np.ones((2, 1))], intercepts_=[np.ones(3), np.ones(1)]),
        r"coefs_\[1\] reads 2 units, and the layer before it has 3",
    ),
    "activation": (lambda: broken(activation="gelu"), "'gelu', which scikit-learn does not know"),
    "output": (lambda: broken(out_activation_="exp"), "which it cannot have"),
    "damaged": (
        lambda: broken(out_activation_="softmax"),
        "does not predict what scikit-learn's does.* row 0 of the proof",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_held_is_refused_by_name(name):
    make, message = REFUSED[name]
    with pytest.raises((ConfigError, InputTypeError), match=message):
        fc.exchange.from_sklearn(make())


def test_the_proof_finds_a_wrong_step():
    """A step that computes something else than its attributes say does not pass."""
    model = make_pipeline(StandardScaler(), classifier()).fit(IRIS, SPECIES)
    model[0].transform = lambda X: X * 2
    with pytest.raises(ConfigError, match="does not predict what scikit-learn's does"):
        fc.exchange.from_sklearn(model)
    model[0].transform = lambda X: 1 / 0
    with pytest.raises(ConfigError, match="does not predict rows made of its own means and levels: division"):
        fc.exchange.from_sklearn(model)


def test_a_proof_of_rates_sees_small_ones_beside_large_ones():
    found = np.array([[1e300], [1.0], [2.0], [np.inf], [3.0]])
    require_equal(found, found, 1e-6, "this", "that")
    require_equal(found * (1 + 1e-9), found, 1e-6, "this", "that")
    with pytest.raises(ConfigError, match=r"row 1 of the proof, result 0 is 1.0, and that 1.1"):
        require_equal(found, np.where(found == 1, 1.1, found), 1e-6, "this", "that")
    with pytest.raises(ConfigError, match="row 3 of the proof"):
        require_equal(np.where(np.isinf(found), 5.0, found), found, 1e-6, "this", "that")
    with pytest.raises(ConfigError, match=r"shape \(5, 1\), and that \(1, 5\)"):
        require_equal(found, found.T, 1e-6, "this", "that")


def test_a_step_that_lacks_what_later_versions_keep_is_refused():
    model = after(MinMaxScaler())
    del model[0].clip
    with pytest.raises(ConfigError, match=r"step 'minmaxscaler' is damaged, or pickled by too old a version: .*clip"):
        fc.exchange.from_sklearn(model)


def test_the_proof_sees_other_labels():
    model = make_pipeline(StandardScaler(), classifier()).fit(IRIS, SPECIES)
    model[-1]._label_binarizer.classes_ = np.array([0, 2, 1])
    with pytest.raises(ConfigError, match=r"predicts \S+ for row \d+ of the proof, and scikit-learn's"):
        fc.exchange.from_sklearn(model)


def test_columns_of_one_name_are_refused():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(IRIS[:, :2], columns=["a", "b"])
    model = make_pipeline(SimpleImputer(), classifier()).fit(X, SPECIES)
    model[0].feature_names_in_ = np.array(["a", "a"], object)
    with pytest.raises((ConfigError, DataError), match="both named 'a'"):
        fc.exchange.from_sklearn(model)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "gelu"}, "GELU"),
        ({"hidden_layer_sizes": (4, 4), "activation": ["relu", "tanh"]}, "relu, tanh; scikit-learn has one for all"),
        ({"batch_norm": True}, "a layer BatchNorm"),
        ({"layer_norm": True}, "a layer LayerNorm"),
        ({"residual": True}, "a layer Residual"),
        ({"loss": "hinge"}, "Hinge"),
        ({"loss": fc.SoftmaxCrossEntropy(label_smoothing=0.1)}, "label_smoothing"),
    ],
    ids=str,
)
def test_what_scikit_learn_cannot_hold_is_refused_by_name(settings, message):
    model = fc.MLPClassifier(**{"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0, **settings})
    with pytest.raises(ConfigError, match=message):
        fc.exchange.to_sklearn(model.fit(IRIS, SPECIES))


def test_other_models_that_scikit_learn_cannot_hold():
    for settings, message in [
        ({"loss": "huber"}, "Huber"),
        ({"output_activation": "softplus"}, "Softplus"),
    ]:
        model = fc.MLPRegressor(hidden_layer_sizes=3, max_iter=2, random_state=0, **settings).fit(SUGAR, PROGRESS)
        with pytest.raises(ConfigError, match=message):
            fc.exchange.to_sklearn(model)
    with pytest.raises(ConfigError, match="not fitted"):
        fc.exchange.to_sklearn(fc.MLPClassifier())
    tabular = fc.TabularClassifier(preset="fast", epochs=1, random_state=0).fit(IRIS, SPECIES)
    with pytest.raises(ConfigError, match=r"a vocabulary .*to_onnx"):
        fc.exchange.to_sklearn(tabular)
    for other in (fc.mlp([2, 3]), None, fc.MLPClassifier, classifier()):
        with pytest.raises(InputTypeError, match="is wanted"):
            fc.exchange.to_sklearn(other)


def test_what_matters_to_training_alone_is_left_out(tmp_path):
    settings = {"dropout": 0.2, "weight_decay": 0.1, "solver": "muon", "activation": ["sigmoid", "sigmoid"]}
    model = fc.MLPClassifier((5, 4), max_iter=3, random_state=0, **settings).fit(IRIS, LABELS["several"])
    model.save(tmp_path / "it")
    for each in (model, fc.load_estimator(tmp_path / "it")):
        theirs = fc.exchange.to_sklearn(each)
        assert (theirs.solver, theirs.activation) == ("adam", "logistic")
        assert_same(theirs, model, IRIS, 1e-12)
        theirs.partial_fit(IRIS, LABELS["several"])


@pytest.mark.parametrize("function", [fc.exchange.from_sklearn, fc.exchange.to_sklearn])
def test_without_scikit_learn_the_error_says_what_to_install(function, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingPackageError, match=r"fullyconnected\[sklearn\]"):
        function(None)


def test_a_pipeline_that_reads_no_column_is_refused():
    model = by(("a", OneHotEncoder(), ["sex"]))
    model[0].transformers_ = [("a", "drop", ["sex"])]
    with pytest.raises(ConfigError, match="the steps give 0 columns"):
        fc.exchange.from_sklearn(model)
