"""What a type checker makes of a caller's code; nobody runs it: tests/test_annotations.py has mypy read it.

``assert_type`` says which type comes out. A line that ends in ``type: ignore`` is wrong, and a type checker has to say
so: mypy complains where an ignored error is none.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import assert_type

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

import fullyconnected as fc
from fullyconnected.annotations import (
    Array,
    ArrayLike,
    Cache,
    Data,
    DType,
    LayerParams,
    LossLike,
    OptimizerLike,
    Predictor,
    Program,
    Rows,
    Source,
    SparseLike,
    Task,
    Trainer,
    TrainingState,
    Views,
)


class Estimator:
    """A fitted estimator, as fc.diagnose takes one."""

    network_: fc.Network = fc.mlp([2, 3, 1])


def networks(x: NDArray[np.float32], seeds: np.random.Generator) -> None:
    net = fc.Network([fc.Dense(2, 3, "relu"), fc.Dropout(0.5), fc.Dense(3, 1)], dtype="float64", seed=seeds)
    assert_type(net, fc.Network)
    assert_type(fc.mlp([2, 3, 1], activation="tanh", dtype=np.float64, seed=0), fc.Network)
    fc.mlp((x.shape[1], 16, int(x[0, 0]) + 1), fc.LeakyReLU(0.1), output_activation="sigmoid", dtype=net.dtype)
    fc.mlp(np.array([2, 3, 1]), (np.tanh, lambda z: 1 - np.tanh(z) ** 2))
    for dtype in (np.float32, np.float64):
        fc.mlp([2, 1], None, dtype=dtype)
    fc.Dense(2, 3, "relu", init=0.01, bias_init=lambda rng, shape, fan_in, fan_out: rng.normal(size=shape))
    fc.Dense(2, 3, parametrization="ntk")
    fc.Dense(2, 3, parametrization="npk")  # type: ignore[arg-type]
    assert_type(fc.Dense(2, 3, "relu").activation, fc.ActivationFunction | None)
    assert_type(fc.Activation("relu").activation, fc.ActivationFunction)
    fc.Residual([fc.LayerNorm(), fc.RMSNorm(n_in=4, epsilon=1e-5), fc.Scale(), fc.Dense(4, 4)])
    assert_type(fc.Scale(3).n_in, int | None)
    fc.PeriodicEmbedding(3, 48, 24, "plr", sigma=0.02)
    fc.PeriodicEmbedding(3, kind="plrr")  # type: ignore[arg-type]
    fc.PiecewiseLinearEmbedding(3, 48, 16), fc.PiecewiseLinearEmbedding(edges=[[0.0, 1.0], x[0]])
    assert_type(fc.PiecewiseLinearEncoding(3, 16).n_out, int | None)
    fc.PiecewiseLinearEncoding(edges=[[0.0, 1.0], x[0]])
    fc.PiecewiseLinearEncoding(3, size=4)  # type: ignore[call-arg]
    fc.PiecewiseLinearEmbedding(3, edges=4)  # type: ignore[arg-type]
    assert_type(fc.Parametric("mish").activation, fc.ActivationFunction)
    fc.Parametric(fc.LeakyReLU(0.1), n_in=3), fc.Parametric((np.tanh, lambda z: 1 - np.tanh(z) ** 2))
    assert_type(fc.Standardize.fit(x, sample_weight=[1.0, 2.0]), fc.Standardize)
    fc.Network([fc.Standardize(2, mean=0, scale=255), fc.Dense(2, 1), fc.Rescale(mean=[0.5], scale=np.array([2.0]))])
    waits = fc.Network(
        [fc.Standardize(2, robust=True), fc.Dense(2, 1, init="unit_variance", bias_init="he+5"), fc.Rescale()]
    )
    waits.adapt(x, [1.0, 2.0], t=[1.0, 2.0])
    assert_type(waits.unset, tuple[str, ...])
    assert_type(net.dtype, DType)
    assert_type(net.loss, fc.Loss | None)
    net.loss = fc.SoftmaxCrossEntropy(label_smoothing=0.1, class_weight=[1, 5.0])
    net.loss = fc.BinaryCrossEntropy(class_weight=np.ones((3, 2))).for_evaluation()
    fc.SoftmaxCrossEntropy(smoothing=0.1)  # type: ignore[call-arg]
    net.loss = "poisson"
    net.loss = None
    net.theta = [0.0] * net.n_params
    assert_type(net.theta, Array)
    assert_type(net.copy(), fc.Network)
    assert_type(net.summary(width=80), fc.Summary)
    net.save(Path("net.safetensors"))
    assert_type(fc.load("net.safetensors"), fc.Network)
    for table in (
        pd.DataFrame({"a": [1.0]}),
        pl.DataFrame({"a": [1.0]}),
        {"a": [1.0, None]},
        [{"a": "red"}],
        [["red"]],
    ):
        assert_type(fc.TabularClassifier(hidden=(8,), class_weight={"a": 2.0}).fit(table, ["a"]), fc.TabularClassifier)
        assert_type(fc.TabularRegressor(max_time="30s").fit(table, [1.0], groups=["a"]).predict(table), Array)
    assert_type(net.get_weights("out,in"), list[Array])
    net.set_weights([np.ones((3, 2)), np.zeros(3), [[1.0, 1.0, 1.0]], [0.0]], layout="out,in")


def parameters(net: fc.Network) -> None:
    assert_type(net.params, list[LayerParams])
    assert_type(net.params[0].W, Array)
    assert_type(net.params[1][0].W, Array)  # in a Residual block
    net.params[0].W[0, 1] = 0.5
    net.params[0].W = [[0.15, 0.20], [0.25, 0.30]]
    net.params[0].b = 0
    assert_type(float(net.params[0].W.sum()), float)


def predictions(net: fc.Network, x: NDArray[np.float64], table: pd.DataFrame, frame: pl.DataFrame) -> None:
    assert_type(net.predict([[0.5, -1.0]]), Array)
    assert_type(net.predict([[0.5, -1.0]], members=True), Array)
    assert_type(net.predict(x, out=np.lib.format.open_memmap("z.npy", "w+", net.dtype, (len(x), 1))), Array)
    fc.Members(4, [fc.Dense(2, 3, "relu"), fc.Dense(3, 1)], "mini", scale_init=1.0)
    assert_type(net.predictions(x, engine="numpy", n_threads=1), Array)
    net.predict(table[["a", "b"]])
    net.predict(frame.select("a", "b"))
    evaluation = net.evaluate(table, frame["t"], "half_squared_error", ["r2", lambda z, t: np.abs(z - t).mean()])
    assert_type(evaluation, fc.Evaluation)
    assert_type(evaluation.metrics["r2"], float)
    loss, metrics = net.evaluate(x, [0, 1], fc.SoftmaxCrossEntropy(), "accuracy", sample_weight=[1, 2])
    assert_type(loss, float)
    assert_type(metrics, dict[str, float])


def sparse_rows(net: fc.Network, x: SparseLike, t: ArrayLike) -> None:
    fc.fit(net, x, t, "poisson", validation=(x, t))
    net.evaluate(x, t, "poisson")
    assert_type(net.predictions(x), Array)
    net.gradients(x, t, "poisson")  # type: ignore[arg-type, unused-ignore]  # NumPy 2.5 lets it pass


def gradients(net: fc.Network, x: ArrayLike, t: ArrayLike) -> None:
    g = net.gradients(x, t, fc.HalfSquaredError(), l2=0.1, train=True, seed=7)
    assert_type(g, fc.Gradients)
    assert_type(g.loss, float)
    assert_type(g.theta, Array)
    assert_type(g.params[0].W, Array)
    assert_type(net.loss_and_grad(x, t, "huber"), tuple[float, Array])
    report = fc.check_gradients(net, x, t, fc.HalfSquaredError(), entries=100)
    assert_type(report, fc.Report)
    assert_type(report.tensors[0], fc.TensorReport)
    fc.check_gradients(fc.Dense(2, 3, "relu"))
    assert_type(fc.diagnose(net, x, t, "half_squared_error", fc.History([1.0, 0.5])), fc.Diagnosis)
    assert_type(fc.diagnose(Estimator(), x, t, history=[1.0, 0.5]).findings, tuple[fc.Finding, ...])
    fc.check_gradients(fc.Huber(1.0), [[1.0]], [0.0])


def training(net: fc.Network, x: NDArray[np.uint8], t: NDArray[np.int64], path: os.PathLike[str]) -> None:
    history = fc.fit(
        net,
        x[10:],
        t[10:],
        fc.SoftmaxCrossEntropy(),
        fc.Adam(1e-3),
        epochs=5,
        validation=(x[:10], t[:10]),
        metrics=["accuracy"],
        schedule=fc.Warmup(1, then=fc.CosineDecay(4)),
        checkpoint=path,
        checkpoint_every="30s",
        progress=False,
    )
    assert_type(history, fc.History)
    assert_type(history.loss[-1], float)
    assert_type(history.metrics["accuracy"], list[float])
    assert_type(history.best_epoch, int | None)
    fc.fit(net, x.tolist(), t.tolist(), "hinge", fc.LBFGS(), schedule=lambda epoch: 0.95 ** int(epoch), seed=None)
    fc.fit(net, x, t, "hinge", schedule=fc.LinearWarmup(0.1, then=fc.FlatCosine()))
    run = fc.epochs(net, x, t, fc.Hinge(), "sgd", batch_size=32, validation=(x, t, None), seed=1, average=fc.EMA(0.9))
    assert_type(fc.fit(net, x, t, fc.Hinge(), average=fc.SWA(15)).averaged, str | None)
    fc.epochs(net, x, t, optimizer=fc.Muon(0.02, rounds=3, rest=fc.AdamW(1e-3)))
    fc.epochs(net, x, t, factors=fc.Factors(lr={"dense_1": 0, "bias": 0.1}, weight_decay={"last": 2.0}))
    assert_type(net.copy_weights_from(net.copy(), ["dense_1"]), list[str])
    assert_type(run, Iterator[fc.Epoch])
    for epoch in run:
        assert_type(epoch.number, int)
        assert_type(epoch.validation_loss, float | None)
    assert_type(fc.StepDecay(0.5, every=2)(3.0), float)
    assert_type(fc.engines()["native"].about, str)


def explaining(net: fc.Network, x: ArrayLike, t: ArrayLike) -> None:
    example = fc.explain(net, x, t, "half_squared_error", fc.SGD(0.1), focus="dense_1.W[0,1]")
    assert_type(example, fc.Explanation)
    assert_type(example.to_html(), str)
    record = fc.trace(net, x, t, fc.HalfSquaredError())
    assert_type(record, fc.Trace)
    assert_type(record.steps[0], fc.Step)
    assert_type(record.steps[0].result, Array)
    assert_type(fc.draw(net, x, show="values"), fc.Drawing)


def losses(z: NDArray[np.float32]) -> None:
    assert_type(fc.Quantile(0.9)(z, [1.0, 2.0], sample_weight=[1, 1]), tuple[float, Array])
    assert_type(fc.Poisson().predictions(z), Array)
    assert_type(fc.Poisson.link, fc.links.Link)
    assert_type(fc.functional.softmax_loss(z, [0, 1]), tuple[float, Array])
    out, cache = fc.functional.affine_forward(z, np.ones((2, 3)), np.zeros(3))
    assert_type(fc.functional.affine_backward(out, cache), tuple[Array, Array, Array])
    assert_type(fc.datasets.mnist("folder").x_train, NDArray[np.uint8])


def wrapper(net: fc.Network, x: ArrayLike, t: ArrayLike, loss: LossLike, rule: OptimizerLike) -> fc.History:
    return fc.fit(net, x, t, loss, rule)


@fc.register
class Double(fc.Layer):
    name = "double"
    n_in: int
    n_out: int

    def __init__(self, n_in: int) -> None:
        self.n_in = self.n_out = n_in

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        c.xp.multiply(x, 2, out=y)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        if dx is not None:
            c.xp.multiply(dy, 2, out=dx)


assert_type(Double, type[Double])
assert_type(fc.register(Double), type[Double])
assert_type(Double(3).n_out, int)


@dataclass(frozen=True)
class Halved(fc.Layer):
    """A setting where the base class has a property, and a property where it might have a setting."""

    n_in: int
    name = "halved"

    @property
    def n_out(self) -> int:
        return self.n_in // 2

    def steps(self) -> tuple[fc.Layer, ...]:
        return (fc.Dense(self.n_in, self.n_out),)


def widths(layer: fc.Layer) -> tuple[int | None, int | None]:
    return layer.n_in, layer.n_out


class Odds(fc.Loss):
    name = "odds"

    @property
    def link(self) -> fc.links.Link:
        return fc.links.LOGIT


class Rates(fc.Loss):
    name = "rates"
    link = fc.links.LOG


assert_type(Halved(4).n_out, int)
assert_type(Odds().link, fc.links.Link)
assert_type(Rates().link, fc.links.Link)


class Sums(fc.Engine):
    """An engine of a user's own, in public names alone."""

    name = "sums"

    def about(self) -> tuple[bool, str]:
        return True, "the sum of each row"

    def supports(
        self,
        program: Program,
        *,
        loss: fc.Loss | None = None,
        optimizer: fc.Optimizer | fc.Solver | None = None,
        source: Source | None = None,
    ) -> str | None:
        return None if loss is None else f"it does not train {program.n_in} inputs"

    def trainer(self, task: Task, state: TrainingState) -> Trainer:
        raise NotImplementedError

    def gradient(
        self, program: Program, theta: Array, state: Array, data: Data, *, l2: float, train: bool, seed: int
    ) -> tuple[float, Array, Array]:
        return float(len(data.x)), theta, data.t

    def predictor(self, program: Program, theta: Array, state: Array) -> Predictor:
        return Summed()


