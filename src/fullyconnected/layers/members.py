"""An ensemble that is trained in one product: networks that share weights, or whole ones, side by side.

Its operations work on copies: row i of the batch is the rows i k to i k + k - 1 of x, one for each of the k members.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from fullyconnected import initializers
from fullyconnected.base import Layer, Param
from fullyconnected.core.arrays import Array, BufferSpecs, Cache, Shape, Views
from fullyconnected.core.checks import count
from fullyconnected.core.contracts import is_foreign
from fullyconnected.core.settings import settings
from fullyconnected.errors import ConfigError, ShapeError
from fullyconnected.layers.dense import Activation, Dense
from fullyconnected.layers.dropout import Dropout
from fullyconnected.layers.norm import BatchNorm, LayerNorm, RMSNorm, RowNorm
from fullyconnected.layers.residual import Residual, chain
from fullyconnected.layers.scaling import Rescale

if TYPE_CHECKING:
    from fullyconnected.annotations import InitializerLike

__all__ = [
    "MemberBatchNorm",
    "MemberLayerNorm",
    "MemberRMSNorm",
    "MemberScale",
    "Members",
    "OwnDense",
    "SharedDense",
]

KINDS = ("tabm", "mini", "packed")


@settings
class Members(Layer):
    r"""An ensemble of k networks in one: each row goes through all of them, and each keeps outputs of its own.

    The layers of the list are those of one member. By ``kind``, members have in common:

    ``"tabm"``
        the weights W of each Dense layer but the last, before and behind which each member i scales:
        ``y = f(((x * r_i) W) * s_i + b_i)``. The vectors r, s and b are its own.
    ``"mini"``
        all of each Dense layer but the last; only the input of the first is scaled: ``x * r_i``.
    ``"packed"``
        nothing: k whole networks.

    The last Dense layer, and gamma, beta and the running statistics of norms, are always a member's own, and so are
    the masks of Dropout. With dz_i = f'(z_i) dy_i, sums over the rows, and x_i the input of member i: dW = sum_i
    (x_i * r_i)' (dz_i * s_i), and dx_i = ((dz_i * s_i) W') * r_i. The first layer reads one x for all members, and dx
    is the sum of their gradients.

    A network can end in it; it can stand nowhere else. ``fit``, ``gradients`` and ``check_gradients`` see the mean of
    the members' losses, and ``sample_weight`` may be (rows, k), which makes each member's loss a weighted mean of its
    own. Everything else sees the ensemble: ``net.predict(x)`` returns the outputs whose predictions are the mean of
    the members' predictions, by the link of the loss, and metrics, ``evaluate`` and validation judge them.
    ``net.predict(x, members=True)`` returns the outputs of all members.

    Parameters
    ----------
    k : int
        The number of members, 1 or more; 32 is usual.
    layers : sequence of Layer
        One member: it begins with Dense and has a last Dense layer, behind which stand only layers without parameters,
        such as :class:`Rescale`. Between them Dense, Activation, Dropout, LayerNorm, RMSNorm, BatchNorm and Residual,
        and your own layers if they have neither parameters nor running statistics.
    kind : {"tabm", "mini", "packed"}
        What the members have in common.
    scale_init : str, float or callable, optional
        Initial values of the first r, as ``init`` of Dense: None is ``"signs"``, -1 or 1 at random; 1.0, normal
        numbers, is usual behind embeddings. All other r and s begin as 1. Not for ``"packed"``.

    Shapes
    ------
    x (rows, n_in), y (rows k, n_out); r (k, n_in), s and b (k, n_out), W (n_in, n_out), or (k, n_in, n_out) if it is a
    member's own.

    Raises
    ------
    ConfigError, ShapeError, InputTypeError, UnknownNameError
        For k below 1, another kind, layers that an ensemble cannot have there, or that do not fit each other.

    Examples
    --------
    >>> import fullyconnected as fc
    >>> net = fc.Network([fc.Members(4, [fc.Dense(2, 8, "relu"), fc.Dense(8, 1)])], seed=0)
    >>> net.predict([[0.5, -1.0]]).shape, net.predict([[0.5, -1.0]], members=True).shape
    ((1, 1), (1, 4, 1))
    >>> for tensor in net.program.tensors[:4]:
    ...     print(tensor.name, tensor.shape)
    members_1.shared_dense_1.W (2, 8)
    members_1.shared_dense_1.b (4, 8)
    members_1.shared_dense_1.r (4, 2)
    members_1.shared_dense_1.s (4, 8)

    Source: Gorishniy, Kotelnikov and Babenko, "TabM: Advancing tabular deep learning with parameter-efficient
    ensembling", ICLR 2025; the shared product: Wen, Tran and Ba, "BatchEnsemble", ICLR 2020, equation 5.
    """

    k: int
    layers: Sequence[Layer]
    kind: str = "tabm"
    scale_init: InitializerLike | None = field(default=None, kw_only=True)
    name: ClassVar[str] = "members"
    comes_last: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", count("k of Members", self.k))
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            raise ConfigError(f"kind of Members is {', '.join(map(repr, KINDS))}; got {self.kind!r:.80}")
        if isinstance(self.layers, Layer) or not isinstance(self.layers, Sequence) or not self.layers:
            raise ConfigError(f"Members takes the list of a member's layers; got {self.layers!r:.200}")
        first = self.layers[0]
        if isinstance(first, Layer) and type(first) is not Dense:
            raise ConfigError(
                f"Members begins with Dense, which reads one row for all members; got {first!r:.200}. A layer that all "
                f"members have in common can stand before Members"
            )
        layers = chain(self.layers, None, within="Members: ")
        for i, layer in enumerate(layers):
            _check(layer, f"layer {i} of Members", top=True)
        object.__setattr__(self, "layers", layers)
        for i in range(self._last + 1, len(layers)):
            if type(layers[i]) in (LayerNorm, RMSNorm, BatchNorm, Residual):
                raise ConfigError(
                    f"layer {i} of Members, {layers[i]!r:.200}, follows the last Dense layer, which gives the outputs: "
                    f"put it before, or a Dense layer behind it"
                )
        if self.kind == "packed":
            if self.scale_init is not None:
                raise ConfigError(f"packed members have no scales, and so no scale_init; got {self.scale_init!r:.80}")
        elif self.scale_init is None:
            object.__setattr__(self, "scale_init", "signs")
        else:
            initializers.check(self.scale_init, "scale_init")

    @classmethod
    def example(cls, n: int) -> Layer:
        over_rows, *of_rows = (norm(epsilon=0.01) for norm in (BatchNorm, LayerNorm, RMSNorm))
        block = Residual([of_rows[0], Dense(n, n), of_rows[1]])
        return cls(2, [Dense(n, n, "tanh"), over_rows, block, Dropout(0.1), Dense(n, n)])

    @classmethod
    def examples(cls, n: int) -> Iterable[Layer]:
        layers = Dense(n, n, "tanh"), Dense(n, n, "tanh"), Dense(n, n)
        return (cls.example(n), *(cls(2, layers, kind) for kind in KINDS[1:]))

    @property
    def n_in(self) -> int:
        """The number of inputs."""
        return int(self.layers[0].n_in or 0)

    @property
    def n_out(self) -> int:
        """The number of outputs of each member."""
        return int(self.layers[-1].n_out or 0)

    @property
    def _last(self) -> int:
        """The place of the last Dense layer, which is a member's own."""
        return max(i for i, layer in enumerate(self.layers) if isinstance(layer, Dense))

    def steps(self) -> Iterable[Layer]:
        made: list[Layer] = []
        for i, layer in enumerate(self.layers):
            if i in (0, self._last):
                made += self._ends(layer, first=i == 0, own=self.kind == "packed" or i == self._last)
            else:
                made.append(self._inner(layer))
        return made

    def with_steps(self, steps: Sequence[Layer]) -> Self:
        """Return the ensemble with constants in the layers that stand for themselves in a program, such as Rescale."""
        offset = len(steps) - len(self.layers)  # before the first layer that does, there may be one step more
        pairs = zip(self.layers, steps[offset:], strict=True)
        layers = [new if type(new) is type(old) and not old.params() else old for old, new in pairs]
        return replace(self, layers=tuple(layers))

    def _ends(self, dense: Any, *, first: bool, own: bool) -> list[Layer]:
        """Return the operations for the first or the last Dense layer."""
        settings = {**vars(dense), "k": self.k, "first": first}
        if own:
            return [OwnDense(**settings)]
        if self.kind == "tabm":
            return [SharedDense(**settings, scale_init=self.scale_init)]
        return [MemberScale(self.k, dense.n_in, scale_init=self.scale_init), dense]

    def _inner(self, layer: Any) -> Layer:
        """Return what stands for a layer between these."""
        if isinstance(layer, Residual):
            return Residual([self._inner(each) for each in layer.layers])
        if isinstance(layer, Dense) and self.kind != "mini":
            return (OwnDense if self.kind == "packed" else SharedDense)(**vars(layer), k=self.k)
        norm = NORMS.get(type(layer))
        return norm(**vars(layer), k=self.k) if norm else layer


