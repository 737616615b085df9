"""Networks of everything that is registered, drawn by hypothesis, predict in each format what they do here."""

import runpy
from itertools import count

import hypothesis
import pytest

import fullyconnected as fc
from fullyconnected.exchange.graph import graph_of
from fullyconnected.exchange.programs.quantised import quantised
from tests.exchange.networks import ACTIVATION_NAMES, LAYER_NAMES, rows_for
from tests.exchange.random_networks import networks
from tests.exchange.test_formats import assert_near, in_c, in_node, needs_compiler, needs_node
from tests.exchange.test_quantised import assert_same_integers, far_rows

NUMBERS = count()


def drawn(examples):
    """Return what gives a test some networks, less of them where each takes a compiler."""
    given, settings = hypothesis.given(networks()), hypothesis.settings(max_examples=examples)
    return lambda test: given(settings(test))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("networks")


def fresh(folder, suffix):
    """Return the path of a file that is not there yet."""
    return folder / f"net{next(NUMBERS)}.{suffix}"


@drawn(200)
def test_formulas(net):
    for n in (0, 1, 7):
        x = rows_for(net, n)
        assert_near(graph_of(net, net.dtype.name).predict(x), net.predict(x))


@drawn(60)
def test_python(folder, net):
    fc.exchange.to_python(net, path := fresh(folder, "py"))
    predict = runpy.run_path(str(path))["predict"]
    for n in (0, 1, 7):
        x = rows_for(net, n)
        assert_near(predict(x), net.predict(x))


@needs_compiler
@drawn(20)
def test_c(folder, net):
    fc.exchange.to_c(net, path := fresh(folder, "c"))
    x = rows_for(net, 7)
    assert_near(in_c(path, x, net.n_out), net.predict(x))


@needs_compiler
@drawn(20)
def test_c_in_int8(folder, net):
    rows, x = far_rows(net)
    try:
        graph = quantised(graph_of(net), rows)
    except (fc.errors.ConfigError, fc.errors.DataError) as error:
        if "no product" not in str(error) and "not finite" not in str(error):
            raise
        hypothesis.reject()
    assert_same_integers(graph, rows, x, folder, next(NUMBERS))


@needs_node
def test_javascript(folder):
    nets = []
    drawn(60)(lambda net: nets.append(net))()
    paths, rows = [fresh(folder, "mjs") for _ in nets], [rows_for(net, 7) for net in nets]
    for net, path in zip(nets, paths, strict=True):
        fc.exchange.to_js(net, path)
    for net, x, found in zip(nets, rows, in_node(paths, rows), strict=True):
        assert_near(found, net.predict(x))


@drawn(60)
def test_onnx(folder, net):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.exchange.test_onnx import session

    fc.exchange.to_onnx(net, path := fresh(folder, "onnx"))
    found = session(path)
    for n in (0, 1, 7):
        x = rows_for(net, n)
        assert_near(found.run(None, {"x": x})[0], net.predict(x))


def test_they_have_everything_that_is_registered():
    kinds, functions = set(), set()

    def look(net):
        for layer in net.layers:
            kinds.add(layer.name)
            functions.update(f.name for f in [getattr(layer, "activation", None)] if f is not None)

    drawn(300)(look)()
    assert kinds >= {*LAYER_NAMES}
    assert functions >= {*ACTIVATION_NAMES}
