"""Write pytabkit.safetensors: RealMLP-TD-S by its authors' package, to which test_golden.py holds this library.

Needs pytabkit 1.8.0 and what its networks import, in an environment of its own:

    python3 -m venv pytabkitv
    pytabkitv/bin/pip install torch==2.13.0 numpy pandas scikit-learn safetensors pyyaml psutil dill msgpack-numpy
    pytabkitv/bin/pip install --no-deps pytabkit==1.8.0
    pytabkitv/bin/python tests/golden/make_pytabkit.py

The networks are made by the package's own factory from its own settings, but for the width, in float64. Weights are
moved away from where they begin, since the last layer begins with zeros.
"""

import sys
import types
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from safetensors.numpy import save_file

# the package's own __init__ imports its estimators, and all that these need
package = types.ModuleType("pytabkit")
package.__path__ = [str(distribution("pytabkit").locate_file("pytabkit"))]
sys.modules["pytabkit"] = package
from pytabkit.models.data.data import DictDataset, TensorInfo  # noqa: E402
from pytabkit.models.nn_models.base import set_hp_context  # noqa: E402
from pytabkit.models.nn_models.models import NNFactory  # noqa: E402
from pytabkit.models.optim.optimizers import AdamOptimizer  # noqa: E402
from pytabkit.models.sklearn.default_params import DefaultParams  # noqa: E402
from pytabkit.models.training.coord import HyperparamManager  # noqa: E402
from pytabkit.models.training.metrics import cross_entropy, mse  # noqa: E402

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
ROWS, LEVELS, CLASSES, STEPS = 24, 4, 3, 10
rng = np.random.default_rng(20261128)
golden = {}


def keep(name, value):
    value = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    golden[name] = np.array(value, order="C")


numbers = rng.normal(size=(ROWS, 3)) * [1, 10, 1e3] + [0, 5, -1e3]
numbers[3, 1] = 400.0  # a far value, which is clipped
codes = rng.integers(-1, LEVELS, (ROWS, 1))  # -1 is a missing one, which the package counts as 0
keep("numbers", numbers)
keep("codes", codes)
for task, settings in {"class": DefaultParams.RealMLP_TD_S_CLASS, "regression": DefaultParams.RealMLP_TD_S_REG}.items():
    settings = {**settings, "hidden_sizes": [6] * 3}
    classes = task == "class"
    t = torch.tensor(rng.integers(0, CLASSES, (ROWS, 1)) if classes else rng.normal(5, 3, (ROWS, 1)))
    infos = {
        "x_cont": TensorInfo(feat_shape=[3]),
        "x_cat": TensorInfo(cat_sizes=[LEVELS + 1]),
        "y": TensorInfo(cat_sizes=[CLASSES]) if classes else TensorInfo(feat_shape=[1]),
    }
    rows = {"x_cont": torch.tensor(numbers), "x_cat": torch.tensor(codes + 1), "y": t}
    data = DictDataset(rows, infos)
    torch.manual_seed(0)
    manager = HyperparamManager(**settings)
    manager.get_more_info_dict()["trainval_ds"] = data
    with set_hp_context(manager), torch.no_grad():
        model, _ = NNFactory(**settings).create(infos).fit_transform(data)
    model.train()
    parameters = list(model.parameters())
    with torch.no_grad():
        for p in parameters:
            p += torch.tensor(rng.normal(0, 0.3, p.shape))
    start = [p.detach().clone() for p in parameters]

    def loss(model=model, rows=rows, classes=classes):
        given = model(dict(rows))
        return given["x_cont"], (cross_entropy if classes else mse)(given["x_cont"], given["y"])

    def kept(name, tensors, task=task):
        for i, p in enumerate(tensors):
            keep(f"{task}/{name}/{i}", p[0] if p.shape[0] == 1 else p)

    def begin(parameters=parameters, start=start):
        with torch.no_grad():
            for p, first in zip(parameters, start, strict=True):
                p.copy_(first)

    keep(f"{task}/t", t)
    kept("start", parameters)
    z, value = loss()
    value.backward()
    keep(f"{task}/z", z)
    keep(f"{task}/loss", value)
    kept("gradient", [p.grad for p in parameters])

    # by the package's own optimizer and schedule
    with set_hp_context(manager):
        optimizer = AdamOptimizer([{"params": [p]} for p in parameters], manager)
    for step in range(STEPS):
        share = step / STEPS
        progress = SimpleNamespace(get_fit_progress=lambda share=share: share)
        manager.update_hypers(SimpleNamespace(progress=progress))
        optimizer.zero_grad()
        loss()[1].backward()
        optimizer.step()
    kept("adam", parameters)

    begin()
    factors = [p.hyper_factors["lr"] for p in parameters]
    groups = [
        {"params": [p], "lr": 0.01 * factor, "weight_decay": 0.02 * (p.shape[0] > 1)}
        for p, factor in zip(parameters, factors, strict=True)
    ]
    optimizer = torch.optim.AdamW(groups, foreach=False)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss()[1].backward()
        optimizer.step()
    kept("adamw", parameters)

path = Path(__file__).with_name("pytabkit.safetensors")
made = f"tests/golden/make_pytabkit.py, pytabkit {distribution('pytabkit').version}, torch {torch.__version__}"
save_file(golden, path, {"made by": made})
path.chmod(0o644)