def _check(layer: Layer, what: str, *, top: bool = False) -> None:
    """Raise if a layer cannot be one of a member."""
    if type(layer) is Residual:
        for i, each in enumerate(layer.layers):
            _check(each, f"layer {i} of {what[0].lower()}{what[1:]}")
        return
    if isinstance(layer, Dense):
        for setting, known in initializers.FROM_ROWS.items():
            if (init := getattr(layer, setting)) in known:
                raise ConfigError(
                    f"{what} is {layer!r:.200}, whose {setting}={init!r} is drawn from the training rows that reach "
                    f"it; those of members differ. Choose another one, such as {setting}=0.1"
                )
    allowed = (Dense, Activation, Dropout, *NORMS, *((Rescale,) if top else ()))
    if type(layer) in allowed:
        return
    if not is_foreign(layer):
        where = ", and Rescale at the end" if top else ""
        raise ConfigError(
            f"{what} is {layer!r:.200}; a member is made of Dense, Activation, Dropout, LayerNorm, RMSNorm, BatchNorm "
            f"and Residual{where}. What reads the rows as they are, or what all members have in common, can stand "
            f"before Members"
        )
    if layer.params() or layer.state() or layer.least_rows > 1 or layer.skips or tuple(layer.steps()) != (layer,):
        raise ConfigError(
            f"{what} is {layer!r:.200}, of a class of your own: it can be one of a member's layers if it has neither "
            f"parameters nor running statistics, and works on each row separately. Others can stand before Members"
        )


