"""Measure a training step of the NumPy engine in microseconds, and its ratio to the same matrix products alone.

    python benchmarks/step.py [--rounds 15] [--threads 2]

A step includes gathering the rows, forward, loss, backward and update. The products are ``x W``, ``x' dy`` and, except
in the first layer, ``dy W'``, by ``np.matmul(out=)`` on arrays of the same shapes. Both are timed alternately in one
process. Each number is the median over the rounds; the ratio is the median of the rounds' ratios, with the lowest and
the highest.
"""

import argparse
import itertools
import os
import statistics
import time

NETWORKS = (
    ([2, 3, 1], 1, "sigmoid", "half_squared_error"),
    ([64, 64, 10], 32, "relu", "softmax_cross_entropy"),
    ([100, 256, 256, 256, 1], 256, "relu", "half_squared_error"),
    ([784, 512, 512, 10], 128, "relu", "softmax_cross_entropy"),
    ([3072, 1024, 1024, 10], 256, "relu", "softmax_cross_entropy"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of the matrix products")
    arguments = parser.parse_args()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)  # NumPy reads it when it is imported

    import numpy as np

    import fullyconnected as fc
    from fullyconnected.training.run import Run
    from fullyconnected.training.settings import FitSettings

    print(f"NumPy {np.__version__}, {arguments.threads} threads, float32, median of {arguments.rounds} rounds")
    print(f"{'network':<24} {'batch':>5}  {'rule':<5} {'us/step':>10} {'products':>10} {'ratio':>6}  lowest-highest")
    for sizes, batch, activation, loss in NETWORKS:
        rng = np.random.default_rng(0)
        rows = batch * 4
        x = rng.normal(size=(rows, sizes[0])).astype(np.float32)
        t = rng.integers(0, sizes[-1], rows) if loss.startswith("softmax") else rng.random(rows).astype(np.float32)
        output = activation if sizes[-1] == 1 and batch == 1 else None
        for optimizer in (fc.SGD(1e-3), fc.Adam(1e-4)):
            net = fc.mlp(sizes, activation, output, seed=0)
            run = Run(net, x, t, loss, optimizer, FitSettings(batch_size=batch, shuffle=False, engine="numpy"))
            flops = 6 * batch * sum(a * b for a, b in itertools.pairwise(sizes))
            steps = 4 * max(1, min(2000, round(5e9 / 4 / (flops + 5e6))))  # about 0.05 s per measurement
            order = np.tile(np.arange(rows), steps // 4)
            products = matrix_products(sizes, batch)
            seconds, bare = [], []
            for i in range(arguments.rounds + 1):
                began = time.perf_counter()
                run.trainer.epoch(order)
                middle = time.perf_counter()
                for _ in range(steps):
                    for a, b, out in products:
                        np.matmul(a, b, out=out)
                ended = time.perf_counter()
                if i:  # the first round warms up
                    seconds.append((middle - began) / steps * 1e6)
                    bare.append((ended - middle) / steps * 1e6)
            ratios = [a / b for a, b in zip(seconds, bare, strict=True)]
            print(
                f"{'-'.join(map(str, sizes)):<24} {batch:>5}  {optimizer.name:<5} {statistics.median(seconds):>10.1f} "
                f"{statistics.median(bare):>10.1f} {statistics.median(ratios):>6.2f}  "
                f"{min(ratios):.2f}-{max(ratios):.2f}",
                flush=True,
            )


def matrix_products(sizes: list[int], batch: int) -> list:
    """Return the operands and the output of every product of one training step."""
    import numpy as np

    rng, products = np.random.default_rng(0), []

    def new(*shape: int) -> np.ndarray:
        return rng.random(shape, dtype=np.float32)

    for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        x, W, y, dy = new(batch, n_in), new(n_in, n_out), new(batch, n_out), new(batch, n_out)
        products += [(x, W, y), (x.T, dy, new(n_in, n_out))]
        if i:
            products.append((dy, W.T, new(batch, n_in)))
    return products


if __name__ == "__main__":
    main()
