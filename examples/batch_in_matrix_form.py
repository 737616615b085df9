"""A batch in matrix form: the bias as a row of weights, three products for three gradients, and weight decay.

A layer computes a batch of rows as one product, y = x W + 1 b, where 1 is a column of ones that adds the bias to
every row. Then the gradient of each factor is the gradient of the output times the other factor, transposed:

    dx = dy W'        dW = x' dy        db = 1' dy        (so the gradient of a bias is a sum over the rows)

The arrays are those of a note on the fully connected layer by JackKuo666. The note describes one update, but prints the
result of five, and its repository has that of six. This script computes all three. The note's weight decay has no
effect, because it multiplies an array that is set to zero before every step; the last part shows the intended decay.
docs/derivations.md, section 7, lists the other differences.
"""

import numpy as np

import fullyconnected as fc

RATE, DECAY = 0.01, 0.75
X = np.arange(1.0, 11.0).reshape(2, 5)  # two rows of five inputs
DY = np.array([[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]])  # the gradient of the output
W = np.array(
    [
        [-2.02246258e-04, -2.86134686e-05, 5.67536552e-05],
        [-2.65147732e-05, 3.46693399e-05, -4.84865213e-05],
        [-8.56741462e-05, -1.36582254e-04, -1.63278178e-04],
        [7.67300884e-05, 4.15051110e-05, 3.05435127e-05],
        [2.03954211e-05, 7.60062287e-05, -2.58280679e-04],
    ]
)
ONES = np.ones((len(X), 1))

# by number of steps: the first row of W, b, and the first entry of dx in the last step
PRINTED = {
    1: ([-0.03620225, -0.05002861, -0.06394325], [-0.006, -0.010, -0.014], 1.69787684e-05),
    5: ([-0.18020225, -0.25002861, -0.31994325], [-0.030, -0.050, -0.070], -0.14238302),
    6: ([-0.21620225, -0.30002861, -0.38394325], [-0.036, -0.060, -0.084], -0.17798302),
}


@fc.register
class GivenSlope(fc.Loss):
    """Sum over outputs of z_j t_j, weighted mean over rows: a loss whose gradient is the targets."""

    name = "given_slope"

    def terms(self, z, t, c, dz):
        c.xp.multiply(z, t, out=c.e)
        c.xp.copyto(dz, t)


# The library's losses are means over rows and the note has sums, so its gradient is multiplied by the number of rows.
GIVEN = DY * len(X)


def layer():
    """Return a network of one layer, with the note's initial weights."""
    net = fc.Network([fc.Dense(5, 3)], dtype=np.float64)
    net.set_weights([W, np.zeros(3)])
    return net


def same(got, wanted, digits=12):
    """Compare with values that were rounded to this number of decimals."""
    np.testing.assert_allclose(got, wanted, rtol=0, atol=0.6 * 10.0**-digits)


def forward():
    b = np.array([0.1, 0.2, 0.3])
    net = layer()
    y = net.predict(X)
    print("x W + 1 b, with b = 0:", y.round(8), sep="\n")
    same(y, [[-0.0001034, 0.00017703, -0.00169928], [-0.00118995, 0.00011195, -0.00361302]], 8)
    # The bias is a further row of weights, for an input that is always 1: [x 1] [W; b] is the same layer.
    net.params[0].b = b
    stacked = fc.Network([fc.Dense(6, 3, bias=False)], dtype=np.float64)
    stacked.params[0].W = np.vstack([W, b])
    same(net.predict(X), X @ W + ONES @ b[None])
    same(net.predict(X), stacked.predict(np.hstack([X, ONES])))


def backward():
    g = layer().gradients(X, GIVEN, GivenSlope())
    print("\ndW = x' dy:", g.params[0].W.round(12), "db = 1' dy:", g.params[0].b.round(12), sep="\n")
    print("dx = dy W':", g.x, sep="\n")
    same(g.params[0].W, X.T @ DY)
    same(g.params[0].W, [[3.6, 5, 6.4], [4.2, 6, 7.8], [4.8, 7, 9.2], [5.4, 8, 10.6], [6, 9, 12]])
    same(g.params[0].b, (ONES.T @ DY)[0])
    same(g.params[0].b, [0.6, 1.0, 1.4])
    same(g.x, DY @ W.T)
    same(g.x[0], [1.69787684e-05, -1.24607405e-05, -9.26277220e-05, 2.05184273e-05, -8.81110259e-05], 13)
    assert fc.check_gradients(layer(), X, GIVEN, GivenSlope()).ok  # a loss of your own is proven like any other


def updates():
    """Make 1, 5 and 6 steps; the gradient is given, so every step is the same."""
    for steps, (row, bias, dx) in PRINTED.items():
        net = layer()
        for step in range(steps):
            dx_seen = net.gradients(X, GIVEN, GivenSlope()).x
            fc.fit(net, X, GIVEN, GivenSlope(), fc.SGD(RATE), epochs=1, progress=False)
            same(net.params[0].W, W - (step + 1) * RATE * (X.T @ DY))
        p = net.params[0]
        print(f"\nafter {steps} step{'s' * (steps > 1)}: W[0] = {p.W[0].round(8)}, b = {p.b.round(8)}")
        print(f"         dx[0, 0] in the last step = {dx_seen[0, 0]:.9g}")
        same(p.W[0], row, 8)
        same(p.b, bias)
        same(dx_seen[0, 0], dx, 8)


def weight_decay():
    """Compute the weight decay that the note intended, W -= lr (x' dy + reg W); biases do not decay."""
    big = np.linspace(-1, 1, 15).reshape(5, 3)  # large weights, so that the decay shows
    b = np.array([1.0, 2.0, 3.0])
    net = layer()
    net.set_weights([big, b])
    fc.fit(net, X, GIVEN, GivenSlope(), fc.SGD(RATE), epochs=1, l2=DECAY, progress=False)
    same(net.params[0].W, big - RATE * (X.T @ DY + DECAY * big))
    same(net.params[0].b, b - RATE * (ONES.T @ DY)[0])
    without = big - RATE * (X.T @ DY)
    print(f"\nwith weight decay {DECAY}, W[0] = {net.params[0].W[0].round(6)}; without, {without[0].round(6)}")
    assert np.abs(net.params[0].W - without).max() > 1e-3


def main():
    np.set_printoptions(suppress=True, linewidth=120)
    forward()
    backward()
    updates()
    weight_decay()


if __name__ == "__main__":
    main()
