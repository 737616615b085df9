"""What the playground says beside the curves: why a run stopped, and what could be better."""

from collections.abc import Mapping

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.diagnosis.examine import examine
from fullyconnected.errors import DivergenceError
from fullyconnected.playing.stepping import Stepper
from fullyconnected.playing.timeline import Timeline

__all__ = ["advice_of", "explained_stop"]

MOST = 3  # pieces of advice at a time
STEPS, EPOCHS = 500, 10  # before which nothing is said of what has been learned
FALLS = 0.99  # the share of the loss of a while ago below which it still falls
WORSE = 1.2  # how much above its least a test loss is when it has got worse
OF_LEARNING = ("loss_above_chance", "class_imbalance")  # findings that more steps may put right


def advice_of(stepper: Stepper, timeline: Timeline) -> list[dict[str, str]]:
    """Return what :func:`fullyconnected.diagnose` finds in the network as it is now, and what the curves show."""
    found = examine(stepper.net, stepper.training, quick=True).findings
    curves = timeline.curves()
    curves = {name: values[curves["step"] <= stepper.step] for name, values in curves.items()}
    early = stepper.step < max(STEPS, EPOCHS * stepper.steps)
    learning = early or _falls(curves["train"])
    advice = [
        {"title": each.name.replace("_", " "), "text": str(each)}
        for each in found
        if each.severity != "note" and not (learning and each.name in OF_LEARNING)
    ]
    return [*([] if early else _overfitting(curves)), *advice][:MOST]


def _falls(loss: Array) -> bool:
    """Whether the loss is less in the last quarter of the run than in the quarter before."""
    quarter = len(loss) // 4
    if not quarter:
        return True
    before, now = loss[-2 * quarter : -quarter].mean(), loss[-quarter:].mean()
    return bool(now < FALLS * before)


def _overfitting(curves: Mapping[str, Array]) -> list[dict[str, str]]:
    test, train, steps = curves["test"], curves["train"], curves["step"]
    if len(test) < 10 or not np.isfinite(test).all():
        return []
    best = int(test.argmin())
    if test[-1] < WORSE * test[best] or train[-1] > train[best]:
        return []
    return [
        {
            "title": "overfitting",
            "text": f"The test loss was least at step {steps[best]:.0f}, {test[best]:.4g}, and is {test[-1]:.4g} now, "
            f"while the training loss went on falling: the network learns the training points by heart. Rewind to that "
            f"step, or try more points, some l2 or dropout, or fewer units.",
        }
    ]


def explained_stop(error: DivergenceError, stepper: Stepper) -> dict[str, str]:
    """Return why the run stopped: the step whose numbers are not finite, and what to change."""
    text = (
        f"Step {stepper.step + 1} gives numbers that are not finite, at learning rate {error.learning_rate:.3g}: the "
        f"first are in {error.layer}. The weights are those before that step. {error.advice}"
    )
    text = text.replace("max_grad_norm=1.0", "1 for the largest gradient")
    return {"why": "diverged", "text": text.strip()}
