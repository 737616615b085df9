"""What the compiled part offers (native/src/module.cpp)."""

from typing import Any

from fullyconnected.core.arrays import Array

class Layout:
    def __init__(
        self,
        kind: str,
        function: str,
        n_in: int,
        n_out: int,
        setting: float,
        scale: float,
        momentum: float,
        bias: bool,
        first_at: int,
        first_size: int,
        second_at: int,
        second_size: int,
        decays: bool,
        state_at: int,
        layer: int,
        partner: int,
    ) -> None: ...

class Rules:
    def __init__(
        self, rule: str, decay: float, beta1: float, beta2: float, epsilon: float, weight_decay: float
    ) -> None: ...

class TrainerFloat32:
    def __init__(
        self,
        layouts: list[Layout],
        theta: Array,
        state: Array,
        x: Array,
        t: Array,
        weights: Array | None,
        loss: str,
        loss_setting: float,
        rules: Rules,
        m: Array | None,
        v: Array | None,
        batch_size: int,
        least_rows: int,
        l2: float,
        max_norm: float,
        threads: int,
        input_gradient: bool,
    ) -> None: ...
    def epoch(self, order: Any, rates: Array, seed: int, step: int) -> tuple[float, int]: ...
    def gradient(self, order: Any, seed: int, train: bool, gradient: Array, dx: Array) -> float: ...
    @property
    def step(self) -> int: ...
    @property
    def rate(self) -> float: ...
    @property
    def last_batch(self) -> int: ...
    @property
    def threads(self) -> int: ...

class TrainerFloat64(TrainerFloat32): ...

class PredictorFloat32:
    def __init__(self, layouts: list[Layout], theta: Array, state: Array) -> None: ...
    def predict(self, x: Array, z: Array, threads: int) -> None: ...
    def row(self, x: Any, z: Array) -> bool: ...

class PredictorFloat64(PredictorFloat32): ...

def kernels() -> str: ...
def usable_kernels() -> list[str]: ...
def thread_limit() -> int: ...
def fma_peak(threads: int) -> float: ...
def product_seconds(m: int, n: int, k: int, turn_a: bool, turn_b: bool, threads: int, rounds: int) -> float: ...
def evaluate(name: str, x: Array, y: Array) -> Array: ...
