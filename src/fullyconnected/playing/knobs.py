"""The knobs of the playground, in one table: what each is called, what it does, and what it may be.

The page draws its controls from this table, the address is read and written by it, and a setup is checked by it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fullyconnected.activations import ACTIVATIONS
from fullyconnected.errors import ConfigError, InputTypeError, UnknownNameError, nearest
from fullyconnected.initializers import INITIALIZERS

__all__ = ["BY_NAME", "KNOBS", "MOST_LAYERS", "MOST_UNITS", "Choice", "Knob", "checked", "described", "wanted"]

LARGEST_SEED = 2**53 - 1  # the largest whole number that a browser holds exactly
MOST_LAYERS, MOST_UNITS, MOST_POINTS, LONGEST = 8, 64, 500, 200
POINTS = (
    (-1, -1, 0),
    (1, 1, 0),
    (-0.6, -1.3, 0),
    (1.4, 0.7, 0),
    (-1, 1, 1),
    (1, -1, 1),
    (-1.3, 0.6, 1),
    (0.7, -1.4, 1),
)


@dataclass(frozen=True)
class Choice:
    """One of the values of a knob, what it means, and what a backend must be able to do for it."""

    value: str
    label: str
    says: str = ""
    needs: str | None = None


@dataclass(frozen=True)
class Knob:
    """A knob: a name in the address, what it does in words, its kind, range and default.

    ``when`` names values of another knob with which this one matters, and ``needs`` what a backend must be able to do.
    """

    name: str
    group: str
    label: str
    says: str
    kind: str
    default: Any
    choices: tuple[Choice, ...] = ()
    least: float | None = None
    most: float | None = None
    step: float | None = None
    scale: str = "linear"
    when: Mapping[str, tuple[Any, ...]] | None = None
    needs: str | None = None


def _activations() -> tuple[Choice, ...]:
    said = {
        "relu": "max(0, z). It is fast, and a unit can die: then it gives 0 for every row.",
        "tanh": "Between -1 and 1, and steepest at 0.",
        "sigmoid": "Between 0 and 1, and flat far from 0, where its gradient vanishes.",
        "identity": "No activation: the whole network stays linear, whatever its depth.",
        "exp": "Grows without bound; it shows what an overflow is.",
    }
    names = sorted(name for name in ACTIVATIONS.classes if name != "softmax")
    return tuple(Choice(name, name, said.get(name, "")) for name in names)


def _initializers() -> tuple[Choice, ...]:
    said = {
        "zeros": "All weights are 0. All units of a layer then learn the same, which the pictures show.",
        "ones": "All weights are 1, with which all units of a layer learn the same.",
    }
    auto = Choice("auto", "Suited", "he_normal for relu and its kin, else glorot_uniform.")
    file = Choice("file", "From the file", "The weights that the playground was opened with.", "model-file")
    return auto, file, *(Choice(name, name, said.get(name, "")) for name in INITIALIZERS)


def _flagged(*pairs: tuple[str, ...]) -> tuple[Choice, ...]:
    return tuple(Choice(*each) for each in pairs)


DRAWN: dict[str, tuple[Any, ...]] = {
    "data": ("xor", "circles", "spirals", "moons", "blobs", "plane", "hills", "formula")
}

KNOBS = (
    Knob(
        "data", "data", "Data", "Where the points come from.", "choice", "xor",
        _flagged(
            ("xor", "XOR", "Two classes in opposite quarters: no straight line divides them."),
            ("circles", "Circles", "A disc inside a ring."),
            ("spirals", "Spirals", "Arms that wind round each other: the hardest of these."),
            ("moons", "Moons", "Two half moons that interlock."),
            ("blobs", "Blobs", "Round clouds, one for each class."),
            ("plane", "Plane", "Numbers that rise evenly: a linear network fits them."),
            ("hills", "Hill and valley", "Numbers with a hill and a valley."),
            ("points", "Drawn by hand", "Points that you set in the picture."),
            ("formula", "Formula", "Numbers or classes by a formula of x1 and x2."),
            ("table", "Your table", "The table that the playground was opened with.", "table"),
        ),
    ),
    Knob(
        "rows", "data", "Points", "How many points there are, training and test together.", "integer", 200,
        least=4, most=2000, step=1, scale="log", when=DRAWN,
    ),
    Knob(
        "noise", "data", "Noise",
        "How far points are moved from their places at random (or, for numbers, how far their values are).",
        "number", 0.1, least=0, most=1, step=0.01, when=DRAWN,
    ),
    Knob(
        "classes", "data", "Classes", "How many classes there are.", "integer", 3, least=2, most=6, step=1,
        when={"data": ("spirals", "blobs")},
    ),
    Knob(
        "task", "data", "Task", "Whether classes or numbers are learned.", "choice", "classification",
        _flagged(
            ("classification", "Classes", "A formula gives class 1 where it is above 0."),
            ("regression", "Numbers", "The value itself is learned."),
        ),
        when={"data": ("points", "formula")},
    ),
    Knob(
        "formula", "data", "Formula",
        "A formula of x1 and x2, such as x1^2 - sin(3*x2): + - * / ^, brackets, < and >, pi, e, and sin cos tan exp "
        "log sqrt abs sign tanh floor min max.",
        "text", "sin(2*x1) + x2", most=LONGEST, when={"data": ("formula",)},
    ),
    Knob(
        "points", "data", "Points drawn", "The points: x1, x2 and a class from 0 to 5, or a number.", "points", POINTS,
        most=MOST_POINTS, when={"data": ("points",)},
    ),
    Knob(
        "columns", "data", "Columns",
        "Two columns of the table, with a comma between them, for the two axes. Empty: all columns are learned from, "
        "and the picture is a plane through them.",
        "text", "", most=LONGEST, when={"data": ("table",)}, needs="table",
    ),
    Knob(
        "target", "data", "Target", "The column to predict. Empty: the last one.", "text", "", most=LONGEST,
        when={"data": ("table",)}, needs="table",
    ),
    Knob(
        "test_share", "data", "Test share",
        "The share of the points that are not trained on: they tell whether the network has "
        "understood or learned by heart.",
        "number", 0.3, least=0, most=0.9, step=0.05,
    ),
    Knob(
        "data_seed", "data", "Data seed", "Another number gives other points of the same kind, and another test part.",
        "integer", 0, least=0, most=LARGEST_SEED, step=1,
    ),
    Knob(
        "features", "network", "Inputs", "What the network sees of a point.", "choices", ("x1", "x2"),
        _flagged(
            ("x1", "x1", "The first coordinate."), ("x2", "x2", "The second coordinate."),
            ("x1^2", "x1\u00b2", "The square of the first."), ("x2^2", "x2\u00b2", "The square of the second."),
            ("x1*x2", "x1 x2", "The product of both: alone it solves XOR."),
            ("sin(x1)", "sin x1", "The sine of the first."), ("sin(x2)", "sin x2", "The sine of the second."),
        ),
        when={"data": (*DRAWN["data"], "points")},
    ),
    Knob(
        "hidden", "network", "Hidden layers", "The numbers of units of the hidden layers; none makes a linear model.",
        "widths", (4, 3), least=1, most=MOST_UNITS, step=1,
    ),
    Knob(
        "activation", "network", "Activation", "The function that each hidden unit applies to its sum.", "choice",
        "tanh", _activations(),
    ),
    Knob(
        "norm", "network", "Normalisation", "What brings the sums of a layer to a common scale before the activation.",
        "choice", "none",
        _flagged(
            ("none", "None", ""),
            ("batch", "Batch", "Each unit over the rows of a batch; a batch needs two rows or more."),
            ("layer", "Layer", "Each row over the units of the layer."),
            ("rms", "RMS", "Each row, divided by its root mean square."),
        ),
    ),
    Knob(
        "dropout", "network", "Dropout", "The share of the hidden units that are left out at random in each step.",
        "number", 0.0, least=0, most=0.9, step=0.05,
    ),
    Knob(
        "residual", "network", "Residual",
        "Whether a layer that is as wide as the one before it adds its result to what it was given.", "flag", False,
    ),
    Knob(
        "init", "network", "Initial weights", "How the weights of the hidden layers are drawn at the beginning.",
        "choice", "auto", _initializers(),
    ),
    Knob(
        "seed", "network", "Seed",
        "The number that all chance of the training follows from: initial weights, the order of rows, dropout.",
        "integer", 0, least=0, most=LARGEST_SEED, step=1,
    ),
    Knob(
        "loss", "training", "Loss", "What is made small: the measure of how wrong the network is.", "choice", "auto",
        _flagged(
            ("auto", "Suited", "Cross-entropy for classes, half the squared error for numbers."),
            ("cross_entropy", "Cross-entropy", "For classes: minus the logarithm of the right class's probability."),
            ("hinge", "Hinge", "For classes: how far the right class is from winning by a margin of 1."),
            ("half_squared_error", "Half squared error", "For numbers: half the square of the difference."),
            ("mean_squared_error", "Mean squared error", "For numbers: the square of the difference."),
            ("absolute_error", "Absolute error", "For numbers: the difference without its sign; outliers count less."),
            ("huber", "Huber", "For numbers: squared where the difference is small, absolute where it is large."),
        ),
    ),
    Knob(
        "optimizer", "training", "Rule", "How the gradient becomes a step.", "choice", "sgd",
        _flagged(
            ("sgd", "SGD", "The gradient times the rate."),
            ("momentum", "Momentum", "Steps gather speed along directions that last."),
            ("nesterov", "Nesterov", "Momentum that looks ahead."),
            ("rmsprop", "RMSProp", "Each weight's step is divided by the usual size of its gradient."),
            ("adam", "Adam", "Momentum and RMSProp together."),
            ("adamw", "AdamW", "Adam, with weight decay of its own."),
            ("muon", "Muon", "Steps of matrices, all of whose directions are made equally long."),
        ),
    ),
    Knob(
        "learning_rate", "training", "Learning rate",
        "How large a step is. Too large, and the loss rises or becomes NaN.",
        "number", 0.03, least=1e-5, most=100, scale="log",
    ),
    Knob(
        "momentum", "training", "Momentum", "The share of the last step that goes on.", "number", 0.9, least=0,
        most=0.999, step=0.01, when={"optimizer": ("momentum", "nesterov")},
    ),
    Knob(
        "weight_decay", "training", "Weight decay", "How fast AdamW shrinks the weights, beside the loss.", "number",
        0.01, least=0, most=1, step=0.01, when={"optimizer": ("adamw",)},
    ),
    Knob(
        "schedule", "training", "Schedule", "How the learning rate changes over the epochs.", "choice", "constant",
        _flagged(
            ("constant", "Constant", ""),
            ("step", "Halved in steps", "Half the rate after each so many epochs."),
            ("exponential", "Exponential", "A tenth of the rate after each so many epochs."),
            ("linear", "Linear", "Down to 0 along a straight line."),
            ("cosine", "Cosine", "Down to 0 along half a cosine."),
            ("warmup", "Warm-up", "Up from 0 along a straight line, then constant."),
        ),
    ),
    Knob(
        "schedule_epochs", "training", "Schedule epochs", "The epochs that the schedule's shape is counted in.",
        "integer", 100, least=1, most=100_000, step=1, scale="log",
        when={"schedule": ("step", "exponential", "linear", "cosine", "warmup")},
    ),
    Knob(
        "batch_size", "training", "Batch size", "The rows whose mean gradient makes one step.", "integer", 10, least=1,
        most=2000, step=1, scale="log",
    ),
    Knob(
        "shuffle", "training", "Shuffle", "Whether each epoch takes the rows in another order.", "flag", True,
    ),
    Knob(
        "l2", "training", "L2",
        "Adds l2 / 2 times the sum of the squared weights to the loss, which keeps them small and the picture smooth.",
        "number", 0.0, least=0, most=1, step=0.001,
    ),
    Knob(
        "max_grad_norm", "training", "Largest gradient",
        "Scales a gradient down to this length if it is longer; 0 leaves all as they are.", "number", 0.0, least=0,
        most=1000, step=0.1,
    ),
)  # fmt: skip
BY_NAME = {knob.name: knob for knob in KNOBS}


def described() -> list[dict[str, Any]]:
    """Return the table as plain data, for the page."""
    return [asdict(knob) for knob in KNOBS]


def checked(knob: Knob, value: Any) -> Any:
    """Return the value of a knob in its own type, or raise with the name of the knob.

    >>> checked(BY_NAME["rows"], 100.0)
    100
    """
    return CHECKS[knob.kind](knob, value)


def wanted(knob: Knob) -> str:
    """Return what a knob of numbers takes, in words.

    >>> wanted(BY_NAME["rows"])
    'a whole number from 4 to 2000, such as 200'
    """
    what = "a whole number" if knob.kind == "integer" else "a number"
    return f"{what} from {_digits(knob.least or 0)} to {_digits(knob.most or 0)}, such as {_digits(knob.default)}"


def _digits(number: float) -> str:
    return f"{number:.9f}".rstrip("0").rstrip(".")


def _choice(knob: Knob, value: Any) -> str:
    known = [choice.value for choice in knob.choices]
    if not isinstance(value, str):
        raise InputTypeError(f"{knob.name} is one of {', '.join(known)}; got {value!r:.80}")
    if value not in known:
        raise UnknownNameError(f"{knob.name}: {nearest('value', value[:80], known)}")
    return value


def _choices(knob: Knob, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise InputTypeError(f"{knob.name} is a list of names, such as {list(knob.default)}; got {value!r:.80}")
    given = {_choice(knob, each) for each in value[: len(knob.choices) + 1]}
    if not given:
        raise ConfigError(f"{knob.name} is empty: choose one or more")
    return tuple(choice.value for choice in knob.choices if choice.value in given)  # in the order of the table


def _number(knob: Knob, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputTypeError(f"{knob.name} is {wanted(knob)}; got {value!r:.80}")
    if not (knob.least or 0) <= value <= (knob.most or math.inf):  # which NaN is not, either
        raise ConfigError(f"{knob.name} is {wanted(knob)}; got {value!r:.80}")
    return float(value)


def _integer(knob: Knob, value: Any) -> int:
    if _number(knob, value) != int(value):
        raise ConfigError(f"{knob.name} is {wanted(knob)}; got {value!r:.80}")
    return int(value)


def _text(knob: Knob, value: Any) -> str:
    if not isinstance(value, str):
        raise InputTypeError(f"{knob.name} is text; got {value!r:.80}")
    if len(value) > (knob.most or 0):
        raise ConfigError(f"{knob.name} has at most {knob.most:g} characters; got {len(value)}. Shorten it")
    return value


def _flag(knob: Knob, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputTypeError(f"{knob.name} is yes or no, in Python True or False; got {value!r:.80}")
    return value


def _widths(knob: Knob, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        raise InputTypeError(
            f"{knob.name} is a list of the units of each hidden layer, such as {list(knob.default)}; got {value!r:.80}"
        )
    if len(value) > MOST_LAYERS:
        raise ConfigError(f"{knob.name} has at most {MOST_LAYERS} layers; got {len(value)}. Remove some")
    for i, units in enumerate(value):
        is_number = isinstance(units, int | float) and not isinstance(units, bool)
        if not is_number or not (knob.least or 0) <= units <= (knob.most or 0) or units != int(units):
            raise ConfigError(
                f"{knob.name}: layer {i + 1} has a whole number of units from {knob.least:g} to {knob.most:g}; "
                f"got {units!r:.80}"
            )
    return tuple(map(int, value))


def _points(knob: Knob, value: Any) -> tuple[tuple[float, float, float], ...]:
    if not isinstance(value, list | tuple):
        raise InputTypeError(
            f"{knob.name} is a list of points x1, x2 and t, such as [[-1, 1, 0], [1, 1, 1]]; got {value!r:.80}"
        )
    if len(value) > (knob.most or 0):
        raise ConfigError(f"{knob.name} has at most {knob.most:g} points; got {len(value)}. Remove some")
    points = []
    for i, point in enumerate(value):
        numbers = point if isinstance(point, list | tuple) else ()
        fine = [isinstance(each, int | float) and not isinstance(each, bool) and abs(each) <= 1e6 for each in numbers]
        if len(fine) != 3 or not all(fine):
            raise ConfigError(
                f"{knob.name}: point {i + 1} is three numbers from -1000000 to 1000000, x1, x2 and t; got {point!r:.80}"
            )
        points.append((float(numbers[0]), float(numbers[1]), float(numbers[2])))
    return tuple(points)


CHECKS: dict[str, Callable[[Knob, Any], Any]] = {
    "choice": _choice,
    "choices": _choices,
    "integer": _integer,
    "number": _number,
    "text": _text,
    "flag": _flag,
    "widths": _widths,
    "points": _points,
}
