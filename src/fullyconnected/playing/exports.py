"""What can be taken away from the playground: a script, the model, the explanation of a step, a picture."""

import base64
import os
import tempfile
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from fullyconnected.core.messages import Message
from fullyconnected.errors import ConfigError
from fullyconnected.explanation import Explanation, draw, explain
from fullyconnected.playing.script import script_of
from fullyconnected.playing.stepping import Stepper
from fullyconnected.playing.view import View

__all__ = ["EXPORTS", "explanation_of", "export"]

MOST_EXPLAINED = 1 << 14  # rows times parameters: a page of more is too large to be read


def export(what: str, stepper: Stepper, sample: int | None) -> dict[str, Any]:
    """Return a file of this kind: its name, type, and text or bytes in base64."""
    if what not in EXPORTS:
        raise ConfigError(f"what can be taken away is one of {', '.join(EXPORTS)}; got {what!r:.80}")
    return EXPORTS[what](stepper, sample)


def _python(stepper: Stepper, sample: int | None) -> dict[str, Any]:
    return {"name": "playground.py", "type": "text/x-python", "text": script_of(stepper)}


def _model(stepper: Stepper, sample: int | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "playground.safetensors")
        stepper.net.save(path)
        with open(path, "rb") as file:
            data = base64.b64encode(file.read()).decode("ascii")
    return {"name": "playground.safetensors", "type": "application/octet-stream", "base64": data}


def explanation_of(stepper: Stepper, sample: int | None) -> Explanation:
    """Return the worked example of the step that comes next, or of one sample of its batch."""
    rows = stepper.next_rows() if sample is None else stepper.next_rows()[sample : sample + 1]
    if (size := len(rows) * stepper.net.n_params) > MOST_EXPLAINED:
        raise ConfigError(
            f"a page with {len(rows)} rows and {stepper.net.n_params} parameters, {size:,} numbers and more, is too "
            f"large to be read; step to one sample, choose a smaller batch, or fewer units"
        )
    x, t = stepper.data.training()
    setup = stepper.setup
    rule = type(stepper.rule)(**{**vars(stepper.rule), "lr": stepper.rate()})
    return explain(
        stepper.net, x[rows], t[rows] if t.dtype.kind == "i" else t[rows, None], stepper.loss, rule,
        l2=setup.l2, train=True, state=stepper.now,
    ).about(_about(stepper, sample))  # fmt: skip


def _explanation(stepper: Stepper, sample: int | None) -> dict[str, Any]:
    return {"name": "step.html", "type": "text/html", "text": explanation_of(stepper, sample).to_html()}


def _about(stepper: Stepper, sample: int | None) -> dict[str, str]:
    told = {"playground": stepper.setup.address(), "after step": str(stepper.step)}
    longest = stepper.setup.max_grad_norm
    if longest and sample is None and longest < (norm := View(stepper).gradient()) < inf:
        told["task"] = Message(
            "The update below is not the one that the playground makes: it first scales the gradient of this batch, "
            "whose length is {norm}, down to the length {longest}, the largest that its setup allows.",
            norm=f"{norm:.4g}",
            longest=f"{longest:g}",
        )
    return told


def _svg(stepper: Stepper, sample: int | None) -> dict[str, Any]:
    x, _ = stepper.data.training()
    rows = stepper.next_rows()
    row = rows[0 if sample is None else sample]
    return {"name": "network.svg", "type": "image/svg+xml", "text": str(draw(stepper.net, np.atleast_2d(x[row])))}


EXPORTS: dict[str, Callable[[Stepper, int | None], dict[str, Any]]] = {
    "python": _python,
    "model": _model,
    "explanation": _explanation,
    "svg": _svg,
}
