"""The CUDA engine: the layers' own code on an NVIDIA GPU, by CuPy. Tests compare it with the NumPy engine."""

from fullyconnected.base import Loss, Optimizer, Solver
from fullyconnected.core.arrays import Array
from fullyconnected.core.checks import PRECISIONS
from fullyconnected.engine.base import Engine, EngineInfo, Predictor, Trainer
from fullyconnected.engine.cuda.presence import load, why_not
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task
from fullyconnected.program.data import Data
from fullyconnected.program.program import Program
from fullyconnected.program.sources import Source, SparseSource

__all__ = ["CudaEngine"]


class CudaEngine(Engine):
    """Runs every program on a GPU, by the layers' own code. It is never chosen by itself: small networks are faster on
    a CPU, and large ones are not the same in every bit.
    """

    name = "cuda"
    averages = True
    schedules = True
    shares = True
    precisions = PRECISIONS

    def about(self) -> EngineInfo:
        if why := why_not():
            return EngineInfo(False, why)
        cupy = load()
        card = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
        memory = card["totalGlobalMem"] / 2**30
        return EngineInfo(True, f"CuPy {cupy.__version__}, {card['name'].decode()} with {memory:.0f} GiB")

    def supports(
        self,
        program: Program,
        *,
        loss: Loss | None = None,
        optimizer: Optimizer | Solver | None = None,
        source: Source | None = None,
        precision: str | None = None,
    ) -> str | None:
        if isinstance(source, SparseSource):
            return "it trains on dense rows, and x is sparse"
        return why_not() or None

    def trainer(self, task: Task, state: TrainingState) -> Trainer:
        from fullyconnected.engine.cuda.trainer import CudaTrainer  # here, since most runs have no GPU

        return CudaTrainer(task, state)

    def gradient(
        self, program: Program, theta: Array, state: Array, data: Data, *, l2: float, train: bool, seed: int
    ) -> tuple[float, Array, Array]:
        from fullyconnected.engine.cuda.predictor import gradient_on_card

        return gradient_on_card(program, theta, state, data, l2=l2, train=train, seed=seed)

    def predictor(self, program: Program, theta: Array, state: Array, *, precision: str | None = None) -> Predictor:
        from fullyconnected.engine.cuda.predictor import CudaPredictor

        return CudaPredictor(program, theta, state, precision)
