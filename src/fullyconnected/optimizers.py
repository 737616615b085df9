"""The optimizers, which update the parameters theta in place by their gradient g; and a full-batch solver.

An optimizer is a frozen dataclass of numbers. Its state (the slots), its scratch and the learning rate, which a
schedule may have changed, are arguments of ``update``. It treats each entry separately, so that an engine may apply it
to theta piece by piece. A solver uses all rows at once, and chooses its own steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from functools import partial
from typing import Any, ClassVar, Self

from fullyconnected.base import Optimizer, Param, Solver
from fullyconnected.core.arrays import Array, Cache, Shape, Views
from fullyconnected.core.checks import count, flag, number
from fullyconnected.core.contracts import check_shapes
from fullyconnected.core.registry import Registry
from fullyconnected.core.settings import LATER, Settings, settings
from fullyconnected.errors import ConfigError, missing
from fullyconnected.orthogonal import newton_schulz, normalize

__all__ = ["LBFGS", "OPTIMIZERS", "SGD", "Adam", "AdamW", "Momentum", "Muon", "Nesterov", "RMSProp"]


@settings
class SGD(Optimizer):
    """Gradient descent: ``theta -= lr g``.

    Parameters
    ----------
    lr : float
        The learning rate, positive.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.Network([fc.Dense(1, 1, bias=False, init="ones")])
    >>> history = fc.fit(net, [[1.0]], [[3.0]], "half_squared_error", SGD(0.1), epochs=1, progress=False)
    >>> round(float(net.theta[0]), 6)  # 1 - 0.1 g, with g = 1 - 3
    1.2

    Source: Robbins and Monro, "A stochastic approximation method", 1951.
    """

    lr: float = 0.01
    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        number("lr", self.lr, above=True)

    def update(self, theta: Array, g: Array, s: Views, c: Cache, *, lr: float, step: int, decays: bool) -> None:
        c.xp.multiply(g, lr, out=c.a)
        c.xp.subtract(theta, c.a, out=theta)


@settings
class Momentum(SGD):
    """Gradient descent with momentum: ``v = momentum v + g; theta -= lr v``.

    This is PyTorch's form (dampening 0). Others multiply v by lr, which differs when the rate changes.

    Parameters
    ----------
    lr : float
        The learning rate, positive.
    momentum : float
        The factor on the previous v in each step, in [0, 1]; with 1, v is the sum of all gradients.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> Momentum(0.1)
    Momentum(lr=0.1, momentum=0.9)

    Source: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    """

    momentum: float = 0.9
    name: ClassVar[str] = "momentum"
    slots: ClassVar[tuple[str, ...]] = ("v",)

    def __post_init__(self) -> None:
        super().__post_init__()
        number("momentum", self.momentum, most=1)

    def update(self, theta: Array, g: Array, s: Views, c: Cache, *, lr: float, step: int, decays: bool) -> None:
        xp = c.xp
        xp.multiply(s.v, self.momentum, out=s.v)
        xp.add(s.v, g, out=s.v)
        xp.multiply(s.v, lr, out=c.a)
        xp.subtract(theta, c.a, out=theta)


@settings
class Nesterov(Momentum):
    """Momentum that looks ahead: ``v = momentum v + g; theta -= lr (g + momentum v)``.

    This is PyTorch's form (nesterov=True).

    Parameters
    ----------
    lr : float
        The learning rate, positive.
    momentum : float
        The factor on the previous v in each step, in [0, 1]; with 1, v is the sum of all gradients.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> Nesterov(0.1)
    Nesterov(lr=0.1, momentum=0.9)

    Source: Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum", ICML 2013.
    """

    name: ClassVar[str] = "nesterov"

    def update(self, theta: Array, g: Array, s: Views, c: Cache, *, lr: float, step: int, decays: bool) -> None:
        xp = c.xp
        xp.multiply(s.v, self.momentum, out=s.v)
        xp.add(s.v, g, out=s.v)
        xp.multiply(s.v, self.momentum, out=c.a)
        xp.add(c.a, g, out=c.a)
        xp.multiply(c.a, lr, out=c.a)
        xp.subtract(theta, c.a, out=theta)


@settings
class RMSProp(SGD):
    """Divide by the running RMS of the gradient: ``v = rho v + (1 - rho) g^2; theta -= lr g / (sqrt(v) + epsilon)``.

    Parameters
    ----------
    lr : float
        The learning rate, positive.
    rho : float
        The factor on the previous v in each step, in [0, 1).
    epsilon : float
        Added outside the root, positive.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> RMSProp()
    RMSProp(lr=0.001, rho=0.99, epsilon=1e-08)

    Source: Tieleman and Hinton, "Lecture 6.5: RMSProp", 2012.
    """

    lr: float = 0.001
    rho: float = 0.99
    epsilon: float = 1e-8
    name: ClassVar[str] = "rmsprop"
    slots: ClassVar[tuple[str, ...]] = ("v",)

    def __post_init__(self) -> None:
        super().__post_init__()
        number("rho", self.rho, below=1)
        number("epsilon", self.epsilon, above=True)

    def update(self, theta: Array, g: Array, s: Views, c: Cache, *, lr: float, step: int, decays: bool) -> None:
        xp, a = c.xp, c.a
        xp.multiply(g, g, out=a)
        xp.multiply(a, 1 - self.rho, out=a)
        xp.multiply(s.v, self.rho, out=s.v)
        xp.add(s.v, a, out=s.v)
        xp.sqrt(s.v, out=a)
        xp.add(a, self.epsilon, out=a)
        xp.divide(g, a, out=a)
        xp.multiply(a, lr, out=a)
        xp.subtract(theta, a, out=theta)


@settings
class Adam(SGD):
    """Divide a running mean of the gradient by its running RMS, both corrected for their start at zero; as PyTorch.

    With t the step, counted from 1: ``m = beta1 m + (1 - beta1) g``, ``v = beta2 v + (1 - beta2) g^2``,
    ``theta -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)``.

    With ``epsilon_hat``, as in TensorFlow and scikit-learn:
    ``theta -= lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)``.

    Parameters
    ----------
    lr : float
        The learning rate, positive.
    beta1, beta2 : float
        The factors on the previous m and v in each step, in [0, 1).
    epsilon : float
        Added outside the corrected root, positive.
    epsilon_hat : bool
        Whether epsilon is added to the root of v itself, where it counts for more in the first steps.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.Network([fc.Dense(1, 1, bias=False, init="ones")])
    >>> history = fc.fit(net, [[1.0]], [[3.0]], "half_squared_error", Adam(0.1), epochs=1, progress=False)
    >>> round(float(net.theta[0]), 4)  # the first step is lr long, for any g but 0
    1.1

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, Algorithm 1; and the end of its
    section 2, for ``epsilon_hat``.
    """

    lr: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    epsilon_hat: bool = field(default=False, kw_only=True, metadata=LATER)
    name: ClassVar[str] = "adam"
    slots: ClassVar[tuple[str, ...]] = ("m", "v")

    def __post_init__(self) -> None:
        super().__post_init__()
        number("beta1", self.beta1, below=1)
        number("beta2", self.beta2, below=1)
        number("epsilon", self.epsilon, above=True)
        object.__setattr__(self, "epsilon_hat", flag("epsilon_hat", self.epsilon_hat))

    def update(self, theta: Array, g: Array, s: Views, c: Cache, *, lr: float, step: int, decays: bool) -> None:
        xp, a, m, v, beta2 = c.xp, c.a, s.m, s.v, self.beta2
        xp.subtract(g, m, out=a)
        xp.multiply(a, 1 - self.beta1, out=a)
        xp.add(m, a, out=m)  # m += (1 - beta1) (g - m)
        xp.multiply(g, g, out=a)
        xp.multiply(a, 1 - beta2, out=a)
        xp.multiply(v, beta2, out=v)
        xp.add(v, a, out=v)
        xp.sqrt(v, out=a)
        root = (1 - beta2**step) ** 0.5
        # sqrt(v) / root + epsilon, times root; or, with epsilon_hat, sqrt(v) + epsilon
        xp.add(a, self.epsilon if self.epsilon_hat else self.epsilon * root, out=a)
        xp.divide(m, a, out=a)
        xp.multiply(a, lr * root / (1 - self.beta1**step), out=a)
        xp.subtract(theta, a, out=theta)


@settings
class AdamW(Adam):
    """Adam with decoupled weight decay: ``theta -= lr weight_decay theta``, then Adam's step.

    Weights decay; biases and the parameters of normalisation layers do not, as with l2.

    Parameters
    ----------
    lr : float
        The learning rate, positive.
    beta1, beta2 : float
        The factors on the previous m and v in each step, in [0, 1).
    epsilon : float
        Added outside the corrected root, positive.
    weight_decay : float
        0 or more; the learning rate multiplies it.
    epsilon_hat : bool
        As for :class:`Adam`.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number.

    Examples
    --------
    >>> AdamW(weight_decay=0.1)
    AdamW(lr=0.001, beta1=0.9, beta2=0.999, epsilon=1e-08, weight_decay=0.1)

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, Algorithm 2.
    """

    weight_decay: float = 0.01
    name: ClassVar[str] = "adamw"

    def __post_init__(self) -> None:
        super().__post_init__()
        number("weight_decay", self.weight_decay)

    @property
    def decays(self) -> bool:
        return self.weight_decay > 0

    def update(self, theta: Array, g: Array, s: Views, c: Cache, *, lr: float, step: int, decays: bool) -> None:
        if decays:
            c.xp.multiply(theta, 1 - lr * self.weight_decay, out=theta)
        super().update(theta, g, s, c, lr=lr, step=step, decays=decays)


@settings
class Muon(Optimizer):
    """Momentum of hidden matrices, made orthogonal; all other parameters have another optimizer.

    For a matrix W (n_in, n_out) of weights of a layer that is neither the first nor the last with such a matrix:
    ``v = momentum v + g``, ``u = g + momentum v`` (without ``nesterov``, ``u = v``), ``X = u / max(|u|, 1e-7)``; then,
    ``rounds`` times, ``X = 3.4445 X - 4.775 (X X') X + 2.0315 (X X')^2 X``, which brings the singular values of X near
    1; and ``theta -= lr weight_decay theta``, ``theta -= lr sqrt(max(1, n_out / n_in)) X``. In a stack of matrices
    (k, n_in, n_out), each has a step of its own.

    A network of fewer than three layers with weights has no such matrix, and is trained by ``rest`` alone. The learning
    rate of ``rest`` follows schedules and factors in proportion to ``lr``.

    Parameters
    ----------
    lr : float
        The learning rate, positive: about the largest singular value of a step.
    momentum : float
        The factor on the previous v in each step, in [0, 1); it is no average, but a sum.
    nesterov : bool
        Whether the momentum looks ahead, as in :class:`Nesterov`.
    weight_decay : float
        0 or more; the learning rate multiplies it. It is that of the hidden matrices: ``rest`` has its own.
    rounds : int
        The number of rounds, 0 or more: after fewer than five, small singular values are still small; with 0, X is u
        divided by its norm. For n_in = n_out = n, a round multiplies as much as the forward pass of 2 n rows.
    rest : Optimizer
        The optimizer of the first and the last layer, of biases, gains and all other parameters, with its own learning
        rate.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or that is not a number; or if ``rest`` is no optimizer that steps.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.mlp([2, 2, 2, 1], seed=0)
    >>> before = net.params[1].W.copy()
    >>> history = fc.fit(net, [[1.0, 2.0]], [3.0], "half_squared_error", Muon(0.1), epochs=1, progress=False)
    >>> bool(abs(net.params[1].W - before).max() <= 0.121)
    True

    Source: Jordan, Jin, Boza, You, Cesista, Newhouse and Bernstein, "Muon: an optimizer for hidden layers in neural
    networks", 2024; the same as PyTorch's ``Muon``, which computes in bfloat16.
    """

    lr: float = 0.02
    momentum: float = field(default=0.95, kw_only=True)
    nesterov: bool = field(default=True, kw_only=True)
    weight_decay: float = field(default=0.0, kw_only=True)
    rounds: int = field(default=5, kw_only=True)
    rest: Optimizer = field(default=AdamW(1e-3), kw_only=True)
    name: ClassVar[str] = "muon"
    slots: ClassVar[tuple[str, ...]] = ("v",)

    def __post_init__(self) -> None:
        number("lr", self.lr, above=True)
        number("momentum", self.momentum, below=1)
        object.__setattr__(self, "nesterov", flag("nesterov", self.nesterov))
        number("weight_decay", self.weight_decay)
        object.__setattr__(self, "rounds", count("rounds", self.rounds, least=0))
        rest = OPTIMIZERS.get(self.rest)
        if isinstance(rest, Solver | Muon):
            raise ConfigError(
                f"rest is the optimizer of the parameters that are no hidden matrices, such as fc.AdamW(1e-3); "
                f"{type(rest).__name__} is not for single parameters"
            )
        object.__setattr__(self, "rest", rest)

    @property
    def decays(self) -> bool:
        return self.weight_decay > 0 or self.rest.decays

    def times_decay(self, factor: float) -> Self:
        rest = self.rest.times_decay(factor) if self.rest.decays else self.rest
        return replace(self, weight_decay=self.weight_decay * factor, rest=rest)

    def for_param(self, param: Param) -> Optimizer:
        return self if param.is_hidden else self.rest

    def scratch_shapes(self, param: Param, name: str) -> Mapping[str, Shape]:
        matrix = param.shape[-2:]
        return {"x": matrix, "y": matrix, "a": (min(matrix),) * 2, "b": (min(matrix),) * 2}

    def update_tensor(
        self, theta: Array, g: Array, s: Views, c: Cache, *, lr: float, step: int, param: Param, name: str
    ) -> None:
        xp, (n_in, n_out) = c.xp, param.shape[-2:]
        note = getattr(c, "note", None)  # a worked example notes what is on the way
        by_shape = max(1.0, n_out / n_in) ** 0.5
        if note is not None:
            note("shape_factor", by_shape)
            note = partial(note, stacked=theta.ndim > 2)
        stacks, x = [a.reshape(-1, n_in, n_out) for a in (theta, g, s.v)], c.x
        for i in range(theta.size // (n_in * n_out)):
            w, d, v = (stack[i] for stack in stacks)
            xp.multiply(v, self.momentum, out=v)
            xp.add(v, d, out=v)
            xp.multiply(v, self.momentum if self.nesterov else 1.0, out=x)
            if self.nesterov:
                xp.add(x, d, out=x)
            normalize(x, c)
            for done in range(self.rounds):
                if note is not None:
                    note(f"X{done}", x)
                newton_schulz(x, c, note and _numbered(note, done))
            if note is not None:
                note(f"X{self.rounds}", x)
            if param.decays:
                xp.multiply(w, 1 - lr * self.weight_decay, out=w)
            xp.multiply(x, lr * by_shape, out=x)
            xp.subtract(w, x, out=w)


def _numbered(note: Callable[[str, Array], None], done: int) -> Callable[[str, Array], None]:
    """Return a note of a round."""
    return lambda name, a: note(f"{name}{done}", a)


@settings
class LBFGS(Solver):
    """The full-batch quasi-Newton solver L-BFGS-B of SciPy (extra ``lbfgs``); an epoch is one of its iterations.

    ``theta += a d`` with ``d = -H g``, a from a line search. H approximates the inverse Hessian by the last ``history``
    pairs s, y of changes of theta and g. It starts as a multiple of the identity matrix; each pair updates it:
    ``H = (1 - s y' / y's) H (1 - y s' / y's) + s s' / y's``.

    It suits smooth losses on small data. Each iteration uses all rows, those of a source block by block:
    ``batch_size``, ``shuffle`` and ``seed`` have no effect, and dropout, batch normalisation, schedules, clipping and
    checkpoints are refused.

    Parameters
    ----------
    history : int
        Number of pairs that H is computed from, 1 or more.
    tolerance : float
        Stop when the loss decreases by less than this, relative to its size; 0 or more.
    gradient_tolerance : float
        Stop when no entry of the gradient is larger than this; 0 or more.
    evaluations : int, optional
        The maximum number of evaluations of loss and gradient, 1 or more; None takes 20 for each iteration, and 20.

    Raises
    ------
    ConfigError, InputTypeError
        For a setting out of range, or not a number; by ``fit``, for options that this solver cannot have.
    MissingPackageError
        By ``fit``, where SciPy is not installed.

    Examples
    --------
    >>> LBFGS(history=20)
    LBFGS(history=20, tolerance=1e-09, gradient_tolerance=1e-06, evaluations=None)

    Source: Byrd, Lu, Nocedal and Zhu, "A limited memory algorithm for bound constrained optimization", 1995.
    """

    history: int = 10
    tolerance: float = 1e-9
    gradient_tolerance: float = 1e-6
    evaluations: int | None = None
    name: ClassVar[str] = "lbfgs"

    def __post_init__(self) -> None:
        count("history", self.history)
        number("tolerance", self.tolerance)
        number("gradient_tolerance", self.gradient_tolerance)
        if self.evaluations is not None:
            count("evaluations", self.evaluations)

    def minimize(
        self,
        loss: Callable[[Array], tuple[float, Array]],
        theta: Array,
        iterations: int,
        after: Callable[[Array, float], bool],
    ) -> str:
        try:
            from scipy.optimize import minimize
        except ImportError:
            raise missing("scipy", "lbfgs", "the L-BFGS solver") from None

        def after_iteration(intermediate_result: Any) -> None:
            if after(intermediate_result.x, float(intermediate_result.fun)):
                raise StopIteration

        options = {
            "maxcor": self.history,
            "ftol": self.tolerance,
            "gtol": self.gradient_tolerance,
            "maxiter": iterations,
            "maxfun": self.evaluations or 20 * iterations + 20,
        }
        found = minimize(loss, theta, jac=True, method="L-BFGS-B", callback=after_iteration, options=options)
        if found.success:
            return "converged"
        if found.status == 1:  # a limit was reached; 2 means that a line search failed
            return "epochs" if found.nit >= iterations else "evaluations"
        return "line_search"


def _check(rule: Optimizer | Solver) -> None:
    """Raise if a user's optimizer has no learning rate, or defines shapes that are not used."""
    if isinstance(rule, Optimizer):  # a solver has neither
        number(f"lr of {type(rule).__name__}", getattr(rule, "lr", None))
        for name, taken in (("slots", ()), ("scratch", ("xp",))):
            check_shapes(type(rule).__name__, dict.fromkeys(getattr(rule, name), (1,)), name, taken=taken)
        for name in ("slot_shapes", "scratch_shapes"):
            if not rule.sees_tensors and getattr(type(rule), name) is not getattr(Optimizer, name):
                raise ConfigError(f"{type(rule).__name__}.{name} is used only with update_tensor, which is missing")


def _hint(given: Any) -> str:
    """Return what to write instead of something that is no optimizer."""
    if isinstance(given, int | float):
        return f"for a learning rate, write fc.Adam({given})"
    return "are two arguments swapped?" if isinstance(given, Settings) else ""


OPTIMIZERS: Registry[Optimizer | Solver] = Registry(
    "optimizer",
    (Optimizer, Solver),
    (SGD, Momentum, Nesterov, RMSProp, Adam, AdamW, Muon, LBFGS),
    check=_check,
    hint=_hint,
)
