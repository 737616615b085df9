"""The reference: pages for Sphinx, which takes the docstrings of whatever is public.

``PAGES`` has the order of docs/reference.md, which says in prose what these pages say name by name.
"""

import inspect
import types
from collections.abc import Iterator
from typing import NamedTuple

from sphinx.pycode import ModuleAnalyzer

import fullyconnected as fc


class Page(NamedTuple):
    """A page: its file, its title, what it is about, and the names on it.

    ``plot.`` are all names of a module, whose own docstring says what it is about.
    """

    file: str
    title: str
    about: str
    names: str


PAGES = [
    Page(
        "networks",
        "Networks",
        "A network holds its layers, and all parameters as one vector.",
        "Network mlp load Gradients Evaluation Summary",
    ),
    Page(
        "losses",
        "Losses, and what outputs mean",
        "A loss is called with outputs and targets; its link says what the outputs mean.",
        "HalfSquaredError MeanSquaredError AbsoluteError Huber Quantile Poisson Hinge SoftmaxCrossEntropy "
        "BinaryCrossEntropy links.",
    ),
    Page(
        "training",
        "Training",
        "Both train a network in place: `fc.fit` to the end, `fc.epochs` with your code between two epochs.",
        "fit epochs History Epoch",
    ),
    Page(
        "sources",
        "Rows in files",
        "Rows that are read while a network is trained: they may take more than there is memory.",
        "Parquet ArrowTable Source",
    ),
    Page(
        "comm",
        "Processes that train together",
        "The processes of one training, on one machine or many: what ``comm=`` takes.",
        "Comm MPIComm TorchComm",
    ),
    Page(
        "schedules",
        "Schedules",
        "The learning rate, weight decay or dropout of each epoch.",
        "StepDecay ExponentialDecay LinearDecay CosineDecay Warmup FlatCosine LogCosine LinearWarmup",
    ),
    Page(
        "layers",
        "Layers",
        "Layers that compute, norms, constants of the training rows, and what makes numbers of the columns of a table.",
        "Dense Activation Dropout LayerNorm RMSNorm BatchNorm Residual Standardize Rescale Scale Parametric Members "
        "Columns OneHot Embedding PeriodicEmbedding PiecewiseLinearEncoding PiecewiseLinearEmbedding",
    ),
    Page(
        "activations",
        "Activations",
        "Those with settings. The others go by their names, such as `relu`, `gelu` and `tanh`; "
        "[the derivations](../derivations.md#3-activations) have all of them.",
        "LeakyReLU ELU",
    ),
    Page("diagnosis", "Diagnosis", "Why a network does not learn.", "diagnose Diagnosis Finding"),
    Page("averages", "Averages of the weights", "What `average=` of a training takes.", "EMA SWA"),
    Page(
        "optimizers",
        "Optimizers",
        "Rules of an update, a solver that takes all rows at once, and factors for single parameters.",
        "SGD Momentum Nesterov RMSProp Adam AdamW Muon LBFGS Factors",
    ),
    Page("engines", "Engines", "What computes: NumPy, or the same in C++.", "engines EngineInfo"),
    Page(
        "proof",
        "The proof of a gradient",
        "Central differences, beside what backward gives.",
        "check_gradients Report TensorReport",
    ),
    Page(
        "explanation",
        "Worked examples, pictures and the playground",
        "One training step with every number, the network as a picture, and a training to play with.",
        "explain trace draw Explanation Trace Step Drawing playground Playground",
    ),
    Page("plot", "Figures", "", "plot."),
    Page("datasets", "Data sets", "", "datasets."),
    Page(
        "estimators",
        "Estimators",
        "scikit-learn's perceptrons, estimators for tables with text and gaps, and what predicts from their files.",
        "MLPClassifier MLPRegressor TabularClassifier TabularRegressor load_estimator Predictor",
    ),
    Page("exchange", "Exchange", "", "exchange."),
    Page("functional", "Functions and caches", "", "functional."),
    Page(
        "your-own",
        "Your own",
        "What layers, activations, losses, metrics, optimizers, engines and formats of your own are made of; "
        "[in prose](../reference.md#your-own).",
        "register Layer Param ActivationFunction Loss Metric Optimizer Solver Engine Format",
    ),
    Page("errors", "Errors", "", "errors."),
    Page("annotations", "Annotations", "", "annotations."),
]
UNLISTED = {"__version__"}

# What Python keeps no docstring of: constants, and aliases of types that have none in the source.
SAID = {
    "links.IDENTITY": "Outputs are the values themselves, in the unit of the targets.",
    "links.LOG": "Outputs are logarithms of rates: ``exp(z)`` is predicted.",
    "links.LOGIT": "Outputs are log odds, one for each yes-or-no question: ``sigmoid(z)`` is predicted.",
    "links.MULTINOMIAL_LOGIT": "Outputs are logits, one for each class: ``softmax(z)`` is predicted.",
    "links.SCORES": "Outputs are scores, one for each class, the largest of which marks the predicted one.",
    "datasets.CIFAR10_CLASSES": "The names of CIFAR-10's ten classes, in the order of their numbers.",
    "annotations.Array": "An array of NumPy, of any shape and dtype.",
    "annotations.ArrayLike": "NumPy's: arrays, nested lists of numbers, and what has ``__array__``.",
    "annotations.BufferSpecs": "What ``cache`` asks for, by name: a shape, in the network's dtype; a ``Buffer``; "
    "or an array that stays as it is.",
    "annotations.Cache": "The buffers that ``cache`` has asked for, by name, and the namespace of arrays, ``xp``.",
    "annotations.Rows": "Rows as an engine takes them: an array, or a sparse matrix of SciPy.",
    "annotations.Schedule": "A function of the epoch whose result is the factor for it.",
    "annotations.Shape": "A tuple of whole numbers, one for each axis.",
}
SOURCES = "annotations", "core.arrays", "core.batches", "engine.base"  # where aliases have sentences below them