def _copied(n: int, k: int) -> int:
    """Return the number of copies that the first operation gives for ``n`` in its input, or raise."""
    if n != 1:
        raise ShapeError(f"Members reads one copy of each row; what comes before it gives {n}")
    return k


def _own(shape: Shape, role: str) -> Param:
    """Return a parameter that each member has, and that does not decay."""
    return Param(shape, roles=(role,), stacked=True)


def of_members(a: Array, k: int) -> Array:
    """Return rows (rows k, n) as (rows, k, n)."""
    return a.reshape(-1, k, a.shape[-1])


def of_rows(a: Array, k: int) -> Array:
    """Return rows (rows k, n) as (rows, k n)."""
    return a.reshape(-1, k * a.shape[-1])


@settings
class MemberDense(Dense):
    """What the Dense layers of an ensemble have in common: ``first`` says that one x is read for all members."""

    k: int = field(kw_only=True)
    first: bool = field(default=False, kw_only=True)

    def copies(self, n: int) -> int:
        return _copied(n, self.k) if self.first else n

    def cache(self, rows: int) -> BufferSpecs:
        """Return the buffers for ``rows`` rows of x."""
        every = rows * self.k if self.first else rows
        return {**super().cache(every), "ones": np.ones(every // self.k)}


@settings
class SharedDense(MemberDense):
    """A Dense layer whose weights are those of all members: ``y = f(((x * r_i) W) * s_i + b_i)`` for member i.

    With dz = f'(z) dy and sums over the rows of each member: db = sum dz, ds = sum dz * ((x * r) W), dv = (dz * s) W',
    dW = (x * r)' (dz * s), dr = sum dv * x and dx = dv * r, summed over the members if they read one x.
    """

    scale_init: InitializerLike | None = field(default=None, kw_only=True)  # of r; None for ones
    name: ClassVar[str] = "shared_dense"

    def params(self) -> Mapping[str, Param]:
        W = Param((self.n_in, self.n_out), decays=True, matrix=True, roles=("weight",))
        b = {"b": Param((self.k, self.n_out), roles=("bias",), stacked=True)} if self.bias else {}
        sizes = {"r": self.n_in, "s": self.n_out}
        return {"W": W, **b, **{name: _own((self.k, n), "scale") for name, n in sizes.items()}}

    def cache(self, rows: int) -> BufferSpecs:
        every = rows * self.k if self.first else rows
        return {
            **super().cache(rows),
            "v": (every, self.n_in),
            "u": (every, self.n_out),
            **({"part": (rows, self.n_in)} if self.first else {}),
        }

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        W = initializers.draw(self.init, rng, (self.n_in, self.n_out), self.n_in, self.n_out)
        p.W = W / self.weight_factor
        if self.bias:  # the same for each member
            b = initializers.draw(self.bias_init, rng, (self.n_out,), self.n_in, self.n_out)
            p.b = np.broadcast_to(b, (self.k, self.n_out))
        p.s = 1
        p.r = 1
        if self.scale_init is not None:
            p.r = initializers.draw(self.scale_init, rng, (self.k, self.n_in), self.n_in, self.n_in)

    def _by_member(self, x: Array) -> Array:
        return x[:, None] if self.first else of_members(x, self.k)

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        f, k = self.activation, self.k
        z = c.z if f is not None and f.needs_input else y
        c.xp.multiply(self._by_member(x), p.r, out=of_members(c.v, k))
        c.v.dot(p.W, out=c.u)  # (rows k, n_in) (n_in, n_out)
        if self.weight_factor != 1:
            c.xp.multiply(c.u, c.factor, out=c.u)
        c.xp.multiply(of_members(c.u, k), p.s, out=of_members(z, k))
        if self.bias:
            c.xp.add(of_members(z, k), p.b, out=of_members(z, k))
        if f is not None:
            f.forward(z, c, y)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        f, k, xp = self.activation, self.k, c.xp
        if f is not None:
            f.backward(c.z if f.needs_input else y, c, y, dy)  # dy is dL/dz from here on
        if self.bias:
            c.ones.dot(of_rows(dy, k), out=g.b.reshape(-1))  # (rows,) (rows, k n_out)
        xp.multiply(c.u, dy, out=c.u)
        c.ones.dot(of_rows(c.u, k), out=g.s.reshape(-1))
        xp.multiply(of_members(dy, k), p.s, out=of_members(dy, k))
        if self.weight_factor != 1:
            xp.multiply(dy, c.factor, out=dy)
        c.v.T.dot(dy, out=g.W)  # (n_in, rows k) (rows k, n_out)
        dy.dot(p.W.T, out=c.v)  # (rows k, n_out) (n_out, n_in)
        dv = of_members(c.v, k)
        if self.first:
            for i in range(k):
                xp.multiply(dv[:, i], x, out=c.part)
                c.ones.dot(c.part, out=g.r[i])
            if dx is not None:
                xp.multiply(dv, p.r, out=dv)
                dv.sum(axis=1, out=dx)
            return
        if dx is not None:
            xp.multiply(dv, p.r, out=of_members(dx, k))
        xp.multiply(c.v, x, out=c.v)
        c.ones.dot(of_rows(c.v, k), out=g.r.reshape(-1))

    def kink_distances(self, p: Views, x: Array) -> Array | None:
        if self.activation is None or not self.activation.kinks:
            return None
        z = ((self._by_member(x) * p.r) @ p.W * self.weight_factor) * p.s + (p.b if self.bias else 0)
        return np.stack([z.reshape(-1, self.n_out) - kink for kink in self.activation.kinks])


@settings
class OwnDense(MemberDense):
    """A Dense layer of which each member has weights of its own: ``y = f(x W_i + b_i)`` for member i.

    With dz = f'(z) dy and x the rows of member i: dW_i = x' dz, db_i = 1' dz and dx = dz W_i', summed over the members
    if they read one x.
    """

    name: ClassVar[str] = "own_dense"

    def params(self) -> Mapping[str, Param]:
        shape = self.k, self.n_in, self.n_out
        W = {"W": Param(shape, decays=True, matrix=True, roles=("weight",), stacked=True)}
        return {**W, "b": _own((self.k, self.n_out), "bias")} if self.bias else W

    def cache(self, rows: int) -> BufferSpecs:
        alone = rows if self.first else rows // self.k
        return {**super().cache(rows), "part": (alone, self.n_in), "of_one": (alone, self.n_out)}

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        for i in range(self.k):
            W = initializers.draw(self.init, rng, (self.n_in, self.n_out), self.n_in, self.n_out)
            p.W[i] = W / self.weight_factor
        for i in range(self.k if self.bias else 0):
            p.b[i] = initializers.draw(self.bias_init, rng, (self.n_out,), self.n_in, self.n_out)

    def _of_one(self, x: Array, i: int) -> Array:
        return x if self.first else of_members(x, self.k)[:, i]

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        f, k = self.activation, self.k
        z = c.z if f is not None and f.needs_input else y
        for i in range(k):
            self._of_one(x, i).dot(p.W[i], out=c.of_one)  # (rows, n_in) (n_in, n_out)
            c.xp.copyto(of_members(z, k)[:, i], c.of_one)
        if self.weight_factor != 1:
            c.xp.multiply(z, c.factor, out=z)
        if self.bias:
            c.xp.add(of_members(z, k), p.b, out=of_members(z, k))
        if f is not None:
            f.forward(z, c, y)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        f, k, xp = self.activation, self.k, c.xp
        if f is not None:
            f.backward(c.z if f.needs_input else y, c, y, dy)  # dy is dL/dz from here on
        if self.bias:
            c.ones.dot(of_rows(dy, k), out=g.b.reshape(-1))  # (rows,) (rows, k n_out)
        if self.weight_factor != 1:
            xp.multiply(dy, c.factor, out=dy)
        for i in range(k):
            dz = of_members(dy, k)[:, i]
            self._of_one(x, i).T.dot(dz, out=g.W[i])  # (n_in, rows) (rows, n_out)
            if dx is None:
                continue
            dz.dot(p.W[i].T, out=c.part)  # (rows, n_out) (n_out, n_in)
            if not self.first:
                xp.copyto(of_members(dx, k)[:, i], c.part)
            elif i:
                xp.add(dx, c.part, out=dx)
            else:
                xp.copyto(dx, c.part)

    def kink_distances(self, p: Views, x: Array) -> Array | None:
        if self.activation is None or not self.activation.kinks:
            return None
        z = np.stack([self._of_one(x, i) @ p.W[i] for i in range(self.k)], axis=1) * self.weight_factor
        z = z + p.b if self.bias else z
        return np.stack([z.reshape(-1, self.n_out) - kink for kink in self.activation.kinks])


@settings
class MemberScale(Layer):
    """Each member scales the one row that all read: ``y = x * r_i``; dr_i = sum dy * x, and dx = sum_i dy * r_i."""

    k: int
    n_in: int
    scale_init: InitializerLike | None = field(default=None, kw_only=True)
    name: ClassVar[str] = "member_scale"

    @property
    def n_out(self) -> int:
        """The number of outputs, which is the number of inputs."""
        return self.n_in

    def copies(self, n: int) -> int:
        return _copied(n, self.k)

    def params(self) -> Mapping[str, Param]:
        return {"r": _own((self.k, self.n_in), "scale")}

    def cache(self, rows: int) -> BufferSpecs:
        return {"part": (rows, self.n_in), "every": (rows * self.k, self.n_in), "ones": np.ones(rows)}

    def initialize(self, p: Views, rng: np.random.Generator) -> None:
        p.r = initializers.draw(self.scale_init, rng, (self.k, self.n_in), self.n_in, self.n_in)

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        c.xp.multiply(x[:, None], p.r, out=of_members(y, self.k))

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        by_member = of_members(dy, self.k)
        for i in range(self.k):
            c.xp.multiply(by_member[:, i], x, out=c.part)
            c.ones.dot(c.part, out=g.r[i])  # (rows,) (rows, n_in)
        if dx is not None:
            c.xp.multiply(by_member, p.r, out=by_member)
            by_member.sum(axis=1, out=dx)


def _flat(views: Any) -> Any:
    """Return the parts of all members of each array as one row."""
    return SimpleNamespace(**{name: view.reshape(-1) for name, view in views})


@settings
class MemberBatchNorm(BatchNorm):
    """Batch normalisation of which each member has gamma, beta and running statistics of its own.

    It is that of k n_in units, since the rows of the members of one row lie side by side.
    """

    k: int = field(kw_only=True)
    name: ClassVar[str] = "member_batch_norm"

    def params(self) -> Mapping[str, Param]:
        shape = self.k, self.width
        return {name: param._replace(shape=shape, stacked=True) for name, param in super().params().items()}

    def state(self) -> Mapping[str, Shape]:
        return dict.fromkeys(super().state(), (self.k, self.width))

    def cache(self, rows: int) -> BufferSpecs:
        return BatchNorm(n_in=self.k * self.width).cache(rows // self.k)

    def forward(self, p: Views, x: Array, c: Cache, y: Array, *, train: bool) -> None:
        super().forward(_flat(p), of_rows(x, self.k), c, of_rows(y, self.k), train=train)

    def backward(self, p: Views, x: Array, c: Cache, y: Array, dy: Array, g: Views, dx: Array | None) -> None:
        x, y, dy = (of_rows(a, self.k) for a in (x, y, dy))
        super().backward(_flat(p), x, c, y, dy, _flat(g), None if dx is None else of_rows(dx, self.k))


@settings
class MemberRowNorm(RowNorm):
    """What the norms of a row have where each member has gamma, and beta, of its own; k is the number of members."""

    k: int = field(kw_only=True)

    def params(self) -> Mapping[str, Param]:
        shape = self.k, self.width
        return {name: param._replace(shape=shape, stacked=True) for name, param in super().params().items()}

    def cache(self, rows: int) -> BufferSpecs:
        return {**super().cache(rows), "ones": np.ones(rows // self.k)}

    def _scale(self, p: Views, c: Cache, n: Array, y: Array) -> None:
        super()._scale(p, c, of_members(n, self.k), of_members(y, self.k))

    def _sum(self, c: Cache, a: Array, out: Array) -> None:
        super()._sum(c, of_rows(a, self.k), out.reshape(-1))  # (rows,) (rows, k n)

    def _gain(self, p: Views, c: Cache, dy: Array, dx: Array) -> None:
        super()._gain(p, c, of_members(dy, self.k), of_members(dx, self.k))


@settings
class MemberLayerNorm(MemberRowNorm, LayerNorm):
    """Layer normalisation of which each member has gamma and beta of its own."""

    name: ClassVar[str] = "member_layer_norm"


@settings
class MemberRMSNorm(MemberRowNorm, RMSNorm):
    """Root mean square normalisation of which each member has a gamma of its own."""

    epsilon: float = field(default=1e-6, kw_only=True)  # RMSNorm's, before that of RowNorm
    name: ClassVar[str] = "member_rms_norm"


# what each of these is in a member
NORMS: dict[type[Layer], Any] = {BatchNorm: MemberBatchNorm, LayerNorm: MemberLayerNorm, RMSNorm: MemberRMSNorm}
