"""Write realmlp.safetensors: numbers of a network with the parts of RealMLP, to which test_golden.py holds ours.

Needs torch==2.13.0, numpy and safetensors, in an environment of its own:

    python3 -m venv torchv && torchv/bin/pip install torch==2.13.0 numpy safetensors
    torchv/bin/python tests/golden/make_realmlp.py

Learned factors, the neural tangent parametrization, and activations with a learned strength are written out by their
formulas, of which PyTorch takes the gradients. Everything is float64.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)
rng = np.random.default_rng(20240229)
shapes = {"x": (7, 3), "t": (7, 2)}
shapes |= {"s": (3,), "W1": (3, 5), "b1": (5,), "a1": (5,), "W2": (5, 4), "b2": (4,), "a2": (4,), "W3": (4, 2)}
golden = {name: rng.normal(size=shape) for name, shape in shapes.items()}
for first, second in (("mish", "selu"), ("leaky_relu", "softplus")):
    p = {name: torch.tensor(golden[name], requires_grad=name != "t") for name in shapes}
    h = (p["s"] * p["x"]) @ p["W1"] / 3**0.5 + p["b1"]
    h = h + p["a1"] * (getattr(F, first)(h) - h)
    h = h @ p["W2"] / 5**0.5 + p["b2"]
    h = h + p["a2"] * (getattr(F, second)(h) - h)
    value = F.mse_loss(h @ p["W3"] / 2, p.pop("t"), reduction="sum") / 2 / 7
    golden[f"{first}/loss"] = np.array(value.item())
    for name, g in zip(p, torch.autograd.grad(value, [*p.values()]), strict=True):
        golden[f"{first}/d{name}"] = g.numpy().copy()
path = Path(__file__).with_name("realmlp.safetensors")
save_file(golden, path, {"made by": f"{Path(__file__).name}, torch {torch.__version__}, numpy {np.__version__}"})
path.chmod(0o644)
