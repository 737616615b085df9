"""PyTorch on a card, eager and compiled, with whichever of its optimizers is faster there."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import peers_torch
import torch
from peers_case import Case
from torch.nn import functional as F

__all__ = ["Compiled", "Eager", "copies_to_host"]

RULES = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}
TRIAL = 30  # steps by which optimizers are compared


class Eager(peers_torch.Eager):
    """The usual loop, on rows that are on the card."""

    kinds: tuple[str, ...] = ("fused", "foreach")

    def __init__(self, case: Case, precision: str | None, device: str) -> None:
        super().__init__(case)
        self.device, self.precision = torch.device(device), precision
        self.model.to(self.device)
        self.x, self.t = self.x.to(self.device), self.t.to(self.device)
        self.failed: list[str] = []
        self.forward = self.prepared()
        self.take(self.kinds[0])

    def prepared(self) -> Callable[[Any, Any], Any]:
        """Return the function of rows and targets that gives the loss."""
        return self.loss_of

    def loss_of(self, x: Any, t: Any) -> Any:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return F.cross_entropy(self.model(x), t)

    def take(self, kind: str) -> None:
        """Take a new optimizer of this kind."""
        how: dict[str, Any] = {"foreach": True} if kind != "fused" else {"fused": True}
        if kind == "compiled" and self.case.rule == "Adam" and self.device.type == "cuda":
            how["capturable"] = True  # its count of steps is on the card
        self.optimizer = RULES[self.case.rule](self.model.parameters(), self.case.lr, **how)
        self.update = self.optimizer.step
        if kind == "compiled":
            self.update = torch.compile(self.optimizer.step, mode="reduce-overhead")

    def train(self, order: Any) -> Any:
        """Take the steps of an epoch, whose order of rows is on the card; return the last loss, which is there, too."""
        forward, optimizer, update = self.forward, self.optimizer, self.update
        for rows in order.split(self.case.batch):
            torch.compiler.cudagraph_mark_step_begin()
            loss = forward(self.x.index_select(0, rows), self.t.index_select(0, rows))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            update()
        return loss

    def losses(self, orders: np.ndarray) -> list[float]:
        """Return the loss of each of some steps."""
        with self.at_precision():
            return [self.train(torch.from_numpy(order).to(self.device)).item() for order in orders]

    def choose(self) -> str:
        """Take the optimizer that is fastest in some steps; return its name."""
        took: dict[str, tuple[float, Any, Any]] = {}  # the seconds, the optimizer, and its step
        order = torch.arange(len(self.x), device=self.device)[: self.case.batch].repeat(TRIAL)
        for kind in self.kinds:
            try:
                with self.at_precision():
                    self.take(kind)
                    self.train(order)  # which compiles and warms up
                    self.wait()
                    began = time.perf_counter()
                    self.train(order)
                    self.wait()
                took[kind] = time.perf_counter() - began, self.optimizer, self.update
            except Exception as error:  # of PyTorch or of its compiler: one of the kinds does not work here
                self.failed.append(f"optimizer {kind}: {type(error).__name__}: {error}".partition("\n")[0])
        if not took:
            raise RuntimeError("; ".join(self.failed))
        fastest = min(took, key=lambda kind: took[kind][0])
        _, self.optimizer, self.update = took[fastest]
        return fastest

    def epochs(self, n: int) -> None:
        """Train so many epochs, each in an order that is drawn on the card."""
        with self.at_precision():
            for _ in range(n):
                self.train(torch.randperm(len(self.x), device=self.device))
            self.wait()

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    @contextmanager
    def at_precision(self) -> Iterator[None]:
        """Let products of float32 be of TF32, or not."""
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before


class Compiled(Eager):
    """The loss and its gradient compiled, and replayed as CUDA graphs; the optimizer too, if that is faster."""

    kinds = ("fused", "foreach", "compiled")

    def prepared(self) -> Callable[[Any, Any], Any]:
        torch._dynamo.reset()  # type: ignore[no-untyped-call]
        return torch.compile(self.loss_of, mode="reduce-overhead", fullgraph=True, dynamic=False)


def copies_to_host(work: Callable[[], Any]) -> int | None:
    """Return how many copies from a card to the host happen in this process meanwhile; None if they cannot be seen."""
    if not torch.cuda.is_available():
        return None
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        work()
    names = [event.name for event in seen.events() or ()]
    if not any("Memcpy" in name for name in names):  # an epoch at least begins and ends with copies
        return None
    return sum("Memcpy DtoH" in name for name in names)
