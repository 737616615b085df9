"""Trains one run on a card: each step is recorded once for each size of batch, as a graph, and replayed."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from copy import copy
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from fullyconnected.averages import EMA
from fullyconnected.base import Optimizer
from fullyconnected.core.arrays import Array, dot
from fullyconnected.core.batches import Rows, n_batches
from fullyconnected.core.contracts import is_foreign
from fullyconnected.engine.cuda.card import Sums, card_of
from fullyconnected.engine.cuda.foreign import as_explained
from fullyconnected.engine.cuda.fused import run_fused
from fullyconnected.engine.cuda.masks import CardUniforms
from fullyconnected.engine.cuda.numbers import CHUNK, Namespace, Number, Numbers
from fullyconnected.engine.cuda.products import HERE, Cublas
from fullyconnected.engine.cuda.resident import Loader, Plan, Resident, plan_of
from fullyconnected.engine.replay import first_not_finite
from fullyconnected.engine.state import TrainingState
from fullyconnected.engine.task import Task, answer_of
from fullyconnected.engine.updates import Rules, Update, updates
from fullyconnected.errors import ConfigError, DivergenceError
from fullyconnected.program.reading import Part
from fullyconnected.program.workspace import Across, Workspace

__all__ = ["CudaTrainer"]

PATIENCE = 1.0  # seconds


class Kind(NamedTuple):
    """What makes the graphs of two steps differ: the rows of this process in the batch, and those of all."""

    rows: int
    whole: int


class Step:
    """The step of all batches of one kind: run once, then recorded, then replayed."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool  # the memory of what comes up on the way, which nobody else may take while the graph lives
        self.loader: Loader | None = None  # None if this process has no row of the batch
        self.ran = False
        self.graph: Any = None


