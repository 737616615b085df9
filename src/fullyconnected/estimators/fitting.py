"""One call of ``fit`` or ``partial_fit``: the epochs, what is recorded of them, and what is said at the end."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, nan
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fullyconnected.base import Optimizer, Solver
from fullyconnected.comm.choice import choose
from fullyconnected.core.arrays import Array
from fullyconnected.core.batches import Rows
from fullyconnected.engine.state import Best
from fullyconnected.errors import DivergenceError
from fullyconnected.estimators import scaling
from fullyconnected.estimators.callbacks import Callbacks
from fullyconnected.estimators.run import SCORE, EstimatorRun
from fullyconnected.estimators.stopping import Stopping
from fullyconnected.estimators.warning import warn
from fullyconnected.training import progress
from fullyconnected.training.history import Epoch
from fullyconnected.training.identity import stable_repr
from fullyconnected.training.settings import FitSettings

__all__ = ["Fitting", "OptimizerState"]


# what decides the course of a run beside the settings of ``fit``, and must be the same when it is resumed
DECIDE = ("random_state", "learning_rate", "power_t", "tol", "n_iter_no_change", "early_stopping", "scoring")


@dataclass
class OptimizerState:
    """What ``partial_fit`` goes on from: an optimizer, its present learning rate, its step and its slots."""

    name: str
    lr: float
    learning_rate: float
    lr_factor: float
    step: int
    slots: dict[str, Array]


class Fitting(progress.Progress):
    """The training of an estimator's network; a solver shows it its iterations."""

    run: EstimatorRun
    callbacks: Callbacks

    def __init__(self, estimator: Any, optimizer: Optimizer | Solver, random: np.random.RandomState) -> None:
        self.estimator, self.optimizer, self.random = estimator, optimizer, random
        self.comm = choose(estimator.comm)
        self.speaks = self.comm.rank == 0  # of processes that fit together, the first alone says what all would say
        self.display = progress.choose(estimator.progress if self.speaks else False)

    def train(self, X: Any, t: Array, w: Array | None, held_out: Any, *, once: bool, first: Rows | None = None) -> None:
        """Train in epochs: one, or until the rule of stopping, ``max_iter`` or ``max_time`` ends them.

        ``first`` is the order that the rows were split in, if they have another one since.
        """
        estimator, optimizer = self.estimator, self.optimizer
        assert isinstance(optimizer, Optimizer)
        before: OptimizerState | None = vars(estimator).get("_optimizer") if once else None
        if before is not None and before.name != optimizer.name:
            before = None  # another optimizer begins anew
        goes_on = before is not None and before.lr == optimizer.lr  # else the caller has set another rate
        best = estimator.best_validation_score_ if estimator.early_stopping else estimator.best_loss_
        stopping = Stopping(
            optimizer.lr,
            estimator.learning_rate if estimator.solver == "sgd" else "constant",
            estimator.power_t,
            estimator.tol,
            estimator.n_iter_no_change,
            greater_is_better=estimator.early_stopping,
            rate=before.learning_rate if before is not None and goes_on else optimizer.lr,
            best=nan if best is None else best,
            count=estimator._no_improvement_count,
        )
        draws = any(op.layer.random for op in estimator.network_.program.operations)
        run = self.begin(
            X,
            t,
            w,
            stopping,
            score=None if held_out is None else estimator._scorer(held_out),
            watches_score=estimator.early_stopping,
            validation=held_out,
            batch_size=self.batch_size(X.shape[0]),
            seed=int(self.random.randint(2**31 - 1)) if draws else 0,
            planned=None if once else estimator.max_iter,
            first=first,
        )
        if not estimator.early_stopping:
            stopping.best -= self.constants[0]  # what is watched is the loss without it
        state = run.state
        if before is not None:
            state.step, state.lr_factor = before.step, before.lr_factor if goes_on else 1.0
            state.epoch = len(estimator.loss_curve_)  # a schedule goes on, too
            for name, slot in before.slots.items():
                state.slots[name][...] = slot
        if estimator.early_stopping and state.best is None:  # until an epoch is better, these weights are the best
            value = stopping.best if isfinite(stopping.best) else nan
            state.best = Best(value, state.epoch, state.theta.copy(), state.state.copy())
        most = 1 if once else estimator.max_iter
        try:
            self.display.start(most, estimator.n_iter_)
            while estimator.n_iter_ < most and not (run.why_stopped or run.asked_to_stop or run.out_of_time()):
                asks = self.callbacks.epoch(lambda: self.note(run.epoch()))
                run.asked_to_stop = self.comm.broadcast(asks)
            self.callbacks.end()
        except KeyboardInterrupt:
            if self.comm.size > 1:  # the others go on, and would wait for this process
                raise
            warn("Training interrupted by user.")
            run.asked_to_stop = True
        except DivergenceError as error:
            if not (estimator.early_stopping and estimator.n_iter_):
                raise self.not_finite(error) from error
            estimator.validation_scores_.append(nan)
            self.warn(f"Training ended in epoch {estimator.n_iter_ + 1}, the best weights are restored: {error}", "")
            run.asked_to_stop = True
        finally:
            self.display.stop()
            if run.checkpoint is not None:
                run.checkpoint.finish()
            self.keep()
        if estimator.early_stopping and state.best is not None:
            estimator.network_.theta, estimator.network_.state[...] = state.best.theta, state.best.state
        if once or run.why_stopped or run.asked_to_stop:
            return
        if estimator.n_iter_ == most:
            self.warn(
                f"Stochastic Optimizer: Maximum iterations ({most}) reached and the optimization hasn't converged yet."
            )
        else:
            self.warn(f"Training ended after {estimator.n_iter_} epochs, as max_time={estimator.max_time!r} asks.")

    def solve(self, X: Any, t: Array, w: Array | None, held_out: Any) -> None:
        """Train with a full-batch solver, whose iterations are the epochs."""
        estimator = self.estimator
        stopping = Stopping(1.0, "constant", 0.0, 0.0, inf, greater_is_better=False)
        run = self.begin(X, t, w, stopping, validation=held_out)
        try:
            self.display.start(estimator.max_iter, 0)
            run.train(estimator.max_iter, self)
            self.callbacks.end()
        except KeyboardInterrupt:
            if self.comm.size > 1:
                raise
            warn("Training interrupted by user.")
            return
        except DivergenceError as error:
            raise self.not_finite(error) from error
        finally:
            self.display.stop()
        if not estimator.n_iter_:  # the first weights are optimal
            estimator.loss_ = estimator.best_loss_ = run.state.records["loss"][0] + self.constants[0]
        why = {
            "epochs": f"STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT; increase it (max_iter={estimator.max_iter}).",
            "evaluations": f"STOP: TOTAL NO. OF EVALUATIONS EXCEEDS LIMIT; increase it (max_fun={estimator.max_fun}).",
            "line_search": f"ABNORMAL: no step along the last direction decreases the loss; raise tol={estimator.tol}.",
            "max_time": f"max_time={estimator.max_time!r} allows no more.",
        }
        if run.stopped in why:
            self.warn(f"lbfgs failed to converge after {estimator.n_iter_} iteration(s): {why[run.stopped]}")

    def show(self, number: int, epoch: object) -> None:
        """Note an iteration of a solver; the task of a callback begins only when the iteration is over."""
        if isinstance(epoch, Epoch):
            self.run.asked_to_stop = self.comm.broadcast(self.callbacks.epoch(lambda: self.note(epoch)))

    def batch_size(self, rows: int) -> int:
        """Return the number of rows of a batch."""
        given = self.estimator.batch_size
        if given == "auto":
            return min(200, rows)
        if given > rows:
            warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
        return int(min(given, rows))

    def begin(
        self,
        X: Any,
        t: Array,
        w: Array | None,
        stopping: Stopping,
        *,
        score: Any = None,
        watches_score: bool = False,
        planned: int | None = None,
        first: Rows | None = None,
        **others: Any,
    ) -> EstimatorRun:
        """Make the run, and take over what a resumed one has recorded."""
        estimator, whole = self.estimator, self.estimator.network_
        if (held_out := others.get("validation")) is not None:
            others["validation"] = held_out[0], scaling.scaled(whole, held_out[1]), held_out[2]
        settings = FitSettings(**estimator._settings(), sample_weight=w, **others)
        self.run = run = EstimatorRun(
            scaling.inside(whole),
            X,
            scaling.scaled(whole, t),
            estimator._loss_,
            self.optimizer,
            settings,
            random=self.random,
            stopping=stopping,
            score=score,
            watches_score=watches_score,
            seen=estimator.t_,
            planned=planned,
            first=first,
            identity={name: stable_repr(getattr(estimator, name)) for name in DECIDE},
        )
        self.constants = estimator._constant(t, w), 0.0 if held_out is None else estimator._constant(*held_out[1:])
        whole.loss = estimator._loss_
        run.total = estimator.max_iter
        estimator.n_iter_ = 0
        if run.validation is not None and estimator.validation_loss_curve_ is None:
            estimator.validation_loss_curve_ = []
        records = run.state.records
        for i, loss in enumerate(records.get("loss", [])):
            validation_loss = records["validation_loss"][i] if run.validation is not None else None
            self.record(loss, validation_loss, records[SCORE][i] if SCORE in records else None)
        self.callbacks = Callbacks(estimator, X, estimator._labels(t), w, estimator.max_iter)
        return run

    def record(self, loss: float, validation_loss: float | None, score: float | None) -> None:
        """Add an epoch to the attributes that describe the training."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        if isinstance(self.optimizer, Optimizer):
            estimator.t_ += self.run.rows
        estimator.loss_ = loss + self.constants[0]
        estimator.loss_curve_.append(estimator.loss_)
        if validation_loss is not None:
            estimator.validation_loss_curve_.append(validation_loss + self.constants[1])
        if estimator.early_stopping and score is not None:
            estimator.validation_scores_ = estimator.validation_scores_ or []
            estimator.validation_scores_.append(score)
            best = estimator.best_validation_score_
            estimator.best_validation_score_ = score if best is None else max(best, score)
        else:
            best = estimator.best_loss_
            estimator.best_loss_ = estimator.loss_ if best is None else min(best, estimator.loss_)

    def keep(self) -> None:
        """Give the estimator what ``partial_fit`` goes on from, also while it is trained: a callback may pickle it."""
        if isinstance(rule := self.optimizer, Optimizer):
            stopping, state = self.run.stopping, self.run.state
            self.estimator._no_improvement_count = stopping.count
            self.estimator._optimizer = OptimizerState(
                rule.name, rule.lr, stopping.rate, state.lr_factor, state.step, dict(state.slots)
            )

    def note(self, epoch: Epoch) -> None:
        """Record an epoch, and tell of it."""
        estimator, score = self.estimator, epoch.metrics.get("score")
        self.record(epoch.loss, epoch.validation_loss, score)
        self.keep()
        self.display.show(epoch.number, epoch)
        if estimator.verbose and self.speaks:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")  # noqa: T201
            if estimator.early_stopping and score is not None:
                print(f"Validation score: {score:f}")  # noqa: T201
            if self.run.stopping.said:
                print(self.run.stopping.said)  # noqa: T201
        if estimator.callback is not None:
            validation_loss = None if epoch.validation_loss is None else estimator.validation_loss_curve_[-1]
            estimator.callback(epoch._replace(loss=estimator.loss_, validation_loss=validation_loss))

    def warn(self, message: str, why: str | None = None) -> None:
        """Warn that training has not converged, and say what the run shows."""
        if not self.speaks:
            return
        if why is None:
            from fullyconnected.estimators import advice  # needed for warnings alone

            self.run.__dict__.pop("trainer", None)  # its memory is free for what is looked at
            why = advice.why(self.estimator, self.run.net, self.run.data)
        warn(f"{message} {why}".rstrip(), ConvergenceWarning)

    def not_finite(self, error: DivergenceError) -> ValueError:
        """Return the error of a fit that has diverged."""
        after = "has the weights from before that epoch again" if self.estimator.n_iter_ else "is as it was before"
        said = str(error).replace("The network has the weights from before that epoch again", f"The estimator {after}")
        return ValueError(
            f"Solver produced non-finite parameter weights. The input data may contain large values and need to be "
            f"preprocessed. {said}"
        )
