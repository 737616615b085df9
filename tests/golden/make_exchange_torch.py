"""Write exchange/torch_*.safetensors: weights as PyTorch saves them, and what its modules give for some rows.

Needs torch==2.13.0 with numpy and safetensors, in an environment of its own:

    python3 -m venv torchv && torchv/bin/pip install torch==2.13.0 numpy safetensors
    torchv/bin/python tests/golden/make_exchange_torch.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).parent / "exchange"
FOLDER.mkdir(exist_ok=True)
torch.manual_seed(20261130)
torch.set_num_threads(1)


def trained(module, x):
    """Return a module in evaluation mode, whose norms have seen some batches."""
    for _ in range(20):
        module(torch.randn(64, x.shape[1]) * 2 + 1)
    return module.eval()


x = torch.randn(9, 5)
mlp = trained(nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.2), nn.Linear(7, 3)), x)
plain = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.LayerNorm(6), nn.Linear(6, 2, bias=False)).eval()
results = {"x": x}
with torch.no_grad():
    results["mlp"] = mlp(x)
    save_file(mlp.state_dict(), FOLDER / "torch_mlp.safetensors")
    for name, dtype in (("half", torch.float16), ("bfloat16", torch.bfloat16)):
        small = {key: value.to(dtype) for key, value in plain.state_dict().items()}
        save_file(small, FOLDER / f"torch_{name}.safetensors")
        plain.load_state_dict({key: value.float() for key, value in small.items()})
        results[name] = plain(x)
save_file({key: value.contiguous() for key, value in results.items()}, FOLDER / "torch_results.safetensors")
