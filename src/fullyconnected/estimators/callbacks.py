"""scikit-learn's callbacks (experimental, from 1.9 on), called once an epoch; before 1.9 there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method."""
        return method


__all__ = ["DURING_FIT", "CallbackSupportMixin", "Callbacks", "with_callbacks"]

DURING_FIT = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")  # attributes that scikit-learn sets and removes


class Callbacks:
    """The callbacks of an estimator during one fit: an epoch is a task, and a callback may ask to stop after it."""

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any, epochs: int) -> None:
        self.context = None
        if not hasattr(estimator, "_skl_callbacks"):
            return
        self.estimator, metadata = estimator, None if sample_weight is None else {"sample_weight": sample_weight}
        self.given = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.context = estimator._init_callback_context(max_subtasks=epochs)
        self.context.call_on_fit_task_begin(**self.given)

    def epoch(self, train: Callable[[], Any]) -> bool:
        """Train an epoch as a task; return whether a callback asks to stop."""
        if self.context is None:
            train()
            return False
        task = self.context.subcontext(task_name="epoch")
        task.call_on_fit_task_begin(**self.given, reconstruction_attributes=self.fitted())
        train()
        return bool(task.call_on_fit_task_end(**self.given, reconstruction_attributes=self.fitted()))

    def end(self) -> None:
        """Tell the callbacks that training has ended."""
        if self.context is not None:
            self.context.call_on_fit_task_end(**self.given, reconstruction_attributes={})

    def fitted(self) -> dict[str, Any]:
        """Return what an estimator has that was fitted up to now."""
        return {"network_": self.estimator.network_.copy()}
