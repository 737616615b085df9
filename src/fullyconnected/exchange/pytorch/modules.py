"""Modules of PyTorch for what it has none of its own; each can be trained and moved to a device like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from fullyconnected.base import Layer, Loss
from fullyconnected.core.arrays import Array
from fullyconnected.exchange.elsewhere import ArrayLibrary
from fullyconnected.exchange.graph import Graph
from fullyconnected.symbolic.expression import Name

__all__ = ["Block", "Columns", "Embedding", "Formulas", "Pooled", "Residual", "as_tensor"]


class Torch(ArrayLibrary):
    """The arrays of PyTorch on a device."""

    def __init__(self, device: Any) -> None:
        self.device = device

    entrywise: ClassVar[Mapping[str, Callable[..., Any]]] = {
        **{name: getattr(torch, name) for name in ("exp", "cos", "sin", "expm1", "log", "tanh", "sqrt", "abs", "sign")},
        **{"erf": torch.erf, "isnan": torch.isnan, "max": torch.maximum, "min": torch.minimum},
        "softplus": lambda z: torch.logaddexp(z, torch.zeros_like(z)),
    }

    def cast(self, a: Any, dtype: np.dtype[Any]) -> Any:
        return a.to(getattr(torch, dtype.name))

    def number(self, value: float, dtype: np.dtype[Any]) -> Any:
        return torch.tensor(value, dtype=getattr(torch, dtype.name), device=self.device)

    def codes(self, n: int, dtype: np.dtype[Any]) -> Any:
        return torch.arange(n, dtype=getattr(torch, dtype.name), device=self.device)

    def reshaped(self, a: Any, *shape: int) -> Any:
        # of no rows, PyTorch cannot tell what -1 is
        rest = int(np.prod([n for n in shape if n != -1]))
        return a.reshape([a.numel() // rest if n == -1 else n for n in shape])

    def turned(self, a: Any, *axes: int) -> Any:
        return a.permute(axes)

    def joined(self, parts: Sequence[Any], axis: int) -> Any:
        return torch.cat(list(parts), dim=axis)

    def repeated(self, a: Any, k: int) -> Any:
        return a.repeat_interleave(k, dim=0)

    def columns(self, a: Any, which: Sequence[int]) -> Any:
        return a[:, list(which)]

    def chosen(self, condition: Any, a: Any, b: Any) -> Any:
        return torch.where(condition, a, b)

    def reduced(self, kind: str, a: Any, axis: int, *, keep: bool) -> Any:
        match kind:
            case "max":
                return a.amax(axis, keepdim=keep)
            case "var":  # its own warns of no rows
                off = a - a.mean(axis, keepdim=True)
                return (off * off).mean(axis, keepdim=keep)
        return getattr(a, kind)(axis, keepdim=keep)


def as_tensor(value: Array) -> Any:
    """Return a tensor with memory of its own."""
    return torch.from_numpy(np.array(value))


class Formulas(nn.Module):
    """What an operation of a network computes, by its formulas; its parameters have the names that they have there."""

    def __init__(self, graph: Graph, letters: Mapping[Name, str], layer: Layer | None) -> None:
        super().__init__()
        self.graph, self.constants = replace(graph, constants={}), [*graph.constants]  # the values are its tensors
        self.letters, self.layer = {name.identifier: letter for name, letter in letters.items()}, layer
        params = () if layer is None else layer.params()
        for name, value in graph.constants.items():
            if letters.get(name) in params:
                self.register_parameter(name.identifier, nn.Parameter(as_tensor(value)))
            else:
                self.register_buffer(name.identifier, as_tensor(value))

    def forward(self, x: Any) -> Any:
        """Return the result for rows (rows, n_in)."""
        constants = {name: getattr(self, name.identifier) for name in self.constants}
        return Torch(x.device).results(self.graph, x, constants)

    def extra_repr(self) -> str:
        return f"{self.layer!r:.200}"


class Pooled(Formulas):
    """The outputs whose predictions are the mean of those of the members of an ensemble; see ``Network.predict``."""

    def __init__(self, graph: Graph, loss: Loss | None) -> None:
        super().__init__(graph, {}, None)
        self.loss = loss

    def extra_repr(self) -> str:
        return f"{self.loss!r:.200}"


class Embedding(nn.Embedding):
    """A vector for each code in one column (rows, 1); an unknown level, of the code -1, has the last one."""

    def __init__(self, W: Array) -> None:
        super().__init__(*W.shape, _weight=as_tensor(W))

    def forward(self, x: Any) -> Any:
        """Return the vectors (rows, size)."""
        codes = x[:, 0].long()
        return super().forward(torch.where(codes < 0, self.num_embeddings - 1, codes))


class Block(nn.Sequential):
    """The operations of a block of layers, one after the other."""

    def __init__(self, modules: Sequence[Any], layer: Layer) -> None:
        super().__init__(*modules)
        self.layer = layer


class Residual(Block):
    """y = x + F(x)."""

    def forward(self, x: Any) -> Any:
        """Return the sum of rows and what the modules give for them."""
        return x + super().forward(x)


class Columns(nn.Module):
    """Parts side by side, each of which reads some columns."""

    def __init__(self, parts: Sequence[tuple[Sequence[int], Any]], dtype: np.dtype[Any], layer: Layer) -> None:
        super().__init__()
        self.columns = [[*columns] for columns, _ in parts]
        self.parts = nn.ModuleList(part for _, part in parts)
        self.dtype, self.layer = getattr(torch, dtype.name), layer

    def forward(self, x: Any) -> Any:
        """Return the results of all parts, (rows, their widths together)."""
        found = [part(x[:, columns]) for columns, part in zip(self.columns, self.parts, strict=True)]
        return torch.cat([each.to(self.dtype) for each in found], dim=1)
