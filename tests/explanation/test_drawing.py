"""fc.draw: a network's own units and weights, with the numbers that it has."""

from xml.etree import ElementTree

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.errors import ConfigError, InputTypeError, ShapeError
from fullyconnected.explanation.pictures.drawing import graph_of, picture_of, shown_row
from fullyconnected.symbolic.digits import brief, shown

SVG = "{http://www.w3.org/2000/svg}"


def network() -> fc.Network:
    net = fc.mlp([2, 2], dtype="float64", seed=0)
    net.theta = [0.15, 0.20, 0.25, -0.30, 0.35, 0.45]
    return net


def texts(svg: str, quantity: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(t.itertext()) for t in root.iter(f"{SVG}text") if t.get("data-q") == quantity]


def units(svg: str) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(svg)
    return {g.get("data-q", ""): g for g in root.iter(f"{SVG}g") if g.get("data-unit")}


def test_a_weight_is_drawn_with_its_own_number() -> None:
    svg = fc.draw(network())
    assert texts(svg, "dense_1.W[1,0]") == ["0.25"]
    assert texts(svg, "dense_1.W[1,1]") == ["-0.3"]
    assert texts(svg, "dense_1.b[1]") == ["0.45"]
    assert texts(svg, "x[0,0]") == []  # no input was given
    assert svg.count("stroke-dasharray") >= 1


def test_inputs_give_values_and_targets_give_gradients_and_the_loss() -> None:
    net, x, t = network(), [[0.1, 0.5]], [[0.01, 0.99]]
    values = fc.draw(net, x)
    assert texts(values, "x[0,1]") == ["0.5"]
    assert texts(values, "dense_1.y[0,0]") == ["0.49"]
    assert texts(values, "L") == []
    both = fc.draw(net, x, t, fc.HalfSquaredError())
    g = net.gradients(x, t, fc.HalfSquaredError())
    assert texts(both, "dL:dense_1.W[1,0]") == [brief(g.params[0].W[1, 0])]
    assert (texts(both, "t[0,1]"), texts(both, "L"), texts(both, "dL:L")) == (["0.99"], ["0.34"], ["1"])
    only = fc.draw(net, x, t, "half_squared_error", show="gradients")
    assert texts(only, "dense_1.W[1,0]") == []


def test_numbers_have_three_digits_and_their_titles_all() -> None:
    net = fc.mlp([2, 2], activation="tanh", output_activation="tanh", dtype="float64", seed=0)
    x = [[1 / 3, -2e-5 / 3]]
    root = ElementTree.fromstring(fc.draw(net, x))
    number = next(t for t in root.iter(f"{SVG}text") if t.get("data-q") == "x[0,1]")
    assert number.text == "-6.67e-6"
    assert "x[1] = -6.6666667e-6" in [title.text for title in root.iter(f"{SVG}title")]
    y = net.predict(x)[0, 0]
    title = units(fc.draw(net, x))["dense_1.y[0,0]"].find(f"{SVG}title")
    assert title is not None
    assert f"y1[0] = {shown(y)}" in title.text
    assert "z1[0] = " in title.text
    weight = net.get_weights()[0][0, 0]
    assert f"W1[0,0] = {shown(weight)}" in [t.text for t in root.iter(f"{SVG}title")]


def test_values_without_targets_are_those_with_targets() -> None:
    net = fc.Network(
        [fc.Dense(3, 4, "tanh"), fc.LayerNorm(), fc.Residual([fc.Dense(4, 4, "relu")]), fc.Dense(4, 2)], seed=0
    )
    x = np.random.default_rng(0).normal(size=(3, 3))
    x[0] = 0  # a row of zeros is not the one that is shown
    alone, whole = fc.draw(net, x), fc.draw(net, x, [0, 1, 0], "softmax_cross_entropy", show="values")
    names = [f"{unit}[1,{j}]" for unit in ("x", "dense_1.z", "residual_1.add.y", "dense_2.y") for j in range(2)]
    assert [texts(alone, name) for name in names] == [texts(whole, name) for name in names]
    assert all(texts(alone, name) for name in names)
    z = net.predict(x, engine="numpy")  # a row alone would be another product, whose last digit may be another
    assert texts(alone, "dense_2.y[1,0]") == [brief(z[1, 0])]


