"""One layer by hand: forward, loss, every gradient, and the proof that each gradient is right.

A layer with two inputs and two outputs is small enough to follow with pencil and paper. This script computes it with
the library, and then moves one number after the other a little to either side, to see by how much the loss changes.
A gradient is right if it predicts that change.

The numbers are those of the page "Fully Connected Layers" of tinyml. Some of its differences are wrong (for W22 and b2,
W21 and b1 had not been moved back); here they are right. docs/derivations.md, section 7, lists the differences.
"""

import math

import numpy as np

import fullyconnected as fc

STEP = 0.01  # how far each number is moved; even such a large step is exact here, because the loss is quadratic

# the loss with each number moved to the left and to the right, and the slope between the two
EXPECTED = {
    "W11": (0.1831705, 0.1841305, 0.048),
    "W12": (0.1840205, 0.1832805, -0.037),
    "W21": (0.1812625, 0.1860625, 0.24),
    "W22": (0.1855125, 0.1818125, -0.185),
    "b1": (0.1789, 0.1885, 0.48),
    "b2": (0.1874, 0.1800, -0.37),
    "x1": (0.183673125, 0.183633125, -0.002),
    "x2": (0.183567625, 0.183747625, 0.009),
}


def same(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)


def forward_and_backward(net, x, t, loss):
    y = net.predict(x)
    g = net.gradients(x, t, loss)
    print("y = x W + b  ", y[0].round(12))
    print("loss         ", round(g.loss, 12), " = ((0.49 - 0.01)^2 + (0.62 - 0.99)^2) / 2")
    print("dL/dy = y - t", (y - t)[0].round(12))
    print("dL/dW = x' dy", g.params[0].W.round(12).tolist())
    print("dL/db = 1' dy", g.params[0].b.round(12))
    print("dL/dx = dy W'", g.x[0].round(12))
    same(y, [[0.49, 0.62]])
    same(g.loss, 0.18365)
    same(loss(y, t)[1], [[0.48, -0.37]])
    same(g.params[0].W, [[0.048, -0.037], [0.24, -0.185]])
    same(g.params[0].b, [0.48, -0.37])
    same(g.x, [[-0.002, 0.009]])
    return g


def central_differences(net, x, t, loss, g):
    """Print the losses with each number moved, and compare the slope between them with the gradient."""
    p, dp = net.params[0], g.params[0]  # params are views: writing to them changes the network
    numbers = [(f"W{i + 1}{j + 1}", p.W, (i, j), dp.W[i, j]) for i, j in np.ndindex(2, 2)]
    numbers += [(f"b{j + 1}", p.b, (j,), dp.b[j]) for j in range(2)]
    numbers += [(f"x{j + 1}", x, (0, j), g.x[0, j]) for j in range(2)]

    def loss_with(array, where, by):
        kept = array[where]
        array[where] = kept + by
        value = net.evaluate(x, t, loss, metrics=()).loss
        array[where] = kept  # moved back before another number is moved
        return value

    print(f"\nnumber   loss at -{STEP}   loss at +{STEP}   difference / {2 * STEP}   gradient")
    for name, array, where, gradient in numbers:
        left, right = loss_with(array, where, -STEP), loss_with(array, where, STEP)
        slope = (right - left) / (2 * STEP)
        print(f"{name:<6}{left:>15.9f}{right:>16.9f}{slope:>20.9f}{gradient:>11.3f}")
        same((left, right, slope), EXPECTED[name])
        same(gradient, EXPECTED[name][2])


def one_step(net, x, t, loss, g):
    """Move the weights against their gradient, and check that the loss falls."""
    before, lr = net.theta.copy(), 0.5
    fc.fit(net, x, t, loss, fc.SGD(lr), epochs=1, progress=False)
    same(net.theta, before - lr * g.theta)
    after = net.evaluate(x, t, loss, metrics=()).loss
    print(f"\nafter one step at learning rate {lr}, the loss is {after:.6f} instead of {g.loss:.6f}")
    assert after < g.loss


def initial_weights():
    """Draw initial weights and biases from U(-a, a) with a = 1 / sqrt(n_in), as the source's code does."""
    n_in = 100
    layer = fc.Dense(n_in, 50, init="uniform_fan_in", bias_init="uniform_fan_in")
    p, a = fc.Network([layer], dtype=np.float64, seed=0).params[0], 1 / math.sqrt(n_in)
    print(f"\ninitial values for {n_in} inputs, drawn from U(-{a}, {a}):")
    for name, values in (("W", p.W), ("b", p.b)):
        print(f"  {name}: from {values.min():+.4f} to {values.max():+.4f}, standard deviation {values.std():.4f}")
        assert np.abs(values).max() <= a
        # the standard deviation of U(-a, a); the source calls it Xavier's, but that depends on n_out, too
        np.testing.assert_allclose(values.std(), a / math.sqrt(3), rtol=0.2)


def main():
    net = fc.Network([fc.Dense(2, 2)], dtype=np.float64)  # no activation: y = x W + b
    net.params[0].W = [[0.15, 0.20], [0.25, 0.30]]
    net.params[0].b = [0.35, 0.45]
    x, t = np.array([[0.1, 0.5]]), np.array([[0.01, 0.99]])
    loss = fc.HalfSquaredError()

    g = forward_and_backward(net, x, t, loss)
    central_differences(net, x, t, loss, g)

    # the library does the same for any network, with a suitable step
    report = fc.check_gradients(net, x, t, loss)
    print("\nThe report of fc.check_gradients:", report, sep="\n")
    assert report.ok

    one_step(net, x, t, loss, g)
    initial_weights()


if __name__ == "__main__":
    main()
