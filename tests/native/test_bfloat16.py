"""Products of matrices in bfloat16: beside a NumPy engine that rounds the same way, and each way to compute them.

A processor without AMX and AVX512-BF16 has none; there the numbers are tested where the extension is built for tests
(FC_AVX512_AS_AVX2, as by native/sanitize.sh), and the kernels by bfloat16_test.cpp.
"""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.engine.choice import ENGINES
from fullyconnected.errors import CheckpointError, ConfigError

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "native"
COMPILER = next(filter(None, map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))), None)
UNDER_A_SANITIZER = any(name in os.environ.get("LD_PRELOAD", "") for name in ("asan", "tsan"))
RNG = np.random.default_rng(0)

needs_native = pytest.mark.skipif(not fc.engines()["native"].available, reason=fc.engines()["native"].about)


def usable():
    if not fc.engines()["native"].available:
        return []
    from fullyconnected import _native

    return _native.usable_bfloat16()


needs_bfloat16 = pytest.mark.skipif(
    not usable(), reason="this processor, or FULLYCONNECTED_CPU, has no products of bfloat16"
)


@pytest.fixture(scope="module")
def specification():
    """The name of a NumPy engine in bfloat16, and its rounding."""
    path = HERE.parents[1] / "benchmarks" / "bfloat16_numpy.py"
    found = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENGINES.classes, module.InBfloat16.name, module.InBfloat16)
        yield module


def three(specification, **how):
    """Return how the specification, the native engine in bfloat16, and that in float32 are asked for."""
    return (
        {"engine": specification.InBfloat16.name, **how},
        {"engine": "native", "precision": "bfloat16", **how},
        {"engine": "native", **how},
    )


def fitted(net, x, t, loss="half_squared_error", optimizer=None, **how):
    net = net.copy()
    how = {"epochs": 1, "batch_size": len(x), "shuffle": False, "progress": False, "warn": False} | how
    history = fc.fit(net, x, t, loss, optimizer or fc.SGD(2.0**-6), **how)
    return net.theta, history.loss


def test_the_specification_rounds_to_the_nearest(specification):
    of_bits = np.array(
        [0x3F808000, 0x3F818000, 0x3F807FFF, 0x3F808001, 0x7F7F7FFF, 0x7F7F8000, 0x007FFFFF, 0x80000001, 0x00808000],
        np.uint32,
    )
    wanted = [0x3F800000, 0x3F820000, 0x3F800000, 0x3F810000, 0x7F7F0000, 0x7F800000, 0, 0x80000000, 0x00800000]
    np.testing.assert_array_equal(specification.rounded(of_bits.view(np.float32)).view(np.uint32), wanted)
    odd = np.array([0x7F800001, 0xFF80FFFF], np.uint32).view(np.float32)
    assert np.isnan(specification.rounded(odd)).all()
    x = RNG.normal(size=5000).astype(np.float32)
    digits, exponent = np.frexp(x)
    np.testing.assert_array_equal(specification.rounded(x), np.ldexp(np.rint(digits * 256) / 256, exponent))


def on_a_grid(sizes, rows, seed):
    """Return a network, rows and targets for which every sum of rounded numbers is exact, in any order."""
    rng = np.random.default_rng(seed)
    net = fc.mlp(sizes, "relu", seed=0)
    for p in net.params:
        p.W = rng.integers(-1, 2, p.W.shape) * (rng.random(p.W.shape) < 6 / len(p.W))
        p.b = rng.integers(-8, 9, p.b.shape)
    x = rng.integers(-1023, 1024, (rows, sizes[0])).astype(np.float32)  # 8 digits do not hold all of them
    return net, x, rng.integers(-3, 4, (rows, sizes[-1]))


