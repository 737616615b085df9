"""Networks that are pickled, copied or loaded are whole: every view is one of their own memory, and of no other's."""

import copy
import multiprocessing
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import fullyconnected as fc


def saved(net, folder):
    net.save(folder / "net")
    return fc.load(folder / "net")


WAYS = {
    f"pickle {n}": lambda net, _, n=n: pickle.loads(pickle.dumps(net, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)
}
WAYS |= {
    "deepcopy": lambda net, _: copy.deepcopy(net),
    "copy": lambda net, _: net.copy(),
    "a copy of a copy": lambda net, _: pickle.loads(pickle.dumps(net.copy())).copy(),
    "within something else": lambda net, _: copy.deepcopy({"a": [net]})["a"][0],
    "file": saved,
}


@pytest.fixture(params=[np.float32, np.float64])
def net(request):
    layers = [
        fc.Dense(3, 4, "gelu"),
        fc.BatchNorm(),
        fc.Residual([fc.LayerNorm(), fc.Residual([fc.Dense(4, 4, "tanh")]), fc.Dropout(0.5)]),
        fc.Activation("leaky_relu"),
        fc.Dense(4, 2),
    ]
    net = fc.Network(layers, seed=0, dtype=request.param)
    fc.fit(net, x(), [0, 1, 0, 1, 1], "softmax_cross_entropy", epochs=2, progress=False)
    net.predict(x())  # it keeps a workspace from now on
    return net


def x():
    return np.random.default_rng(0).normal(size=(5, 3))


def views(params):
    for entry in params:
        if isinstance(entry, list):
            yield from views(entry)
        else:
            yield from (view for _, view in entry)


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_the_same_and_shares_nothing(net, way, tmp_path):
    twin = WAYS[way](net, tmp_path)
    assert twin.layers == net.layers
    assert twin.dtype == net.dtype
    assert twin.loss == net.loss == fc.SoftmaxCrossEntropy()
    assert (twin.theta.tobytes(), twin.state.tobytes()) == (net.theta.tobytes(), net.state.tobytes())
    assert twin.predict(x()).tobytes() == net.predict(x()).tobytes()
    for vector in ("theta", "state"):
        assert not np.shares_memory(getattr(twin, vector), getattr(net, vector))
        assert getattr(twin, vector).flags.c_contiguous
        assert getattr(twin, vector).flags.writeable


@pytest.mark.parametrize("way", WAYS)
def test_every_view_of_a_copy_is_of_its_own_memory(net, way, tmp_path):
    theta, state, z = net.theta.copy(), net.state.copy(), net.predict(x())
    twin = WAYS[way](net, tmp_path)
    assert len(list(views(twin.params))) == len(list(views(net.params))) == 10
    for i, view in enumerate(views(twin.params)):
        view[...] = i + 2
        assert (twin.theta == i + 2).sum() == view.size
    twin.params[0].W = 0.5
    twin.params[2][1][0].b = [4, 3, 2, 1]
    assert (twin.theta[:12] == 0.5).all()
    assert not np.array_equal(twin.predict(x()), z)
    twin.theta = theta
    twin.state[...] += 1
    assert not np.array_equal(twin.predict(x()), z)
    twin.state[...] = state
    assert (twin.predict(x()) == z).all()
    twin.theta = 2 * theta
    assert (net.theta == theta).all()
    assert (net.predict(x()) == z).all()


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_trains_as_the_network_does(net, way, tmp_path):
    twins = [net, WAYS[way](net, tmp_path)]
    histories = [fc.fit(each, x(), [0, 1, 1, 1, 0], "hinge", epochs=3, progress=False) for each in twins]
    assert histories[0] == histories[1]
    assert twins[0].theta.tobytes() == twins[1].theta.tobytes()
    assert twins[0].state.tobytes() == twins[1].state.tobytes()


def test_a_workspace_is_not_pickled(net):
    size = len(pickle.dumps(net))
    net.predict(np.zeros((10_000, 3)))
    assert len(pickle.dumps(net)) == size


def test_a_network_of_read_only_memory_is_copied(net):
    buffers = []
    data = pickle.dumps(net, 5, buffer_callback=buffers.append)
    twin = pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])  # joblib does so for its workers
    fc.fit(twin, x(), [0, 1, 0, 1, 1], "softmax_cross_entropy", epochs=1, progress=False)
    assert not np.array_equal(twin.theta, net.theta)


def test_a_network_goes_to_another_process(net):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert (pool.submit(net.predict, x()).result() == net.predict(x())).all()


def test_a_network_with_functions_is_copied(tmp_path):
    net = fc.Network([fc.Dense(3, 2, (np.sin, np.cos), init=lambda rng, *_: rng.normal(size=_[0]))], seed=0)
    for twin in (net.copy(), copy.deepcopy(net)):
        twin.params[0].W = 0
        assert not (net.params[0].W == 0).any()


def test_a_loss_that_cannot_be_pickled_is_left_out_of_the_pickle_alone(net):
    class Mine(fc.HalfSquaredError):
        name = "mine"

        def __init__(self):
            object.__setattr__(self, "lock", threading.Lock())

    net.loss = Mine()
    assert net.copy().loss is copy.deepcopy(net).loss is net.loss
    twin = pickle.loads(pickle.dumps(net))
    assert twin.predict(x()).tobytes() == net.predict(x()).tobytes()
    assert twin.loss is None
    with pytest.raises(
        fc.errors.ConfigError,
        match=r"saved with a loss, .*Mine, that is not registered, has changed or cannot be stored\. Set it",
    ):
        twin.predictions(x())


def test_a_network_is_not_lost_with_its_loss(net, tmp_path):
    """Another process does not have the class that this one's script defines."""
    script = """
import fullyconnected as fc, pickle
class Mine(fc.HalfSquaredError):
    name = "mine"
net = fc.mlp([3, 1], seed=0)
net.loss = Mine()
assert pickle.loads(pickle.dumps(net)).loss == net.loss
pickle.dump(net, open("net", "wb"))
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=tmp_path, check=True)
    loaded = pickle.loads((tmp_path / "net").read_bytes())
    assert loaded.theta.tobytes() == fc.mlp([3, 1], seed=0).theta.tobytes()
    assert loaded.loss is None
    with pytest.raises(fc.errors.ConfigError, match="saved with a loss, Mine, that is not registered"):
        loaded.predictions(x())
