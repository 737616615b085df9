"""The activation functions ``y = f(z)``, each with its derivative.

``backward`` turns dL/dy into dL/dz in place. Where the derivative can be computed from ``y`` alone, only ``y`` is kept.
At a kink the derivative is the one from the left, so relu'(0) = 0. NaN passes through every function.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from fullyconnected.base import ActivationFunction, Layer
from fullyconnected.core.arrays import Array, Buffer, BufferSpecs, Cache
from fullyconnected.core.checks import number
from fullyconnected.core.contracts import IN_CACHES, check_shapes
from fullyconnected.core.registry import Registry
from fullyconnected.core.settings import settings
from fullyconnected.core.wording import in_ascii
from fullyconnected.errors import InputTypeError, ShapeError

__all__ = ["ACTIVATIONS", "activation"]


class Identity(ActivationFunction):
    """y = z."""

    name = "identity"

    def of_mean(self, z: Array) -> Array:
        return np.asarray(z.mean(axis=1))

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        if y is not z:
            c.xp.copyto(y, z)

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        pass


class Halving(ActivationFunction):
    """A function that about halves the size of signals: they keep it from layer to layer with He's initial variance."""

    suited_init = "he_normal"


class ReLU(Halving):
    """y = max(z, 0); the derivative is 1 where z > 0, else 0.

    Source: Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    """

    name = "relu"
    kinks = (0.0,)

    def cache(self, rows: int, n: int) -> BufferSpecs:
        # a row of zeros, because NumPy takes the maximum with a row faster than with a scalar
        return {"zero": np.zeros(n), "positive": Buffer((rows, n), np.bool_)}

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        c.xp.maximum(z, c.zero, out=y)

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        c.xp.greater(y, c.zero, out=c.positive)
        c.xp.multiply(dy, c.positive, out=dy)


@settings
class LeakyReLU(Halving):
    """y = z where z > 0, else slope * z; the derivative at 0 is ``slope``.

    Parameters
    ----------
    slope : float
        The slope where z < 0, in (0, 1).

    Raises
    ------
    ConfigError, InputTypeError
        For a slope out of range, or that is not a number.

    Examples
    --------
    >>> from fullyconnected import Dense
    >>> Dense(2, 3, LeakyReLU(0.2)).activation
    LeakyReLU(slope=0.2)

    Source: Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
    """

    slope: float = 0.01
    name: ClassVar[str] = "leaky_relu"
    kinks: ClassVar[tuple[float, ...]] = (0.0,)  # type: ignore[misc]

    def __post_init__(self) -> None:
        number("slope", self.slope, above=True, below=1)  # below 1, so that y = max(z, slope * z)

    def cache(self, rows: int, n: int) -> BufferSpecs:
        # a row of slopes, for the same reason as the row of zeros of relu
        return {"s": (rows, n), "positive": Buffer((rows, n), np.bool_), "slope": np.full(n, self.slope)}

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        c.xp.multiply(z, self.slope, out=c.s)
        c.xp.maximum(z, c.s, out=y)

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        xp = c.xp
        xp.greater(y, 0, out=c.positive)
        xp.copyto(c.s, c.positive)
        xp.maximum(c.s, c.slope, out=c.s)  # 1 or the slope
        xp.multiply(dy, c.s, out=dy)


