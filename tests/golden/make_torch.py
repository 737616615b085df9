"""Write torch.safetensors: numbers that PyTorch gives, to which test_golden.py holds this library.

Needs torch==2.13.0 with numpy and safetensors, in an environment of its own:

    python3 -m venv torchv && torchv/bin/pip install torch==2.13.0 numpy safetensors
    torchv/bin/python tests/golden/make_torch.py

Everything is float64. Inputs are stored beside the outputs, so that the test draws nothing of its own.
"""

import math
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)
rng = np.random.default_rng(20240229)
golden = {}


def keep(name, value):
    value = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    golden[name] = np.array(value, order="C")


def tensor(value):
    return torch.tensor(np.asarray(value), requires_grad=True)


def activations():
    h = np.array([0, 1e-9, 1e-3, 0.1, 0.5, 1, 1.5, 2, 3, 5, 8, 10, 12, 20, 30, 100, 1000], float)
    h = np.concatenate([-h[:0:-1], h])
    keep("activation/h", h)
    functions = {
        "relu": F.relu,
        "leaky_relu": lambda v: F.leaky_relu(v, 0.01),
        "leaky_relu_0.2": lambda v: F.leaky_relu(v, 0.2),
        "elu": F.elu,
        "elu_0.7": lambda v: F.elu(v, alpha=0.7),
        "selu": F.selu,
        "gelu": lambda v: F.gelu(v, approximate="none"),
        "silu": F.silu,
        "mish": F.mish,
        "softplus": lambda v: F.softplus(v, threshold=50),
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
    }
    for name, f in functions.items():
        v = tensor(h)
        y = f(v)
        (dh,) = torch.autograd.grad(y.sum(), v)
        keep(f"activation/{name}/y", y)
        keep(f"activation/{name}/dh", dh)
    v = tensor(rng.normal(size=(5, 4)) * [[1], [1], [10], [100], [1000]])
    dy = rng.normal(size=(5, 4))
    y = torch.softmax(v, dim=1)
    (dh,) = torch.autograd.grad(y, v, torch.tensor(dy))
    for name, value in {"h": v, "dy": dy, "y": y, "dh": dh}.items():
        keep(f"softmax/{name}", value)


def losses():
    z = np.concatenate([rng.normal(size=(7, 4)) * 2, rng.normal(size=(1, 4)) * 1000])
    numbers = rng.normal(size=(8, 4)) * 2
    classes = rng.integers(0, 4, 8)
    p = rng.dirichlet(np.ones(4), 8)
    p[0] = [0, 1, 0, 0]
    bits = rng.integers(0, 2, (8, 4)).astype(float)
    shares = rng.random((8, 4))
    counts = rng.poisson(2.0, (8, 4)).astype(float)
    w = np.array([0.5, 1, 2, 0, 3, 0.25, 1, 1])
    given = {"z": z, "numbers": numbers, "classes": classes, "p": p, "bits": bits, "shares": shares, "counts": counts}
    for name, value in {**given, "w": w}.items():
        keep(f"loss/{name}", value)
    numbers, p, bits, shares, counts = map(torch.tensor, (numbers, p, bits, shares, counts))
    classes, w = torch.tensor(classes), torch.tensor(w)
    rows = len(z)
    functions = {
        "mean_squared_error": lambda v: F.mse_loss(v, numbers),
        "squared_error": lambda v: F.mse_loss(v, numbers, reduction="sum") / 2 / rows,
        "absolute_error": lambda v: F.l1_loss(v, numbers, reduction="sum") / rows,
        "huber": lambda v: F.huber_loss(v, numbers, reduction="sum") / rows,
        "huber_0.7": lambda v: F.huber_loss(v, numbers, reduction="sum", delta=0.7) / rows,
        "cross_entropy_classes": lambda v: F.cross_entropy(v, classes),
        "cross_entropy_p": lambda v: F.cross_entropy(v, p),
        "cross_entropy_weighted": lambda v: (F.cross_entropy(v, classes, reduction="none") * w).sum() / w.sum(),
        "logistic_bits": lambda v: F.binary_cross_entropy_with_logits(v, bits, reduction="sum") / rows,
        "logistic_shares": lambda v: F.binary_cross_entropy_with_logits(v, shares, reduction="sum") / rows,
        "hinge": lambda v: F.multi_margin_loss(v, classes) * 4,
    }
    for name, f in (functions | with_settings(classes, p, bits, shares)).items():
        v = tensor(z[:, :1] if name == "logistic_class_weight" else z)
        value = f(v)
        (dz,) = torch.autograd.grad(value, v)
        keep(f"loss/{name}/value", value)
        keep(f"loss/{name}/dz", dz)
    v = tensor(z[:7])  # exp(1000) is infinite
    value = F.poisson_nll_loss(v, counts[:7], log_input=True, full=False, reduction="sum") / 7
    (dz,) = torch.autograd.grad(value, v)
    keep("loss/poisson/value", value)
    keep("loss/poisson/dz", dz)


