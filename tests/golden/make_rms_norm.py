"""Write rms_norm.safetensors: RMSNorm as PyTorch computes it, to which test_golden.py holds this library.

It is beside torch.safetensors, whose last bits are those of the processor that it was made on. Needs torch==2.13.0 with
numpy and safetensors, in an environment of its own:

    python3 -m venv torchv && torchv/bin/pip install torch==2.13.0 numpy safetensors
    torchv/bin/python tests/golden/make_rms_norm.py

Everything is float64.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
rng = np.random.default_rng(20261130)
x, dy, gamma = rng.normal(size=(6, 5)) * 3 + rng.normal(size=5) * 10, rng.normal(size=(6, 5)), rng.normal(size=5)
x[1] *= 1e-4  # a row whose mean square is about as small as the first epsilon,
x[2] *= 1e-8  # or the second
golden = {"x": x, "dy": dy, "gamma": gamma}
for name, epsilon in {"1e-6": 1e-6, "None": None, "0.5": 0.5}.items():  # None: the machine epsilon of float64
    layer = torch.nn.RMSNorm(5, eps=epsilon)
    with torch.no_grad():
        layer.weight[:] = torch.tensor(gamma)
    rows = torch.tensor(x, requires_grad=True)
    y = layer(rows)
    dx, dgamma = torch.autograd.grad(y, (rows, layer.weight), torch.tensor(dy))
    for part, value in {"y": y, "dx": dx, "dgamma": dgamma}.items():
        golden[f"{name}/{part}"] = value.detach().numpy().copy()
path = Path(__file__).with_name("rms_norm.safetensors")
save_file(
    golden, path, {"made by": f"tests/golden/make_rms_norm.py, torch {torch.__version__}, numpy {np.__version__}"}
)
path.chmod(0o644)
