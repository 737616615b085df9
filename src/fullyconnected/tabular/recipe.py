"""What the networks for a table are made of, and what they are trained with.

The parts are those of RealMLP's simplified form: robust scales and a smooth clip of numbers, a column for each level of
a category, the neural tangent parametrization, a last layer that begins at zero, and a learning rate that rises and
falls four times. Every network is an ensemble of packed members, which share constants of the columns and nothing that
has seen a target. Two networks look at the same table: one at numbers as they are, the other also at the bins that they
lie in, which is how trees look at them. Sizes were chosen by rows held out from training parts; those of the presets
are here, and nowhere else.

Source: Holzmueller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on tabular
data", NeurIPS 2024.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from fullyconnected.factors import Factors
from fullyconnected.layers import Columns, Dense, Members, OneHot, PiecewiseLinearEncoding, Standardize
from fullyconnected.network import Network
from fullyconnected.optimizers import Adam
from fullyconnected.schedules import LogCosine
from fullyconnected.tables.encoders import Feature
from fullyconnected.tabular.tasks import CLASSES, LOSSES, NUMBERS

__all__ = ["PRESETS", "SMOOTH", "VIEWS", "Recipe"]

SMOOTH, BENDS = VIEWS = ("smooth", "bends")
MANY = 8  # outputs, beyond which layers have at least
WIDE = 128  # units


@dataclass(frozen=True)
class Recipe:
    """The sizes of the networks for a table, and of their training.

    Attributes
    ----------
    members : int
        The number of members of each network, 2 or more.
    hidden : tuple of int
        The units of each hidden layer.
    epochs : int
        The number of epochs; each member keeps the weights of one of them.
    views : tuple of str
        The networks, by how they look at numbers: ``"smooth"`` or ``"bends"``.
    bins : int
        The number of bins of a column for ``"bends"``.
    logarithm : bool
        Whether the first network is trained a second time where numbers have a long tail, on their logarithm; the
        others learn what served it better.
    smoothing : float
        The label smoothing where there are three classes or more; the temperature takes back what it makes unsure.
    brief : bool
        Whether the networks and the epochs follow from the table, as :meth:`for_table` says.
    batch_size : int or None
        Rows in a batch; None for as many as :meth:`rows_of_batch` says.
    """

    members: int = 8
    hidden: tuple[int, ...] = (64, 64, 64)
    epochs: int = 64
    views: tuple[str, ...] = VIEWS
    bins: int = 32
    logarithm: bool = True
    smoothing: float = 0.05
    brief: bool = False
    batch_size: int | None = None

    def for_table(self, rows: int, task: str, n_out: int) -> Recipe:
        """Return the recipe for a table of so many rows and outputs.

        With more than eight outputs, layers have 128 units or more, to tell them apart.

        A brief recipe differs otherwise. Classes have both networks, and two thirds of the epochs; three classes or
        more, which take longer to learn, have 2.4 times as many. All others have fewer epochs the more rows there are
        above 1,500, down to a third.
        """
        if not self.brief:
            wide = n_out > MANY
            return replace(self, hidden=tuple(max(size, WIDE) for size in self.hidden)) if wide else self
        if task == CLASSES and n_out > 2:
            return replace(self, views=VIEWS, epochs=round(2.4 * self.epochs))
        views, epochs = (self.views, self.epochs) if task == NUMBERS else (VIEWS, self.epochs * 2 / 3)
        return replace(self, views=views, epochs=max(1, round(epochs * min(1, max(1 / 3, 1500 / rows)))))

    def columns(self, view: str, features: Sequence[Feature]) -> Columns:
        """Return the layer with which the network of a view begins."""
        return Columns([*_parts(features, view, self.bins)], n_in=len(features))

    def network(self, view: str, features: Sequence[Feature], n_out: int, task: str, seed: int) -> Network:
        """Return the network of a view, whose constants are still to be taken from the training rows."""
        first = self.columns(view, features)
        width, member, function = int(first.n_out or 0), [], "mish" if task == NUMBERS else "selu"
        for size in self.hidden:
            begin: dict[str, Any] = {"init": "lecun_normal", "bias_init": 1.0}
            member.append(Dense(width, size, function, parametrization="ntk", **begin))
            width = size
        member.append(Dense(width, n_out, parametrization="ntk", init="zeros"))
        return Network([first, Members(self.members, member, kind="packed")], dtype="float32", seed=seed)

    def but(self, members: int | None, hidden: tuple[int, ...] | None, epochs: int | None) -> Recipe:
        """Return the recipe with the values that are given."""
        return replace(
            self,
            members=self.members if members is None else int(members),
            hidden=self.hidden if hidden is None else hidden,
            epochs=self.epochs if epochs is None else int(epochs),
        )

    def told(self) -> dict[str, Any]:
        """Return what it says, by the names that the parameters of an estimator have."""
        said = asdict(self)
        return {"n_members": said.pop("members"), **said}

    def work(self, features: Sequence[Feature], n_out: int) -> int:
        """Return how many products a row takes, about, in all networks together."""
        widths = [[int(self.columns(view, features).n_out or 0), *self.hidden, n_out] for view in self.views]
        return self.members * sum(a * b for each in widths for a, b in pairwise(each))

    def settings(self, rows: int, task: str, n_out: int) -> dict[str, Any]:
        """Return what :func:`fullyconnected.fit` is called with for so many rows and outputs."""
        smoothed = {"label_smoothing": self.smoothing} if task == CLASSES and n_out > 2 else {}
        return {
            "loss": LOSSES[task](**smoothed),
            "optimizer": Adam(0.07 if task == NUMBERS else 0.04, beta2=0.95),
            "schedule": LogCosine(4),
            "factors": Factors(lr={"bias": 0.1}),
            "batch_size": self.batch_size or self.rows_of_batch(rows),
        }

    def rows_of_batch(self, rows: int) -> int:
        """Return how many rows a batch has, of a table of so many: few of a small one, which needs more steps.

        They are 32, 64, 128 and 256 for tables of at most 300, 1,500, 4,000 and of more rows; a brief recipe has time
        for no fewer than 64.
        """
        size = 32 if rows <= 300 else 64 if rows <= 1500 else 128 if rows <= 4000 else 256
        return max(size, 64) if self.brief else size


PRESETS = {
    "fast": Recipe(members=4, hidden=(64, 64), epochs=20, views=(BENDS,), logarithm=False, brief=True),
    "default": Recipe(),
    "best": Recipe(members=16, epochs=128),
}


def _parts(features: Sequence[Feature], view: str, bins: int) -> Iterator[tuple[list[int], Any]]:
    """Yield the columns of x and the layers that read them: numbers together, and each column of codes."""
    for missing in (False, True):
        numbers = [i for i, each in enumerate(features) if not each.levels and each.missing == missing]
        if numbers:
            scaled = Standardize(len(numbers), robust=True, clip=True, missing=missing)
            yield numbers, scaled
            if view == BENDS:
                yield numbers, [scaled, PiecewiseLinearEncoding(int(scaled.n_out or 0), bins=bins)]
    for i, each in enumerate(features):
        if each.levels:
            yield [i], OneHot(each.levels)