def with_settings(classes, p, bits, shares):
    """Losses with label smoothing and class weights.

    PyTorch weights the classes of smoothed targets one by one, and divides by the number of rows where targets are
    probabilities. Here a row has one weight, of its targets before smoothing, so these are built of unweighted rows.
    """
    of_class, both = torch.tensor([0.5, 1, 2, 4]), torch.tensor([0.5, 2])
    of_row, of_p, of_shares = of_class[classes], p @ of_class, (both[0] * (1 - shares) + both[1] * shares).prod(dim=1)
    bit = bits[:, :1]

    def rows(v, t):
        return F.cross_entropy(v, t, reduction="none", label_smoothing=0.1)

    def logistic(v, **more):
        return F.binary_cross_entropy_with_logits(v, 0.9 * shares + 0.05, reduction="sum", **more)

    return {
        "cross_entropy_smoothed_classes": lambda v: F.cross_entropy(v, classes, label_smoothing=0.1),
        "cross_entropy_smoothed_p": lambda v: F.cross_entropy(v, p, label_smoothing=0.1),
        "cross_entropy_class_weight": lambda v: F.cross_entropy(v, classes, weight=of_class),
        "cross_entropy_both": lambda v: rows(v, classes) @ of_row / of_row.sum(),
        "cross_entropy_both_p": lambda v: rows(v, p) @ of_p / of_p.sum(),
        "logistic_smoothed": lambda v: logistic(v) / len(v),
        "logistic_class_weight": lambda v: (
            F.binary_cross_entropy_with_logits(v, bit, pos_weight=torch.tensor([3.0]), reduction="sum")
            / (1 + 2 * bit).sum()
        ),
        "logistic_both": lambda v: logistic(v, weight=of_shares[:, None]) / of_shares.sum(),
    }


def norms():
    x = rng.normal(size=(3, 6, 5)) * 3 + rng.normal(size=5) * 10
    dy = rng.normal(size=(6, 5))
    gain, shift = rng.normal(size=5), rng.normal(size=5)
    for name, value in {"x": x, "dy": dy, "gain": gain, "shift": shift}.items():
        keep(f"norm/{name}", value)

    def passed(layer, name, batch):
        v = tensor(x[batch])
        layer.zero_grad()
        y = layer(v)
        y.backward(torch.tensor(dy))
        for part, value in {"y": y, "dx": v.grad, "gain": layer.weight.grad, "shift": layer.bias.grad}.items():
            keep(f"{name}/{part}", value)

    layer_norm, batch_norm = torch.nn.LayerNorm(5), torch.nn.BatchNorm1d(5)
    with torch.no_grad():
        for layer in (layer_norm, batch_norm):
            layer.weight[:], layer.bias[:] = torch.tensor(gain), torch.tensor(shift)
    passed(layer_norm, "layer_norm", 0)
    batch_norm.train()
    for batch in range(3):
        passed(batch_norm, f"batch_norm/train/{batch}", batch)
        keep(f"batch_norm/train/{batch}/mean", batch_norm.running_mean.clone())
        keep(f"batch_norm/train/{batch}/variance", batch_norm.running_var.clone())
    batch_norm.eval()
    passed(batch_norm, "batch_norm/eval", 1)


class Net(torch.nn.Module):
    """Dense, batch norm, relu, a residual block with layer norm, Dense: every way through a network."""

    def __init__(self):
        super().__init__()
        # no bias before batch norm: its gradient is zero, and Adam would blow up what rounding makes of that
        self.first, self.norm = torch.nn.Linear(4, 5, bias=False), torch.nn.BatchNorm1d(5)
        self.inner_norm, self.inner = torch.nn.LayerNorm(5), torch.nn.Linear(5, 5)
        self.last = torch.nn.Linear(5, 3)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = x + F.gelu(self.inner(self.inner_norm(x)))
        return self.last(x)


