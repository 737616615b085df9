"""Files of ONNX that others have written arrive as networks that predict the same, or are refused by name."""

import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import fullyconnected as fc
from fullyconnected.errors import FileFormatError, InputTypeError
from tests.exchange.networks import ACTIVATION_NAMES, NETWORKS, rows_for, trained

onnx = pytest.importorskip("onnx")
hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from fullyconnected.exchange.onnx.graph import OnnxGraph  # noqa: E402
from fullyconnected.exchange.onnx.layers import KNOWN  # noqa: E402
from fullyconnected.exchange.onnx.proof import results_of  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "golden" / "exchange"
FILES = sorted(path.stem for path in GOLDEN.glob("*.onnx"))
LOST = ("keras_normalization", "tf2onnx_normalization")  # whose constants tf2onnx has not written


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


W, V, B = numbers(3, 4), numbers(4, 4, seed=1), numbers(4, seed=2)


def written(path, nodes, constants=None, *, x=("rows", 3), outputs=("y",), opset=17, kind=TensorProto.FLOAT, **how):
    """Write a graph of nodes (operator, inputs, outputs, settings) that reads x."""
    made = []
    for op, inputs, output, *settings in nodes:
        own = dict(settings[0]) if settings else {}
        made.append(helper.make_node(op, inputs.split(), output.split(), name=f"the {output}", **own))
    values = {"W": W, "V": V, "B": B} if constants is None else constants
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    given = [helper.make_tensor_value_info("x", kind, x)]
    results = [helper.make_tensor_value_info(each, how.get("types", {}).get(each, kind), None) for each in outputs]
    graph = helper.make_graph(made, "graph", given, results, tensors)
    sets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 1)]
    model = helper.make_model(graph, opset_imports=sets)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def arrives(tmp_path):
    """Return what writes a graph, and reads it as a network."""
    return lambda *graph, **how: fc.exchange.from_onnx(written(tmp_path / "net.onnx", *graph, **how))


def kinds(net):
    return [type(layer).__name__ for layer in net.layers]


class TestWhatOthersWrite:
    @pytest.mark.parametrize("name", [each for each in FILES if each not in LOST])
    def test_predicts_what_its_maker_does(self, name):
        net, golden = fc.exchange.from_onnx(GOLDEN / f"{name}.onnx"), load_file(GOLDEN / f"{name}.safetensors")
        assert net.dtype == np.float32
        np.testing.assert_allclose(net.predict(golden["x"]), golden["y"], rtol=1e-5, atol=2e-6)

    @pytest.mark.parametrize("name", LOST)
    def test_constants_that_are_not_there_are_named(self, name):
        with pytest.raises(FileFormatError, match=r"one input, the rows; this graph has 3: .*'sequential_.*Sqrt/x:0'"):
            fc.exchange.from_onnx(GOLDEN / f"{name}.onnx")

    def test_layers_are_those_of_the_source(self):
        net = fc.exchange.from_onnx(GOLDEN / "torch_script_residual.onnx")
        assert kinds(net) == ["Dense", "Residual", "Residual", "Activation", "Dense"]
        assert [type(layer).__name__ for layer in net.layers[1].layers] == ["LayerNorm", "Dense", "Dense", "Residual"]
        assert [type(layer).__name__ for layer in net.layers[2].layers] == ["Dense", "BatchNorm"]
        norm = net.layers[2].layers[1]
        assert (norm.momentum, norm.epsilon) == (0.1, 1e-5)  # PyTorch's, and not 0.10000002384
        net = fc.exchange.from_onnx(GOLDEN / "torch_dynamo_activations.onnx")
        assert [layer.activation.name for layer in net.layers[:8]] == [
            *("gelu", "silu", "mish", "elu", "selu", "leaky_relu", "softplus", "tanh")
        ]
        assert (net.layers[3].activation.alpha, net.layers[5].activation.slope) == (0.7, 0.2)
        assert kinds(fc.exchange.from_onnx(GOLDEN / "skl2onnx_number.onnx")) == [
            "Standardize",
            "Dense",
            "Dense",
            "Dense",
        ]

    def test_a_norm_that_keras_has_folded_becomes_part_of_dense(self):
        net = fc.exchange.from_onnx(GOLDEN / "keras_norms.onnx")
        assert kinds(net)[:3] == ["Dense", "Dense", "Dense"]
        assert kinds(net)[-1] == "Rescale"  # the last norm, behind relu

    def test_a_network_learns_on(self):
        net = fc.exchange.from_onnx(GOLDEN / "torch_dynamo_plain.onnx")
        x, labels = numbers(40, 4), np.arange(40) % 3
        net = fc.Network([*net.layers[:-1], fc.Dense(6, 3)], seed=0)
        fc.fit(net, x, labels, "softmax_cross_entropy", epochs=2, seed=0, progress=False)


