"""Learn XOR in 60,000 steps, written for speed with each library; the time includes the start of the process.

    python benchmarks/peers_xor.py ours|numpy_engine|bare|sklearn|torch|jax

A 2-3-1 network with sigmoids learns the four rows in order, with half the squared error, SGD at learning rate 1, and
float32. The script prints the outputs for the four rows. Each function imports its library, as the time includes that.
"""

import sys
import warnings

import numpy as np

EPOCHS, RATE = 15_000, 1.0
x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
t = np.array([[0], [1], [1], [0]], np.float32)
rng = np.random.default_rng(0)
W, V = rng.normal(size=(2, 3)).astype(np.float32), rng.normal(size=(3, 1)).astype(np.float32)
b, a = np.zeros(3, np.float32), np.zeros(1, np.float32)


def ours(engine="auto"):
    import fullyconnected as fc

    net = fc.mlp([2, 3, 1], "sigmoid", "sigmoid")
    net.set_weights([W, b, V, a])
    loss, rule = fc.HalfSquaredError(), fc.SGD(RATE)
    fc.fit(net, x, t, loss, rule, EPOCHS, batch_size=1, shuffle=False, progress=False, engine=engine)
    return net.predict(x)


def numpy_engine():
    return ours("numpy")


def bare():
    global W, V, a, b
    rows = [(x[i : i + 1], t[i : i + 1]) for i in range(4)]
    for _ in range(EPOCHS):
        for u, s in rows:
            h = 1 / (1 + np.exp(-(u @ W + b)))
            y = 1 / (1 + np.exp(-(h @ V + a)))
            dy = (y - s) * y * (1 - y)
            dh = dy @ V.T * h * (1 - h)
            V -= RATE * h.T @ dy
            a -= RATE * dy[0]
            W -= RATE * u.T @ dh
            b -= RATE * dh[0]
    h = 1 / (1 + np.exp(-(x @ W + b)))
    return 1 / (1 + np.exp(-(h @ V + a)))


def sklearn():  # scikit-learn's regressor has no sigmoid at the end
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    warnings.simplefilter("ignore", ConvergenceWarning)
    net = MLPRegressor(
        hidden_layer_sizes=3,
        activation="logistic",
        solver="sgd",
        alpha=0,
        batch_size=1,
        learning_rate_init=RATE / 4,
        max_iter=EPOCHS,
        shuffle=False,
        random_state=0,
        tol=0,
        momentum=0,
        n_iter_no_change=EPOCHS,
    )
    return net.fit(x, t[:, 0]).predict(x)


def torch():
    import torch
    from torch import nn

    net = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1), nn.Sigmoid())
    weights = (W.T, b, V.T, a)
    net.load_state_dict({k: torch.from_numpy(w) for k, w in zip(net.state_dict(), weights, strict=True)})
    optimizer = torch.optim.SGD(net.parameters(), RATE, fused=True)
    rows = list(zip(torch.from_numpy(x).split(1), torch.from_numpy(t).split(1), strict=True))
    for _ in range(EPOCHS):
        for u, s in rows:
            loss = nn.functional.mse_loss(net(u), s) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.inference_mode():
        return net(torch.from_numpy(x)).numpy()


def jax():
    import jax
    import jax.numpy as jnp

    def outputs(theta, u):
        W, b, V, a = theta
        return jax.nn.sigmoid(jax.nn.sigmoid(u @ W + b) @ V + a)

    def loss(theta, u, s):
        return jnp.sum((outputs(theta, u) - s) ** 2) / 2

    def step(theta, i):
        u, s = jnp.asarray(x)[i], jnp.asarray(t)[i]
        return jax.tree.map(lambda p, g: p - RATE * g, theta, jax.grad(loss)(theta, u, s)), None

    @jax.jit
    def train(theta):
        return jax.lax.scan(step, theta, jnp.arange(4 * EPOCHS) % 4)[0]

    return outputs(train((W, b, V, a)), x)


if __name__ == "__main__":
    print(*np.ravel(globals()[sys.argv[1]]()))