def weights_of(net):
    """Return W, b, gain, shift, ... in this library's order and layout, W as (in, out)."""
    return [p.T if p.ndim == 2 else p for p in net.parameters()]


def network():
    torch.manual_seed(1)
    net = Net()
    x, t = tensor(rng.normal(size=(8, 4))), torch.tensor(rng.integers(0, 3, 8))
    with torch.no_grad():
        for p in net.parameters():
            p += torch.tensor(rng.normal(size=p.shape)) * 0.3
    keep("network/x", x)
    keep("network/t", t)
    for i, p in enumerate(weights_of(net)):
        keep(f"network/start/{i}", p)
    for mode in ("train", "eval"):
        net.train(mode == "train")
        net.zero_grad()
        x.grad = None
        value = F.cross_entropy(net(x), t)
        value.backward()
        keep(f"network/{mode}/loss", value)
        keep(f"network/{mode}/x", x.grad)
        for i, g in enumerate([p.grad.T if p.ndim == 2 else p.grad for p in net.parameters()]):
            keep(f"network/{mode}/{i}", g)
        if mode == "train":  # eval starts from fresh running statistics, as gradients() of a new network does
            net.norm.reset_running_stats()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, foreach=False)
    net.train()
    for step in range(1, 21):
        optimizer.zero_grad()
        F.cross_entropy(net(x), t).backward()
        optimizer.step()
        if step in (1, 5, 20):
            for i, p in enumerate(weights_of(net)):
                keep(f"network/adam/{step}/{i}", p.clone())
            keep(f"network/adam/{step}/mean", net.norm.running_mean.clone())
            keep(f"network/adam/{step}/variance", net.norm.running_var.clone())


def optimizers():
    x, t = torch.tensor(rng.normal(size=(8, 4))), torch.tensor(rng.integers(0, 3, 8))
    start = [rng.normal(size=shape) * 0.5 for shape in ((5, 4), (5,), (3, 5), (3,))]
    keep("optimizer/x", x)
    keep("optimizer/t", t)
    for i, p in enumerate(start):
        keep(f"optimizer/start/{i}", p.T)

    def decayed(cls, weight_decay, **settings):
        """Decay for the weights alone, as AdamW and l2 have it here."""
        return lambda ps: cls(
            [
                {"params": [p for p in ps if p.ndim == 2], "weight_decay": weight_decay},
                {"params": [p for p in ps if p.ndim == 1], "weight_decay": 0.0},
            ],
            foreach=False,
            **settings,
        )

    rules = {
        "sgd": lambda ps: torch.optim.SGD(ps, lr=0.1, foreach=False),
        "momentum": lambda ps: torch.optim.SGD(ps, lr=0.1, momentum=0.9, foreach=False),
        "nesterov": lambda ps: torch.optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True, foreach=False),
        "rmsprop": lambda ps: torch.optim.RMSprop(ps, lr=0.01, alpha=0.99, eps=1e-8, foreach=False),
        "adam": lambda ps: torch.optim.Adam(ps, lr=0.01, foreach=False),
        "adam_other": lambda ps: torch.optim.Adam(ps, lr=0.02, betas=(0.8, 0.99), eps=1e-3, foreach=False),
        "adamw": decayed(torch.optim.AdamW, 0.1, lr=0.01),
        "adam_l2": decayed(torch.optim.Adam, 0.1, lr=0.01),
        "momentum_l2": decayed(torch.optim.SGD, 0.1, lr=0.1, momentum=0.9),
    }
    for name, rule in rules.items():
        ps = [tensor(p.copy()) for p in start]
        optimizer = rule(ps)
        for step in range(1, 21):
            optimizer.zero_grad()
            W1, b1, W2, b2 = ps
            F.cross_entropy(torch.tanh(x @ W1.T + b1) @ W2.T + b2, t).backward()
            optimizer.step()
            if step in (1, 5, 20):
                for i, p in enumerate(ps):
                    keep(f"optimizer/{name}/{step}/{i}", p.detach().numpy().T.copy())