@settings
class ELU(Halving):
    """y = z where z > 0, else alpha * (exp(z) - 1); the derivative is 1, else y + alpha.

    Parameters
    ----------
    alpha : float
        Positive; y tends to -alpha as z tends to minus infinity.

    Raises
    ------
    ConfigError, InputTypeError
        For an alpha out of range, or that is not a number.

    Examples
    --------
    >>> ELU().kinks, ELU(0.5).kinks  # the slopes 1 and alpha meet at 0
    ((), (0.0,))

    Source: Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by ELUs", ICLR 2016.
    """

    alpha: float = 1.0
    name: ClassVar[str] = "elu"
    scale: ClassVar[float] = 1.0  # the factor on both branches: 1 for ELU

    def __post_init__(self) -> None:
        number("alpha", self.alpha, above=True)

    @property
    def kinks(self) -> tuple[float, ...]:  # type: ignore[override]
        """The slopes 1 and alpha meet at 0."""
        return () if self.alpha == 1 else (0.0,)

    def cache(self, rows: int, n: int) -> BufferSpecs:
        return {"s": (rows, n), "positive": Buffer((rows, n), np.bool_)}

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        xp = c.xp
        xp.minimum(z, 0, out=c.s)
        xp.expm1(c.s, out=c.s)
        c.s *= self.scale * self.alpha
        xp.maximum(z, 0, out=y)
        if self.scale != 1:
            y *= self.scale
        y += c.s

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        xp = c.xp
        xp.greater(y, 0, out=c.positive)
        xp.add(y, self.scale * self.alpha, out=c.s)
        xp.copyto(c.s, self.scale, where=c.positive)
        dy *= c.s


@settings
class SELU(ELU):
    """y = lambda * z where z > 0, else lambda * alpha * (exp(z) - 1): outputs keep mean 0 and variance 1.

    Source: Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks", NeurIPS 2017, equation 2.
    """

    alpha: float = 1.6732632423543772
    name: ClassVar[str] = "selu"
    suited_init: ClassVar[str] = "lecun_normal"
    scale: ClassVar[float] = 1.0507009873554805


# Coefficients of Phi(-z) exp(z^2 / 2) in powers of (z - 4) / (z + 4), highest first: tools/normal_tail.py makes them.
_TAIL = {
    4: (1.9431029927982556e-05, -3.573577247438331e-05, -1.7872835520125924e-04, 6.2982079285713644e-04,
        5.0400763645253826e-04, -8.4883104485452496e-03, 3.0865426349015291e-02, -7.1708070576732059e-02,
        1.2437922446719132e-01, -1.7039768862872239e-01, 9.4410641301968937e-02),
    8: (5.8623789757570458e-11, 1.8541412723617467e-10, -3.9949268589528771e-10, -2.0204913571447130e-09,
        4.6531930415212357e-10, 1.1925199643121582e-08, 9.0867274862139836e-09, -5.2844936035268511e-08,
        -9.4014362221049224e-08, 2.0602202625376125e-07, 6.6145517193279927e-07, -8.2941262318785264e-07,
        -4.3035495202819139e-06, 4.6315548997713457e-06, 2.8648344363332975e-05, -4.5554892613836451e-05,
        -1.8718426938826709e-04, 6.3881385140276968e-04, 5.0756207500389369e-04, -8.4920954820846934e-03,
        3.0864804106321424e-02, -7.1707407337738043e-02, 1.2437925533925633e-01, -1.7039772154845541e-01,
        9.4410641301968937e-02),
}  # fmt: skip


class GELU(Halving):
    """y = z * Phi(z), with Phi the normal distribution function; the derivative is Phi(z) + z * phi(z).

    This is the exact form, not its tanh approximation. Phi keeps its relative accuracy in the left tail, but for the
    rounding of z^2 / 2 in the exponent.

    Source: Hendrycks and Gimpel, "Gaussian error linear units", 2016.
    """

    name = "gelu"
    needs_input = True

    def cache(self, rows: int, n: int) -> BufferSpecs:
        return {"cdf": (rows, n), "density": (rows, n), "s": (rows, n), "positive": Buffer((rows, n), np.bool_)}

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        xp, u, cdf = c.xp, c.s, c.cdf
        xp.abs(z, out=u)
        xp.minimum(u, 1e3, out=u)  # an infinite |z| would make u below NaN; at 1000 the tail is 0 in any case
        xp.add(u, 4, out=cdf)
        u -= 4
        u /= cdf
        first, *others = _TAIL[z.itemsize]
        cdf.fill(first)
        for coefficient in others:  # Horner's rule: the tail scaled by exp(z^2 / 2)
            cdf *= u
            cdf += coefficient
        xp.multiply(z, z, out=c.density)
        c.density *= -0.5
        xp.exp(c.density, out=c.density)
        cdf *= c.density  # Phi(-|z|)
        xp.greater(z, 0, out=c.positive)
        xp.subtract(1, cdf, out=u)
        xp.copyto(cdf, u, where=c.positive)
        xp.multiply(z, cdf, out=y)

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        c.xp.multiply(z, c.density, out=c.s)
        c.s *= 1 / math.sqrt(2 * math.pi)
        c.s += c.cdf
        dy *= c.s


