"""Write embeddings.safetensors: numbers to which test_golden.py holds PeriodicEmbedding.

Those of "plr" and "pl" come from the package of the paper that introduced them, those of "pbld" from its formula. Needs
torch==2.13.0, rtdl_num_embeddings==0.0.12, numpy and safetensors, in an environment of its own:

    python3 -m venv torchv && torchv/bin/pip install torch==2.13.0 rtdl_num_embeddings==0.0.12 numpy safetensors
    torchv/bin/python tests/golden/make_embeddings.py

Everything is float64. Inputs are stored beside the outputs, so that the test draws nothing of its own.
"""

import math
from pathlib import Path

import numpy as np
import torch
from rtdl_num_embeddings import PeriodicEmbeddings
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
path = Path(__file__).with_name("embeddings.safetensors")
save_file(golden, path, {"made by": f"{Path(__file__).name}, torch {torch.__version__}, numpy {np.__version__}"})
path.chmod(0o644)