def averages():
    """Averages of the weights in 4 epochs of 3 batches, and their running statistics."""
    torch.manual_seed(2)
    net = Net()
    x, t = torch.tensor(rng.normal(size=(12, 4))), torch.tensor(rng.integers(0, 3, 12))
    keep("average/x", x)
    keep("average/t", t)
    for i, p in enumerate(weights_of(net)):
        keep(f"average/start/{i}", p.clone())

    def warming_up(average, p, n):
        d = min(0.8, (1 + float(n)) / (10 + float(n)))
        return d * average + (1 - d) * p

    moving = {
        "ema": AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.8), use_buffers=True),
        "ema_warm_up": AveragedModel(net, avg_fn=warming_up, use_buffers=True),
    }
    for average in moving.values():
        average.update_parameters(net)  # the first call copies: they begin as the initial weights
    swa, optimizer = AveragedModel(net), torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, foreach=False)
    loader = [x[:4], x[4:8], x[8:]]
    for epoch in range(4):
        for rows, classes in zip(loader, t.split(4), strict=True):
            optimizer.zero_grad()
            F.cross_entropy(net(rows), classes).backward()
            optimizer.step()
            for average in moving.values():
                average.update_parameters(net)
        if epoch >= 1:
            swa.update_parameters(net)
    update_bn(loader, swa)
    for name, average in {**moving, "swa": swa}.items():
        for i, p in enumerate(weights_of(average.module)):
            keep(f"average/{name}/{i}", p.clone())
        keep(f"average/{name}/mean", average.module.norm.running_mean)
        keep(f"average/{name}/variance", average.module.norm.running_var)


def factors():
    """Groups of parameters with their own learning rate and weight decay, one of them frozen."""
    shapes = ((6, 4), (6,), (5, 6), (5,), (3, 5), (3,))
    x, t = torch.tensor(rng.normal(size=(8, 4))), torch.tensor(rng.integers(0, 3, 8))
    start = [rng.normal(size=shape) * 0.5 for shape in shapes]
    keep("factors/x", x)
    keep("factors/t", t)
    for i, p in enumerate(start):
        keep(f"factors/start/{i}", p.T)
    ps = [tensor(p.copy()) for p in start]
    rates = [
        0,
        0,
        0.01,
        0.001,
        0.02,
        0.002,
    ]  # of 0.01: none of the first layer, a tenth of biases, twice of the last one
    decays = [0, 0, 0.1, 0.05, 0.3, 0.05]  # of 0.1: half of biases, three times of the last matrix
    optimizer = torch.optim.AdamW(
        [{"params": [p], "lr": lr, "weight_decay": wd} for p, lr, wd in zip(ps, rates, decays, strict=True) if lr],
        foreach=False,
    )
    for step in range(1, 21):
        for p in ps:
            p.grad = None
        W1, b1, W2, b2, W3, b3 = ps
        y = torch.tanh(torch.tanh(x @ W1.T + b1) @ W2.T + b2)
        F.cross_entropy(y @ W3.T + b3, t).backward()
        optimizer.step()
        if step in (1, 20):
            for i, p in enumerate(ps):
                keep(f"factors/{step}/{i}", p.detach().numpy().T.copy())


def schedules():
    """AdamW whose learning rate and weight decay follow RealMLP's schedules over 20 steps."""
    x, t = torch.tensor(rng.normal(size=(8, 4))), torch.tensor(rng.integers(0, 3, 8))
    start = [rng.normal(size=shape) * 0.5 for shape in ((6, 4), (6,), (3, 6), (3,))]
    keep("schedules/x", x)
    keep("schedules/t", t)
    for i, p in enumerate(start):
        keep(f"schedules/start/{i}", p.T)
    ps = [tensor(p.copy()) for p in start]
    optimizer = torch.optim.AdamW([{"params": ps[0::2]}, {"params": ps[1::2], "weight_decay": 0}], foreach=False)
    for step in range(20):
        progress = step / 20
        rate = 0.5 - 0.5 * math.cos(2 * math.pi * math.log2(1 + 15 * progress))  # coslog4
        decay = 1 if progress < 0.5 else 0.5 + 0.5 * math.cos(math.pi * (2 * progress - 1))  # flat, then cosine
        for group in optimizer.param_groups:
            group["lr"] = 0.04 * rate
        optimizer.param_groups[0]["weight_decay"] = 0.5 * decay
        optimizer.zero_grad()
        W1, b1, W2, b2 = ps
        F.cross_entropy(torch.tanh(x @ W1.T + b1) @ W2.T + b2, t).backward()
        optimizer.step()
    for i, p in enumerate(ps):
        keep(f"schedules/end/{i}", p.detach().numpy().T.copy())


