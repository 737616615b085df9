"""fullyconnected: the fully connected network, done completely.

>>> import fullyconnected as fc
>>> net = fc.mlp([2, 3, 1], activation="tanh", seed=0)
>>> net.n_params
13
"""

from typing import TYPE_CHECKING

from fullyconnected import errors, links
from fullyconnected.activations import ELU, LeakyReLU
from fullyconnected.base import ActivationFunction, Layer, Loss, Metric, Optimizer, Param, Solver
from fullyconnected.core import deprecation
from fullyconnected.core.version import __version__
from fullyconnected.layers import (
    Activation,
    BatchNorm,
    Columns,
    Dense,
    Dropout,
    Embedding,
    LayerNorm,
    Members,
    OneHot,
    Parametric,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    PiecewiseLinearEncoding,
    Rescale,
    Residual,
    RMSNorm,
    Scale,
    Standardize,
)
from fullyconnected.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    HalfSquaredError,
    Hinge,
    Huber,
    MeanSquaredError,
    Poisson,
    Quantile,
    SoftmaxCrossEntropy,
)
from fullyconnected.network import Gradients, Network, load, mlp
from fullyconnected.program.evaluation import Evaluation

if TYPE_CHECKING:
    from fullyconnected import annotations, datasets, exchange, functional, plot
    from fullyconnected.averages import EMA, SWA
    from fullyconnected.checking.gradcheck import check_gradients
    from fullyconnected.checking.report import Report, TensorReport
    from fullyconnected.columnar import ArrowTable, Parquet
    from fullyconnected.comm.base import Comm
    from fullyconnected.comm.mpi import MPIComm
    from fullyconnected.comm.torch import TorchComm
    from fullyconnected.diagnosis.diagnose import diagnose
    from fullyconnected.diagnosis.findings import Finding
    from fullyconnected.diagnosis.report import Diagnosis
    from fullyconnected.engine.base import Engine, EngineInfo
    from fullyconnected.engine.choice import engines
    from fullyconnected.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
    from fullyconnected.estimators.loading import load_estimator
    from fullyconnected.explanation import Drawing, Explanation, draw, explain, trace
    from fullyconnected.explanation.record import Step, Trace
    from fullyconnected.factors import Factors
    from fullyconnected.files.format import Format
    from fullyconnected.optimizers import LBFGS, SGD, Adam, AdamW, Momentum, Muon, Nesterov, RMSProp
    from fullyconnected.playing.public import Playground, playground
    from fullyconnected.predictor import Predictor
    from fullyconnected.program.sources import Source
    from fullyconnected.program.summary import Summary
    from fullyconnected.registries import register
    from fullyconnected.schedules import (
        CosineDecay,
        ExponentialDecay,
        FlatCosine,
        LinearDecay,
        LinearWarmup,
        LogCosine,
        StepDecay,
        Warmup,
    )
    from fullyconnected.training.fit import epochs, fit
    from fullyconnected.training.history import Epoch, History

