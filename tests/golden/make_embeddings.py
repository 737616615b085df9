"""Write embeddings.safetensors: numbers for test_golden.py, of PeriodicEmbedding and of columns cut into bins.

Those of "pbld" come from its formula, all others from the package of the papers that introduced them. Needs
torch==2.13.0, rtdl_num_embeddings==0.0.12, numpy and safetensors, in an environment of its own:

    python3 -m venv torchv && torchv/bin/pip install torch==2.13.0 rtdl_num_embeddings==0.0.12 numpy safetensors
    torchv/bin/python tests/golden/make_embeddings.py

Everything is float64. Inputs are stored beside the outputs, so that the test draws nothing of its own.
"""

import math
from pathlib import Path

import numpy as np
import torch
from rtdl_num_embeddings import PeriodicEmbeddings, PiecewiseLinearEmbeddings, PiecewiseLinearEncoding, compute_bins
from safetensors.numpy import save_file

torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)
rng = np.random.default_rng(20240229)
ROWS, COLUMNS, WAVES, SIZE = 7, 3, 5, 4
golden = {"x": rng.normal(size=(ROWS, COLUMNS)) * [1, 10, 100], "dy": rng.normal(size=(ROWS, COLUMNS * SIZE))}
x, dy = torch.tensor(golden["x"], requires_grad=True), torch.tensor(golden["dy"])


def keep(kind, y, p):
    gradients = torch.autograd.grad((y.reshape(ROWS, -1) * dy).sum(), [x, *p.values()])
    golden[f"{kind}/y"] = y.detach().numpy().reshape(ROWS, -1).copy()
    for name, value in p.items():
        golden[f"{kind}/{name}"] = value.detach().numpy().copy()
    for name, g in zip(["x", *p], gradients, strict=True):
        golden[f"{kind}/d{name}"] = g.numpy().copy()


for kind in ("plr", "pl"):
    layer = PeriodicEmbeddings(COLUMNS, SIZE, n_frequencies=WAVES, activation=kind == "plr", lite=False)
    with torch.no_grad():
        for p in layer.parameters():
            p[...] = torch.tensor(rng.normal(size=p.shape))
    keep(kind, layer(x), {"w": layer.periodic.weight, "W": layer.linear.weight, "b": layer.linear.bias})
shapes = {"w": (COLUMNS, WAVES), "phi": (COLUMNS, WAVES), "W": (COLUMNS, WAVES, SIZE - 1), "b": (COLUMNS, SIZE - 1)}
p = {name: torch.tensor(rng.normal(size=shape), requires_grad=True) for name, shape in shapes.items()}
v = torch.cos(2 * math.pi * x[:, :, None] * p["w"] + p["phi"])
keep("pbld", torch.cat([x[:, :, None], torch.einsum("ijk,jkl->ijl", v, p["W"]) + p["b"]], dim=2), p)


def in_order(rows, edges):
    """Return the rows of W in the order of the bins: the package has the last bin last, and unused ones before it."""
    ordered = torch.zeros_like(rows)
    for j, column in enumerate(edges):
        used = len(column) - 1
        ordered[j, : used - 1], ordered[j, used - 1] = rows[j, : used - 1], rows[j, -1]
    return ordered


golden["table"] = np.column_stack([rng.normal(size=60), rng.integers(0, 3, 60), rng.exponential(size=60)])
found = compute_bins(torch.tensor(golden["table"]), n_bins=6)
edges = [torch.tensor(column) for column in ([-1.5, -0.5, 0.0, 0.25, 2.0], [-8.0, 1.0, 9.0], [-50.0, 70.0])]
for j in range(COLUMNS):
    golden[f"quantiles/{j}"], golden[f"edges/{j}"] = found[j].numpy().copy(), edges[j].numpy().copy()
for version in "AB":  # the first with a maximum of all, the second with x w beside it
    kind = f"ple {version}"
    layer = PiecewiseLinearEmbeddings(edges, SIZE, activation=version == "A", version=version)
    with torch.no_grad():
        for p in layer.parameters():
            p[...] = torch.tensor(rng.normal(size=p.shape))
    b = layer.linear.bias if version == "A" else layer.linear0.bias
    p = {"W": layer.linear.weight, "b": b} | ({} if version == "A" else {"w": layer.linear0.weight})
    keep(kind, layer(x), p)
    for name in ("W", "dW"):
        golden[f"{kind}/{name}"] = in_order(torch.tensor(golden[f"{kind}/{name}"]), edges).numpy()
# without parameters; the package leaves out the bins that a column does not have
y = PiecewiseLinearEncoding(edges)(x)
golden["encoding/y"], golden["encoding/dy"] = y.detach().numpy(), rng.normal(size=y.shape)
(dx,) = torch.autograd.grad((y * torch.tensor(golden["encoding/dy"])).sum(), [x])
golden["encoding/dx"] = dx.numpy()
path = Path(__file__).with_name("embeddings.safetensors")
save_file(golden, path, {"made by": f"{Path(__file__).name}, torch {torch.__version__}, numpy {np.__version__}"})
path.chmod(0o644)
