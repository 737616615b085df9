"""TabM, an ensemble in one network, in twenty lines: what it is made of, and its scores on two real tables.

TabM (Gorishniy, Kotelnikov and Babenko, "TabM: Advancing tabular deep learning with parameter-efficient ensembling",
ICLR 2025) trains k networks at once, which share their matrices; each member has vectors of its own that scale what
goes into a matrix and what comes out of it, and a last layer of its own. The loss is the mean of the members' losses,
the prediction the mean of their predictions. tests/test_golden.py holds it to the authors' package: outputs, loss,
gradients, and ten steps of AdamW, from the same weights.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import KFold

import fullyconnected as fc


def tabm(n_in, n_out, *, classes, members=16, width=64, depth=3, dropout=0.1, seed=0):
    """Return TabM for so many columns of numbers, which it scales by the training rows."""
    layers = [fc.Dense(n_in, width, "relu"), fc.Dropout(dropout)]
    layers += [layer for _ in range(depth - 1) for layer in (fc.Dense(width, width, "relu"), fc.Dropout(dropout))]
    layers += [fc.Dense(width, n_out)] if classes else [fc.Dense(width, n_out), fc.Rescale()]
    return fc.Network([fc.Standardize(n_in), fc.Members(members, layers, kind="tabm")], seed=seed)


def scores(x, t, *, classes, metric):
    """Return the score on each of five folds, of an ensemble that was trained on the other four.

    A fifth of the rows of these ends the training: no test row is seen before the end.
    """
    found = []
    loss = "softmax_cross_entropy" if classes else "mean_squared_error"
    for rows, test in KFold(5, shuffle=True, random_state=0).split(x):
        held, train = rows[::5], np.delete(rows, np.s_[::5])
        net = tabm(x.shape[1], len(np.unique(t)) if classes else 1, classes=classes)
        how = {"validation": (x[held], t[held]), "patience": 16, "epochs": 200, "batch_size": 64, "progress": False}
        fc.fit(net, x[train], t[train], loss, fc.AdamW(2e-3, weight_decay=3e-4), seed=0, **how)
        found.append(net.evaluate(x[test], t[test], loss, [metric]).metrics[metric])
    return np.array(found)


def main():
    """Print the scores on two tables that scikit-learn brings along, and hold them to what was measured."""
    found = scores(*load_breast_cancer(return_X_y=True), classes=True, metric="accuracy")
    print(f"breast cancer, 569 rows: accuracy {found.mean():.3f} (folds {found.min():.3f} to {found.max():.3f})")
    assert found.mean() > 0.96
    found = scores(*load_diabetes(return_X_y=True, scaled=False), classes=False, metric="r2")
    print(f"diabetes, 442 rows: R2 {found.mean():.3f} (folds {found.min():.3f} to {found.max():.3f})")
    assert found.mean() > 0.4


if __name__ == "__main__":
    main()