__all__ = [
    # networks
    "Network",
    "mlp",
    "load",
    # layers
    "Dense",
    "Activation",
    "Dropout",
    "LayerNorm",
    "RMSNorm",
    "BatchNorm",
    "Residual",
    "Scale",
    "Parametric",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "PiecewiseLinearEncoding",
    "Standardize",
    "Rescale",
    "Members",
    "Columns",
    "OneHot",
    "Embedding",
    # activations with settings; the others are known by their names
    "LeakyReLU",
    "ELU",
    # losses
    "HalfSquaredError",
    "MeanSquaredError",
    "AbsoluteError",
    "Huber",
    "Quantile",
    "Poisson",
    "Hinge",
    "SoftmaxCrossEntropy",
    "BinaryCrossEntropy",
    # optimizers and schedules
    "SGD",
    "Momentum",
    "Nesterov",
    "RMSProp",
    "Adam",
    "AdamW",
    "Muon",
    "LBFGS",
    "StepDecay",
    "ExponentialDecay",
    "LinearDecay",
    "CosineDecay",
    "Warmup",
    "FlatCosine",
    "LogCosine",
    "LinearWarmup",
    # averages of the weights
    "EMA",
    "SWA",
    # factors on the learning rate and weight decay of single parameters
    "Factors",
    # training
    "fit",
    "epochs",
    "engines",
    # rows that are read while a network is trained
    "Source",
    "Parquet",
    "ArrowTable",
    # processes that train together
    "Comm",
    "MPIComm",
    "TorchComm",
    # scikit-learn's estimators
    "MLPClassifier",
    "MLPRegressor",
    "TabularClassifier",
    "TabularRegressor",
    "load_estimator",
    "Predictor",
    # gradient checks, and why a network does not learn
    "check_gradients",
    "diagnose",
    # worked examples
    "explain",
    "trace",
    "draw",
    # a playground in a browser
    "playground",
    # what functions return
    "History",
    "Epoch",
    "Evaluation",
    "Gradients",
    "Summary",
    "EngineInfo",
    "Report",
    "TensorReport",
    "Diagnosis",
    "Finding",
    "Explanation",
    "Trace",
    "Step",
    "Drawing",
    "Playground",
    # base classes for your own
    "Layer",
    "ActivationFunction",
    "Loss",
    "Metric",
    "Optimizer",
    "Solver",
    "Engine",
    "Format",
    "Param",
    "register",
    # modules
    "annotations",
    "datasets",
    "exchange",
    "errors",
    "functional",
    "links",
    "plot",
    "__version__",
]


# Prediction needs none of these: they are loaded when they are first used, which makes the import a third shorter.
_LATER = {
    **{module: module for module in ("annotations", "datasets", "exchange", "functional", "plot")},
    "check_gradients": "checking.gradcheck",
    "diagnose": "diagnosis.diagnose",
    "Diagnosis": "diagnosis.report",
    "Finding": "diagnosis.findings",
    "engines": "engine.choice",
    "register": "registries",
    "Format": "files.format",
    "Summary": "program.summary",
    "Source": "program.sources",
    **dict.fromkeys(("Parquet", "ArrowTable"), "columnar"),
    "Comm": "comm.base",
    "MPIComm": "comm.mpi",
    "TorchComm": "comm.torch",
    **dict.fromkeys(("Engine", "EngineInfo"), "engine.base"),
    **dict.fromkeys(("Report", "TensorReport"), "checking.report"),
    **dict.fromkeys(("explain", "trace", "draw", "Explanation", "Drawing"), "explanation"),
    **dict.fromkeys(("Trace", "Step"), "explanation.record"),
    **dict.fromkeys(("fit", "epochs"), "training.fit"),
    **dict.fromkeys(("MLPClassifier", "MLPRegressor", "TabularClassifier", "TabularRegressor"), "estimators"),
    **dict.fromkeys(("playground", "Playground"), "playing.public"),
    "load_estimator": "estimators.loading",
    "Predictor": "predictor",
    **dict.fromkeys(("History", "Epoch"), "training.history"),
    **dict.fromkeys(("SGD", "Momentum", "Nesterov", "RMSProp", "Adam", "AdamW", "Muon", "LBFGS"), "optimizers"),
    **dict.fromkeys(("EMA", "SWA"), "averages"),
    "Factors": "factors",
    **dict.fromkeys(("StepDecay", "ExponentialDecay", "LinearDecay", "CosineDecay", "Warmup"), "schedules"),
    **dict.fromkeys(("FlatCosine", "LogCosine", "LinearWarmup"), "schedules"),
}


if not TYPE_CHECKING:  # for type checkers, it would make every name valid

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            message = f"module 'fullyconnected' has no attribute {name!r}"
            if name.startswith("_"):  # tools look for such names, and expect an AttributeError
                raise AttributeError(message)
            if (new := deprecation.PUBLIC.get(name)) is not None:
                deprecation.warn(f"fc.{name}", f"fc.{new}")
                return globals()[new]
            from fullyconnected.core.habits import PUBLIC, advice

            raise errors.MissingNameError(message + advice(name, PUBLIC, __all__, "fc."))
        from importlib import import_module

        module = import_module(f"fullyconnected.{_LATER[name]}")
        found = globals()[name] = module if name == _LATER[name] else getattr(module, name)
        return found


def __dir__() -> list[str]:
    return __all__
