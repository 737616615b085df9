"""PyTorch, eager and compiled."""

from typing import Any

import numpy as np
import torch
from peers_case import Case
from peers_tables import theirs
from torch import nn
from torch.nn import functional as F

__all__ = ["Autocast", "Compiled", "Eager"]


class Eager:
    """The usual loop, with the fused optimizers, which are faster here than foreach."""

    def __init__(self, case: Case) -> None:
        torch.set_num_threads(case.threads)
        self.case, self.x, self.t = case, torch.from_numpy(case.x), torch.from_numpy(case.t)
        if case.recipe:
            self.model, self.loss, self.optimizer, self.x = theirs(case)
            return
        layers: list[nn.Module] = []
        for W, b in zip(case.W, case.b, strict=True):
            dense = nn.Linear(*W.shape)
            dense.load_state_dict({"weight": torch.from_numpy(W.T), "bias": torch.from_numpy(b)})
            layers += [dense, nn.Sigmoid() if case.xor else nn.ReLU()]
        self.model = nn.Sequential(*(layers if case.xor else layers[:-1]))
        rule = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}[case.rule]
        self.optimizer = rule(self.model.parameters(), case.lr, fused=True)

    def loss(self, y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(y, t) if self.case.classes else F.mse_loss(y, t) / 2

    def train(self, order: np.ndarray) -> float:
        x, t, model, optimizer = self.x, self.t, self.model, self.optimizer
        for rows in torch.from_numpy(order).split(self.case.batch):
            loss = self.loss(model(x.index_select(0, rows)), t.index_select(0, rows))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    def predict(self, x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.model(torch.from_numpy(x)).numpy()


class Autocast(Eager):
    """The usual loop, with autocast to bfloat16."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        model: Any = self.model

        def forward(x: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return model(x).float()

        self.model = forward


class Compiled(Eager):
    """The step compiled as one graph, with torch.func instead of autograd: gathering, forward, backward and update.

    Compiling the model or its loss alone is slower here than not compiling. Where Adam's arrays are larger than the
    caches, its fused kernel is faster than the compiled update, and is called after the graph.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        torch._dynamo.reset()
        if case.recipe:  # the model and its loss, and the fused optimizer, as its users would
            self.compiled = torch.compile(lambda x, t: self.loss(self.model(x), t), fullgraph=True, dynamic=False)
            return
        self.theta = {name: p.detach() for name, p in self.model.named_parameters()}
        self.apart = case.rule == "Adam" and sum(p.numel() for p in self.theta.values()) > 100_000
        self.moments = [{name: torch.zeros_like(p) for name, p in self.theta.items()} for _ in "mv"]
        self.count = torch.zeros(())
        options = {"cpp_wrapper": True}
        self.compiled = torch.compile(self.step, fullgraph=True, dynamic=False, options=options)
        self.forward = torch.compile(self.model, fullgraph=True, dynamic=False, options=options)

    def step(self, theta: Any, moments: Any, count: Any, x: Any, t: Any, rows: Any) -> Any:
        def loss(theta: Any) -> torch.Tensor:
            y = torch.func.functional_call(self.model, theta, (x.index_select(0, rows),))
            return self.loss(y, t.index_select(0, rows))

        gradient, value = torch.func.grad_and_value(loss)(theta)
        if self.apart:
            return value, gradient
        if self.case.rule == "SGD":
            for name, p in theta.items():
                p.sub_(gradient[name], alpha=self.case.lr)
            return value, None
        count.add_(1)
        rate, root = self.case.lr / (1 - 0.9**count), (1 - 0.999**count).sqrt()
        for name, p in theta.items():
            m, v, g = moments[0][name], moments[1][name], gradient[name]
            m.lerp_(g, 0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            p.sub_(rate * m / (v.sqrt() / root + 1e-8))
        return value, None

    def train(self, order: np.ndarray) -> float:
        if self.case.recipe:
            for rows in torch.from_numpy(order).split(self.case.batch):
                loss = self.compiled(self.x.index_select(0, rows), self.t.index_select(0, rows))
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
            return loss.item()
        with torch.no_grad():
            for rows in torch.from_numpy(order).split(self.case.batch):
                loss, gradient = self.compiled(self.theta, self.moments, self.count, self.x, self.t, rows)
                if self.apart:
                    for name, p in self.model.named_parameters():
                        p.grad = gradient[name]
                    self.optimizer.step()
        return loss.item()

    def predict(self, x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.forward(torch.from_numpy(x)).numpy()