class Summed:
    def predict(self, x: Array, z: Array, n_threads: int | None) -> None:
        x.sum(axis=1, keepdims=True, out=z)

    def row(self, x: Array, z: Array) -> bool:
        return False


class Epochs:
    def epoch(self, order: Rows) -> float:
        return float(order[0])


assert_type(fc.register(Sums), type[Sums])
trainer: Trainer = Epochs()


def mistakes(net: fc.Network, x: NDArray[np.float32], t: NDArray[np.int64]) -> None:
    """What runs into an error, or would do another thing than it says.

    From NumPy 2.5 on, ``ArrayLike`` lets more pass: there, some of the comments are unused.
    """
    net.predict(None)  # type: ignore[arg-type, unused-ignore]
    net.predict(open)  # type: ignore[arg-type, unused-ignore]
    net.predict(x, engine=True)  # type: ignore[arg-type]
    net(x)  # type: ignore[operator]
    net.fit(x, t)  # type: ignore[attr-defined]
    net.evaluate(x, t, fc.HalfSquaredError)  # type: ignore[arg-type]
    net.loss = fc.Adam(0.1)  # type: ignore[assignment]
    net.theta = None  # type: ignore[assignment, unused-ignore]
    net.params[0].W = "zeros" if x.size else None  # type: ignore[assignment, unused-ignore]
    fc.mlp(784, 10)  # type: ignore[arg-type]
    fc.mlp([784, 32.5, 10])  # type: ignore[list-item]
    fc.mlp([784, 10], activation=np.tanh)  # type: ignore[arg-type]
    fc.mlp([784, 10], dtype=int)  # type: ignore[arg-type]
    fc.mlp([784, 10], seed="one")  # type: ignore[arg-type]
    fc.Network(fc.Dense(2, 3))  # type: ignore[arg-type]
    fc.Network([fc.Dense(2, 3)], [fc.Dense(3, 1)])  # type: ignore[arg-type]
    fc.Dense(2, 3, init=None, bias_init=None)  # type: ignore[arg-type]
    fc.fit(net, x, t, fc.Adam(0.1))  # type: ignore[arg-type]
    fc.fit(net, x, t, fc.Hinge(), 0.1)  # type: ignore[arg-type]
    fc.fit(net, x, t, fc.Hinge(), fc.Adam)  # type: ignore[arg-type]
    fc.fit(net, x, t, fc.Hinge(), verbose=0)  # type: ignore[arg-type]
    fc.fit(net, x, t, fc.Hinge(), validation=0.2)  # type: ignore[arg-type]
    fc.fit(net, x, t, fc.Hinge(), schedule=0.95)  # type: ignore[arg-type]
    fc.fit(net, x, t, fc.Hinge(), progress="bar")  # type: ignore[arg-type]
    fc.fit(net, x, t, fc.Hinge(), metrics=[0.5])  # type: ignore[list-item]
    fc.epochs(net, x, t, fc.Hinge(), fc.LBFGS())  # type: ignore[arg-type]
    fc.epochs(net, x, t, fc.Hinge(), average="ema")  # type: ignore[arg-type]
    fc.epochs(net, x, t, fc.Hinge(), dropout_schedule=0.5)  # type: ignore[arg-type]
    fc.epochs(net, x, t, fc.Hinge(), factors={"bias": 0.1})  # type: ignore[arg-type]
    fc.Muon(0.02, rest=fc.LBFGS())  # type: ignore[arg-type]
    net.copy_weights_from("net.safetensors")  # type: ignore[arg-type]
    fc.epochs(net, x, t, fc.Hinge(), epochs=5)  # type: ignore[call-arg]
    fc.epochs(net, x, t, fc.Hinge(), batch_size="32")  # type: ignore[arg-type]
    fc.fit(net, x, t, fc.Hinge())["loss"]  # type: ignore[index]
    fc.check_gradients(fc.Adam(0.1))  # type: ignore[arg-type]
    fc.draw(net, x, show="all")  # type: ignore[arg-type]
    fc.plot.histograms(net.theta)  # type: ignore[arg-type]
    fc.register(int)  # type: ignore[type-var]
    fc.Standardize("3")  # type: ignore[arg-type]
    net.adapt(x, weights=[1.0])  # type: ignore[call-arg]
    fc.TabularClassifier(8)  # type: ignore[call-arg, arg-type]
    fc.TabularRegressor(class_weight="balanced")  # type: ignore[call-arg]
    fc.TabularClassifier(class_weight="even")  # type: ignore[arg-type]
    fc.Linear(2, 3)  # type: ignore[attr-defined]
