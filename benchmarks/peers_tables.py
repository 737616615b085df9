"""Networks for tables, the same in this library and in PyTorch: RealMLP-TD-S, and TabM by its authors' package.

PyTorch's RealMLP gets its columns scaled and clipped beforehand, as its authors' package does; here that is part of a
step.
"""

from typing import Any

import numpy as np
from peers_case import Case

__all__ = ["ours", "theirs"]

MEMBERS = 16
SLOW, FAST, BETA2 = 0.1, 6.0, 0.95  # RealMLP's factors on the learning rate of biases and scales, and its Adam


def ours(case: Case) -> tuple[Any, dict[str, Any]]:
    """Return the network, and what it is trained with beside the loss."""
    import fullyconnected as fc

    if case.recipe == "tabm":
        inner = [fc.Dense(*W.shape, "relu") for W in case.W[:-1]] + [fc.Dense(*case.W[-1].shape)]
        net = fc.Network([fc.Members(MEMBERS, inner)], seed=0)
        for name, array in net.program.named(net.theta).items():
            array[...] = _of_member(case, name.split(".", 1)[1])
        return net, {"optimizer": fc.AdamW(case.lr, weight_decay=0.0)}
    dense = [fc.Dense(*W.shape, "selu", parametrization="ntk") for W in case.W[:-1]]
    last = fc.Dense(*case.W[-1].shape, parametrization="ntk")
    first = fc.Standardize.fit(case.x, robust=True, clip=True)
    net = fc.Network([first, fc.Scale(case.sizes[0]), *dense, last], seed=0)
    ntk = [W * np.sqrt(len(W)) for W in case.W]
    net.theta = np.concatenate(
        [np.ones(case.sizes[0]), *(a.ravel() for pair in zip(ntk, case.b, strict=True) for a in pair)]
    )
    factors = fc.Factors(lr={"scale": FAST, "bias": SLOW})
    return net, {"optimizer": fc.Adam(case.lr, beta2=BETA2), "factors": factors}


def _of_member(case: Case, name: str) -> np.ndarray:
    """Return the initial value of a parameter of TabM, by its name in this library."""
    layer, letter = name.split(".")
    i = len(case.W) - 1 if layer.startswith("own") else int(layer.rpartition("_")[2]) - 1
    n, m = case.W[i].shape
    if letter == "r":
        first = np.random.default_rng(1).choice([-1.0, 1.0], (MEMBERS, n))
        return first if i == 0 else np.ones((MEMBERS, n))
    if letter == "s":
        return np.ones((MEMBERS, m))
    if letter == "b":
        return np.tile(case.b[i], (MEMBERS, 1))
    return np.tile(case.W[i], (MEMBERS, 1, 1)) if layer.startswith("own") else case.W[i]


def theirs(case: Case) -> tuple[Any, Any, Any, Any]:
    """Return PyTorch's model, a function of its outputs and targets, its optimizer, and its rows."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    if case.recipe == "tabm":
        import tabm

        n_in, *hidden, n_out = case.sizes
        model = tabm.TabM(
            n_num_features=n_in, d_out=n_out, n_blocks=len(hidden), d_block=hidden[0], dropout=0.0, k=MEMBERS,
            arch_type="tabm", start_scaling_init="random-signs",
        )  # fmt: skip
        values = {}
        for name, p in model.named_parameters():
            *where, letter = name.split(".")
            place = "own_dense_1" if where[0] == "output" else f"shared_dense_{int(where[2]) + 1}"
            value = _of_member(case, f"{place}.{ {'weight': 'W', 'bias': 'b'}.get(letter, letter) }")
            values[name] = torch.from_numpy(value.T.copy() if p.ndim == 2 and letter == "weight" else value)
        model.load_state_dict(values, strict=False)

        def loss(z: Any, t: Any) -> Any:
            return F.cross_entropy(z.flatten(0, 1), t.repeat_interleave(MEMBERS))

        optimizer = torch.optim.AdamW(model.parameters(), case.lr, weight_decay=0.0, fused=True)
        return model, loss, optimizer, torch.from_numpy(case.x)

    class RealMLP(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(case.sizes[0]))
            self.W = nn.ParameterList(torch.from_numpy(W * np.sqrt(np.float32(len(W)))) for W in case.W)
            self.b = nn.ParameterList(torch.from_numpy(b.copy()) for b in case.b)

        def forward(self, x: Any) -> Any:
            x = x * self.scale
            for i, (W, b) in enumerate(zip(self.W, self.b, strict=True)):
                x = torch.addmm(b, x, W, alpha=len(W) ** -0.5)
                x = F.selu(x) if i + 1 < len(self.W) else x
            return x

    model = RealMLP()
    rates = ((model.W, 1.0), (model.b, SLOW), ([model.scale], FAST))
    groups = [{"params": [*params], "lr": case.lr * factor} for params, factor in rates]
    middle, quartiles = np.median(case.x, axis=0), np.quantile(case.x, (0.25, 0.75), axis=0)
    z = (case.x - middle) / (quartiles[1] - quartiles[0])
    rows = torch.from_numpy((z / np.sqrt(1 + (z / 3) ** 2)).astype(np.float32))

    def smoothed(z: Any, t: Any) -> Any:
        return F.cross_entropy(z, t, label_smoothing=0.1)

    return model, smoothed, torch.optim.Adam(groups, betas=(0.9, BETA2), fused=True), rows