def table():
    """Codes of categories and numbers side by side: gradients, and ten steps of AdamW."""
    torch.manual_seed(3)
    rng = np.random.default_rng(20261128)  # its own, so that what is made after it stays the same
    numbers, city, colour = (
        rng.normal(size=(10, 2)) * [3, 100] + [1, 50],
        rng.integers(0, 4, 10),
        rng.integers(0, 3, 10),
    )
    t = torch.tensor(rng.integers(0, 3, 10))
    mean, scale = torch.tensor(numbers.mean(axis=0)), torch.tensor(numbers.std(axis=0))
    embedding, first, last = torch.nn.Embedding(4, 3), torch.nn.Linear(8, 5), torch.nn.Linear(5, 3)
    parameters = [p for layer in (embedding, first, last) for p in layer.parameters()]

    def loss():
        scaled, hot = (torch.tensor(numbers) - mean) / scale, F.one_hot(torch.tensor(colour), 3).double()
        y = torch.cat([embedding(torch.tensor(city)), scaled, hot], dim=1)
        z = last(F.gelu(first(y)))
        return z, F.cross_entropy(z, t)

    def kept(prefix, tensors):
        for i, p in enumerate(tensors):
            keep(f"table/{prefix}/{i}", p.T if p.ndim == 2 and i else p.clone())

    data = {"numbers": numbers, "city": city, "colour": colour, "t": t, "mean": mean, "scale": scale}
    for name, value in data.items():
        keep(f"table/{name}", value)
    kept("start", parameters)
    z, value = loss()
    value.backward()
    keep("table/z", z)
    keep("table/loss", value)
    kept("gradient", [p.grad for p in parameters])
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.0, foreach=False)
    for _ in range(10):
        optimizer.zero_grad()
        loss()[1].backward()
        optimizer.step()
    kept("end", parameters)


def muon():
    """Muon for the hidden matrices, which PyTorch computes in bfloat16, and AdamW for all else."""
    shapes = ((6, 4), (6,), (9, 6), (9,), (5, 9), (5,), (3, 5), (3,))
    own = np.random.default_rng(1)  # whatever is drawn before, since rounding does much to some matrices
    x, t = torch.tensor(own.normal(size=(32, 4))), torch.tensor(own.integers(0, 3, 32))
    start = [own.normal(size=shape) * 0.5 for shape in shapes]
    keep("muon/x", x)
    keep("muon/t", t)
    for i, p in enumerate(start):
        keep(f"muon/start/{i}", p.T)
    for nesterov in (True, False):
        ps = [tensor(p.copy()) for p in start]
        hidden, others = [ps[2], ps[4]], [p for i, p in enumerate(ps) if i not in (2, 4)]
        rules = [
            torch.optim.Muon(hidden, lr=0.02, weight_decay=0.1, momentum=0.9, nesterov=nesterov),
            torch.optim.AdamW(others, lr=0.01, weight_decay=0.0, foreach=False),
        ]
        for step in range(1, 11):
            for p in ps:
                p.grad = None
            y = x
            for W, b in zip(ps[0:6:2], ps[1:6:2], strict=True):
                y = torch.tanh(y @ W.T + b)
            F.cross_entropy(y @ ps[6].T + ps[7], t).backward()
            for rule in rules:
                rule.step()
            if step in (1, 10):
                for i, p in enumerate(ps):
                    keep(f"muon/{nesterov}/{step}/{i}", p.detach().numpy().T.copy())


for part in (activations, losses, norms, network, optimizers, averages, factors, schedules, table, muon):
    part()
path = Path(__file__).with_name("torch.safetensors")
save_file(golden, path, {"made by": f"tests/golden/make_torch.py, torch {torch.__version__}, numpy {np.__version__}"})
path.chmod(0o644)