# Methods without an underscore that the library's own modules call, and callers have no use for
INNER = {
    "Network": {
        "unset", "require_set", "outputs_checked", "row_outputs_checked", "evaluate_checked", "evaluate_members",
        "adapt_to", "adapt_checked", "take", "from_vectors",
    },
}  # fmt: skip
BASES = fc.Layer, fc.ActivationFunction, fc.Loss, fc.Optimizer, fc.Solver  # what their methods do stands there


def names_on(page: Page) -> Iterator[str]:
    """Yield the names on a page, as they stand behind ``fullyconnected.``."""
    for name in page.names.split():
        module, dot, _ = name.partition(".")
        yield from (f"{module}.{inner}" for inner in getattr(fc, module).__all__) if dot else (name,)


def found(name: str) -> object:
    """Return what a name stands for."""
    thing: object = fc
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


def public() -> set[str]:
    """Return every public name, of the package and of its modules."""
    names = set(fc.__all__) - UNLISTED
    modules = {name for name in names if isinstance(getattr(fc, name), types.ModuleType)}
    return names - modules | {f"{module}.{inner}" for module in modules for inner in getattr(fc, module).__all__}


def members(cls: type) -> Iterator[tuple[str, str]]:
    """Yield the methods and properties of a class that have a docstring of their own, with Sphinx's directive."""
    if issubclass(cls, BASES) and cls not in BASES:
        return
    seen = set(INNER.get(cls.__name__, ()))
    for base in cls.__mro__:
        if not base.__module__.startswith("fullyconnected") or (base is not cls and base.__name__ in fc.__all__):
            continue
        for name, member in vars(base).items():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if name.startswith("_") or name in seen or not inspect.isfunction(function) or not function.__doc__:
                continue
            seen.add(name)
            yield name, "autoproperty" if isinstance(member, property) else "automethod"


def said(name: str) -> str:
    """Return the sentence on a constant or an alias: that above, or the one that stands below it in the source."""
    if name in SAID:
        return SAID[name]
    own = name.rpartition(".")[2]
    for module in SOURCES:
        lines = ModuleAnalyzer.for_module(f"fullyconnected.{module}").find_attr_docs().get(("", own))
        if lines:
            return " ".join(lines).strip()
    raise SystemExit(f"{name} has no docstring in the source; it belongs in SAID in {__file__}")


def entry(name: str) -> Iterator[str]:
    """Yield the lines of one name."""
    thing, full = found(name), f"fullyconnected.{name}"
    if inspect.isclass(thing) and thing.__module__.startswith("fullyconnected"):
        yield f".. autoclass:: {full}\n"
        if not issubclass(thing, Exception):
            yield from (f"   .. {directive}:: {full}.{member}\n" for member, directive in members(thing))
    elif inspect.isfunction(thing):
        yield f".. autofunction:: {full}\n"
    else:
        yield f".. py:data:: {name}\n\n   {said(name)}\n"


def written(page: Page) -> str:
    """Return a page: its title, what it is about, and each name with its docstring."""
    lines = [f"# {page.title}\n", f"{page.about}\n"]
    for name in page.names.split():
        if name.endswith("."):
            module = f"fullyconnected.{name[:-1]}"
            lines += ["```{eval-rst}", f".. automodule:: {module}", "   :no-members:", "```\n"]
    for name in names_on(page):
        lines += ["```{eval-rst}", ".. currentmodule:: fullyconnected\n", *entry(name), "```\n"]
    return "\n".join(lines)


def index() -> str:
    """Return the page that lists all others, with their names."""
    lines = [
        "# Reference\n",
        "What each function and class takes, returns and raises, from its docstring; `help(fc.fit)` shows the same.",
        "[In prose](../reference.md) says how they work together: which targets a loss takes, how runs go on,",
        "what engines do.\n",
        "| page | names |\n|---|---|",
    ]
    for page in PAGES:
        linked = (f"{{py:obj}}`{name} <fullyconnected.{name}>`" for name in names_on(page))
        lines.append(f"| [{page.title}]({page.file}.md) | {' '.join(linked)} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Return all pages by their file names. A public name that is on none, or on two, is an error."""
    listed = [name for page in PAGES for name in names_on(page)]
    if sorted(listed) != sorted(public()):
        wrong = sorted(set(listed) ^ public()) or sorted({name for name in listed if listed.count(name) > 1})
        raise SystemExit(f"each public name belongs in one line of PAGES in {__file__}: {', '.join(wrong)}")
    return {"index.md": index(), **{f"{page.file}.md": written(page) for page in PAGES}}