# A number as an array of no dimensions, kept in the cache: NumPy is faster with it than with a Python number.
ONE = np.ones(())


def _sigmoid(z: Array, c: Cache, out: Array) -> None:
    """Write 1 / (1 + exp(-z)): accurate at both ends; where exp overflows to infinity, that is 0."""
    xp = c.xp
    xp.negative(z, out=c.s)
    xp.exp(c.s, out=c.s)
    xp.add(c.s, c.one, out=out)
    xp.reciprocal(out, out=out)


class Sigmoid(ActivationFunction):
    """y = 1 / (1 + exp(-z)); the derivative is y * (1 - y)."""

    name = "sigmoid"

    def cache(self, rows: int, n: int) -> BufferSpecs:
        return {"s": (rows, n), "one": ONE}

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        _sigmoid(z, c, y)

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        xp = c.xp
        xp.subtract(c.one, y, out=c.s)
        xp.multiply(c.s, y, out=c.s)
        xp.multiply(dy, c.s, out=dy)

    def of_mean(self, z: Array) -> Array:
        # the log odds of the mean; 1 - y is sigmoid(-z), so that no digit of a y near 1 is lost
        return np.asarray(
            np.logaddexp.reduce(-np.logaddexp(0, -z), axis=1) - np.logaddexp.reduce(-np.logaddexp(0, z), axis=1)
        )


class Tanh(ActivationFunction):
    """y = tanh(z); the derivative is 1 - y^2."""

    name = "tanh"

    def cache(self, rows: int, n: int) -> BufferSpecs:
        return {"s": (rows, n), "one": ONE}

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        c.xp.tanh(z, out=y)

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        xp = c.xp
        xp.multiply(y, y, out=c.s)
        xp.subtract(c.one, c.s, out=c.s)
        xp.multiply(dy, c.s, out=dy)


class SiLU(Halving):
    """y = z * s with s = sigmoid(z); the derivative is s + y * (1 - s).

    Source: Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units", 2018, equation 5. Also called swish.
    """

    name = "silu"

    def cache(self, rows: int, n: int) -> BufferSpecs:
        return {"sigmoid": (rows, n), "s": (rows, n), "one": ONE}

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        _sigmoid(z, c, c.sigmoid)
        c.xp.multiply(z, c.sigmoid, out=y)

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        c.xp.subtract(c.one, c.sigmoid, out=c.s)
        c.s *= y
        c.s += c.sigmoid
        dy *= c.s


class Mish(Halving):
    """y = z * t with t = tanh(log(1 + exp(z))); the derivative is t + z * sigmoid(z) * (1 - t^2).

    With n = e^z (e^z + 2), t is n / (n + 2): no logarithm, and nothing cancels for z far below 0.

    Source: Misra, "Mish: a self regularized non-monotonic activation function", 2019, equation 1.
    """

    name = "mish"
    needs_input = True

    def cache(self, rows: int, n: int) -> BufferSpecs:
        return {"t": (rows, n), "s": (rows, n), "one": ONE}

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        xp, t, n = c.xp, c.t, c.s
        xp.minimum(z, 20, out=t)  # above 20, t rounds to 1; for far larger z, n would overflow
        xp.exp(t, out=t)
        xp.add(t, 2, out=n)
        n *= t
        xp.add(n, 2, out=t)
        xp.divide(n, t, out=t)
        xp.multiply(z, t, out=y)

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        xp, t, s = c.xp, c.t, c.s
        _sigmoid(z, c, s)
        s *= z
        s *= dy  # dy * z * sigmoid(z)
        dy *= t
        t *= t
        xp.subtract(1, t, out=t)
        s *= t
        dy += s