def test_any_row_can_be_shown_in_the_same_places() -> None:
    net = fc.mlp([2, 3, 1], seed=0)
    x, t = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1e-12, -1234.5]], [[0.0], [1.0], [1.0], [0.0]]
    record = fc.trace(net, x, t, "half_squared_error")
    assert shown_row(record) == 3
    assert texts(picture_of(record), "x[3,1]") == ["-1234"]
    places = []
    for row in range(4):
        root = ElementTree.fromstring(picture_of(record, row=row))
        ends = (f"x[{row},0]", f"y[{row},0]")
        found = [t for t in root.iter(f"{SVG}text") if t.get("data-q", "").endswith(ends)]
        places.append([(t.get("x"), t.get("y")) for t in found])
    assert places == places[:1] * 4
    assert len(places[0]) == 2 * 3


def test_the_row_of_a_unit_in_focus_is_shown() -> None:
    net = fc.mlp([2, 3, 1], seed=0)
    x, t = [[1.0, 0.0], [0.5, 2.0]], [[0.0], [1.0]]
    for svg in (fc.draw(net, x, focus="x[0,1]"), fc.draw(net, x, t, "half_squared_error", focus="dense_1.y[0,1]")):
        assert texts(svg, "x[0,0]") == ["1"]
        assert texts(svg, "x[1,0]") == []
    followed = fc.explain(net, x, t, "half_squared_error", focus="x[0,1]")
    assert texts(picture_of(followed.trace, focus=followed.focus), "x[0,0]") == ["1"]
    assert texts(picture_of(followed.trace, focus=followed.focus, row=1), "x[1,0]") == ["0.5"]


def test_a_wide_layer_says_how_many_units_are_left_out_and_shows_the_one_in_focus() -> None:
    net = fc.mlp([784, 64, 10], seed=0)
    assert "780 more" in fc.draw(net)
    assert texts(fc.draw(net), "dense_1.W[300,40]") == []
    chosen = fc.draw(net, focus="dense_1.W[300,40]")
    assert chosen.count('data-q="dense_1.W[300,40]"') == 2  # its line, and its entry of the matrix
    assert f"In focus: W1[300,40] = {shown(net.get_weights()[0][300, 40])}." in chosen


def test_a_deep_network_is_drawn_with_fewer_units_and_few_bytes() -> None:
    svg = fc.draw(fc.mlp([8] * 41, seed=0), np.ones((1, 8)), np.ones((1, 8)), "half_squared_error")
    assert len(svg) < 250_000
    assert svg.count(" more<") == 41
    assert float(ElementTree.fromstring(svg).get("height", "")) < 420


def test_a_drawing_is_a_picture_in_a_notebook_and_a_string_elsewhere(tmp_path) -> None:
    drawing = fc.draw(network())
    assert drawing._repr_svg_() == str(drawing)
    assert len(repr(drawing)) < 60
    (tmp_path / "net.svg").write_text(drawing, encoding="utf-8")


def test_units_are_called_as_in_the_formulas() -> None:
    net = fc.Network([fc.Dense(2, 2, "tanh"), fc.Residual([fc.Dense(2, 2)]), fc.Dense(2, 1)], dtype="float64", seed=0)
    x, t = [[0.1, 0.5]], [[1.0]]
    record = fc.trace(net, x, t, "half_squared_error")
    names = ["x[0]", "x[1]"]
    for wire in record.wires[2:]:
        names += [f"{wire.text}[{j}]" for j in range(record.values[wire].shape[1])]
    for svg in (fc.draw(net), fc.draw(net, x), fc.draw(net, x, t, "half_squared_error")):
        said = "; ".join(group.findtext(f"{SVG}title", "") for group in units(svg).values())
        assert [name for name in names if name not in said] == []
        words = [t.text for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]
        assert [name for name in ("x[0]", "y1[1]", "y3[0]") if name not in words] == []


