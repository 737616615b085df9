"""Averages of the weights: EMA after each step, SWA at the ends of epochs; what is judged, kept and put in."""

import gc
import pickle
import sys

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.engine.numpy_engine import NumpyEngine
from fullyconnected.training.checkpoint import Checkpoint

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 6))
T = (X[:, 0] * X[:, 1] > 0).astype(int)
HELD = (RNG.normal(size=(40, 6)), RNG.integers(0, 2, 40))
AVERAGES = [fc.EMA(0.9), fc.EMA(0.9, warm_up=False), fc.SWA(0.5), fc.SWA(2)]


def network(dtype=np.float64):
    return fc.Network([fc.Dense(6, 12, "relu"), fc.BatchNorm(), fc.Dropout(0.2), fc.Dense(12, 2)], dtype=dtype, seed=0)


def train(net, average, epochs=6, batch_size=20, **settings):
    given = {"optimizer": fc.Adam(0.02), "progress": False, "average": average} | settings
    return fc.fit(net, X, T, "softmax_cross_entropy", epochs=epochs, batch_size=batch_size, **given)


def steps(net, epochs, **settings):
    """Yield the network's weights and running statistics after each epoch of one batch: after each step."""
    settings = {"optimizer": fc.Adam(0.02), "batch_size": len(X)} | settings
    for epoch in fc.epochs(net, X, T, "softmax_cross_entropy", **settings):
        yield net.theta.copy(), net.state.copy()
        if epoch.number == epochs:
            break


def bits(net):
    return net.theta.tobytes() + net.state.tobytes()


