"""The networks, training runs and tables whose files every version keeps in ``files_VERSION``.

``make_files.py`` writes the files, and ``files/test_earlier_versions.py`` reads those of all versions. Where the
library renames something, MODELS and RUNS get the new name and the files stay as they are: the test then shows that
they still load, and that their runs go on. Nothing else of what stands here may change, but there may be more. A
checkpoint knows its data by a checksum, and the user's own schedule by its code; so the data are made of whole
numbers, which come out the same on every machine and in every version of NumPy.
"""

import csv
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np

import fullyconnected as fc


def numbers(rows, columns, start=0):
    """Return multiples of 1/64 from -2 to 2, so that their sums and products are exact."""
    k = np.arange(start, start + rows * columns).reshape(rows, columns)
    return ((7919 * k + 31 * k * k + k // 5) % 257 - 128) / 64


# --- networks, which are trained for some epochs and saved ------------------------------------------------------------

ROWS = 12  # of which predictions are kept
NAMES, ANSWERS = ["age", "height in cm", "Größe"], ["low", "high"]


class Model(NamedTuple):
    """A network to be trained and saved: where there are names, from a table of pandas whose columns have them."""

    layers: Callable[[], list[Any]]
    dtype: type
    names: tuple[list[str], list[str]] | None = None

    def network(self):
        return fc.Network(self.layers(), dtype=self.dtype, seed=5)


MODELS = {
    "float32": Model(
        lambda: [
            fc.Dense(4, 8, "relu", init="he_uniform", bias_init=0.1),
            fc.BatchNorm(momentum=0.3, epsilon=1e-3),
            fc.Residual(
                [
                    fc.LayerNorm(epsilon=1e-4),
                    fc.Dense(8, 6, "gelu", bias=False),
                    fc.Dropout(0.25),
                    fc.Residual([fc.Dense(6, 6, "selu", init=0.2), fc.BatchNorm()]),
                    fc.Dense(6, 8, "silu", init="lecun_uniform", bias_init="uniform_fan_in"),
                ]
            ),
            fc.Activation("softplus"),
            fc.Dense(8, 5, fc.ELU(0.7), init="glorot_normal"),
            fc.Dense(5, 4, fc.LeakyReLU(0.2)),
            fc.Activation("mish"),
            fc.Dense(4, 3, "tanh"),
        ],
        np.float32,
    ),
    "float64": Model(
        lambda: [
            fc.BatchNorm(n_in=4, momentum=0.25),
            fc.Dense(4, 7, "sigmoid", init="uniform_fan_in"),
            fc.Residual([fc.Residual([fc.Dense(7, 7, "leaky_relu", bias=False)]), fc.LayerNorm(), fc.Dropout(0.1)]),
            fc.Dense(7, 5, "elu", init="he_normal"),
            fc.Activation("identity"),
            fc.Dense(5, 4, "tanh", bias_init="ones"),
            fc.Activation("exp"),
            fc.Dense(4, 3),
            fc.Activation("softmax"),
        ],
        np.float64,
    ),
    "named": Model(lambda: [fc.Dense(3, 4, "tanh"), fc.Dense(4, 2)], np.float32, (NAMES, ANSWERS)),
}


# --- runs, which are stopped in their middle and go on from their checkpoint ------------------------------------------

STOPPED, TOTAL = 2, 4  # epochs
X, HELD = numbers(48, 4), numbers(16, 4, start=1000)
WEIGHTS, HELD_WEIGHTS = 1 + np.arange(48) % 3, 1 + np.arange(16) % 2
STEEPNESS = 0.75


def values(x):
    return np.stack([x[:, 0] * x[:, 1] / 2 - x[:, 2], x[:, 3] + x[:, 0] / 4], axis=1)


def counts(x):
    return np.floor(2 + x[:, :2])


def classes(x):
    return (x[:, 0] > 0) + (x[:, 1] + x[:, 2] > 1).astype(int)


def labels(x):
    return (values(x) > 0).astype(int)


def slower(epoch):
    """Return the rate's factor: a schedule of the user's own, which a checkpoint knows by its code."""
    return 1 / (1 + STEEPNESS * epoch)


def worst(z, t):
    """Return the largest error: a metric of the user's own."""
    return float(np.abs(z - t).max())


class Run(NamedTuple):
    """A training run; ``settings`` are further ones of fit."""

    layers: Callable[[], list[Any]]
    loss: Callable[[], Any]
    optimizer: Callable[[], Any]
    targets: Callable[[Any], Any] = values
    dtype: type = np.float32
    settings: Callable[[], dict[str, Any]] = dict

    def network(self):
        return fc.Network(self.layers(), dtype=self.dtype, seed=7)

    def fit(self, net, checkpoint, epochs, **changes):
        told = {"batch_size": 16, "seed": 11, "optimizer": self.optimizer(), **self.settings(), **changes}
        return fc.fit(
            net, X, self.targets(X), self.loss(), epochs=epochs, checkpoint=checkpoint, progress=False, **told
        )


RUNS = {
    "sgd": Run(
        lambda: [fc.Dense(4, 6, "tanh"), fc.BatchNorm(), fc.Dense(6, 2)],
        lambda: fc.HalfSquaredError(),
        lambda: fc.SGD(0.05),
        settings=lambda: {"l2": 0.01, "schedule": slower, "metrics": ["mean_absolute_error", "r2"]},
    ),
    "momentum": Run(
        lambda: [fc.Dense(4, 6, "softplus"), fc.Dropout(0.2), fc.Dense(6, 2)],
        lambda: fc.Huber(0.7),
        lambda: fc.Momentum(0.02, momentum=0.8),
        dtype=np.float64,
        settings=lambda: {"max_grad_norm": 0.5, "schedule": fc.Warmup(1.5, then=fc.StepDecay(0.5))},
    ),
    "nesterov": Run(
        lambda: [fc.Dense(4, 8, "silu"), fc.BatchNorm(momentum=0.3), fc.Dropout(0.25), fc.Dense(8, 3)],
        lambda: fc.SoftmaxCrossEntropy(),
        lambda: fc.Nesterov(0.03, momentum=0.85),
        classes,
        settings=lambda: {
            "validation": (HELD, classes(HELD), HELD_WEIGHTS),
            "patience": 3,
            "metrics": ["accuracy"],
        },
    ),
    "rmsprop": Run(
        lambda: [fc.Dense(4, 6, "gelu"), fc.LayerNorm(epsilon=1e-3), fc.Dense(6, 2)],
        lambda: fc.MeanSquaredError(),
        lambda: fc.RMSProp(0.005, rho=0.95, epsilon=1e-6),
        dtype=np.float64,
        settings=lambda: {"sample_weight": WEIGHTS, "l2": 0.02},
    ),
    "adam": Run(
        lambda: [fc.Dense(4, 6, "mish"), fc.Dense(6, 2, init=0.3)],
        lambda: fc.BinaryCrossEntropy(),
        lambda: fc.Adam(0.01, beta1=0.8, beta2=0.99, epsilon=1e-6),
        labels,
        settings=lambda: {"sample_weight": WEIGHTS, "shuffle": False, "metrics": ["accuracy"], "max_grad_norm": 0.3},
    ),
    "adamw": Run(
        lambda: [fc.Dense(4, 5), fc.Residual([fc.BatchNorm(), fc.Dense(5, 5, "elu")]), fc.Dense(5, 2)],
        lambda: fc.Quantile(0.8),
        lambda: fc.AdamW(0.01, beta1=0.85, beta2=0.98, epsilon=1e-6, weight_decay=0.1),
        dtype=np.float64,
        settings=lambda: {"schedule": fc.CosineDecay(6, end=0.1)},
    ),
    "poisson_fresh_seed": Run(
        lambda: [fc.Dense(4, 5, "tanh"), fc.Dropout(0.2), fc.Dense(5, 2)],
        lambda: fc.Poisson(),
        lambda: fc.SGD(0.02),
        counts,
        settings=lambda: {"seed": None, "schedule": fc.ExponentialDecay(0.8)},
    ),
    "absolute_early_best": Run(
        lambda: [fc.Dense(4, 5, "sigmoid"), fc.BatchNorm(momentum=0.5), fc.Dense(5, 2)],
        lambda: fc.AbsoluteError(),
        lambda: fc.Momentum(0.2),
        dtype=np.float64,
        settings=lambda: {"validation": (HELD, -values(HELD)), "patience": 4, "metrics": ["r2", worst]},
    ),
    "hinge": Run(
        lambda: [fc.Dense(4, 6, "tanh", bias=False), fc.Dense(6, 3)],
        lambda: fc.Hinge(),
        lambda: fc.RMSProp(0.01),
        classes,
        np.float64,
        settings=lambda: {"schedule": fc.LinearDecay(5, end=0.2), "sample_weight": WEIGHTS},
    ),
}


# --- tables, on which the command line trains -------------------------------------------------------------------------

SORTS = ["Apfel", "Birne", "süße Kirsche"]
TABLES = {"classification": "sort", "regression": "weight", "mixed": "price"}  # and the column that each predicts


def write_table(path, target):
    """Write a CSV table of 60 rows, with a column of labels or of numbers to predict; of prices, one of all kinds."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if target == "price":
            writer.writerow(["size", "sort", "sold", target])
            for i, (size, sort, day) in enumerate(numbers(60, 3, start=4000)):
                found = SORTS[int(sort > 0) + int(sort > 0.5)]
                sold = date(2024, 3, 1) + timedelta(days=int(99 * day))
                price = (size + 2.5) ** 3 * (2 if found == SORTS[0] else 1)
                writer.writerow(["" if i % 9 == 4 else size, found, sold, price])
            return
        writer.writerow(["length", "width, mm", "Höhe", target])
        for row in numbers(60, 3, start=3000):
            answer = SORTS[int(row[0] > 0) + int(row[1] > 0.5)] if target == "sort" else 300 + 20 * row[0] - row[1]
            writer.writerow([row[0], 100 + 10 * row[1], row[2] / 64, answer])