@needs_bfloat16
@pytest.mark.parametrize(
    ("sizes", "rows"),
    [([1, 1], 1), ([33, 17, 5], 4), ([70, 65, 33, 16], 32), ([700, 40, 3], 16), ([48, 130, 64, 1], 64)],
)
def test_numbers_on_a_grid_are_the_same_in_every_bit(specification, sizes, rows):
    net, x, off = on_a_grid(sizes, rows, seed=rows)
    spec, native, plain = three(specification)
    z = net.predict(x, **spec)
    np.testing.assert_array_equal(net.predict(x, **native), z)
    assert rows == 1 or not np.array_equal(net.predict(x, **plain), z)
    for optimizer in (fc.SGD(2.0**-10), fc.Momentum(2.0**-10)):
        (one, loss), (other, same), (float32, _) = (
            fitted(net, x, z + off, optimizer=optimizer, **how) for how in (spec, native, plain)
        )
        np.testing.assert_array_equal(other, one)
        np.testing.assert_allclose(same, loss, rtol=1e-6)
        assert rows == 1 or not np.array_equal(float32, one)


def layers(name):
    hidden = {
        "tanh": [fc.Dense(40, 70, "tanh"), fc.Dense(70, 33, "tanh")],
        "norms": [fc.Dense(40, 50, "gelu"), fc.LayerNorm(), fc.Dense(50, 33, "silu"), fc.RMSNorm()],
        "ntk": [fc.Dense(40, 64, "elu", parametrization="ntk"), fc.Dense(64, 33, bias=False, parametrization="ntk")],
        "residual": [
            fc.Dense(40, 33, "tanh"),
            fc.Residual([fc.Dense(33, 48, "tanh"), fc.Dropout(0.2), fc.Dense(48, 33)]),
        ],
        "softmax": [fc.Dense(40, 33, "softmax")],
        "own": [
            fc.Dense(40, 33),
            fc.Members(3, [fc.Dense(33, 33, "tanh", parametrization="ntk"), fc.Dense(33, 3)], "packed"),
        ],
        "periodic": [fc.PeriodicEmbedding(40, 3, 2), fc.Dense(80, 33, "tanh")],
        "packed": [fc.Members(3, [fc.Dense(40, 33, "tanh", parametrization="ntk"), fc.Dense(33, 3)], "packed")],
        "tabm": [fc.Members(3, [fc.Dense(40, 33, "tanh", parametrization="ntk"), fc.Dense(33, 3)], "tabm")],
    }[name]
    return hidden if isinstance(hidden[-1], fc.Members) else [*hidden, fc.Dense(33, 3)]


@needs_bfloat16
@pytest.mark.parametrize("optimizer", [fc.SGD(0.05), fc.Adam(0.003), fc.Muon(0.01, rest=fc.AdamW(0.003))])
@pytest.mark.parametrize("name", ["tanh", "norms", "ntk", "residual", "softmax", "periodic", "own", "packed", "tabm"])
def test_networks_compute_what_numpy_does(specification, name, optimizer):
    """As far as rounding goes: where the last digit of a float32 decides, the next product has a neighbour instead.

    That happens to about one number of a few thousand, so that of what bfloat16 changes nearly all must be the same.
    """
    net, rng = fc.Network(layers(name), seed=0), np.random.default_rng(0)
    x, t = rng.normal(size=(150, 40)).astype(np.float32), rng.normal(size=(150, 3))
    outputs, thetas, losses = [], [], []
    for how in three(specification):
        outputs.append(net.predict(x, **how))
        thetas.append(fitted(net, x, t, optimizer=optimizer, seed=3, **how)[0])
        losses.append(fitted(net, x, t, optimizer=optimizer, epochs=3, batch_size=50, seed=3, **how)[1])
    for spec, native, plain in (outputs, thetas):
        moved = np.linalg.norm(plain - spec)
        assert moved > 0
        assert np.linalg.norm(native - spec) < 0.15 * moved
    # each of Muon's rounds makes a small difference up to 3.4 times as large
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-2 if isinstance(optimizer, fc.Muon) else 1e-3)


@needs_bfloat16
def test_one_layer_is_as_near_as_float32_sums_are(specification):
    for n_in, n_out, rows in ((1, 1, 1), (600, 30, 7), (1500, 70, 40), (64, 513, 300)):
        net = fc.Network([fc.Dense(n_in, n_out)], seed=1)
        x = RNG.normal(size=(rows, n_in)).astype(np.float32)
        spec, native, _ = (net.predict(x, **how) for how in three(specification))
        sums = np.abs(specification.rounded(x)) @ np.abs(specification.rounded(net.params[0].W)) + 1e-30
        assert (np.abs(spec - native) / sums).max() < 2.0**-24 * (n_in + 2)