READ_BACK = [each for each in NETWORKS if not each.startswith(("periodic", "piecewise", "columns", "deep", "one_hot"))]
READ_BACK = [each for each in READ_BACK if "member" not in each and not each.startswith("embedding")]
ROUNDED = ("batch_norm", "rescale")  # factors that become part of another layer


class TestThereAndBack:
    @pytest.mark.parametrize("name", READ_BACK)
    def test_networks_give_the_same_bits(self, name, tmp_path):
        net = NETWORKS[name](dtype="float32")
        fc.exchange.to_onnx(net, path := tmp_path / "net.onnx")
        back, x = fc.exchange.from_onnx(path), rows_for(net, 9)
        if name.startswith(ROUNDED):
            np.testing.assert_allclose(back.predict(x), net.predict(x), rtol=1e-5, atol=1e-6)
        else:
            assert (back.predict(x) == net.predict(x)).all()
            assert kinds(back) == kinds(net) or name.startswith("dropout")

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(
        sizes=st.lists(st.integers(1, 9), min_size=2, max_size=5),
        names=st.lists(
            st.sampled_from([each for each in ACTIVATION_NAMES if each not in ("exp", "softmax")]), min_size=4
        ),
        norms=st.lists(
            st.sampled_from(["", "layer_norm", "batch_norm", "residual", "parametric", "scale"]), min_size=4
        ),
        opset=st.integers(13, 23),
        seed=st.integers(0, 9),
    )
    def test_random_networks(self, sizes, names, norms, opset, seed, tmp_path_factory):
        layers, exact = [fc.Standardize(sizes[0], mean=list(numbers(sizes[0])))], True
        for n_in, n_out, name, norm in zip(sizes, sizes[1:], names, norms, strict=False):
            layers.append(fc.Dense(n_in, n_out, name))
            inner = [fc.LayerNorm(), fc.Dense(n_out, n_out, name)]
            layers += {"layer_norm": [fc.LayerNorm()], "batch_norm": [fc.BatchNorm()], "residual": [fc.Residual(inner)],
                       "parametric": [fc.Parametric(name)], "scale": [fc.Scale()], "": []}[norm]  # fmt: skip
            exact = exact and norm not in ("batch_norm", "scale")
        net = trained(fc.Network(layers, seed=seed))
        path = tmp_path_factory.getbasetemp() / "random.onnx"
        fc.exchange.to_onnx(net, path, opset=opset)
        back, x = fc.exchange.from_onnx(path), rows_for(net, 5)
        assert not exact or (back.predict(x) == net.predict(x)).all()
        np.testing.assert_allclose(back.predict(x), net.predict(x), rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("clip", [False, True])
    @pytest.mark.parametrize("missing", [False, True])
    def test_columns_that_are_standardised(self, clip, missing, tmp_path):
        begins = fc.Standardize(3, mean=[1e6, 2, 3], scale=[0.1, 0.3, 1e6], clip=clip, missing=missing)
        net = fc.Network([begins, fc.Dense(begins.n_out, 4, "relu")], seed=0)
        fc.exchange.to_onnx(net, path := tmp_path / "net.onnx")
        back = fc.exchange.from_onnx(path)
        x = numbers(9, 3) * [1, 5, 1e6] + [1e6, 0, 0]
        x[::3, 1] = np.nan if missing else 0
        assert back.layers == net.layers
        assert (back.predict(x) == net.predict(x)).all()

    def test_estimators_arrive_as_what_computes_their_probabilities(self, tmp_path):
        pytest.importorskip("sklearn")
        x = numbers(60, 3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # so few iterations do not converge
            three = fc.MLPClassifier(max_iter=3, random_state=0).fit(x, np.arange(60) % 3)
            two = fc.MLPClassifier(max_iter=3, random_state=0).fit(x, np.arange(60) % 2)
        for model, columns in ((three, slice(None)), (two, slice(1, None))):
            fc.exchange.to_onnx(model, path := tmp_path / "model.onnx")
            found = fc.exchange.from_onnx(path).predict(x)
            np.testing.assert_allclose(found, model.predict_proba(x)[:, columns], rtol=1e-5, atol=1e-6)

    def test_a_test_vector_that_does_not_reproduce_is_said(self, tmp_path):
        fc.exchange.to_onnx(fc.mlp([3, 4, 2], seed=0), path := tmp_path / "net.onnx")
        model = onnx.load(path)
        for each in model.metadata_props:
            if each.key == "test_vector":
                said = each.value
                each.value = said[:-3].rpartition(",")[0] + ", 7.5]]}"
        onnx.save(model, path)
        with pytest.raises(
            FileFormatError, match=r"test vector does not .* for row 7 of the test vector, result 1 is 7.5"
        ):
            fc.exchange.from_onnx(path)
        for wrong in (
            "",
            "[]",
            "{}",
            "7",
            '{"x": [[1]], "y": [[1]]}',
            '{"x": 1, "y": [[1]]}',
            said.replace("[[", "[[null, "),
        ):
            model.metadata_props[-1].value = wrong
            onnx.save(model, path)
            with pytest.raises(FileFormatError, match="test vector"):
                fc.exchange.from_onnx(path)


class TestLayers:
    def test_products_in_every_form(self, arrives):
        h = numbers(5, 3) @ W
        for graph, constants, expected in (
            ([("Gemm", "x W B", "y")], {"W": W, "B": B}, h + B),
            ([("Gemm", "x W B", "y", {"transB": 1, "alpha": 0.5, "beta": 2.0})], {"W": W.T, "B": B[None]},
             h / 2 + 2 * B),
            ([("Gemm", "x W B", "y")], {"W": W, "B": np.float32(0.5)}, h + 0.5),
            ([("Gemm", "x W", "y")], {"W": W}, h),
            ([("MatMul", "x W", "h"), ("Add", "h B", "y")], {"W": W, "B": B}, h + B),
            ([("MatMul", "x W", "h"), ("Add", "B h", "y")], {"W": W, "B": B[None]}, h + B),
            ([("MatMul", "x W", "h"), ("Sub", "h B", "y")], {"W": W, "B": B}, h - B),
            ([("MatMul", "x W", "h"), ("Sub", "B h", "y")], {"W": W, "B": B}, B - h),
            ([("Transpose", "W", "T", {"perm": [1, 0]}), ("MatMul", "x T", "y")], {"W": W.T}, h),
            ([("Cast", "W", "T", {"to": TensorProto.FLOAT}), ("MatMul", "x T", "y")], {"W": W.astype(np.float64)}, h),
            ([("Reshape", "W S", "T"), ("Identity", "T", "I"), ("MatMul", "x I", "y")],
             {"W": W.reshape(-1), "S": np.array([3, -1])}, h),
            ([("Unsqueeze", "B A", "C"), ("Squeeze", "C A", "D"), ("Gemm", "x W D", "y")],
             {"W": W, "B": B, "A": np.array([0])}, h + B),
            ([("MatMul", "x W", "h"), ("Div", "h B", "i"), ("Mul", "i B", "j"), ("Neg", "j", "y")],
             {"W": W, "B": B}, -h),
        ):  # fmt: skip
            net = arrives(graph, constants)
            assert kinds(net) == ["Dense"]
            np.testing.assert_allclose(net.predict(numbers(5, 3)), expected, rtol=1e-4, atol=1e-5)

    def test_types(self, arrives):
        graph = [("Gemm", "x W B", "y")]
        for dtype, kind, expected in (
            (np.float64, TensorProto.DOUBLE, "float64"),
            (np.float16, TensorProto.FLOAT16, "float32"),
            (np.float32, TensorProto.FLOAT, "float32"),
        ):
            net = arrives(graph, {"W": W.astype(dtype), "B": B.astype(dtype)}, kind=kind)
            assert net.dtype == expected
            assert net.params[0].W.tolist() == W.astype(dtype).tolist()

    def test_half_floats_of_bfloat16(self, tmp_path):
        path = written(tmp_path / "net.onnx", [("MatMul", "x W", "y")], {}, x=("rows", 2))
        model = onnx.load(path)
        model.graph.initializer.append(helper.make_tensor("W", TensorProto.BFLOAT16, [2, 1], [1.5, -2.0]))
        onnx.save(model, path)
        assert fc.exchange.from_onnx(path).predict([[1.0, 1.0]]).tolist() == [[-0.5]]

    @pytest.mark.parametrize(
        ("nodes", "name"),
        [
            ([("Sigmoid", "h", "s"), ("Mul", "s h", "y")], "silu"),
            ([("Softplus", "h", "s"), ("Tanh", "s", "t"), ("Mul", "h t", "y")], "mish"),
            ([("Mish", "h", "y")], "mish"),
            ([("Gelu", "h", "y")], "gelu"),
            ([("Div", "h r2", "d"), ("Erf", "d", "e"), ("Add", "e one", "f"), ("Mul", "h half", "g"),
              ("Mul", "g f", "y")], "gelu"),
            ([("Mul", "r h", "d"), ("Erf", "d", "e"), ("Add", "one e", "f"), ("Mul", "f half", "g"),
              ("Mul", "g h", "y")], "gelu"),
            ([("Max", "h zero", "y")], "relu"),
            ([("LeakyRelu", "h", "y", {"alpha": 0.0})], "relu"),
            ([("LeakyRelu", "h", "y", {"alpha": 0.3})], "leaky_relu"),
            ([("Selu", "h", "y")], "selu"),
            ([("Greater", "h big", "p"), ("Softplus", "h", "s"), ("Where", "p h s", "y")], "softplus"),
            ([("Neg", "h", "n"), ("Exp", "n", "e"), ("Add", "e one", "a"), ("Div", "one a", "y")], "sigmoid"),
            ([("Greater", "h zero", "p"), ("Elu", "h", "e"), ("Mul", "e half", "m"), ("Where", "p e m", "y")], "elu"),
            ([("Softmax", "h", "y", {"axis": 1})], "softmax"),
            ([("Softmax", "h", "y")], "softmax"),
        ],
    )  # fmt: skip
    def test_activations(self, nodes, name, arrives):
        constants = {"W": W, "r": np.float32(0.5**0.5), "r2": np.float32(2**0.5), "one": np.float32(1),
                     "half": np.float32(0.5), "zero": np.float32([0]), "big": np.float32(20)}  # fmt: skip
        net = arrives([("MatMul", "x W", "h"), *nodes], constants, opset=20)
        assert [layer.activation.name for layer in net.layers] == [name]

    def test_slopes_of_units(self, arrives):
        slopes = np.float32([0.5, -0.25, 0, 2])
        net = arrives([("MatMul", "x W", "h"), ("PRelu", "h s", "y")], {"W": W, "s": slopes[None]})
        h = numbers(5, 3) @ W
        np.testing.assert_allclose(net.predict(numbers(5, 3)), np.where(h > 0, h, slopes * h), rtol=1e-5, atol=1e-6)
        assert kinds(net) == ["Dense", "Parametric"]

    @pytest.mark.parametrize("opset", [9, 13, 14, 15, 17])
    def test_batch_norm(self, opset, arrives):
        mean, var = numbers(4, seed=5), np.abs(numbers(4, seed=6))
        graph = [("MatMul", "x W", "h"), ("BatchNormalization", "h g B m v", "y", {"epsilon": 1e-3, "momentum": 0.99})]
        net = arrives(graph, {"W": W, "g": V[0], "B": B, "m": mean, "v": var}, opset=opset)
        norm = net.layers[1]
        assert (type(norm).__name__, norm.epsilon, norm.momentum) == ("BatchNorm", 1e-3, 0.01)
        h = (numbers(5, 3) @ W - mean) / np.sqrt(var + 1e-3) * V[0] + B
        np.testing.assert_allclose(net.predict(numbers(5, 3)), h, rtol=1e-4, atol=1e-5)

    def test_factors_and_shifts_go_where_they_can(self, arrives):
        s, t = np.float32([1, 2, 4, 8]), np.float32([1, 0, -1, 5])
        product, both = ("MatMul", "x W", "h"), [("Mul", "r s", "m"), ("Add", "m t", "a")]
        constants, x = {"W": W, "V": V, "s": s, "t": t, "n": -s}, numbers(5, 3)
        h = x @ W
        cases = (
            ([product, ("Relu", "h", "r"), *both, ("MatMul", "a V", "y")], ["Dense", "Dense"],
             (np.maximum(h, 0) * s + t) @ V),
            ([product, ("Relu", "h", "r"), *both, ("Tanh", "a", "y")], ["Dense", "Rescale", "Activation"],
             np.tanh(np.maximum(h, 0) * s + t)),
            ([product, ("Relu", "h", "r"), ("Mul", "r n", "y")], ["Dense", "Scale"], np.maximum(h, 0) * -s),
            ([product, ("Relu", "h", "r"), ("Mul", "n r", "m"), ("Add", "t m", "y")], ["Dense", "Scale", "Rescale"],
             np.maximum(h, 0) * -s + t),
            ([product, ("Relu", "h", "r"), ("Add", "r r", "y")], ["Dense", "Scale"], 2 * np.maximum(h, 0)),
            ([product, ("LayerNormalization", "h s", "r"), *both, ("Identity", "a", "y")], ["Dense", "LayerNorm"],
             (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-5) * s * s + t),
        )  # fmt: skip
        for graph, layers, expected in cases:
            net = arrives(graph, constants)
            assert kinds(net) == layers
            np.testing.assert_allclose(net.predict(x), expected, rtol=1e-4, atol=1e-4)

    def test_what_comes_first_standardises(self, arrives):
        mean, scale = np.float64([1e6, 0, 5]), np.float64([0.1, 7, 3])
        graph = [("Sub", "x m", "c"), ("Div", "c s", "d"), ("MatMul", "d W", "y")]
        net = arrives(graph, {"m": mean, "s": scale, "W": W.astype(np.float64)}, kind=TensorProto.DOUBLE)
        assert net.layers[0] == fc.Standardize(mean=mean, scale=scale)  # to the last bit
        net = arrives([("Mul", "x f", "d"), ("MatMul", "d W", "y")], {"f": np.float32(0.5), "W": W})
        assert kinds(net) == ["Scale", "Dense"]
        net = arrives(
            [("Mul", "x f", "d"), ("Add", "d f", "e"), ("MatMul", "e W", "y")], {"f": np.float32(-0.5), "W": W}
        )
        assert kinds(net) == ["Dense"]  # Standardize has no factor below 0

    def test_sums_are_blocks_in_either_order_and_nest(self, arrives):
        inner = [("MatMul", "x S", "h"), ("Tanh", "h", "t"), ("MatMul", "t S", "u")]
        S = numbers(3, 3)
        for a, b in (("x", "y1"), ("y1", "x")):
            graph = [*inner, ("Add", "u t", "y1"), ("Add", f"{a} {b}", "s"), ("Relu", "s", "y")]
            net, x = arrives(graph, {"S": S}), numbers(5, 3)
            assert kinds(net) == ["Residual", "Activation"]
            assert [type(layer).__name__ for layer in net.layers[0].layers] == ["Dense", "Residual"]
            t = np.tanh(x @ S)
            np.testing.assert_allclose(net.predict(x), np.maximum(x + t @ S + t, 0), rtol=1e-5, atol=1e-6)

    def test_dropout_is_kept_and_does_nothing(self, arrives):
        for graph, opset in (
            ([("MatMul", "x W", "h"), ("Dropout", "h", "y", {"ratio": 0.25})], 11),
            ([("MatMul", "x W", "h"), ("Dropout", "h r", "y")], 17),
        ):
            net = arrives(graph, {"W": W, "r": np.float32(0.25)}, opset=opset)
            assert net.layers[1] == fc.Dropout(0.25, n_in=4)

    def test_shapes_that_are_computed_of_the_rows(self, arrives):
        F, one, n = numbers(6, 2), np.array([-1]), np.array([6])
        head = [("Shape", "x", "s", {"end": 1}), ("Concat", "s n", "t", {"axis": 0}), ("Reshape", "x t", "f")]
        net = arrives([*head, ("MatMul", "f F", "y")], {"F": F, "n": n}, x=("rows", 3, 2))
        assert net.n_in == 6
        head = [
            ("Shape", "x", "s"),
            ("Gather", "s i", "r"),
            ("Unsqueeze", "r z", "u"),
            ("Concat", "u m", "t", {"axis": 0}),
        ]
        graph = [*head, ("Reshape", "x t", "f"), ("MatMul", "f F", "h"), ("Shape", "h", "q"), ("Reshape", "h q", "y")]
        zero = {"i": np.array(0), "z": np.array([0]), "m": one}
        assert arrives(graph, {"F": F, **zero}, x=("rows", 3, 2)).n_in == 6
        for other in ("Mul", "Add"):  # six times the number of rows, and -1 beside it
            head = [("Shape", "x", "s", {"end": 1}), (other, "s k", "r"), ("Concat", "r m", "t", {"axis": 0})]
            with pytest.raises(FileFormatError, match="'the f', Reshape"):
                arrives(
                    [*head, ("Reshape", "x t", "f"), ("MatMul", "f F", "y")], {"F": F, "k": n, "m": one}, x=("rows", 6)
                )

    def test_rows_of_more_axes_are_flattened(self, arrives):
        F = numbers(6, 2)
        for reshape, constants, opset in (
            (("Flatten", "x", "f"), {}, 17),
            (("Reshape", "x s", "f"), {"s": np.array([-1, 6])}, 17),
            (("Reshape", "x s", "f"), {"s": np.array([0, -1])}, 17),
        ):
            graph = [reshape, ("MatMul", "f F", "y")]
            net = arrives(graph, {"F": F, **constants}, x=("rows", 3, 2), opset=opset)
            assert net.n_in == 6
        net = arrives([("Reshape", "x s", "f"), ("MatMul", "f F", "y")], {"F": F, "s": np.array([5, 6])}, x=(5, 3, 2))
        assert net.n_in == 6

    def test_what_mixes_columns_needs_rows_of_two_axes(self, arrives):
        F, flat = numbers(6, 2), [("Flatten", "r", "f"), ("MatMul", "f F", "y")]
        net = arrives(
            [("Mul", "x c", "m"), ("Tanh", "m", "r"), *flat], {"F": F, "c": np.float32(0.5)}, x=("rows", 3, 2)
        )
        assert kinds(net) == ["Scale", "Activation", "Dense"]
        one = np.ones(2, np.float32)
        for node in (
            *(("Softmax", "x", "r"), ("LayerNormalization", "x g", "r"), ("Mul", "x g", "r"), ("PRelu", "x g", "r")),
            *(("BatchNormalization", "x g g g g", "r"), ("MatMul", "x G", "r")),
        ):
            with pytest.raises(FileFormatError, match=f"'the r', {node[0]} .* more axes than two"):
                arrives([node, *flat], {"F": F, "g": one, "G": np.eye(2, dtype=np.float32)}, x=("rows", 3, 2))

    def test_the_number_of_columns_may_be_unsaid(self, arrives):
        assert arrives([("Relu", "x", "r"), ("MatMul", "r W", "y")], x=("rows", None)).n_in == 3
        assert arrives([("Relu", "x", "r"), ("MatMul", "r W", "y")], x=None).n_in == 3

    def test_labels_are_left_out(self, arrives):
        graph = [("MatMul", "x W", "h"), ("Softmax", "h", "p"), ("ArgMax", "p", "label", {"axis": 1}),
                 ("Constant", "", "names", {"value_strings": ["a", "b"]})]  # fmt: skip
        net = arrives(graph, outputs=("label", "p"), types={"label": TensorProto.INT64})
        assert net.layers[0].activation.name == "softmax"


DENSE = ("MatMul", "x W", "h")
REFUSED = {
    "another operator": ([DENSE, ("Relu", "h", "r"), ("Conv", "r V", "c"), ("Clip", "c", "y")],
                         r"node 'the c', Conv of ai.onnx, fed by 'r', 'V', is not known; what is known are Abs, Add"),
    "a clip": ([DENSE, ("HardSigmoid", "h", "y")], "HardSigmoid of ai.onnx, fed by 'h', is not known"),
    "a loop": ([DENSE, ("Loop", "", "y")], "Loop of ai.onnx, fed by nothing, is not known"),
    "an approximation": ([DENSE, ("Gelu", "h", "y", {"approximate": "tanh"})], "approximation b'tanh' of GELU"),
    "other constants of SELU": ([DENSE, ("Selu", "h", "y", {"alpha": 1.0})], "those of SELU are 1.67326 and 1.0507"),
    "another axis": ([DENSE, ("Softmax", "h", "y", {"axis": 0})], "is over the axis 0"),
    "rows that are turned": ([("Gemm", "x W", "y", {"transA": 1})], "turns the rows"),
    "a matrix on the left": ([("MatMul", "W x", "y")], "is part of nothing that is known in this place"),
    "a product of two results": ([DENSE, ("Relu", "h", "r"), ("Mul", "h r", "y")], "'the y', Mul .* part of nothing"),
    "a matrix that does not fit": ([("MatMul", "x V", "y")], "has a matrix for 4 columns, and 3 come in"),
    "a constant that does not fit": ([("Add", "x B", "y")], r"constant of the shape \(4,\), and 3 columns come in"),
    "an unknown setting": ([DENSE, ("LeakyRelu", "h", "y", {"beta": 1.0})], "has a setting 'beta'"),
    "a setting of another type": ([DENSE, ("Elu", "h", "y", {"alpha": "a"})], "setting 'alpha' of another type"),
    "two branches": ([DENSE, ("Tanh", "h", "a"), ("MatMul", "x W", "i"), ("Add", "a i", "y")],
                     "'the y' adds a and i; a residual block adds its input"),
    "a missing input": ([("MatMul", "x Q", "y")], "reads 'Q', which nothing before it makes"),
    "a cycle": ([("Add", "y x", "a"), ("Relu", "a", "y")], "reads 'y', which nothing before it makes"),
    "a name twice": ([DENSE, ("Relu", "h", "h")], "makes 'h', which is there already"),
    "training": ([DENSE, ("BatchNormalization", "h B B B B", "y", {"training_mode": 1})], "is in training mode"),
    "whole numbers": ([DENSE, ("Cast", "h", "i", {"to": TensorProto.INT64}), ("Cast", "i", "y", {"to": 1})],
                      "'the i', Cast .* gives rows another shape or type"),
    "other rows": ([DENSE, ("Flatten", "h", "f", {"axis": 0}), ("Relu", "f", "y")], "'the f', Flatten"),
    "a slope above 1": ([DENSE, ("LeakyRelu", "h", "y", {"alpha": 2.0})], "has the slope 2"),
    "nothing": ([("Identity", "x", "y")], "no layer that computes something"),
    "no constant": ([DENSE, ("Relu", "h", "r"), ("Gemm", "x W r", "y")], "part of nothing that is known"),
}  # fmt: skip


class TestWhatIsRefused:
    @pytest.mark.parametrize("what", REFUSED)
    def test_names_what_is_not_known(self, what, arrives):
        graph, message = REFUSED[what]
        with pytest.raises(FileFormatError, match=message):
            arrives(graph, opset=20)

    @pytest.mark.parametrize(
        ("how", "message"),
        [
            ({"opset": 6}, "the opset is one from 7 to 26; the file says 6"),
            ({"outputs": ("y", "h")}, "one output of floats, beside labels; this graph has 2: 'y', 'h'"),
            ({"outputs": ("q",)}, "q does not come from the input x"),
            ({"x": ("rows",)}, r"has the shape \(\?\), and rows \(rows, columns\)"),
            ({"x": ("rows", 0)}, "has the shape"),
            ({"x": ("rows", 10**12)}, "has a matrix for 3 columns, and 1000000000000 come in"),
            ({"kind": TensorProto.STRING, "types": {"y": 1}}, "the input 'x' is no tensor of numbers"),
        ],
    )
    def test_other_inputs_and_outputs(self, how, message, arrives):
        with pytest.raises(FileFormatError, match=message):
            arrives([DENSE, ("Relu", "h", "y")], **how)

    def test_no_other_file_is_opened(self, tmp_path):
        path = written(tmp_path / "net.onnx", [DENSE, ("Relu", "h", "y")])
        for place in ("../secret", "/etc/passwd", "weights"):
            (tmp_path / "weights").write_bytes(W.tobytes())
            model = onnx.load_model_from_string(path.read_bytes())
            tensor = model.graph.initializer[0]
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=place)
            (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
            with pytest.raises(
                FileFormatError, match=r"the tensor 'W' is in another file, .*external_data=False\), or"
            ):
                fc.exchange.from_onnx(tmp_path / "other.onnx")
        tensor = onnx.load_model_from_string((tmp_path / "other.onnx").read_bytes()).graph.initializer[0]
        with pytest.raises(FileFormatError, match="'c' is in another file"):
            fc.exchange.from_onnx(written(tmp_path / "net.onnx", [("Constant", "", "c", {"value": tensor}), DENSE]))

    def test_sizes_are_those_of_arrays(self, tmp_path, arrives):
        path = written(tmp_path / "net.onnx", [DENSE, ("Relu", "h", "y")])
        for dims in ([10**9, 10**9], [-1, 4], [3, 5], [2**62, 2**62], [0, 4]):
            model = onnx.load_model_from_string(path.read_bytes())
            model.graph.initializer[0].dims[:] = dims
            (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
            with pytest.raises(FileFormatError, match=r"the tensor 'W' of the shape .* holds 12 numbers"):
                fc.exchange.from_onnx(tmp_path / "other.onnx")
        huge = {
            "s": np.array([10**6, 10**6]),
            "W": W,
            "B": np.ones((1, 3000), np.float32),
            "C": np.ones((3000, 1), np.float32),
        }
        for node in (("ConstantOfShape", "s", "h"), ("Expand", "x s", "h"), ("Tile", "x s", "h")):
            with pytest.raises(FileFormatError, match=f"{node[0]} of ai.onnx, fed by .* is not known"):
                arrives([node, ("Relu", "h", "y")], huge)
        with pytest.raises(FileFormatError, match="makes more numbers of constants than they are"):
            arrives([("Mul", "B C", "h"), ("MatMul", "x h", "y")], huge)

    def test_many_nodes_of_one_large_matrix_take_no_more_memory_than_it(self, arrives):
        S = numbers(300, 300)
        chain = [("MatMul", f"h{i} S", f"h{i + 1}") for i in range(200)]
        with pytest.raises(FileFormatError, match="its nodes make far more of them"):
            arrives([("MatMul", "x S", "h0"), *chain, ("Relu", "h200", "y")], {"S": S}, x=("rows", 300))
        chain = [("Cast", f"S{i}", f"S{i + 1}", {"to": 1}) for i in range(200)]
        with pytest.raises(FileFormatError, match="its nodes make far more of them"):
            arrives([*chain, ("MatMul", "x S200", "y")], {"S0": S}, x=("rows", 300))

    @pytest.mark.parametrize("node", [
        *[(kind, "R C", "h") for kind in ("Add", "Sub", "Mul", "Div")],
        ("Gather", "R i", "h"), ("Concat", " ".join(["R"] * 16_000), "h", {"axis": 0}),
        ("MatMul", "C R", "h"), ("Gemm", "C R", "h"), ("PRelu", "R C", "h"), ("Where", "t R C", "h"),
    ], ids=lambda node: node[0])  # fmt: skip
    def test_what_constants_make_is_refused_before_it_takes_memory(self, node, tmp_path):
        R = np.ones((1, 16_000), np.float32)
        constants = {"r": R, "C": R.T, "i": np.zeros(16_000, np.int64), "t": np.ones((1, 16_000), bool)}
        graph = [("Identity", "r", "R"), node, ("MatMul", "x h", "y")]
        path = written(tmp_path / "net.onnx", graph, constants, x=("rows", 16_000))
        tracemalloc.start()
        try:
            with pytest.raises(FileFormatError, match=f"{node[0]} of ai.onnx, fed by|far more of them"):
                fc.exchange.from_onnx(path)
            assert tracemalloc.get_traced_memory()[1] < 50e6  # and the product has 1e9 bytes
        finally:
            tracemalloc.stop()

    def test_operators_of_constants_take_no_third_one(self, arrives):
        with pytest.raises(FileFormatError, match=r"'the h', Add .* reads 3 constants, and 2 belong there"):
            arrives([("Add", "B B B", "h"), ("MatMul", "x W", "z"), ("Add", "z h", "y")])

    def test_the_proof_takes_one_copy_of_the_weights_in_float64(self, tmp_path):
        path, n = tmp_path / "net.onnx", 1000
        written(path, [("MatMul", "x S", "h"), ("Relu", "h", "y")], {"S": numbers(n, n)}, x=("rows", n))
        graph = OnnxGraph(onnx.load(path), KNOWN)
        results_of(graph, x := numbers(8, n))  # loads what is loaded once
        tracemalloc.start()
        try:
            results_of(graph, x)
            assert tracemalloc.get_traced_memory()[1] < 3 * path.stat().st_size
        finally:
            tracemalloc.stop()

    def test_nodes_by_the_hundred_thousand(self, tmp_path):
        model = onnx.load_model_from_string(written(tmp_path / "net.onnx", [DENSE, ("Relu", "h", "y")]).read_bytes())
        (tmp_path / "net.onnx").write_bytes(model.SerializeToString() + b"\x3a\xc0\x84\x3d" + b"\x0a\x00" * 500_000)
        with pytest.raises(FileFormatError, match="it has more than 100000 nodes"):
            fc.exchange.from_onnx(tmp_path / "net.onnx")

    def test_deep_graphs(self, arrives):
        many = [("Relu", "x", "h0"), *[("Relu", f"h{i}", f"h{i + 1}") for i in range(3000)], ("MatMul", "h3000 W", "y")]
        assert len(arrives(many).layers) == 3002
        nested = [("Tanh", "x", "t0"), *[("Tanh", f"t{i}", f"t{i + 1}") for i in range(2000)]]
        nested += [("Add", "t2000 t1999", "s0"), *[("Add", f"s{i} t{1998 - i}", f"s{i + 1}") for i in range(1998)]]
        with pytest.raises(FileFormatError, match="it is nested too deeply"):
            arrives([*nested, ("MatMul", "s1998 W", "y")])

    @pytest.mark.parametrize("data", [b"", b"\x08\x07", b"PK\x03\x04" + bytes(100), b"\xff" * 64, b"x = 1\n"])
    def test_other_files(self, data, tmp_path):
        (tmp_path / "net.onnx").write_bytes(data)
        with pytest.raises(FileFormatError, match=r"net\.onnx"):
            fc.exchange.from_onnx(tmp_path / "net.onnx")

    def test_without_the_package(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnx", None)
        with pytest.raises(fc.errors.MissingPackageError, match=r"fullyconnected\[onnx\]"):
            fc.exchange.from_onnx(tmp_path / "net.onnx")

    def test_what_is_no_path(self, tmp_path):
        data = written(tmp_path / "net.onnx", [DENSE, ("Relu", "h", "y")]).read_bytes()
        model = onnx.load_model_from_string(data)
        for given in (None, data, 3, model, str(tmp_path).encode()):
            with pytest.raises(InputTypeError, match=f"from_onnx takes the path of a file.* a {type(given).__name__}"):
                fc.exchange.from_onnx(given)
        with pytest.raises(InputTypeError, match=r"onnx\.save\(model, path\)"):
            fc.exchange.from_onnx(model)

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            fc.exchange.from_onnx(tmp_path / "net.onnx")

    def test_numbers_that_are_not_finite(self, arrives):
        for constants in ({"W": W * np.inf, "B": B}, {"W": W, "B": B * np.nan}):
            with pytest.raises(FileFormatError, match="not finite"):
                arrives([("Gemm", "x W B", "y")], constants)
        with pytest.raises(FileFormatError, match="not finite"):
            arrives([DENSE, ("Div", "h z", "y")], {"W": W, "z": np.zeros(4, np.float32)})
        with pytest.raises(FileFormatError, match="not finite"):
            arrives([("Add", "x z", "h"), ("Relu", "h", "y")], {"z": np.full(3, np.nan, np.float32)})


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_files(tmp_path, seed, examples):
    script = Path(__file__).with_name("fuzzing.py")
    run = [sys.executable, "-W", "error", script, str(examples(1500)), str(seed), tmp_path]
    out = subprocess.run(run, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
