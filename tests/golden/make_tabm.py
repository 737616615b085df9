"""Write tabm.safetensors: numbers that the package of the TabM paper gives, to which test_golden.py holds this library.

Needs tabm==0.0.3, torch==2.13.0 with numpy and safetensors, in an environment of its own:

    python3 -m venv tabmv && tabmv/bin/pip install tabm==0.0.3 torch==2.13.0 numpy safetensors
    tabmv/bin/python tests/golden/make_tabm.py

Everything is float64. Parameters have the names and the layout of this library: W is (in, out).
"""

from pathlib import Path

import numpy as np
import tabm
import torch
from safetensors.numpy import save_file
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)
torch.manual_seed(20250101)
rng = np.random.default_rng(20250101)
golden = {}
ROWS, N_IN, WIDTH, N_OUT, K = 6, 5, 8, 3, 4
x = torch.tensor(rng.normal(size=(ROWS, N_IN)))
classes = torch.tensor(rng.integers(0, N_OUT, ROWS))
golden["x"], golden["classes"] = x.numpy(), classes.numpy()


def keep(name, value):
    golden[name] = np.array(value.detach().numpy() if isinstance(value, torch.Tensor) else value, order="C")


def ours(kind, name, parameter):
    """Return a parameter's name and value as this library has them."""
    value = parameter.detach()
    *where, letter = name.split(".")
    if where[0] == "output":
        place = "own_dense_3" if kind == "packed" else "own_dense_1"
    elif "affine" in where:
        return "members_1.member_scale_1.r", value
    else:
        dense = {"tabm": "shared_dense", "mini": "dense", "packed": "own_dense"}[kind]
        place = f"{dense}_{int(where[2]) + 1}"
    value = value.T if letter == "weight" and value.ndim == 2 else value
    return f"members_1.{place}.{ {'weight': 'W', 'bias': 'b'}.get(letter, letter) }", value


def models():
    for kind in ("tabm", "mini", "packed"):
        arch = "tabm" if kind == "tabm" else f"tabm-{kind}"
        net = tabm.TabM(
            n_num_features=N_IN, d_out=N_OUT, n_blocks=2, d_block=WIDTH, dropout=0.0, k=K, arch_type=arch,
            start_scaling_init=None if kind == "packed" else "random-signs",
        )  # fmt: skip
        with torch.no_grad():
            for parameter in net.parameters():  # none is 1 or the same for all members
                parameter += torch.tensor(rng.normal(0, 0.1, parameter.shape))
        for name, parameter in net.named_parameters():
            keep("{}/before/{}".format(kind, *ours(kind, name, parameter)), ours(kind, name, parameter)[1])

        def loss(net=net):
            return F.cross_entropy(net(x).flatten(0, 1), classes.repeat_interleave(K))

        keep(f"{kind}/outputs", net(x))
        keep(f"{kind}/probabilities", torch.softmax(net(x), -1).mean(1))
        value = loss()
        value.backward()
        keep(f"{kind}/loss", value)
        for name, parameter in net.named_parameters():
            full, _ = ours(kind, name, parameter)
            grad = parameter.grad
            keep(f"{kind}/gradient/{full}", grad.T if full.endswith(".W") and grad.ndim == 2 else grad)
        weights = [p for name, p in net.named_parameters() if name.endswith("weight") and "affine" not in name]
        others = [p for p in net.parameters() if all(p is not w for w in weights)]
        groups = [{"params": weights, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        rule = torch.optim.AdamW(groups, lr=0.01)
        for _ in range(10):
            rule.zero_grad()
            loss().backward()
            rule.step()
        for name, parameter in net.named_parameters():
            keep("{}/after/{}".format(kind, *ours(kind, name, parameter)), ours(kind, name, parameter)[1])


def norms():
    rows = torch.tensor(rng.normal(size=(ROWS, K, N_IN)) * 2 + 1, requires_grad=True)
    dy = torch.tensor(rng.normal(size=(ROWS, K, N_IN)))
    keep("norm/x", rows)
    keep("norm/dy", dy)
    for name, norm in (
        ("batch", tabm.BatchNorm1dEnsemble(N_IN, k=K)),
        ("layer", tabm.LayerNormEnsemble(N_IN, k=K)),
    ):
        with torch.no_grad():
            for parameter in norm.parameters():
                parameter += torch.tensor(rng.normal(0, 0.5, parameter.shape))
        gamma, beta = norm.affine.weight, norm.affine.bias
        y = norm(rows)
        gradients = torch.autograd.grad((y * dy).sum(), (rows, gamma, beta))
        for what, value in zip(
            ("gamma", "beta", "y", "dx", "dgamma", "dbeta"), (gamma, beta, y, *gradients), strict=True
        ):
            keep(f"norm/{name}/{what}", value)
        if name == "batch":
            keep("norm/batch/running_mean", norm.impl.running_mean)
            keep("norm/batch/running_var", norm.impl.running_var)


models()
norms()
save_file(
    golden,
    Path(__file__).parent / "tabm.safetensors",
    {"made by": f"tabm {tabm.__version__}, torch {torch.__version__}"},
)
