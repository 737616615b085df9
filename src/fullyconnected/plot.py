"""Figures by matplotlib: decision boundaries, learning curves, and histograms of parameters or gradients.

Each function draws into given axes or a given figure, and returns the axes. Without these, it makes a figure with
pyplot, which a notebook shows by itself, and a script by ``pyplot.show()``. The functions do not show figures, and
change no settings of matplotlib. pyplot keeps its figures until they are closed, so in a loop or a service, give axes
of a ``matplotlib.figure.Figure`` of your own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from fullyconnected.base import as_outputs
from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import (
    as_array,
    as_rows,
    count,
    known_columns,
    number,
    require_finite,
    same_rows,
)
from fullyconnected.core.wording import printable
from fullyconnected.errors import ConfigError, DataError, InputTypeError, ShapeError, missing
from fullyconnected.network import Gradients, Network
from fullyconnected.program.data import output_activation
from fullyconnected.training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from fullyconnected.annotations import ArrayLike, AxesLike

__all__ = ["decision_boundary", "histograms", "learning_curves"]

# Okabe and Ito's colours, which can be told apart with any kind of colour vision. There is one marker more than
# there are colours, so that 72 classes differ in colour or marker.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#666666")
MARKERS = "os^Dv*PXh"
GRID = 200  # points along each side of a plane
BINS = 40
MANY = 30  # epochs up to which each has a marker on the curve


def decision_boundary(
    net: Network,
    x: ArrayLike,
    t: ArrayLike,
    *,
    ax: Axes | None = None,
    columns: tuple[int, int] | None = None,
    output: int | None = None,
    boundary: float | None = None,
) -> Axes:
    """Draw a network's predictions over a plane, as regions of classes or values of one output, and the rows.

    With several outputs, the class is that of the largest. A single output is drawn by its value, with a line at the
    boundary of class 1 if the targets are 0 and 1. Targets that are numbers have the colours of the output's values.

    Parameters
    ----------
    net : Network
        A network of two inputs, or more with ``columns``.
    x : array (rows, ...)
        Finite numbers, one row or more. The plane covers all rows, with a margin.
    t : array (rows,) or (rows, n_out)
        Class numbers, one-hot or probabilities; or numbers, for the value of an output.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None makes a figure. The legend and the colour bar are beside the axes; a figure of your own
        has room for them with ``layout="constrained"``.
    columns : pair of int, optional
        The inputs that span the plane, counted from 0, for more than two inputs. The others are held at their mean
        over the rows, as the label of the axis says.
    output : int, optional
        Draw the value of this output, counted from 0, instead of the classes.
    boundary : float, optional
        The output value at which the line is drawn. For one output and targets of 0 and 1, None takes 0.5 if the loss
        of the training (``net.loss``) compares the output itself with 0 and 1, and 0 if outputs are logits. For a
        network without a loss, it is 0.5 after a sigmoid, and 0 otherwise.

    Raises
    ------
    ShapeError, DataError, InputTypeError, ConfigError
        For rows or targets that do not fit the network, or are not finite numbers; for a network of one input; and
        for more than two inputs without ``columns``.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fullyconnected import mlp
    >>> ax = decision_boundary(mlp([2, 8, 3], seed=0), [[0.0, 1.0], [2.0, 3.0]], [0, 2], ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['class 0', 'class 2']
    """
    if not isinstance(net, Network):
        raise InputTypeError(f"the first argument is a Network; got {net!r:.200}")
    x = known_columns(x, net.program.names, net.columns.x)
    x = as_rows(x, net.n_in, missing=net.program.reads_raw)
    net.program.check_rows(x, "x", net.dtype)
    t = same_rows(len(x), as_array(t, "t"), "t")
    require_finite(t, "t", net.dtype)
    columns = _columns(columns, net.n_in)
    if output is None and net.n_out == 1:
        output = 0
    if output is not None and count("output", output, 0) >= net.n_out:
        raise ConfigError(f"output is 0 to {net.n_out - 1} for this network; got {output}")
    classes = _classes(t, net.n_out)
    if output is None and classes is None:
        raise DataError("t holds numbers, not classes: to draw the value of one output, choose it: output=0")
    if boundary is not None:
        boundary = number("boundary", boundary, least=-math.inf, above=True)
        if output is None:
            raise ConfigError("boundary is a value of one output, and classes are drawn here: give output=0")
    elif classes is not None and net.n_out == 1:
        ends = output_activation(net.program)
        boundary = 0.5 if (ends == "sigmoid" if net.loss is None else net.loss.link.is_identity) else 0.0
    ax = _new_axes(1)[0] if ax is None else _given_axes(ax, 1, "the plane is drawn into one Axes")[0]
    plane = _Plane(net, x, columns)
    if output is None:
        plane.draw_regions(ax)
        plane.draw_classes(ax, classes)
    elif classes is not None:
        plane.draw_values(ax, output, boundary, None)
        plane.draw_classes(ax, classes)
    else:
        plane.draw_values(ax, output, boundary, as_outputs(t, net.n_out)[:, output].astype(np.float64))
    return ax


def _columns(columns: Any, n_in: int) -> tuple[int, int]:
    """Return the two inputs that span the plane."""
    if n_in == 1:
        raise ShapeError("the network takes 1 input, and a plane has 2: plot net.predict(x) over x instead")
    if columns is None:
        if n_in > 2:
            raise ConfigError(
                f"the network takes {n_in} inputs, and a plane has 2: choose two, such as columns=(0, 1); "
                f"the others are held at their mean"
            )
        return 0, 1
    if not isinstance(columns, tuple | list) or len(columns) != 2:
        raise InputTypeError(f"columns is a pair of inputs, such as (0, 1); got {columns!r}")
    across, up = (count(f"columns[{i}]", column, 0) for i, column in enumerate(columns))
    if across == up or max(across, up) >= n_in:
        raise ConfigError(f"columns is two different inputs, each from 0 to {n_in - 1}; got {columns!r}")
    return across, up


def _classes(t: Array, n_out: int) -> Array | None:
    """Return the class numbers of targets, or None if the targets are numbers."""
    if n_out == 1:
        t = as_outputs(t, 1)[:, 0]
        return t.astype(np.int64) if ((t == 0) | (t == 1)).all() else None
    if t.ndim == 2 and t.shape[1] == n_out:
        shares = (t >= 0).all() and (np.abs(t.sum(axis=1, dtype=np.float64) - 1) <= 1e-3).all()
        return t.argmax(axis=1) if shares else None
    if t.size != len(t):
        raise ShapeError(f"t has shape {t.shape}; ({len(t)},) or ({len(t)}, {n_out}) is wanted")
    t = t.reshape(len(t))
    outside = np.flatnonzero((t != np.floor(t)) | (t < 0) | (t >= n_out))
    if len(outside):
        raise DataError(f"t[{outside[0]}] is {t[outside[0]]}; with {n_out} outputs the classes are 0 to {n_out - 1}")
    return t.astype(np.int64)


class _Plane:
    """The outputs of a network over a plane of two inputs, with the other inputs at their mean."""

    def __init__(self, net: Network, x: Array, columns: tuple[int, int]) -> None:
        self.across, self.up = (x[:, column].astype(np.float64) for column in columns)
        self.u, self.v = (
            np.linspace(*_padded(side, float(np.finfo(net.dtype).max)), GRID) for side in (self.across, self.up)
        )
        others = net.n_in - 2
        held = f" (the other {f'{others} are' if others > 1 else 'is'} at the mean)" if others else ""
        self.labels = f"input {columns[0]}{held}", f"input {columns[1]}"
        rows = np.tile(np.ma.masked_invalid(x).mean(axis=0, dtype=np.float64).filled(0), (GRID, 1))
        rows[:, columns[0]] = self.u
        self.z = np.empty((GRID, GRID, net.n_out))
        for i, height in enumerate(self.v):  # a line at a time, since all points together would take much memory
            rows[:, columns[1]] = height
            self.z[i] = net.predict(rows)
        if not np.isfinite(self.z).any():
            raise DataError("no output of the network is finite in this plane; look at net.theta, and at the inputs")

    def draw_regions(self, ax: Any) -> None:
        """Draw the regions in which each output is the largest, and the lines between them."""
        from matplotlib.colors import ListedColormap

        n_out = self.z.shape[-1]
        largest = np.ma.masked_array(self.z.argmax(axis=-1), np.isnan(self.z).any(axis=-1))
        tints = ListedColormap([COLOURS[k % len(COLOURS)] for k in range(n_out)])
        half_u, half_v = (self.u[1] - self.u[0]) / 2, (self.v[1] - self.v[0]) / 2
        ax.imshow(
            largest,
            cmap=tints,
            vmin=-0.5,
            vmax=n_out - 0.5,
            alpha=0.3,
            extent=(self.u[0] - half_u, self.u[-1] + half_u, self.v[0] - half_v, self.v[-1] + half_v),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
        )
        for k in range(n_out):
            with np.errstate(invalid="ignore"):  # infinite logits
                ahead = self.z[..., k] - np.delete(self.z, k, axis=-1).max(axis=-1)
            self._line(ax, ahead, 0.8)
            where = np.argwhere(largest == k)
            if n_out > len(COLOURS) and len(where):  # colours repeat, so each region is numbered
                i, j = where[np.square(where - where.mean(axis=0)).sum(axis=1).argmin()]
                ax.text(self.u[j], self.v[i], str(k), ha="center", va="center", fontweight="bold", zorder=3)

    def draw_values(self, ax: Any, output: int, boundary: float | None, targets: Array | None) -> None:
        """Draw one output as colours, the line at the boundary, and the rows with their targets in the same colours."""
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.ticker import MaxNLocator

        z = np.ma.masked_invalid(self.z[..., output])
        if not z.count():
            raise DataError(f"output {output} is finite nowhere in this plane; look at net.theta, and at the inputs")
        shown = z.compressed() if targets is None else np.concatenate([z.compressed(), targets])
        low, high = shown.min(), shown.max()
        colours: Any = "viridis"
        if targets is None and boundary is not None:  # two classes: from the colour of one to that of the other
            reach = max(high - boundary, boundary - low)
            low, high = boundary - reach, boundary + reach
            colours = LinearSegmentedColormap.from_list("classes", [COLOURS[0], "white", COLOURS[1]])
        if not high > low:
            low, high = low - 0.5, high + 0.5
        levels = MaxNLocator(12).tick_values(low, high)
        filled = ax.contourf(self.u, self.v, z, levels, cmap=colours, vmin=levels[0], vmax=levels[-1])
        name = f"output {output}" if self.z.shape[-1] > 1 else "output"
        bar = ax.figure.colorbar(filled, ax=ax, label=name, location="bottom")
        bar.ax.xaxis.set_major_locator(MaxNLocator(6))
        if targets is not None:
            norm = {"cmap": filled.get_cmap(), "norm": filled.norm}
            ax.scatter(
                self.across, self.up, c=targets, s=28, edgecolors="black", linewidths=0.6, label="target", **norm
            )
        if boundary is not None:
            self._line(ax, z - boundary, 1.5)
            ax.plot([], [], color="black", linewidth=1.5, label=f"{name} = {boundary:g}")
        self._finish(ax)

    def draw_classes(self, ax: Any, classes: Any) -> None:
        """Draw the rows, with a colour and a marker for each class."""
        for k in np.unique(classes):
            ax.scatter(
                self.across[classes == k],
                self.up[classes == k],
                s=28,
                color=COLOURS[k % len(COLOURS)],
                marker=MARKERS[k % len(MARKERS)],
                edgecolors="black",
                linewidths=0.6,
                label=f"class {k}",
            )
        self._finish(ax)

    def _line(self, ax: Any, values: Array, width: float) -> None:
        """Draw the line where the values change their sign."""
        values = np.ma.masked_invalid(values)
        if values.count() and values.min() < 0 < values.max():  # matplotlib warns if there is no such line
            ax.contour(self.u, self.v, values, [0], colors="black", linewidths=width)

    def _finish(self, ax: Any) -> None:
        ax.set(xlim=(self.u[0], self.u[-1]), ylim=(self.v[0], self.v[-1]), xlabel=self.labels[0], ylabel=self.labels[1])
        handles, names = ax.get_legend_handles_labels()
        # beside the axes, where the legend hides no row
        ax.legend(handles, names, loc="upper left", bbox_to_anchor=(1, 1), ncols=-(-len(names) // 15), frameon=False)


def _padded(side: Array, most: float) -> tuple[float, float]:
    there = side[~np.isnan(side)]  # others are missing
    low, high = (float(there.min()), float(there.max())) if len(there) else (0.0, 0.0)
    pad = 0.08 * (high - low) or 0.05 * abs(low) or 1.0
    return max(low - pad, -most), min(high + pad, most)


def learning_curves(history: History, *, ax: AxesLike | None = None) -> list[Axes]:
    """Draw the loss of a run, on training and validation data, and its metrics, over the epochs.

    The best epoch is marked: the one whose weights early stopping has restored, or else the one of the lowest
    validation loss. Positive losses that vary by more than a factor of 10 have a logarithmic axis. Values that are not
    finite are left out, and counted in the legend.

    Parameters
    ----------
    history : History
        The history from :func:`fullyconnected.fit`, of one epoch or more.
    ax : Axes or sequence of Axes, optional
        One for the loss alone, or one for the loss and one for each metric; None makes a figure.

    Returns
    -------
    list of matplotlib.axes.Axes
        The axes of the loss, then one for each metric.

    Raises
    ------
    InputTypeError, DataError, ShapeError
        For other objects than a history, a history without an epoch, or another number of axes.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> (ax,) = learning_curves(History(loss=[3.0, 1.0], validation_loss=[4.0, 2.0]), ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['training', 'validation', 'lowest validation loss: epoch 2']
    """
    if not isinstance(history, History):
        raise InputTypeError(f"history is what fc.fit returns; got {history!r:.200}")
    if not history.loss:
        raise DataError("the history has no epoch; there is nothing to draw")
    names = list(history.metrics)
    if ax is None:
        axes = _new_axes(1 + len(names))
    else:
        many = np.size(np.asarray(ax, dtype=object)) > 1
        what = f"there are curves for {', '.join(['the loss', *names])}: give one Axes each, or one for the loss"
        axes = _given_axes(ax, 1 + len(names) if many else 1, what)
    from matplotlib.ticker import MaxNLocator

    curves = {"training": history.loss}
    if history.validation_loss:
        curves["validation"] = history.validation_loss
    for i, (label, values) in enumerate(curves.items()):
        _curve(axes[0], values, label, i)
    shown = np.concatenate([*curves.values()])
    shown = shown[np.isfinite(shown)]
    if len(shown) and 0 < 10 * shown.min() < shown.max():
        axes[0].set_yscale("log")
    axes[0].set_ylabel("loss")
    last = len(curves) - 1  # metrics are computed on the validation data, if there are any
    for each, name in zip(axes[1:], names, strict=False):
        _curve(each, history.metrics[name], list(curves)[last], last)
        each.set_ylabel(printable(name.replace("_", " ")), parse_math=False)  # a dollar sign is no formula
    best, why = history.best_epoch, "best epoch, whose weights are kept"
    losses = np.asarray(history.validation_loss, np.float64)
    if best is None and (finite := np.isfinite(losses)).any():
        best, why = int(np.where(finite, losses, np.inf).argmin()) + 1, "lowest validation loss"
    for each in axes:
        if best is not None:
            each.axvline(
                best, color="#666666", linestyle=":", label=f"{why}: epoch {best}" if each is axes[0] else None
            )
        if ax is not None or each is axes[-1]:  # in a figure made here, the axes share that of the last
            each.set_xlabel("epoch")
        each.xaxis.set_major_locator(MaxNLocator(integer=True))
        each.legend(loc="best")  # without loc, matplotlib warns that "best" is slow for a long run
    return axes


def _curve(ax: Any, values: Any, label: str, i: int) -> None:
    values = as_array(values, f"the {label} curve").astype(np.float64)
    finite = np.isfinite(values)
    left_out = len(values) - int(finite.sum())
    ax.plot(
        np.arange(1, len(values) + 1),
        np.where(finite, values, np.nan),
        color=COLOURS[(0, 5)[i]],
        linestyle=("-", "--")[i],
        marker="os"[i] if len(values) <= MANY else None,
        markersize=3,
        label=label + (f" ({left_out} not finite)" if left_out else ""),
    )


def histograms(net_or_gradients: Network | Gradients, *, fig: Figure | SubFigure | None = None) -> list[Axes]:
    r"""Draw a histogram of the entries of each parameter tensor, or of each gradient.

    Entries that are not finite are left out, and counted in the title.

    Parameters
    ----------
    net_or_gradients : Network or Gradients
        A network, for its parameters; or the result of :meth:`Network.gradients`, for all gradients.
    fig : matplotlib.figure.Figure or SubFigure, optional
        Where to draw; None makes a figure.

    Returns
    -------
    list of matplotlib.axes.Axes
        One for each tensor, in their order.

    Raises
    ------
    InputTypeError, DataError
        For other objects, or a network without parameters.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fullyconnected import mlp
    >>> [ax.get_title() for ax in histograms(mlp([784, 10], seed=0), fig=Figure())]
    ['dense_1.W\n784 x 10', 'dense_1.b\n10']
    """
    if isinstance(net_or_gradients, Network):
        net, what = net_or_gradients, "parameter"
        tensors = list(net.program.named(net.theta).items())
    elif isinstance(net_or_gradients, Gradients):
        what = "gradient"
        tensors = [*_named(net_or_gradients.params, "params"), ("x", net_or_gradients.x)]
    else:
        raise InputTypeError(f"give a Network, or what net.gradients returns; got {net_or_gradients!r:.200}")
    if not tensors:
        raise DataError("the network has no parameters; there is nothing to draw")
    across = max(min(4, len(tensors)), math.isqrt(len(tensors)))
    down = -(-len(tensors) // across)
    if fig is None:
        _require_matplotlib()
        from matplotlib import pyplot

        fig = pyplot.figure(figsize=(2.6 * across, 2.1 * down + 0.3), layout="constrained")
    elif not hasattr(fig, "add_subplot"):
        raise InputTypeError(f"fig is a matplotlib Figure; got {fig!r:.200}")
    axes = []
    for i, (name, values) in enumerate(tensors):
        ax = fig.add_subplot(down, across, i + 1)
        _histogram(ax, name, values)
        axes.append(ax)
    fig.supxlabel(what, fontsize="medium")
    fig.supylabel("entries", fontsize="medium")
    return axes


def _named(params: Any, prefix: str) -> Iterator[tuple[str, Array]]:
    """Yield the tensors of ``params`` with names such as ``params[0].W``, or ``params[1][0].W`` in a block."""
    for i, entry in enumerate(params):
        if isinstance(entry, list):
            yield from _named(entry, f"{prefix}[{i}]")
        else:
            yield from ((f"{prefix}[{i}].{name}", view) for name, view in entry)


def _histogram(ax: Any, name: str, values: Array) -> None:
    finite = values[np.isfinite(values)].astype(np.float64)  # in float64, the range of float32 values cannot overflow
    left_out = {"NaN": int(np.isnan(values).sum()), "infinite": int(np.isinf(values).sum())}
    shape = " x ".join(map(str, values.shape))
    counts_left = "".join(f", {n:,} {kind}" for kind, n in left_out.items() if n)
    pieces = wrap(printable(name).replace(".", ". "), 34)  # 34 letters fit; names in nested blocks are longer
    ax.set_title("\n".join([*pieces, shape + counts_left]).replace(". ", "."), fontsize="small", parse_math=False)
    ax.tick_params(labelsize="x-small")
    ax.locator_params(nbins=4)
    ax.yaxis.get_major_locator().set_params(integer=True)
    if not finite.size:
        ax.text(0.5, 0.5, "nothing finite", ha="center", va="center", transform=ax.transAxes)
        ax.set(xticks=[], yticks=[])
        return
    low, high = float(finite.min()), float(finite.max())
    bins = min(BINS, max(4, 2 * math.isqrt(finite.size)))
    if high - low > bins * float(np.spacing(values.dtype.type(max(abs(low), abs(high))))):
        counts, edges = np.histogram(finite, bins, (low, high))
    else:  # all equal, as initial biases are: a single bar
        around = abs(low) / 2 or 0.5
        counts, edges = np.array([finite.size]), np.array([low - around / 20, high + around / 20])
        ax.set_xlim(low - around, high + around)
    ax.stairs(counts, edges, fill=True, color=COLOURS[0])


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise missing("matplotlib", "plot", "a figure") from None


def _new_axes(n: int) -> list[Axes]:
    """Return the axes of a new figure, one above the other, which share their x axis."""
    _require_matplotlib()
    from matplotlib import pyplot

    _, axes = pyplot.subplots(n, squeeze=False, sharex=True, layout="constrained", figsize=(6.4, 4.4 + 2.2 * (n - 1)))
    return list(axes[:, 0])


def _given_axes(ax: Any, wanted: int, what: str) -> list[Axes]:
    """Return the caller's axes as a list of ``wanted`` axes, or raise."""
    _require_matplotlib()
    from matplotlib.axes import Axes

    given = list(np.ravel(np.asarray(ax, dtype=object)))
    for each in given:
        if not isinstance(each, Axes):
            raise InputTypeError(f"ax is a matplotlib Axes, such as the one of plt.subplots(); got {each!r:.200}")
    if len(given) != wanted:
        raise ShapeError(f"{what}; got {len(given)}")
    return given
