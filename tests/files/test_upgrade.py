"""What a file of an earlier version says, in the words of this one."""

import pytest

from fullyconnected.files.upgrade import upgrade


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("SquaredError()", "HalfSquaredError()"),
        ("LogisticLoss()", "BinaryCrossEntropy()"),
        ("MeanSquaredError()", "MeanSquaredError()"),
        ("Momentum(lr=0.02, decay=0.8)", "Momentum(lr=0.02, momentum=0.8)"),
        ("Nesterov(lr=1e-05, decay=0.0)", "Nesterov(lr=1e-05, momentum=0.0)"),
        ("RMSProp(lr=0.01, decay=0.99, epsilon=1e-08)", "RMSProp(lr=0.01, rho=0.99, epsilon=1e-08)"),
        ("AdamW(lr=0.01, weight_decay=0.1)", "AdamW(lr=0.01, weight_decay=0.1)"),
        ("Mixed of code 0123abcd (first=SquaredError(), share=0.5)",) * 2,
        # what the user's own code reads from around it keeps its name there
        ("mine of code 0123abcd (SquaredError=SquaredError)", "mine of code 0123abcd (SquaredError=HalfSquaredError)"),
        # classes of the user's own, called as those of the library were
        ("SquaredError() of code 0123abcd",) * 2,
        ("LogisticLoss(q=0.5) of code 0123abcd",) * 2,
        ("Mine(lr=0.1, decay=0.5) of code 0123abcd",) * 2,
    ],
)
def test_settings_of_a_run(then, now):
    if "first=" in now:
        now = now.replace("SquaredError", "HalfSquaredError")
    extras = {"run": {"settings": {"loss": then, "batch_size": 16, "layer 0": {"layer": "dense"}}}}
    upgrade(1, {}, set(), extras)
    assert extras == {"run": {"settings": {"loss": now, "batch_size": 16, "layer 0": {"layer": "dense"}}}}


def test_tensors_are_renamed_where_the_layers_have_the_new_name():
    tensors = {"norm_1.gain": 1, "norm_1.mean": 2, "mine_1.gain": 3, "run.slot.v": 4}
    upgrade(1, tensors, {"norm_1.gamma", "norm_1.running_mean", "mine_1.gain"}, {})
    assert tensors == {"norm_1.gamma": 1, "norm_1.running_mean": 2, "mine_1.gain": 3, "run.slot.v": 4}


@pytest.mark.parametrize(
    "extras", [{}, {"run": None}, {"run": []}, {"run": {"settings": 5}}, {"run": {"settings": {}}}]
)
def test_nothing_is_expected_of_what_a_file_says(extras):
    upgrade(1, {}, {"dense_1.W", "x"}, extras)