def test_rows_that_the_graph_breaks_have_brackets_and_parameters_can_be_marked() -> None:
    net = fc.mlp([2, 3, 1], dtype="float64", seed=0)
    net.theta = net.theta / 1e5
    svg = graph_of(fc.trace(net, [[0.1, 0.5]], [[1.0]], "half_squared_error"))
    written = " ".join(texts(svg, "dense_1.W")[1:])
    assert written.replace("[", "").replace("]", "") == " ".join(brief(w) for w in net.get_weights()[0].ravel())
    assert texts(svg, "dL:dense_2.W")[0] == "dL/dW2"
    assert texts(svg, "t") == ["t", "1"]


def test_the_graph_has_all_digits_in_titles() -> None:
    net = fc.mlp([2, 1], dtype="float64", seed=0)
    svg = graph_of(fc.trace(net, [[0.1, 0.5]], [[1.0]], "half_squared_error"))
    titles = [title.text for title in ElementTree.fromstring(svg).iter(f"{SVG}title")]
    W = net.get_weights()[0]
    assert f"W1 = {shown(W[0, 0])}\n{shown(W[1, 0])}" in titles


def test_layers_between_are_named_and_not_broken() -> None:
    net = fc.Network(
        [fc.LayerNorm(n_in=3), fc.Dense(3, 2), fc.Activation("tanh"), fc.Residual([fc.Dropout(0.5)]), fc.Dense(2, 1)],
        seed=0,
    )
    words = [t.text for t in ElementTree.fromstring(fc.draw(net)).iter(f"{SVG}text")]
    for name in ("layer_norm_1", "tanh", "dropout_1", "residual_1", "add"):
        assert name in words


@pytest.mark.parametrize(
    "layers",
    [
        [fc.BatchNorm(n_in=3), fc.Dense(3, 9, "tanh"), fc.Dropout(0.2), fc.Dense(9, 2)],
        [fc.Residual([fc.Dense(3, 3)]), fc.LayerNorm(), fc.Dense(3, 2)],
        [fc.Activation("tanh", n_in=3), fc.Activation("relu"), fc.Dense(3, 2), fc.BatchNorm()],
    ],
)
def test_an_input_or_unit_may_be_in_focus_whatever_layers_follow(layers) -> None:
    net = fc.Network(layers, dtype="float64", seed=0)
    x, t = np.ones((2, 3)) * [[1], [2]], np.ones((2, 2))
    for focus in ("x[0,1]", *(f"{op.name}.y[0,{op.n_out - 1}]" for op in net.program.operations)):
        for svg in (fc.draw(net, focus=focus), fc.draw(net, x, t, "huber", focus=focus)):
            chosen = [q for q, group in units(svg).items() if group.get("stroke-width") == "3.5"]
            assert chosen == [focus]
    assert "</html>" in fc.explain(net, x, t, "huber", focus="x[0,1]", train=True).to_html()
    with pytest.raises(fc.errors.UnknownNameError):
        fc.draw(net, focus="x[0,3]")


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "says"),
    [
        (("net",), {}, InputTypeError, "a Network can be drawn"),
        ((network(), [[0.1, 0.5]], [[0.0, 0.0]]), {}, InputTypeError, "targets need a loss"),
        ((network(), None, [[0.0, 0.0]], "half_squared_error"), {}, InputTypeError, "inputs"),
        ((network(), [[0.1, 0.5]]), {"show": "gradients"}, ConfigError, "targets and a loss"),
        ((network(), [[0.1, 0.5]]), {"show": "all"}, ConfigError, "values"),
        ((network(), [[0.1]]), {}, ShapeError, "2"),
        ((network(), np.zeros((0, 2))), {}, ShapeError, "no rows"),
        ((network(),), {"focus": "dense_9.W[0,0]"}, fc.errors.UnknownNameError, "dense_1"),
        ((fc.Network([fc.LayerNorm(n_in=3)], seed=0),), {}, ConfigError, "Dense"),
    ],
)
def test_bad_input_is_told(arguments, settings, error, says) -> None:
    with pytest.raises(error, match=says):
        fc.draw(*arguments, **settings)
