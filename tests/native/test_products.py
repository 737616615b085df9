"""Products of matrices by blocks: of any shape and layout, whatever the caches of the processor are."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

import fullyconnected as fc

pytest.importorskip("fullyconnected._native", reason="the native engine is not built")

SMALL, LARGE = "8192,16384,0,1", "65536,4194304,67108864,1"  # a block of A has few rows, or all of them

# the rows of a batch, and the widths of a network: around the sizes of tiles, panels and blocks, and far from them
SHAPES = [
    (1, (300, 300, 7)),
    (5, (17, 1)),
    (6, (64, 256)),
    (7, (257, 255, 3)),
    (12, (513, 16)),
    (13, (700, 300, 1)),
    (29, (259, 263, 10)),
    (41, (31, 520, 48)),
    (97, (1030, 257, 65)),
    (263, (100, 300, 49)),
    (600, (300, 290, 2)),
    (1023, (512, 256, 1)),  # a block that is full but for a part of a tile
]


def results(rows, sizes, dtype, engine):
    """Return the outputs of a network, its gradient, that of the rows, and its weights after two steps."""
    rng = np.random.default_rng(rows)
    net = fc.mlp(list(sizes), activation="tanh", dtype=dtype, seed=0)
    x = rng.normal(size=(rows, sizes[0])).astype(dtype)
    t = rng.normal(size=(rows, sizes[-1])).astype(dtype)
    found = net.gradients(x, t, fc.MeanSquaredError(), engine=engine)
    trained = net.copy()
    how = {"epochs": 2, "batch_size": rows, "shuffle": False, "engine": engine, "progress": False, "warn": False}
    fc.fit(trained, x, t, fc.MeanSquaredError(), fc.AdamW(1e-3), **how)
    return [net.predict(x, engine=engine), found.theta, found.x, trained.theta]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "sizes"), SHAPES, ids=str)
def test_products_are_those_of_numpy(rows, sizes, dtype):
    near = 2e-5 if dtype == np.float32 else 1e-12
    expected, found = (results(rows, sizes, dtype, engine) for engine in ("numpy", "native"))
    for ours, theirs in zip(found[:3], expected[:3], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=near, atol=near * np.abs(theirs).max())
    # a step of Adam has the size of its learning rate, whatever the gradient
    np.testing.assert_allclose(found[3], expected[3], rtol=0, atol=1e-4 if dtype == np.float32 else 1e-9)


def digests():
    for rows, sizes in SHAPES:
        for dtype in (np.float32, np.float64):
            for array in results(rows, sizes, dtype, "native"):
                yield hashlib.sha256(array.tobytes()).hexdigest()


def test_caches_change_no_bit():
    """They decide how much is copied at once, and not in which order a sum is computed."""
    printed = []
    for caches in (SMALL, LARGE):
        variables = os.environ | {"FULLYCONNECTED_CACHES": caches, "OMP_NUM_THREADS": "2"}
        run = subprocess.run([sys.executable, __file__], env=variables, capture_output=True, text=True, check=True)
        printed.append(run.stdout.split())
    assert printed[0] == printed[1]
    assert len(printed[0]) == 8 * len(SHAPES)


if __name__ == "__main__":
    sys.stdout.write("\n".join(digests()))
