"""RealMLP-TD-S, a strong network for tables, in twenty lines: what it is made of, and its scores on two real tables.

The simplified form of RealMLP (Holzmueller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and
boosted trees on tabular data", NeurIPS 2024): robust scaling and a smooth clip of the numbers and of one-hot codes, a
learned factor for each column, three hidden layers in the neural tangent parametrization, a learning rate that rises
and falls four times, and factors on the rate of single parameters. tests/test_golden.py holds the network to the
authors' package: outputs, loss, gradients, and ten steps of the optimizer, from the same weights.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import KFold

import fullyconnected as fc


def realmlp(numbers, levels, n_out, *, classes, width=256, dtype="float32", seed=0):
    """Return RealMLP-TD-S for so many columns of numbers, and then a column of codes for each number of levels."""
    scaled = {"robust": True, "clip": True}
    parts = [(range(numbers), fc.Standardize(numbers, **scaled))] * bool(numbers)
    parts += [(numbers + i, [fc.OneHot(n), fc.Standardize(n, **scaled)]) for i, n in enumerate(levels)]
    first, f = fc.Columns(parts), "selu" if classes else "mish"
    ntk, hidden = {"parametrization": "ntk"}, {"init": "lecun_normal", "bias_init": 1.0}
    layers = [first, fc.Scale(first.n_out), fc.Dense(first.n_out, width, f, **ntk, **hidden)]
    layers += [fc.Dense(width, width, f, **ntk, **hidden) for _ in range(2)]
    layers += [fc.Dense(width, n_out, **ntk, init="zeros")]
    return fc.Network(layers if classes else [*layers, fc.Rescale(n_out)], dtype=dtype, seed=seed)


def settings(*, classes):
    """Return what RealMLP-TD-S is trained with."""
    return {
        "loss": fc.SoftmaxCrossEntropy(label_smoothing=0.1) if classes else "mean_squared_error",
        "optimizer": fc.Adam(0.04 if classes else 0.07, beta2=0.95),
        "schedule": fc.LogCosine(4),
        "factors": fc.Factors(lr={"scale": 6, "bias": 0.1}),
    }


def scores(x, t, numbers, levels, *, classes, metric, epochs=64):
    """Return the score on each of five folds, of a network that was trained on the other four.

    A fifth of the rows of these says which epoch was the best: no test row is seen before the end.
    """
    found = []
    for rows, test in KFold(5, shuffle=True, random_state=0).split(x):
        held, train = rows[::5], np.delete(rows, np.s_[::5])
        net, how = (
            realmlp(numbers, levels, len(np.unique(t)) if classes else 1, classes=classes),
            settings(classes=classes),
        )
        watched = {"validation": (x[held], t[held]), "metrics": [metric], "monitor": metric, "patience": epochs}
        fc.fit(net, x[train], t[train], epochs=epochs, batch_size=64, seed=0, progress=False, **watched, **how)
        found.append(net.evaluate(x[test], t[test], how["loss"], [metric]).metrics[metric])
    return np.array(found)


def spread(found):
    """Say how far the folds lie apart."""
    return f"folds {found.min():.3f} to {found.max():.3f}"


def main():
    """Print the scores on two tables that scikit-learn brings along, and hold them to what was measured."""
    x, t = load_breast_cancer(return_X_y=True)
    found = scores(x, t, 30, [], classes=True, metric="accuracy")
    print(f"breast cancer, 569 rows, 30 numbers: accuracy {found.mean():.3f} ({spread(found)})")
    assert found.mean() > 0.96

    x, t = load_diabetes(return_X_y=True, scaled=False)
    x = np.hstack([np.delete(x, 1, axis=1), x[:, [1]] - 1])  # the sex is a code, 0 or 1
    found = scores(x, t, 9, [2], classes=False, metric="r2")
    print(f"diabetes, 442 rows, 9 numbers and a code: R2 {found.mean():.3f} ({spread(found)})")
    assert found.mean() > 0.35


if __name__ == "__main__":
    main()
