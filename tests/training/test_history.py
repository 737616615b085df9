"""What a run leaves behind: it prints as a few lines, draws itself, and can be kept."""

import copy
import pickle

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.training.history import History


@pytest.fixture(scope="module")
def history():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    t = (x[:, 0] > 0).astype(int)
    how = {"validation": (x[40:], t[40:]), "metrics": ["accuracy"], "patience": 500, "progress": False}
    return fc.fit(fc.mlp([2, 8, 2], seed=0), x[:40], t[:40], "softmax_cross_entropy", epochs=300, **how)


def test_it_prints_as_a_few_lines(history):
    lines = str(history).splitlines()
    assert repr(history).splitlines() == lines
    assert len(lines) == 5
    assert lines[0] == f"300 epochs by the {history.engine} engine; not stopped early"
    lowest = min(history.validation_loss)
    first, *_, last = history.validation_loss
    where = history.validation_loss.index(lowest) + 1
    assert lines[2] == f"validation loss      {first:.4g} -> {last:.4g}, lowest {lowest:.4g} in epoch {where}"
    assert lines[3].startswith("validation accuracy  ")
    assert lines[4] == f"the network has the weights of epoch {history.best_epoch}, the best by validation loss"
    assert max(map(len, lines)) < 120


ASKED = "not stopped early"
FAILED = "stopped, since no step along the last direction decreased the loss"


@pytest.mark.parametrize(
    ("made", "lines"),
    [
        (History(), [f"no epoch is complete; {ASKED}"]),
        (History(stopped="interrupted", interrupted=True), ["no epoch is complete; interrupted"]),
        (History([0.5], engine="native"), [f"1 epoch by the native engine; {ASKED}", "loss  0.5"]),
        (
            History([2.0, np.nan], stopped="patience"),
            [
                "2 epochs by the numpy engine; stopped early, after patience epochs without improvement",
                "loss  2 -> nan, lowest 2 in epoch 1",
            ],
        ),
        (
            History([np.inf, np.nan], stopped="line_search"),
            [f"2 epochs by the numpy engine; {FAILED}", "loss  inf -> nan"],
        ),
        (
            History([2.0, 1.0], metrics={"größe\n[/x]": [1.0, 2.0]}),
            [
                f"2 epochs by the numpy engine; {ASKED}",
                "loss" + 14 * " " + "2 -> 1, lowest 1 in epoch 2",
                r"gr\xf6\xdfe [/x]  1 -> 2",
            ],
        ),
    ],
    ids=range(6),
)
def test_it_prints_whatever_a_run_leaves(made, lines):
    assert str(made).splitlines() == lines


def test_it_survives_pickling_and_copies(history):
    for other in (pickle.loads(pickle.dumps(history)), copy.deepcopy(history), copy.copy(history)):
        assert other == history
        assert str(other) == str(history)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(history, protocol)).loss == history.loss


def test_it_draws_itself(history):
    figure = pytest.importorskip("matplotlib.figure", reason="matplotlib draws").Figure()
    axes = history.plot(ax=list(figure.subplots(2)))
    assert [ax.get_ylabel() for ax in axes] == [ax.get_ylabel() for ax in fc.plot.learning_curves(history, ax=list(
        pytest.importorskip("matplotlib.figure").Figure().subplots(2)))]  # fmt: skip
    assert axes[0].lines


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("history", "history.loss is the list itself"),
        ("val_loss", "history.validation_loss"),
        ("accuracy", 'history.metrics["accuracy"]'),
        ("epochs", "len(history.loss)"),
        ("validation_los", "did you mean history.validation_loss?"),
    ],
)
def test_names_of_another_library(history, name, wanted):
    with pytest.raises(errors.MissingNameError) as caught:
        getattr(history, name)
    assert wanted in str(caught.value)
    with pytest.raises(errors.InputTypeError, match=r"history\.loss"):
        history["loss"]
    assert not hasattr(history, name)
