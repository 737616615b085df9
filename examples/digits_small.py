"""A small classifier, 64-32-10, on handwritten digits; its gradients written out index by index; with and without bias.

The mathematics of the layer is that of Beyond-Gradient-Descent, which derives the gradients entry by entry
before it writes them as matrices. docs/derivations.md has the derivation in section 2, and corrects two slips of the
source (section 7): the missing factor A in its first line, and the order of A's indices in its last. This script
evaluates the sums over indices on a real batch, and compares them with the gradients of the network.

Data: scikit-learn's load_digits, 1,797 images of 8 by 8 pixels, divided by 16 so that they lie between 0 and 1.
Split: the rows in the order of numpy.random.default_rng(0).permutation, the first 1,437 to train, the last 360 to test.
Seeds: 0 to 4, for initial weights and shuffling; a single accuracy does not show its spread over the seeds.
Needs scikit-learn: pip install "fullyconnected[examples]"
"""

import numpy as np
from sklearn.datasets import load_digits

import fullyconnected as fc

SEEDS = range(5)
N_TRAIN = 1437


def digits():
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x, t = data.data[order] / 16, data.target[order]
    return (x[:N_TRAIN], t[:N_TRAIN]), (x[N_TRAIN:], t[N_TRAIN:])


def network(seed, bias=True, dtype=np.float32):
    return fc.Network([fc.Dense(64, 32, "relu", bias=bias), fc.Dense(32, 10, bias=bias)], dtype=dtype, seed=seed)


def index_by_index(x, t):
    """Evaluate the sums over indices for the last layer: A are its weights, X its input, eps its output's gradient."""
    net = network(seed=0, dtype=np.float64)
    hidden = fc.Network(net.layers[:1], dtype=np.float64)
    hidden.theta = net.theta[: hidden.n_params]
    X, A = hidden.predict(x), net.params[1].W
    loss, eps = fc.SoftmaxCrossEntropy()(net.predict(x), t)
    g = net.gradients(x, t, fc.SoftmaxCrossEntropy())

    # a: row, b: output, c: summed input; (i, j): entry of the gradient. I_... are Kronecker deltas.
    rows, n_in, n_out = *X.shape, A.shape[1]
    I_rows, I_in, I_out = np.eye(rows), np.eye(n_in), np.eye(n_out)
    dA = np.einsum("ab,ac,ci,bj->ij", eps, X, I_in, I_out, optimize=True)
    db = np.einsum("ab,bj->j", eps, I_out)
    dX = np.einsum("ab,ai,cj,cb->ij", eps, I_rows, I_in, A, optimize=True)
    by_index = [
        ("dA_ij = sum_abc eps_ab X_ac [c=i] [b=j]", dA, "X' eps", X.T @ eps, g.params[1].W),
        ("db_j  = sum_ab  eps_ab [b=j]", db, "1' eps", np.ones(rows) @ eps, g.params[1].b),
        # the input of the layer is not a parameter: a network of this layer alone gives the gradient of its input
        ("dX_ij = sum_abc eps_ab [a=i] [c=j] A_cb", dX, "eps A'", eps @ A.T, behind(net, X, t).x),
    ]
    print(f"a batch of {rows} rows, loss {loss:.4f}:")
    for sums, entries, product, matrix, ours in by_index:
        np.testing.assert_allclose(entries, matrix, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours, matrix, rtol=1e-9, atol=1e-12)
        print(f"  {sums:<42} = ({product}) = the network's gradient, {' x '.join(map(str, matrix.shape))}")
    report = fc.check_gradients(net, x, t, fc.SoftmaxCrossEntropy())
    assert report.ok, report


def behind(net, X, t):
    last = fc.Network(net.layers[1:], dtype=np.float64)
    last.theta = net.theta[-last.n_params :]
    return last.gradients(X, t, fc.SoftmaxCrossEntropy())


def accuracy(seed, bias, train, test):
    net = network(seed, bias)
    assert net.n_params == (64 * 32 + 32 * 10) + bias * (32 + 10)
    fc.fit(
        net,
        *train,
        loss=fc.SoftmaxCrossEntropy(),
        optimizer=fc.Adam(5e-3),
        epochs=30,
        batch_size=32,
        l2=1e-3,
        seed=seed,
        progress=False,
    )
    return net.evaluate(*test, fc.SoftmaxCrossEntropy()).metrics["accuracy"]


def main():
    train, test = digits()
    index_by_index(train[0][:16], train[1][:16])
    print(f"\ntest accuracy of 64-32-10 on {len(test[1])} digits, {len(SEEDS)} seeds:")
    for bias in (True, False):
        scores = np.array([accuracy(seed, bias, train, test) for seed in SEEDS])
        print(
            f"  {'with' if bias else 'without'} bias: ".ljust(18)
            + f"mean {scores.mean():.4f}, standard deviation {scores.std(ddof=1):.4f}, "
            + f"from {scores.min():.4f} to {scores.max():.4f}"
        )
        assert scores.min() >= 0.94


if __name__ == "__main__":
    main()