class Softplus(ActivationFunction):
    """y = log(1 + exp(z)); the derivative is sigmoid(z) = 1 - exp(-y)."""

    name = "softplus"

    def cache(self, rows: int, n: int) -> BufferSpecs:
        return {"s": (rows, n)}

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        c.xp.logaddexp(z, 0, out=y)

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        xp = c.xp
        xp.negative(y, out=c.s)
        xp.expm1(c.s, out=c.s)
        xp.negative(c.s, out=c.s)
        dy *= c.s


class Exp(ActivationFunction):
    """y = exp(z); the derivative is y."""

    name = "exp"

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        c.xp.exp(z, out=y)

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        dy *= y

    def of_mean(self, z: Array) -> Array:
        return np.asarray(np.logaddexp.reduce(z, axis=1) - np.log(z.shape[1]))


class Softmax(ActivationFunction):
    """y_j = exp(z_j) / sum_k exp(z_k) in each row; dz = y * (dy - sum_k dy_k y_k), the full Jacobian."""

    name = "softmax"

    def cache(self, rows: int, n: int) -> BufferSpecs:
        return {"row": (rows, 1), "s": (rows, n)}

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        xp = c.xp
        z.max(axis=1, keepdims=True, out=c.row)
        xp.subtract(z, c.row, out=y)
        xp.exp(y, out=y)
        y.sum(axis=1, keepdims=True, out=c.row)
        y /= c.row

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        xp = c.xp
        xp.multiply(dy, y, out=c.s)
        c.s.sum(axis=1, keepdims=True, out=c.row)
        dy -= c.row
        dy *= y

    def of_mean(self, z: Array) -> Array:
        # the logarithms of the mean probabilities
        logs = z - np.logaddexp.reduce(z, axis=2, keepdims=True)
        return np.asarray(np.logaddexp.reduce(logs, axis=1) - np.log(z.shape[1]))


@settings
class FunctionPair(ActivationFunction):
    """A function and its derivative, both of the pre-activations: ``Dense(2, 3, (f, df))``.

    It can be trained and checked like any other, but not saved: for that, an activation must be a registered class.
    """

    f: Callable[[Array], Any]
    df: Callable[[Array], Any]
    name: ClassVar[str] = "function pair"
    needs_input: ClassVar[bool] = True

    def forward(self, z: Array, c: Cache, y: Array) -> None:
        y[...] = self._applied(self.f, z)

    def backward(self, z: Array, c: Cache, y: Array, dy: Array) -> None:
        dy *= self._applied(self.df, z)

    def _applied(self, function: Callable[[Array], Any], z: Array) -> Any:
        value = function(z)
        if np.shape(value) not in (z.shape, ()):
            raise ShapeError(f"{function!r} turned an array of shape {z.shape} into {np.shape(value)}; keep the shape")
        return value

    def __repr__(self) -> str:
        return in_ascii(f"({getattr(self.f, '__name__', self.f)}, {getattr(self.df, '__name__', self.df)})")


ACTIVATIONS = Registry(
    "activation",
    ActivationFunction,
    (ReLU, LeakyReLU, ELU, SELU, GELU, SiLU, Mish, Softplus, Sigmoid, Tanh, Softmax, Exp, Identity),
    check=lambda f: check_shapes(type(f).__name__, f.cache(1, 1), "cache", least=0, taken=IN_CACHES),
    hint=lambda given: (
        'an activation in a layer is given by its name, such as "relu"' if isinstance(given, Layer) else ""
    ),
)


def activation(given: Any) -> ActivationFunction:
    """Return an activation from its name, an instance, or the pair of a function and its derivative.

    >>> activation("leaky_relu")
    LeakyReLU(slope=0.01)
    """
    if isinstance(given, tuple):
        if len(given) != 2 or not all(map(callable, given)):
            raise InputTypeError(f"an activation given as functions is the pair (f, derivative of f); got {given!r}")
        return FunctionPair(*given)
    return ACTIVATIONS.get(given)
