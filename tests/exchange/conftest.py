"""Models that leave: networks of everything that is registered, and fitted estimators."""

import warnings

import numpy as np
import pytest

from tests.exchange.networks import NETWORKS


@pytest.fixture(params=[(name, dtype) for name in NETWORKS for dtype in ("float32", "float64")], ids=" ".join)
def net(request):
    """A network of something that is registered, in each dtype."""
    name, dtype = request.param
    return NETWORKS[name](dtype=dtype)


def table(n=240):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    size = rng.exponential(size=n)
    size[::7] = np.nan
    color = rng.choice(["red", "green", 'a */ quote" /* and ??/ \\'], n).astype(object)
    color[::9] = None
    made = pd.DataFrame(
        {
            "weight": rng.normal(size=n),
            "size": size,
            "color": color,
            "sold": pd.date_range("2024-01-01", periods=n),
            "new": rng.random(n) > 0.5,
        }
    )
    price = np.exp(made["weight"] + (color == "red") + 0.1 * rng.normal(size=n)).to_numpy()
    return made, price


def fitted():
    """Yield what makes a fitted estimator of each kind."""
    pytest.importorskip("sklearn")
    import fullyconnected as fc

    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 4)) * [1, 10, 100, 0.1] + 5
    number = x @ [1, 0.1, 0.01, 3] + rng.normal(size=120)
    three = np.digitize(number, np.quantile(number, [0.3, 0.7]))
    names = np.array(["low", "middle", "high"])[three]
    labels = np.stack([number > 7, x[:, 0] > 5], axis=1).astype(int)
    how = {"random_state": 0, "max_iter": 20, "hidden_layer_sizes": (8,)}
    few = {"random_state": 0, "epochs": 6, "hidden": (8,), "n_members": 2}
    rows, price = table()
    return {
        "MLPClassifier, three classes": lambda: fc.MLPClassifier(**how).fit(x, names),
        "MLPClassifier, two classes": lambda: fc.MLPClassifier(**how).fit(x, three > 0),
        "MLPClassifier, labels": lambda: fc.MLPClassifier(**how).fit(x, labels),
        "MLPClassifier, one against the rest": lambda: fc.MLPClassifier(loss=fc.BinaryCrossEntropy(), **how).fit(
            x, names
        ),
        "MLPClassifier, margins": lambda: fc.MLPClassifier(loss="hinge", **how).fit(x, three > 0),
        "MLPRegressor": lambda: fc.MLPRegressor(**how).fit(x, number),
        "MLPRegressor, scaled": lambda: fc.MLPRegressor(scale=True, **how).fit(x, number),
        "MLPRegressor, rates": lambda: fc.MLPRegressor(loss=fc.Poisson(), **how).fit(x, three),
        "TabularClassifier, three classes": lambda: fc.TabularClassifier(**few).fit(rows, np.digitize(price, [0.7, 2])),
        "TabularClassifier, two classes": lambda: fc.TabularClassifier(**few).fit(rows, price > 1),
        "TabularClassifier, labels": lambda: fc.TabularClassifier(**few).fit(
            rows, np.stack([price > 1, price > 2], axis=1).astype(int)
        ),
        "TabularRegressor, a long tail": lambda: fc.TabularRegressor(**few).fit(rows, price),
        "TabularRegressor, two numbers": lambda: fc.TabularRegressor(**few).fit(
            rows, np.stack([price, -price], axis=1)
        ),
    }


ESTIMATORS = (
    "MLPClassifier, three classes", "MLPClassifier, two classes", "MLPClassifier, labels",
    "MLPClassifier, one against the rest", "MLPClassifier, margins", "MLPRegressor", "MLPRegressor, scaled",
    "MLPRegressor, rates", "TabularClassifier, three classes", "TabularClassifier, two classes",
    "TabularClassifier, labels", "TabularRegressor, a long tail", "TabularRegressor, two numbers",
)  # fmt: skip


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    """A fitted estimator of each kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few iterations do not converge
        return fitted()[request.param]()