@needs_bfloat16
def test_the_same_bits_in_every_run_and_of_a_row_alone():
    net = fc.mlp([300, 200, 120, 3], "gelu", seed=0)
    x, t = RNG.normal(size=(600, 300)).astype(np.float32), RNG.integers(0, 3, 600)
    how = {"engine": "native", "precision": "bfloat16"}
    whole = net.predict(x, **how)
    for some in (slice(0, 1), slice(7, 8), slice(100, 117), slice(300, 553), slice(599, 600)):
        np.testing.assert_array_equal(net.predict(x[some], **how), whole[some])
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(net.predict(x, n_threads=threads, **how), whole)
        runs = [
            fitted(net, x, t, "softmax_cross_entropy", fc.AdamW(), epochs=2, batch_size=256, n_threads=threads, **how)
            for _ in range(2)
        ]
        np.testing.assert_array_equal(*(theta for theta, _ in runs))
    one = fitted(net, x, t, "softmax_cross_entropy", fc.SGD(0.1), n_threads=1, **how)[0]
    two = fitted(net, x, t, "softmax_cross_entropy", fc.SGD(0.1), n_threads=2, **how)[0]
    np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


@needs_bfloat16
def test_codes_and_bins_are_looked_up_in_float32():
    net = fc.Network([fc.PiecewiseLinearEncoding.example(4), fc.Dense(12, 3)], seed=0)
    x = RNG.normal(size=(40, 4)).astype(np.float32)
    np.testing.assert_array_equal(
        net.predict(x, engine="native", precision="bfloat16"), net.predict(x, engine="native")
    )


@needs_bfloat16
@pytest.mark.parametrize("bad", [np.inf, np.nan, 3.4e38])
def test_what_is_not_finite_passes_through_as_in_numpy(specification, bad):
    net = fc.Network([fc.Dense(40, 35), fc.Dense(35, 20)], seed=0)
    net.params[0].W[5, 3] = bad
    x = RNG.normal(size=(50, 40)).astype(np.float32)
    x[::2, 5] = 0
    x[7] = 3e38  # whose products overflow
    spec, native, _ = (net.predict(x, **how) for how in three(specification))
    finite = np.isfinite(spec)
    np.testing.assert_array_equal(np.isfinite(native), finite)
    np.testing.assert_allclose(native[finite], spec[finite], rtol=2e-2, atol=1e-2)


@needs_bfloat16
def test_evaluate_and_epochs_have_it_too(specification):
    net, x = fc.mlp([40, 30, 3], "tanh", seed=0), RNG.normal(size=(90, 40)).astype(np.float32)
    t = RNG.integers(0, 3, 90)
    spec, native, plain = (net.evaluate(x, t, "softmax_cross_entropy", **how).loss for how in three(specification))
    assert abs(spec - native) < 0.1 * abs(spec - plain)
    thetas = []
    for how in ({"precision": "bfloat16"}, {"engine": "native", "precision": "bfloat16"}):
        trained = net.copy()
        for epoch in fc.epochs(trained, x, t, "softmax_cross_entropy", fc.SGD(0.1), warn=False, seed=0, **how):
            if epoch.number == 2:
                break
        thetas.append(trained.theta)
    np.testing.assert_array_equal(*thetas)


@needs_bfloat16
def test_a_run_does_not_go_on_in_another_precision(tmp_path):
    net, x, t = fc.mlp([5, 4, 1], seed=0), RNG.normal(size=(20, 5)), RNG.normal(size=20)
    how = {"checkpoint": tmp_path / "run", "engine": "native"}
    fitted(net, x, t, **how)
    with pytest.raises(CheckpointError, match="was begun with precision=None and would go on with 'bfloat16'"):
        fitted(net, x, t, epochs=2, precision="bfloat16", **how)