class CudaTrainer:
    """Trains one run by CuPy; all memory of a step is taken when it is made, or in its first steps.

    Within an epoch nothing is brought to the host. At its end, the weights, what the optimizer remembers, and the
    losses are; the losses of rows that are read window by window, after each window.
    """

    def __init__(self, task: Task, state: TrainingState) -> None:
        self.task, self.state = task, state
        self.made = False
        self.card = card_of(task.others, task.precision)
        self.burst = 16  # steps after which the card is waited for
        self.cublas: Cublas | None = None  # by which the graphs multiply
        self.steps: dict[Kind, Step] = {}
        self.loaders: dict[int, Loader] = {}

    def epoch(self, order: Rows) -> float:
        return self.epoch_in_parts([Part(self.task.data, order)], len(order))

    def epoch_in_parts(self, parts: Iterable[Part], rows: int) -> float:
        state, task = self.state, self.task
        steps = n_batches(rows, task.batch_size, task.program.least_rows)
        with self.card.at_work() as cublas, self._numbers_here():
            if cublas is not self.cublas:  # in another thread than before, whose products work in other memory
                self.cublas = cublas
                self._forget()
            first, taken, total, weight = 0, 0, 0.0, 0.0
            for part in parts:
                plan = plan_of(part, task)
                counted = np.flatnonzero(plan.weights > 0)
                self._prepare(part, plan)
                # the schedules of the caller, which may change the weights, come before these are brought there
                values = self._values(plan, counted, first, steps, state.step + taken)
                if not first:
                    self._bring()
                losses = self._train(part, plan, counted, values, first, steps)
                total += float((losses * plan.weights[counted]).sum())
                weight += float(plan.weights.sum())
                taken += len(counted)
                if len(counted):
                    last = part, plan, int(counted[-1]), first, float(values["lr"][-1])
                first += len(plan.sizes)
            self._take_back()
        state.step += taken
        # the last update may have made something that is not finite, and no loss has been computed after it
        if not (np.isfinite(state.theta).all() and np.isfinite(state.state).all()):
            part, plan, batch, first, lr = last
            self._diverged(part, plan, batch, first, steps, lr)
        return total / weight

    def __del__(self) -> None:
        """Free the memory of the card now, and end the sums, in their order: first the graphs that have them."""
        if self.made:
            self._forget()
            self.workspace.release()
            if self.sums is not None:
                with suppress(Exception):
                    self.sums.end()

    @contextmanager
    def _numbers_here(self) -> Iterator[None]:
        """Return a context in which arrays take the numbers of this run."""
        before = HERE.numbers
        try:
            yield
        finally:
            HERE.numbers = before

    # --- memory -------------------------------------------------------------------------------------------------------

    def _prepare(self, part: Part, plan: Plan) -> None:
        """Take the memory of the run, with the first part; bring the part there."""
        if not self.made:
            self._make(part)
        HERE.numbers = self.numbers
        if self.resident.put(part, plan):
            self._forget()

    def _make(self, part: Part) -> None:
        task, state, card = self.task, self.state, self.card
        program, dtype, cupy = task.program, state.theta.dtype, card.cupy
        rows = min(task.batch_size + program.least_rows - 1, max(1, len(part.order)))
        self.numbers = Numbers(cupy)
        self.xp = Namespace(cupy, card.array, self.numbers)
        self.resident = Resident(self.xp, task, dtype)
        vectors = [*state.vectors(), *state.slots.values()]
        a_step = rows * (3 * program.entries_a_row + 2 * program.n_out * program.copies) * dtype.itemsize
        # a copy of the vectors is kept until the part has ended; and there are a gradient, and scratch of the rule
        wanted = self.resident.bytes_of(part) + a_step + (2 * sum(v.nbytes for v in vectors) + 2 * state.theta.nbytes)
        card.require(wanted, f"{len(part.data.x)} rows, the network and a step of {rows} rows")
        theta, running = (self.xp.zeros(vector.shape, dtype) for vector in (state.theta, state.state))
        slots = {name: self.xp.zeros(slot.shape, slot.dtype) for name, slot in state.slots.items()}
        average = [self.xp.zeros(vector.shape, dtype) for vector in state.average or ()]
        there = [theta, running, *average, *slots.values()]
        self.vectors = list(zip([*state.vectors(), *state.slots.values()], there, strict=True))
        sums = None if task.others is None else Sums(card, task.others)
        self.sums, self.across = sums, None if sums is None else Across(sums)
        self.workspace = Workspace(
            program,
            theta,
            running,
            rows,
            loss=task.data.loss,
            xp=self.xp,
            across=self.across,
            uniforms=partial(CardUniforms, cupy, self.numbers),
            piece=max(1, program.n_params),
        )
        self.workspace.at(state.seed, 0)
        self.rules = CardRules(task.rule, scheduled=task.weight_decay_schedule is not None, watched=False)
        of_step = self.workspace.gradient, slots, self.xp
        self.updates = updates(self.rules, program, theta, *of_step, piece=self.workspace.piece)
        self.average = task.average if isinstance(task.average, EMA) else None
        if self.average is not None:  # which moves as a rule does
            scratch = self.xp.zeros(max(theta.size, running.size), dtype)
            for mean, now in zip(average, (theta, running) if running.size else (theta,), strict=False):
                c = SimpleNamespace(xp=self.xp, difference=scratch[: now.size])
                self.updates.append(Update(follow, mean, now, SimpleNamespace(), c, decays=False))
        self.fuses = not any(is_foreign(rule) for rule in (task.rule, getattr(task.rule, "rest", task.rule)))
        self.losses = self.xp.zeros(1, np.float64)
        self.made = True

    def _forget(self) -> None:
        """Forget the graphs, which know the places of what has moved."""
        self.steps.clear()
        self.loaders.clear()

    def _bring(self) -> None:
        """Bring the weights and what the optimizer remembers to the card: the caller may have changed them."""
        for host, there in self.vectors:
            there.set(host)

    def _take_back(self) -> None:
        """Bring them to the host."""
        for host, there in self.vectors:
            there.get(out=host)

    # --- steps --------------------------------------------------------------------------------------------------------

    def _train(self, part: Part, plan: Plan, batches: Array, values: dict[str, Array], first: int, steps: int) -> Array:
        """Take the steps of these batches of a part, which begins with batch ``first`` of ``steps``; return losses."""
        step = self.state.step if not batches.size else int(values["step"][0])
        if len(plan.sizes) > len(self.losses):
            self.losses = self.xp.zeros(len(plan.sizes), np.float64)
            self._forget()
        begun = [there.copy() for _, there in self.vectors]
        self._run(plan, batches, values)
        losses = self.losses[: len(batches)].get()
        wrong = np.flatnonzero(~np.isfinite(losses))
        if len(wrong):
            # the step that diverged is found by its loss; the others have gone on from it, and are taken back
            for (_, there), before in zip(self.vectors, begun, strict=True):
                there[...] = before
            here = int(wrong[0])
            self._run(plan, batches[:here], {name: value[:here] for name, value in values.items()})
            self._take_back()
            self.state.step = step + here + 1
            self._diverged(part, plan, int(batches[here]), first, steps, float(values["lr"][here]))
        return losses

    def _values(self, plan: Plan, batches: Array, first: int, steps: int, step: int) -> dict[str, Array]:
        """Return the numbers of the steps of these batches, by name."""
        task, state = self.task, self.state
        lr = task.rule.lr * state.lr_factor
        epochs = [state.epoch + (first + int(i)) / steps for i in batches]
        number = step + np.arange(len(batches), dtype=np.float64)
        ones = np.ones(len(batches))
        values = {
            "start": plan.starts[batches],
            "row": plan.firsts[batches],
            "place": np.arange(len(batches)),
            "step": number,  # of random numbers, which counts from 0
            "number": number + 1,
            "lr": lr * ones,
            "weight": plan.weights[batches].astype(np.float64),
        }
        if task.schedule is not None:
            values["lr"] = np.array([lr * answer_of("schedule", task.schedule, epoch) for epoch in epochs])
        if task.weight_decay_schedule is not None:
            values["decay"] = np.array([task.decay_factor(epoch) for epoch in epochs])
        if task.dropout_schedule is not None:
            values["dropout"] = np.array([task.dropout_factor(epoch) for epoch in epochs])
        if self.average is not None:
            values["follow"] = np.array([self.average.share(int(i)) for i in number + 1])
        return values

    def _run(self, plan: Plan, batches: Array, values: dict[str, Array]) -> None:
        """Take the steps of these batches, whose numbers are brought to the card a chunk at a time."""
        for begin in range(0, len(batches), CHUNK):
            some = slice(begin, begin + CHUNK)
            self.numbers.begin({name: value[some] for name, value in values.items()})
            for i, batch in enumerate(batches[some]):
                self._step(Kind(int(plan.sizes[batch]), int(plan.wholes[batch])), i)
                if (i + 1) % self.burst == 0:
                    self._wait()
            self._wait()

    def _wait(self) -> None:
        """Wait for the card, about once a second: so long Ctrl-C waits, and so long others are not found missing."""
        comm, began = self.task.others, time.monotonic()
        with nullcontext() if comm is None else comm.waiting():
            HERE.cublas[-1].stream.synchronize()
        took = time.monotonic() - began
        if took < PATIENCE / 4:
            self.burst = min(CHUNK, 2 * self.burst)
        elif took > PATIENCE:
            self.burst = max(1, self.burst // 2)

    def _step(self, kind: Kind, i: int) -> None:
        """Take the step of a batch, number ``i`` of its chunk."""
        step = self.steps.get(kind)
        if step is None:
            step = self.steps[kind] = Step(self.card.cupy.cuda.MemoryPool())
        if step.graph is not None:
            step.graph.launch()
            return
        things = self.task.program, self.task.data.loss, self.task.rule
        with self.card.cupy.cuda.using_allocator(step.pool.malloc), as_explained(*things):
            if not step.ran:
                step.loader = self._loader(kind.rows) if kind.rows else None
                self.numbers.current = i
                self._take(kind, step)
                self.numbers.current, step.ran = None, True
                return
            step.graph = self._recorded(kind, step)
        step.graph.launch()

    def _loader(self, rows: int) -> Loader:
        """Return what loads batches of so many rows: one, since it says where the targets of the batch are."""
        if rows not in self.loaders:
            self.loaders[rows] = Loader(self.xp, self.workspace.bind(rows), self.resident, self.task.program.copies)
        return self.loaders[rows]

    def _recorded(self, kind: Kind, step: Step) -> Any:
        """Return the graph of a step, which is recorded, and does not run."""
        stream = HERE.cublas[-1].stream
        try:
            stream.begin_capture()
            self._take(kind, step)
        except BaseException:
            with suppress(Exception):  # the recording is broken, and thrown away
                stream.end_capture()
            self.card.forget_stream()
            raise
        return stream.end_capture()

    def _take(self, kind: Kind, step: Step) -> None:
        """Take a step: what is run, and what is recorded. Every number that changes comes from ``self.numbers``."""
        task, workspace, xp, numbers = self.task, self.workspace, self.xp, self.numbers
        numbers.next()
        if self.across is not None:
            self.across.rows = kind.whole
        if task.dropout_schedule is not None:
            workspace.set_dropout(Number("dropout"))
        if task.weight_decay_schedule is not None:
            self.rules.times(Number("decay"))
        value: Any = 0.0
        if step.loader is None:
            workspace.take_part()
        else:
            step.loader.load(numbers.start)
            value = step.loader.batch.loss_and_gradient(train=True)
        if self.sums is not None:
            value = self._add_up(value)
        if task.alpha or task.l2:
            alpha: Any = task.alpha
            value = xp.add(value, workspace.add_l2(alpha / Number("weight") + task.l2 if alpha else task.l2))
        self.losses.put(numbers.place, value)
        self._before_update()
        for update in self.updates:
            how: Any = {"lr": Number("lr"), "step": Number("number")}
            if not (self.fuses and run_fused(self.card.cupy, numbers, update, **how)):
                update.run(*update[1:5], **how, decays=update.decays)

    def _add_up(self, value: Any) -> Any:
        """Sum the gradient and the loss over all cards; of the loss two parts, so that float32 keeps its digits."""
        assert self.sums is not None
        exchanged, xp = self.workspace.exchanged, self.xp
        above, below = exchanged[-2], exchanged[-1]
        above[...] = value
        xp.subtract(value, above, out=below)
        self.sums(exchanged)
        return xp.add(above, below, dtype=np.float64)

    def _before_update(self) -> None:
        """Scale the flat gradient down to the norm that is asked for, if it is larger."""
        limit, xp, g = self.task.max_grad_norm, self.xp, self.workspace.gradient
        if limit is None:
            return
        # squares of large entries overflow, so that the norm is that of the gradient over its largest entry
        largest = xp.maximum(xp.abs(g).max(), float(np.finfo(g.dtype).tiny))
        xp.divide(g, largest, out=g)
        norm = xp.sqrt(dot(xp, g, g))
        xp.multiply(g, xp.minimum(largest, xp.divide(limit, norm)), out=g)

    # --- what diverges ------------------------------------------------------------------------------------------------

    def _diverged(self, part: Part, plan: Plan, batch: int, first: int, steps: int, lr: float) -> None:
        """Raise for the step of a batch of a part, whose weights are on the host."""
        state, task, start = self.state, self.task, int(plan.starts[batch])
        rows = part.order[start : start + int(plan.sizes[batch])]
        where = "loss"  # if this process has no row of the batch
        if len(rows):
            begun, dropout = int(plan.firsts[batch]), task.dropout_factor(state.epoch + (first + batch) / steps)
            at: Any = {"seed": state.seed, "step": state.step - 1, "row": begun, "dropout": dropout}
            where = first_not_finite(task, state.theta, state.state, part.data, rows, **at)
        raise DivergenceError(state.epoch + 1, state.step, lr, where)


def follow(average: Any, now: Any, s: Any, c: Any, **numbers: Any) -> None:
    """Move an average by a share of the way towards the weights after a step."""
    c.xp.subtract(now, average, out=c.difference)
    c.xp.multiply(c.difference, Number("follow"), out=c.difference)
    c.xp.add(average, c.difference, out=average)


class CardRules(Rules):
    """The calls of an optimizer whose weight decay each step may have its own factor on."""

    def found(self, rule: Optimizer, factor: Any) -> Optimizer:
        if not isinstance(factor, Number):
            return super().found(rule, factor)
        if rule.decays and is_foreign(rule):
            raise ConfigError(
                f"on a GPU, weight_decay_schedule is for the optimizers of the library: {type(rule).__name__} would be "
                f"made anew in each step. Use engine='numpy'"
            )
        return with_decay(rule, factor)


def with_decay(rule: Optimizer, factor: Number) -> Optimizer:
    """Return a rule of the library whose weight decay is multiplied by a number that each step has its own value of."""
    made, rest, decay = copy(rule), getattr(rule, "rest", None), getattr(rule, "weight_decay", 0.0)
    if decay:
        object.__setattr__(made, "weight_decay", factor * decay)
    if rest is not None:
        object.__setattr__(made, "rest", with_decay(rest, factor))
    return made