@pytest.mark.parametrize("rule", [fc.EMA(0.5), fc.EMA(0.5, warm_up=False)])
def test_a_moving_average_follows_each_step(rule):
    """In step t, the average keeps min(decay, (1 + t) / (10 + t)); it begins as the initial weights."""
    net = network()
    average = [net.theta.copy(), net.state.copy()]
    for t, now in enumerate(steps(network(), 12), 1):
        d = min(0.5, (1 + t) / (10 + t)) if rule.warm_up else 0.5
        average = [d * a + (1 - d) * v for a, v in zip(average, now, strict=True)]
    train(net, rule, 12, len(X))
    np.testing.assert_allclose(net.theta, average[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(net.state, average[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("rule", "first"), [(fc.SWA(0.5), 4), (fc.SWA(0.75), 6), (fc.SWA(0), 1), (fc.SWA(0.0), 1)])
def test_swa_is_the_mean_of_the_last_epochs(rule, first):
    seen = [theta for theta, _ in steps(network(), 7)]
    net = network()
    history = train(net, rule, 7, len(X))
    np.testing.assert_allclose(net.theta, np.mean(seen[first - 1 :], axis=0), rtol=1e-10, atol=1e-12)
    assert history.averaged == f"the mean of epochs {first} to 7: {rule}"


def test_swa_computes_running_statistics_for_the_weights_that_it_averages():
    """The mean over all batches, weighted by their rows, in the order of the first epoch."""
    net = fc.Network([fc.Dense(6, 5), fc.BatchNorm(), fc.Dense(5, 2)], dtype=np.float64, seed=0)
    weights = np.r_[np.zeros(35), np.ones(55)]
    train(net, fc.SWA(0.5), shuffle=False, batch_size=35, sample_weight=weights)
    h = X @ net.params[0].W + net.params[0].b
    rows = [h[35:70], h[70:]]  # the batch of rows without weight makes no step, and has no say
    mean = sum(len(b) * b.mean(axis=0) for b in rows) / 55
    variance = sum(len(b) * b.var(axis=0, ddof=1) for b in rows) / 55
    np.testing.assert_allclose(net.state, np.r_[mean, variance], rtol=1e-10)


def test_running_statistics_need_threadpoolctl_no_more_than_training_by_the_native_engine_does(monkeypatch):
    if not fc.engines()["native"].available:
        pytest.skip(fc.engines()["native"].about)
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    history = train(network(), fc.SWA(0.5), engine="native", n_threads=1)
    assert history.averaged.startswith("the mean of epochs 4 to 6")


def test_the_statistics_of_swa_are_of_shuffled_rows_where_the_run_shuffles():
    """Batches of rows that are sorted would vary less than those of training."""
    net = fc.Network([fc.BatchNorm(n_in=1), fc.Dense(1, 2)], dtype=np.float64, seed=0)
    x = np.sort(RNG.normal(size=(200, 1)), axis=0)
    settings = {"average": fc.SWA(0.5), "progress": False, "batch_size": 20}
    fc.fit(net, x, (x[:, 0] > 0).astype(int), "softmax_cross_entropy", epochs=4, **settings)
    assert net.state[1] == pytest.approx(x.var(), rel=0.1)


@pytest.mark.parametrize("rule", AVERAGES, ids=str)
def test_training_is_what_it_is_without_an_average(rule):
    if rule == fc.SWA(0.5):
        rule = fc.SWA(3)  # a loop does not plan
    plain = list(steps(network(), 6, batch_size=20))
    net = network()
    with_average = list(steps(net, 6, batch_size=20, average=rule))
    for one, other in zip(plain, with_average, strict=True):
        assert [a.tobytes() for a in one] == [a.tobytes() for a in other]
    other = network()
    train(other, rule)
    assert bits(net) == bits(other)  # when the loop is left, the network gets the average
    assert net.theta.tobytes() != plain[-1][0].tobytes()


@pytest.mark.parametrize("rule", AVERAGES, ids=str)
def test_validation_judges_what_fit_puts_into_the_network(rule):
    net = network()
    history = train(net, rule, validation=HELD, metrics=["accuracy"])
    judged = net.evaluate(*HELD, "softmax_cross_entropy")
    assert (history.validation_loss[-1], history.metrics["accuracy"][-1]) == (judged.loss, judged.metrics["accuracy"])
    plain = train(network(), None, validation=HELD)
    assert history.loss == plain.loss
    assert history.validation_loss[-1] != plain.validation_loss[-1]


@pytest.mark.parametrize("rule", AVERAGES, ids=str)
def test_early_stopping_restores_the_best_average(rule):
    net = network()
    history = train(net, rule, 30, validation=HELD, patience=4)
    assert net.evaluate(*HELD, "softmax_cross_entropy").loss == min(history.validation_loss)
    assert (
        f"epoch {history.best_epoch}" in history.averaged
        or f" {history.best_epoch}: " in history.averaged
        or ("no average" in history.averaged)
    )


def test_the_best_weights_by_the_training_loss_are_an_average_with_its_own_statistics():
    net = network()
    history = train(net, fc.SWA(0.5), patience=9)
    assert history.best_epoch == 6
    other = network()
    train(other, fc.SWA(0.5))
    assert bits(net) == bits(other)


@pytest.mark.parametrize("rule", AVERAGES, ids=str)
@pytest.mark.parametrize("settings", [{}, {"validation": HELD, "patience": 9}], ids=["plain", "judged"])
@pytest.mark.parametrize("engine", ["numpy", "auto"])
def test_a_resumed_run_has_the_same_bits_from_every_epoch_on(rule, settings, engine, tmp_path, monkeypatch):
    written = []

    def after_epoch(self, state):
        self.write(state)
        written.append((tmp_path / "run").read_bytes())

    alone = network()
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "after_epoch", after_epoch)
        whole = train(alone, rule, checkpoint=tmp_path / "run", engine=engine, **settings)
    assert len(written) == 6
    for held in written:
        (tmp_path / "run").write_bytes(held)
        net = network()
        history = train(net, rule, checkpoint=tmp_path / "run", engine=engine, **settings)
        assert bits(net) == bits(alone)
        assert history == whole
        assert (tmp_path / "run").read_bytes() == written[-1]


@pytest.mark.parametrize("rule", [fc.EMA(0.9), fc.SWA(2)])
def test_a_run_can_be_prolonged(rule, tmp_path):
    alone, net = network(), network()
    whole = train(alone, rule, 7)
    train(net, rule, 4, checkpoint=tmp_path / "run")
    assert fc.load(tmp_path / "run").theta.tobytes() != net.theta.tobytes()  # it has the weights that are trained
    history = train(net, rule, 7, checkpoint=tmp_path / "run")
    assert bits(net) == bits(alone)
    assert (history.loss, history.averaged) == (whole.loss, whole.averaged)


def test_a_run_that_can_be_prolonged_may_end_before_its_average_begins(tmp_path):
    history = train(network(), fc.SWA(3), 2, checkpoint=tmp_path / "run")
    assert history.averaged == "no average: SWA(start=3) begins with epoch 4"
    alone, net = network(), network()
    train(net, fc.SWA(3), 6, checkpoint=tmp_path / "run")
    train(alone, fc.SWA(3), 6)
    assert bits(net) == bits(alone)


def test_a_run_whose_average_begins_after_a_share_of_it_cannot_be_prolonged(tmp_path):
    train(network(), fc.SWA(0.5), 4, checkpoint=tmp_path / "run")
    before = (tmp_path / "run").read_bytes()
    with pytest.raises(errors.CheckpointError, match=r"epochs=4 and would go on with 6: .* if the start is a number"):
        train(network(), fc.SWA(0.5), 6, checkpoint=tmp_path / "run")
    with pytest.raises(errors.CheckpointError, match=r"average='SWA\(start=0\.5\)' and would go on with None"):
        train(network(), None, 4, checkpoint=tmp_path / "run")
    assert (tmp_path / "run").read_bytes() == before


def test_a_checkpoint_without_the_average_is_damaged(tmp_path):
    train(network(), fc.EMA(), 2, checkpoint=tmp_path / "run")
    with safe_open(tmp_path / "run", "numpy") as file:
        metadata = file.metadata()
    vectors = load_file(tmp_path / "run")
    (name,) = (name for name in vectors if name.endswith("average.theta"))
    for value in (None, np.full_like(vectors[name], np.nan), vectors[name][1:]):
        changed = {each: vector for each, vector in vectors.items() if each != name or value is not None}
        save_file(changed | ({} if value is None else {name: value}), tmp_path / "run", metadata)
        with pytest.raises(errors.FileFormatError):
            train(network(), fc.EMA(), 3, checkpoint=tmp_path / "run")


@pytest.mark.parametrize("rule", AVERAGES, ids=str)
def test_after_ctrl_c_the_network_has_the_average_so_far(rule):
    """One that is taken of complete epochs, and for an EMA also of the steps of the epoch that is interrupted."""
    calls = []

    def interrupt(z, t):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return 0.0

    net, wanted = network(), network()
    history = train(net, rule, metrics=[interrupt])
    assert (history.interrupted, len(history.loss)) == (True, 4)
    train(wanted, rule if isinstance(rule, fc.EMA) else fc.SWA(rule.start if rule.start == 2 else 3), 5)
    assert bits(net) == bits(wanted)


def test_ctrl_c_before_the_average_begins_leaves_what_was_trained():
    def interrupt(z, t):
        raise KeyboardInterrupt

    net, wanted = network(), network()
    history = train(net, fc.SWA(0.5), metrics=[interrupt])
    train(wanted, None, 1)
    assert bits(net) == bits(wanted)
    assert history.averaged == "no average: SWA(start=0.5) begins with epoch 4"


def test_a_run_that_diverges_leaves_the_weights_from_before_the_epoch():
    net = fc.mlp([6, 8, 2], seed=0)
    before = net.theta.copy()
    with pytest.raises(errors.DivergenceError, match="Try"):
        train(net, fc.EMA(0.5), optimizer=fc.SGD(1e30))
    np.testing.assert_array_equal(net.theta, before)


@pytest.mark.parametrize("rule", [fc.EMA(0.9), fc.SWA(1)])
def test_a_loop_that_is_closed_late_does_not_change_weights_that_others_have_changed(rule):
    net = network()
    loop = fc.epochs(net, X, T, "softmax_cross_entropy", average=rule)
    for _ in range(3):
        next(loop)
    train(net, None, 1)
    theta = net.theta.copy()
    del loop
    gc.collect()
    np.testing.assert_array_equal(net.theta, theta)


def test_a_loop_that_is_closed_before_its_first_epoch_leaves_the_network():
    net = network()
    before = bits(net)
    loop = fc.epochs(net, X, T, "softmax_cross_entropy", average=fc.EMA())
    loop.close()
    assert bits(net) == before


@pytest.mark.parametrize("start", [0.0, 0.5, 0.75])
def test_max_time_plans_the_epochs_of_which_a_share_is_taken(start, monkeypatch):
    """The first epoch takes one of 4.5 seconds, so there are four epochs; as many asked for give the same bits."""
    now = iter(range(1000))
    with monkeypatch.context() as patch:
        patch.setattr("fullyconnected.training.run.time.perf_counter", lambda: float(next(now)))
        net = network()
        history = train(net, fc.SWA(start), 100, max_time=4.5, validation=HELD)
    other = network()
    whole = train(other, fc.SWA(start), 4, validation=HELD)
    assert history.planned_epochs == 4
    assert bits(net) == bits(other)
    assert (history.validation_loss, history.averaged) == (whole.validation_loss, whole.averaged)
    with monkeypatch.context() as patch:
        patch.setattr("fullyconnected.training.run.time.perf_counter", lambda: float(next(now)))
        settings = {"optimizer": fc.Adam(0.02), "batch_size": 20, "max_time": 4.5, "average": fc.SWA(start)}
        looped = network()
        assert len(list(fc.epochs(looped, X, T, "softmax_cross_entropy", **settings))) == 4
    assert bits(looped) == bits(other)


class Own(fc.BatchNorm):
    name = "own_norm"


class Sums(NumpyEngine):
    name = "sums"
    averages = False


@pytest.mark.parametrize(
    ("average", "error", "message"),
    [
        (lambda: "ema", TypeError, r"average is fc\.EMA\(0\.999\) or fc\.SWA\(0\.75\), or None; got 'ema'"),
        (lambda: fc.EMA, TypeError, "average is fc.EMA"),
        (lambda: fc.EMA(1.0), ValueError, "decay of EMA must be 0 or more and less than 1"),
        (lambda: fc.EMA("0.9"), TypeError, "decay of EMA is a number"),
        (lambda: fc.EMA(0.9, warm_up=1), TypeError, "warm_up of EMA is True or False"),
        (lambda: fc.EMA(momentum=0.9), TypeError, "momentum"),
        (lambda: fc.SWA(15.0), ValueError, r"in \[0, 1\), or as an int their number, such as SWA\(15\); got 15\.0"),
        (lambda: fc.SWA(-0.5), ValueError, "start of SWA must be 0 or more"),
        (lambda: fc.SWA(-1), ValueError, "start of SWA must be 0 or more"),
        (lambda: fc.SWA(True), TypeError, "start of SWA is a whole number"),
        (lambda: fc.SWA("half"), TypeError, "start of SWA is a number"),
        (lambda: fc.SWA(6), ValueError, r"begins after 6 epochs, and the run has 6: give fewer, or a share"),
    ],
)
def test_a_wrong_average_is_refused_with_a_sentence(average, error, message):
    net = network()
    before = bits(net)
    with pytest.raises(error, match=message):
        train(net, average())
    assert bits(net) == before


def test_where_no_average_can_be_taken_it_is_refused_with_a_sentence():
    with pytest.raises(errors.ConfigError, match=r"a loop over epochs does not say how many .* such as SWA\(15\)"):
        fc.epochs(network(), X, T, "softmax_cross_entropy", average=fc.SWA())
    with pytest.raises(errors.ConfigError, match=r"LBFGS uses all rows .* not work with an average of weights"):
        train(fc.mlp([6, 2]), fc.EMA(), optimizer=fc.LBFGS())
    own = fc.Network([fc.Dense(6, 3), Own(), fc.Dense(3, 2)], seed=0)
    with pytest.raises(
        errors.ConfigError, match=r"for BatchNorm alone; own_norm_1 \(Own\) has some of its own: use fc\.EMA"
    ):
        train(own, fc.SWA())
    train(own, fc.EMA(), engine="numpy")


def test_an_engine_of_your_own_says_that_it_averages():
    fc.register(Sums)
    try:
        with pytest.raises(errors.ConfigError, match="the sums engine cannot run this: it does not average weights"):
            train(network(), fc.EMA(), engine="sums")
        history = train(network(), fc.EMA())
        assert "sums" not in history.engine
        assert train(network(), fc.SWA(0.5), engine="sums").engine == "sums"  # at the ends of epochs, any engine does
    finally:
        fc.registries.ENGINES.classes.pop("sums")


def test_a_history_says_what_was_averaged():
    lines = str(train(network(), fc.EMA(0.9))).splitlines()
    assert lines[-1] == "its weights are the moving average of the steps up to epoch 6: EMA(decay=0.9, warm_up=True)"
    assert str(train(network(), fc.SWA(0.9))).splitlines()[-1] == "its weights are those of epoch 6: SWA(start=0.9)"
    assert train(network(), None).averaged is None


@pytest.mark.parametrize("rule", AVERAGES, ids=str)
def test_an_average_is_a_setting_like_others(rule):
    assert pickle.loads(pickle.dumps(rule)) == rule == eval(repr(rule), vars(fc))
    assert rule != fc.EMA(0.123)


def test_whole_numbers_of_numpy_are_numbers_of_epochs():
    assert fc.SWA(np.int64(3)) == fc.SWA(3)
    assert fc.SWA(np.float32(0.5)) == fc.SWA(0.5)
    assert not fc.SWA(0).is_share


def test_an_average_often_predicts_better_than_the_last_weights():
    """Steps of a large rate go back and forth across the best weights, and their mean is close to them."""
    x = RNG.normal(size=(400, 5))
    t = x @ np.arange(5.0) + RNG.normal(size=400)
    found = {}
    for rule in (None, fc.EMA(0.99), fc.SWA(0.5)):
        net = fc.Network([fc.Dense(5, 1, init="zeros")], dtype=np.float64)
        fc.fit(net, x, t, "half_squared_error", fc.SGD(0.2), 20, 10, average=rule, progress=False)
        found[rule] = net.evaluate(x, t, "half_squared_error").loss
    best = 0.5 * np.linalg.lstsq(np.c_[x, np.ones(400)], t, rcond=None)[1][0] / 400
    assert all(found[rule] - best < 0.3 * (found[None] - best) for rule in (fc.EMA(0.99), fc.SWA(0.5)))
