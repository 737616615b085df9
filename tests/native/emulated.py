"""Run under an emulated older processor, by ``make emulate``: no instruction is met that it lacks."""

import sys

import numpy as np

import fullyconnected as fc


def main() -> None:
    from fullyconnected import _native

    assert _native.usable_kernels() == ["plain"], "this processor has newer instructions, and shows nothing"

    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    t = np.array([0, 1, 1, 0])
    net = fc.mlp([2, 8, 1], activation="tanh", seed=0)
    options = {"optimizer": fc.Adam(0.05), "epochs": 300, "batch_size": 4, "engine": "auto"}
    history = fc.fit(net, x, t, fc.BinaryCrossEntropy(), **options, progress=False)
    answers = net.predict(x)[:, 0] > 0
    assert (answers == t).all()
    sys.stdout.write(f"kernels {_native.kernels()}: XOR is learned, loss {history.loss[-1]:.4f}\n")


if __name__ == "__main__":
    main()