@needs_native
def test_a_processor_without_it_says_so(monkeypatch):
    from fullyconnected import _native

    net, x = fc.mlp([5, 1], seed=0), np.ones((3, 5))
    before = net.theta.copy()
    calls = (
        lambda engine: net.predict(x, engine=engine, precision="bfloat16"),
        lambda engine: net.evaluate(x, [1, 2, 3], "half_squared_error", engine=engine, precision="bfloat16"),
        lambda engine: fc.fit(net, x, [1, 2, 3], "half_squared_error", engine=engine, precision="bfloat16"),
        lambda engine: next(
            iter(fc.epochs(net, x, [1, 2, 3], "half_squared_error", engine=engine, precision="bfloat16"))
        ),
    )
    monkeypatch.setattr(_native, "usable_bfloat16", list)
    for call in calls:
        for engine in ("native", "auto"):
            with pytest.raises(ConfigError, match=r"AMX or AVX512-BF16 .* neither: leave precision at None"):
                call(engine)
        with pytest.raises(
            ConfigError, match="precision of the network alone; precision='bfloat16' is for 'native' and"
        ):
            call("numpy")
    monkeypatch.setattr(_native, "usable_kernels", lambda: ["avx512", "avx2", "plain"])
    monkeypatch.setattr(_native, "kernels", lambda: "avx2")
    with pytest.raises(ConfigError, match="FULLYCONNECTED_CPU=avx2 has others taken: unset it"):
        calls[0]("native")
    with pytest.raises(ConfigError, match="of the network, or in bfloat16; precision='tf32' is for 'cuda'"):
        net.predict(x, engine="native", precision="tf32")
    with pytest.raises(ConfigError, match="networks of float32"):
        fc.mlp([5, 1], dtype=np.float64).predict(x, engine="native", precision="bfloat16")
    np.testing.assert_array_equal(net.theta, before)


@needs_native
def test_an_import_asks_for_no_registers():
    """The registers of AMX are asked for when a precision first is."""
    code = "import fullyconnected as fc; fc.engines(); print(open('/proc/self/status').read())"
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    features = [line for line in said.splitlines() if line.startswith("x86_Thread_features")]
    assert not any("xtile" in line for line in features)


@pytest.mark.skipif(COMPILER is None, reason="there is no compiler")
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="these instructions are x86-64's")
@pytest.mark.skipif(UNDER_A_SANITIZER, reason="this program brings its own sanitizers")
def test_each_way_multiplies_as_plain_loops_do(tmp_path):
    """The files of the ways are compiled as in native/CMakeLists.txt; a compiler may lack their instructions."""
    common = ["-std=c++20", "-O1", "-g", "-Wno-psabi", "-pthread", "-DFC_WIDE", "-DFC_WITH_bfloat16_wide"]
    sanitized = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    ways = {"amx": ["-mamx-tile", "-mamx-bf16"], "avx512": ["-mavx512f", "-mavx512bw", "-mavx512bf16"]}
    objects = []
    for name, flags in ways.items() if sys.platform == "linux" else ():
        made = tmp_path / f"{name}.o"
        command = [COMPILER, "-std=c++20", "-O2", *flags, "-c", NATIVE / "src" / f"bfloat16_{name}.cpp", "-o", made]
        if subprocess.run(command, capture_output=True).returncode == 0:
            objects += [f"-DFC_WITH_bfloat16_{name}", made]
    sources = [HERE / "bfloat16_test.cpp", NATIVE / "src" / "cpu.cpp"]
    program = tmp_path / "bfloat16_test"
    for flags in (sanitized, []):
        done = subprocess.run(
            [COMPILER, *common, *flags, *sources, *objects, "-o", program], capture_output=True, text=True
        )
        if done.returncode == 0 or not ("cannot find" in done.stderr or "unsupported option" in done.stderr):
            break
    assert done.returncode == 0, done.stderr
    out = subprocess.run([program], capture_output=True, text=True, timeout=200)
    assert out.returncode == 0, out.stdout + out.stderr
    said = set(out.stdout.split("\n"))
    assert "wide: ok" in said
    assert {f"{way}: ok" for way in usable()} <= said
