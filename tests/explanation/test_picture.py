"""The picture of a network: what is in it, and that no words of it cover each other, whatever is drawn."""

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.explanation.paths import focus_on
from fullyconnected.explanation.pictures.drawing import picture_of
from fullyconnected.explanation.pictures.pen import CHIPS, FILLS, INKS, MARKS, NEGATIVE, POSITIVE
from fullyconnected.explanation.pictures.stages import MOST_LABELS
from fullyconnected.explanation.recorder import recorded
from fullyconnected.explanation.samples import SAMPLES
from fullyconnected.pages.svg import DARK, lines, width
from fullyconnected.symbolic.digits import shown

SVG = "{http://www.w3.org/2000/svg}"
INHERITED = ("font-size", "text-anchor", "fill", "stroke", "stroke-dasharray", "font-style")


def rng():
    return np.random.default_rng(0)


def residual(**more):
    layers = [fc.LayerNorm(), fc.Dense(4, 4, "relu"), fc.Dropout(0.5), fc.Dense(4, 4)]
    return fc.Network([fc.Dense(2, 4, "tanh"), fc.Residual(layers), fc.Dense(4, 2)], dtype="float64", seed=0)


def dense(*sizes, **more):
    return fc.mlp(list(sizes), dtype="float64", seed=0, **more)


def columns():
    parts = [
        (0, [fc.Embedding(3, 2), fc.Dense(2, 3, "tanh")]),
        ((1, 2), fc.Standardize(2, 0.5, 2.0, missing=True)),
        (3, [fc.PeriodicEmbedding(1, 2, 2)]),
    ]
    return fc.Network([fc.Columns(parts, n_in=4), fc.Dense(9, 4, "relu"), fc.Dense(4, 2)], seed=0)


def many_columns():
    parts = [(i, [fc.OneHot(5)]) for i in range(12)] + [(tuple(range(12, 20)), fc.Standardize(8, 0.0, 1.0))]
    return fc.Network([fc.Columns(parts, n_in=20), fc.Dense(68, 4, "relu"), fc.Dense(4, 2)], seed=0)


def members(kind):
    layers = [fc.Dense(3, 12, "relu"), fc.Dropout(0.3), fc.Dense(12, 2)]
    return fc.Network([fc.Members(6, layers, kind=kind)], seed=0)


def chain(*layers):
    return fc.Network(list(layers), dtype="float64", seed=0)


def codes(n, k):
    return np.c_[rng().integers(0, 3, size=(3, n)), rng().normal(size=(3, k))]


NETWORKS = {
    "2-2-2": lambda: dense(2, 2, 2, activation="sigmoid"),
    "2-3-1": lambda: dense(2, 3, 1),
    "3-4-4-2": lambda: dense(3, 4, 4, 2),
    "4-8-8-3": lambda: dense(4, 8, 8, 3),
    "784-64-10": lambda: dense(784, 64, 10),
    "residual": residual,
    "nested": lambda: chain(
        fc.Dense(2, 3, "tanh"), fc.Residual([fc.Residual([fc.Dense(3, 3)]), fc.Dense(3, 3)]),
        fc.Residual([fc.Dense(3, 3)]), fc.Dense(3, 1),
    ),
    "norms": lambda: chain(
        fc.Standardize(3, 0.0, 1.0), fc.Dense(3, 4), fc.RMSNorm(), fc.BatchNorm(), fc.Parametric("relu", n_in=4),
        fc.Scale(4), fc.Dense(4, 2, "softmax"),
    ),
    "columns": columns,
    "many columns": many_columns,
    "tabm": lambda: members("tabm"),
    "mini": lambda: members("mini"),
    "packed": lambda: members("packed"),
    "periodic": lambda: chain(fc.PeriodicEmbedding(3, 4, 2), fc.Dense(6, 4, "relu"), fc.Dense(4, 1)),
}  # fmt: skip


def record(name, loss="half_squared_error", *, train=True):
    net = NETWORKS[name]()
    x = {"columns": codes(1, 3), "many columns": codes(12, 8)}.get(name, rng().normal(size=(3, net.n_in)))
    t = rng().normal(size=(3, net.n_out)) if loss in ("half_squared_error", "huber") else [0, 1, 0]
    return fc.trace(net, x, t, loss, train=train)


def picture(name, loss="half_squared_error", *, train=True, **more):
    return read(picture_of(record(name, loss, train=train), **more))


def read(svg):
    """Return a picture in which each element has the looks that it inherits."""
    root = ElementTree.fromstring(svg)

    def spread(element):
        for child in element:
            for name in INHERITED:
                if name in element.attrib:
                    child.attrib.setdefault(name, element.attrib[name])
            spread(child)

    spread(root)
    return root


def of_kind(svg, *kinds):
    return [element for element in svg.iter() if element.get("data-kind") in kinds]


def texts(svg, layer=None):
    groups = [svg] if layer is None else [group for group in svg.iter(f"{SVG}g") if group.get("data-layer") == layer]
    return [text for group in groups for text in group.iter(f"{SVG}text")]


def box(text):
    """Where a text is: from its baseline up to the height of a capital, and 0.62 em for each character."""
    x, y, size = (float(text.get(name)) for name in ("x", "y", "font-size"))
    wide = min(0.62 * size * len(text.text), float(text.get("textLength", "inf")))
    left = x - wide * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor", "start")]
    return left, y - 0.75 * size, left + wide, y + 0.2 * size


def overlap(a, b):
    return min(a[2], b[2]) - max(a[0], b[0]) > 0.15 and min(a[3], b[3]) - max(a[1], b[1]) > 0.15


def shape(rect):
    x, y, wide, high = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
    return x, y, x + wide, y + high


def units(svg):
    return {group.get("data-unit"): group for group in svg.iter(f"{SVG}g") if group.get("data-unit")}


def unit_of(svg, quantity):
    """Return the shape of the unit that gives a number."""
    return next(unit.find(f"{SVG}rect") for unit in units(svg).values() if unit.get("data-q") == quantity)


def corners(path):
    """Return the corners of a line: of M, L, H, V, and of steps down and across."""
    points, x, y = [], 0.0, 0.0
    for letter, numbers in re.findall(r"([MLHVQhv])([^MLHVQhvz]*)", path.get("d")):
        values = [float(n) for n in numbers.split()]
        if letter in "Hh":
            x = values[0] + (x if letter == "h" else 0)
        elif letter in "Vv":
            y = values[0] + (y if letter == "v" else 0)
        else:
            x, y = values[-2:]
        points.append((x, y))
    return points


def require_clear(svg):
    """Every text has its place to itself, within the picture, off every unit but its own; and lines end at units."""
    boxes = [(text.text, box(text)) for text in texts(svg)]
    wide, high = float(svg.get("width")), float(svg.get("height"))
    for name, (left, top, right, bottom) in boxes:
        assert left >= 0, name
        assert top >= 0, name
        assert right <= wide, name
        assert bottom <= high, name
    for (name, one), (other, two) in itertools.combinations(boxes, 2):
        assert not overlap(one, two), (name, other)
    shapes = [shape(unit.findall(f"{SVG}rect")[-1]) for unit in units(svg).values()]
    for one, two in itertools.combinations(shapes, 2):
        assert not overlap(one, two)
    for name, (left, top, right, bottom) in boxes:
        inside = [s for s in shapes if overlap((left, top, right, bottom), s)]
        assert len(inside) <= 1, name
        for s in inside:
            assert s[0] <= left + 0.2, name
            assert s[1] <= top, name
            assert right <= s[2] + 0.2, name
            assert bottom <= s[3], name
    places = {number: shape(unit.findall(f"{SVG}rect")[-1]) for number, unit in units(svg).items()}
    for line in of_kind(svg, "weight", "through"):
        source, target = (places[number] for number in line.get("data-ends").split())
        (x, y), (to_x, to_y) = corners(line)[0], corners(line)[-1]
        assert x >= source[2] - 0.2
        assert source[1] <= y <= source[3]
        assert to_x == pytest.approx(target[0], abs=0.2)
        assert target[1] <= to_y <= target[3]


def crosses(a, b, rect):
    """Whether a line goes through a rectangle."""
    steps = np.linspace(0, 1, 200)[:, None]
    points = np.array(a) * (1 - steps) + np.array(b) * steps
    left, top, right, bottom = rect
    return bool(((points > (left, top)) & (points < (right, bottom))).all(axis=1).any())


class TestNoWordsCoverOthers:
    @pytest.mark.parametrize("loss", ["half_squared_error", "softmax_cross_entropy"])
    @pytest.mark.parametrize("name", NETWORKS)
    def test_in_these_networks(self, name, loss):
        if loss == "softmax_cross_entropy" and NETWORKS[name]().n_out == 1:
            loss = "binary_cross_entropy"
        if name == "norms":  # whose softmax the others refuse
            loss = "half_squared_error"
        require_clear(picture(name, loss))

    @pytest.mark.parametrize("name", NETWORKS)
    def test_without_inputs(self, name):
        require_clear(read(fc.draw(NETWORKS[name]())))

    def test_in_any_network(self, cases, examples):
        @settings(max_examples=examples(40), deadline=None)
        @given(case=cases(), focus=st.booleans())
        def check(case, focus):
            found = case.trace()
            if any(op.is_dense for op in found.operations):
                require_clear(read(picture_of(found, focus="x[0,0]" if focus else None, row=0)))

        check()

    @pytest.mark.parametrize("name", ["2-3-1", "3-4-4-2", "784-64-10", "residual", "columns"])
    def test_each_number_is_on_its_own_line_and_on_no_other(self, name):
        svg = picture(name)
        numbers = {}
        for text in (*texts(svg, "values"), *texts(svg, "gradients")):
            numbers.setdefault(text.get("data-q").removeprefix("dL:"), []).append(box(text))
        checked = 0
        for line in of_kind(svg, "weight"):
            points = corners(line)
            for quantity, places in numbers.items():
                if not re.search(r"\.[Wb]\[", quantity):
                    continue
                for place in places:
                    through = any(crosses(a, b, place) for a, b in itertools.pairwise(points))
                    assert through == (quantity == line.get("data-q")), (quantity, line.get("data-q"))
                    checked += through
        assert checked >= 2 * len([q for q in numbers if re.search(r"\.[Wb]\[", q)])

    def test_a_number_that_is_too_long_is_squeezed_into_its_place(self):
        net = dense(2, 2)
        net.theta = [-1.2345e-200, 1.0, 2.0, 3.0, 0.0, 0.0]
        svg = read(fc.draw(net))
        (number,) = [text for text in texts(svg) if text.text == "-1.23e-200"]
        assert float(number.get("textLength")) < 60
        require_clear(svg)


class TestOneLayout:
    @pytest.mark.parametrize("name", ["2-3-1", "4-8-8-3", "residual", "tabm"])
    def test_every_place_is_the_same_whatever_is_shown(self, name):
        every = record(name)
        pictures = [read(picture_of(every, show=show)) for show in ("both", "values", "gradients")]
        assert len({(svg.get("width"), svg.get("height")) for svg in pictures}) == 1
        shapes = [{number: shape(unit.find(f"{SVG}rect")) for number, unit in units(svg).items()} for svg in pictures]
        assert shapes == shapes[:1] * 3

        def places(svg, layer):
            return {(text.get("data-q"), text.get("x"), text.get("y")) for text in texts(svg, layer)}

        assert places(pictures[0], "values") == places(pictures[1], "values")
        assert places(pictures[0], "gradients") == places(pictures[2], "gradients")
        assert [g.get("data-layer") for g in pictures[1].iter(f"{SVG}g") if g.get("data-layer")] == ["values"]

    def test_every_number_says_what_it_is_in_the_group_of_its_layer(self):
        svg, found = picture("2-3-1"), record("2-3-1")
        row = 0
        wanted = {f"{wire.quantity}[{row},{j}]" for wire in found.wires for j in range(found.values[wire].shape[1])}
        weights = {line.get("data-q") for line in of_kind(svg, "weight")}
        values = {text.get("data-q") for text in texts(svg, "values")}
        assert values == wanted | weights | {"t[0,0]", "L"}
        assert {text.get("data-q") for text in texts(svg, "gradients")} == {
            f"dL:{quantity}" for quantity in wanted | weights | {"L"}
        }
        assert {unit.get("data-q") for unit in units(svg).values()} >= {"x[0,0]", "dense_1.y[0,2]", "t[0,0]", "L"}
        assert {text.get("font-style") for text in texts(svg, "gradients")} == {"italic"}
        assert {text.get("font-style") for text in texts(svg, "values")} == {None}

    @pytest.mark.parametrize(("sizes", "most"), [((2, 3, 1), 320), ((4, 8, 8, 3), 420)])
    def test_it_is_wide_and_low(self, sizes, most):
        net = dense(*sizes)
        x, t = rng().normal(size=(4, sizes[0])), rng().normal(size=(4, sizes[-1]))
        svg = read(fc.draw(net, x, t, "half_squared_error"))
        assert float(svg.get("height")) <= most
        assert float(svg.get("width")) <= 1250  # beside a page's margins at 1280

    def test_bytes(self):
        net, x, t, more = SAMPLES["xor"]()
        assert len(picture_of(fc.trace(net, x, t, more["loss"]))) < 25_000


class TestWhatIsDrawn:
    def test_one_line_for_each_weight_dashed_where_it_is_negative(self):
        net = dense(2, 3, 1)
        net.theta = rng().normal(size=net.n_params)
        lines = {line.get("data-q"): line for line in of_kind(read(fc.draw(net)), "weight")}
        assert len(lines) == 3 * 3 + 4
        for tensor in net.program.tensors:
            for at, value in np.ndenumerate(tensor.of(net.theta)):
                line = lines[f"{tensor.name}[{','.join(map(str, at))}]"]
                assert ("stroke-dasharray" in line.attrib) == (value < 0)

    def test_a_larger_weight_has_a_wider_line(self):
        net = dense(1, 4)
        net.theta = [0.1, -0.4, 0.5, -1.0, 0, 0, 0, 0]
        lines = {line.get("data-q"): float(line.get("stroke-width")) for line in of_kind(read(fc.draw(net)), "weight")}
        widths = [lines[f"dense_1.W[0,{j}]"] for j in range(4)]
        assert widths == sorted(widths)
        assert (widths[0] < 1.5, widths[-1], lines["dense_1.b[0]"]) == (True, 3.5, 0.8)

    @pytest.mark.parametrize("weight", [0.0, float("nan"), float("inf"), float("-inf"), 1e308, 5e-324])
    @pytest.mark.parametrize("sizes", [(1, 1), (5, 5)])
    def test_any_weight_can_be_drawn(self, weight, sizes):
        net = dense(*sizes)
        theta = net.theta.copy()
        theta[0] = weight
        net.theta = theta
        svg = read(fc.draw(net))
        assert 0.8 <= float(of_kind(svg, "weight")[0].get("stroke-width")) <= 3.5
        assert "nan" not in re.findall(r'"([^"]*)"', ElementTree.tostring(svg).decode())
        require_clear(svg)

    def test_units_have_the_colours_of_their_kinds_and_biases_are_squares(self):
        svg = picture("2-3-1")
        for kind, count in {"input": 2, "hidden": 3, "output": 1, "bias": 2, "target": 1, "loss": 1}.items():
            found = of_kind(svg, kind)
            assert len(found) == count
            assert {unit.find(f"{SVG}rect").get("fill") for unit in found} == {FILLS[kind][0]}
        for bias in of_kind(svg, "bias"):
            assert bias.find(f"{SVG}rect").get("width") == bias.find(f"{SVG}rect").get("height")

    def test_before_and_after_an_activation(self):
        svg = picture("2-2-2")
        words = [text.text for text in texts(svg)]
        assert {"z1", "y1", "sigmoid"} <= set(words)
        found = {text.get("data-q"): box(text) for text in texts(svg, "values")}
        z, y = found["dense_1.z[0,1]"], found["dense_1.y[0,1]"]
        assert z[2] < y[0]
        assert z[1] == y[1]

    def test_units_that_are_left_out_are_counted(self):
        svg = picture("784-64-10")
        words = [text.text for text in texts(svg)]
        assert [word for word in words if "more" in word] == ["780 more", "60 more", "6 more"]
        desc = svg.find(f"{SVG}desc").text
        assert "Of the 784 units of input, 780 are not drawn. Of the 64 " in desc
        height = {text.text: float(text.get("y")) for text in texts(svg)}
        assert height["x[2]"] < height["780 more"] < height["x[783]"]

    def test_names_are_text(self):
        odd = fc.Network([fc.Dense(1, 1)], seed=0)
        svg = picture_of(fc.trace(odd, [[1.0]], [[1.0]], "huber"), prefix="p&<")
        root = ElementTree.fromstring(svg)
        assert root.find(f"{SVG}title").get("id") == "p&<-title"

    def test_the_legend_names_the_signs_that_occur(self):
        assert texts(picture("2-3-1"))[-1].text == (
            "square: bias · dashed: negative weight · thick: large weight · italics: gradient of the loss"
        )
        net = fc.Network([fc.Dense(1, 1, bias=False, init="ones")], seed=0)
        assert texts(read(fc.draw(net)))[-1].text == "thick: large weight"


class TestMatrix:
    def test_up_to_16_weights_have_numbers_and_more_are_a_matrix(self):
        for sizes, matrix in (((4, 4), False), ((2, 8), False), ((3, 6), True), ((4, 8), True)):
            svg = read(fc.draw(dense(*sizes)))
            numbers = [text for text in texts(svg, "values") if ".W[" in text.get("data-q")]
            cells = [
                cell
                for cell in svg.iter(f"{SVG}path")
                if ".W[" in cell.get("data-q", "") and "data-kind" not in cell.attrib
            ]
            count = sizes[0] * sizes[1]
            assert (len(numbers), len(cells)) == ((0, count) if matrix else (count, 0))
            assert matrix == (count > MOST_LABELS)
            assert ("drawn as a matrix" in svg.find(f"{SVG}desc").text) == matrix
            assert len([line for line in of_kind(svg, "weight") if ".W[" in line.get("data-q")]) == count

    def test_an_entry_says_what_it_is_beside_its_unit_and_below_the_name_of_its_column(self):
        net, x, t = dense(4, 8), rng().normal(size=(2, 4)), rng().normal(size=(2, 8))
        svg = read(fc.draw(net, x, t, "half_squared_error"))
        gradient = net.gradients(x, t, "half_squared_error").params[0].W
        for layer, prefix, array in (("values", "", net.get_weights()[0]), ("gradients", "dL:", gradient)):
            group = next(g for g in svg.iter(f"{SVG}g") if g.get("data-layer") == layer)
            cells = {cell.get("data-q"): cell for cell in group.iter(f"{SVG}path") if cell.get("data-q")}
            for (i, j), value in np.ndenumerate(array):
                cell = cells[f"{prefix}dense_1.W[{i},{j}]"]
                x_at, y_at = corners(cell)[0]
                label = next(text for text in texts(svg) if text.text == str(j) and text.get("font-size") == "9")
                assert abs(float(label.get("x")) - x_at - 6) < 1
                unit = next(
                    shape(unit.find(f"{SVG}rect")) for unit in units(svg).values() if unit.get("data-q") == f"x[0,{i}]"
                )
                assert unit[1] <= y_at <= unit[3]
                assert cell.find(f"{SVG}title").text.endswith(f"W1[{i},{j}] = {shown(value)}")

    def test_its_marks_are_large_and_hollow_without_colour(self):
        net = dense(5, 4)
        net.theta = np.r_[np.linspace(0.1, 1, 10), np.linspace(-0.1, -1, 10), np.zeros(4)]
        svg = read(fc.draw(net))
        group = next(g for g in svg.iter(f"{SVG}g") if g.get("data-layer") == "values")
        filled = [p for p in group.iter(f"{SVG}path") if p.get("fill") == MARKS["values"][0]]
        hollow = [p for p in group.iter(f"{SVG}path") if p.get("stroke") == MARKS["values"][1]]
        sides = [
            [float(side) for path in paths for side in re.findall(r"h([\d.]+)v", path.get("d"))]
            for paths in (filled, hollow)
        ]
        assert [len(each) for each in sides] == [10 + 4, 10]  # with the biases
        assert sides[0][:10] == sorted(sides[0][:10])
        assert sides[1] == sorted(sides[1])
        assert sides[0][9] / sides[0][0] == pytest.approx(10**0.5, rel=0.1)
        assert hollow[0].get("fill") == "none"
        said = " ".join(text.text for text in texts(svg))
        assert "dashed, hollow: negative weight · thick, large: large weight · fields in a row: weights that" in said


class TestOtherLayers:
    def test_a_residual_has_its_way_past_and_the_gradient_that_returns(self):
        svg = picture("residual")
        (skip,) = of_kind(svg, "skip")
        assert skip.get("data-q") == "dense_1.y"
        points = corners(skip)
        source, target = (shape(unit_of(svg, name)) for name in ("dense_1.y[0,0]", "residual_1.add.y[0,0]"))
        assert source[0] < points[0][0] < source[2]
        assert target[0] <= points[-1][0] <= target[2]
        assert min(y for _, y in points) < min(source[1], target[1]) - 20
        assert [text.text for text in texts(svg, "values") if text.get("data-q") == "dense_1.y"] == [
            "past residual_1: y1 →"
        ]
        back = [text.text for text in texts(svg, "gradients") if text.get("data-q") == "dL:dense_1.y"]
        assert back == ["← dL/dy_sum1 returns"]

    @pytest.mark.parametrize("name", ["residual", "nested"])
    def test_no_way_past_goes_through_words(self, name):
        svg = picture(name)
        for skip in of_kind(svg, "skip"):
            for text in texts(svg):
                if (text.get("data-q") or "").removeprefix("dL:") != skip.get("data-q"):  # it stands on the line
                    around = box(text)
                    assert not any(crosses(a, b, around) for a, b in itertools.pairwise(corners(skip))), text.text

    def test_blocks_within_blocks_have_ways_past_of_their_own_above_each_other(self):
        heights = [min(y for _, y in corners(skip)) for skip in of_kind(picture("nested"), "skip")]
        assert heights[0] > heights[1] + 10
        assert heights[2] == heights[0]

    def test_blocks_side_by_side_in_branches_have_ways_past_at_different_heights(self):
        part = [fc.Dense(1, 2), fc.Residual([fc.Dense(2, 2)])]
        net = fc.Network([fc.Columns([(0, part), (1, part)]), fc.Dense(4, 1)], seed=0)
        svg = read(fc.draw(net, [[1.0, 2.0]], [[1.0]], "huber"))
        require_clear(svg)
        heights = [min(y for _, y in corners(skip)) for skip in of_kind(svg, "skip")]
        assert abs(heights[0] - heights[1]) > 10

    def test_dropped_units_are_hollow_and_their_lines_crossed(self):
        every = record("residual")
        mask = every.values[every.name("residual_1.dropout_1.m")][0]
        svg = read(picture_of(every, row=0))
        found = {u.get("data-q"): u for u in units(svg).values()}
        for j, kept in enumerate(mask):
            unit = found[f"residual_1.dropout_1.y[0,{j}]"]
            assert (unit.find(f"{SVG}rect").get("fill") == "none") == (kept == 0)
            assert ("stroke-dasharray" in unit.find(f"{SVG}rect").attrib) == (kept == 0)
            assert unit.find(f"{SVG}title").text.endswith("; dropped") == (kept == 0)
        (cut,) = of_kind(svg, "cut")
        assert cut.get("d").count("M") == (mask == 0).sum() > 0
        assert not of_kind(picture("residual", train=False), "cut")
        assert "off" in [text.text for text in texts(picture("residual", train=False))]

    def test_what_mixes_units_has_a_band_and_what_mixes_rows_is_a_stack(self):
        svg = picture("norms")
        titles = [text.text for text in texts(svg)]
        assert {"standardize_1", "rms_norm_1", "batch_norm_1", "parametric_1", "scale_1", "softmax"} <= set(titles)
        assert len(of_kind(svg, "band")) == 2  # of rms_norm_1, and of the softmax
        stacks = [u for u in units(svg).values() if len(u.findall(f"{SVG}rect")) == 3]
        assert {u.get("data-q").partition("[")[0] for u in stacks} == {"batch_norm_1.y"}
        assert not [u for u in units(picture("norms", train=False)).values() if len(u.findall(f"{SVG}rect")) == 3]

    def test_lines_carry_values_on(self):
        svg = picture("residual")
        carried = [line.get("data-q") for line in of_kind(svg, "through")]
        for wire in ("dense_1.y", "residual_1.dense_1.y", "residual_1.dense_2.y", "dense_2.y"):
            assert f"{wire}[0,0]" in carried

    def test_columns_are_branches(self):
        svg = picture("columns", "softmax_cross_entropy")
        row = next(u.get("data-q") for u in of_kind(svg, "input"))[2]
        found = {u.get("data-q"): n for n, u in units(svg).items()}
        lines = {tuple(line.get("data-ends").split()) for line in of_kind(svg, "through")}
        pairs = [
            (f"x[{row},0]", f"columns_1.embedding_1.y[{row},1]"),
            (f"x[{row},1]", f"columns_1.standardize_1.y[{row},2]"),
            (f"columns_1.standardize_1.y[{row},2]", f"columns_1.concatenate.y[{row},5]"),
            (f"x[{row},3]", f"columns_1.periodic_embedding_1.y[{row},0]"),
        ]
        assert [pair for pair in pairs if (found[pair[0]], found[pair[1]]) not in lines] == []
        assert (found[f"x[{row},0]"], found[f"columns_1.standardize_1.y[{row},0]"]) not in lines

    @pytest.mark.parametrize("name", ["tabm", "packed"])
    def test_only_units_of_the_same_member_are_joined(self, name):
        svg = picture(name)
        found = units(svg)
        ends = [[found[n].get("data-q") for n in line.get("data-ends").split()] for line in of_kind(svg, "weight")]
        inner = [(a, b) for a, b in ends if a and "dropout" in a]
        assert inner
        row = [[int(q.rpartition("[")[2].split(",")[0]) for q in pair] for pair in inner]
        assert all(a == b for a, b in row)

    def test_the_loss_and_what_it_compares(self):
        svg = picture("4-8-8-3", "softmax_cross_entropy")
        every = record("4-8-8-3", "softmax_cross_entropy")
        quantities = {text.get("data-q"): text.text for text in texts(svg, "values")}
        p = every.values[every.name("loss.p")]
        assert quantities["loss.p[0,2]"] == f"{p[0, 2]:.3g}"
        assert quantities["t[0]"] == "0"
        assert "t, class" in [text.text for text in texts(svg)]
        assert [text.text for text in texts(svg, "gradients") if text.get("data-q") == "dL:L"] == ["1"]
        loss = next(n for n, u in units(svg).items() if u.get("data-q") == "L")
        into = [line.get("data-q") for line in of_kind(svg, "through") if line.get("data-ends").split()[1] == loss]
        assert set(into) == {"loss.p[0,0]", "loss.p[0,1]", "loss.p[0,2]", "t[0]"}

    def test_logits_have_their_probability_and_l2_has_the_loss_without_it(self):
        net = dense(2, 1)
        svg = read(picture_of(fc.trace(net, [[0.5, 2.0]], [1], "binary_cross_entropy", l2=0.1)))
        quantities = {text.get("data-q"): text.text for text in texts(svg, "values")}
        z = net.predict([[0.5, 2.0]])[0, 0]
        assert float(quantities["loss.p[0,0]"]) == pytest.approx(1 / (1 + np.exp(-z)), rel=1e-2)
        assert float(quantities["E"]) < float(quantities["L"])


def followed(net, x, t, loss, focus):
    recorder, every = recorded(net, x, t, loss, None, 0.0, None, False, 0, None)
    return every, focus_on(recorder, every, focus)


class TestFocus:
    def lit(self, svg):
        lines = {line.get("data-q") for line in of_kind(svg, "weight") if float(line.get("opacity", 1)) > 0.3}
        found = {u.get("data-q") for u in units(svg).values() if "fill-opacity" not in u.find(f"{SVG}rect").attrib}
        return lines, found

    def test_a_unit_keeps_its_weights_and_neighbours(self):
        lines, found = self.lit(read(fc.draw(dense(2, 3, 2), focus="dense_1.y[0,2]")))
        assert lines == {"dense_1.W[0,2]", "dense_1.W[1,2]", "dense_1.b[2]", "dense_2.W[2,0]", "dense_2.W[2,1]"}
        assert found == {None, "x[0,0]", "x[0,1]", "dense_1.y[0,2]", "dense_2.y[0,0]", "dense_2.y[0,1]"}

    def test_a_weight_without_targets_keeps_all_that_its_unit_leads_to(self):
        lines, found = self.lit(read(fc.draw(dense(2, 3, 3, 1), focus="dense_1.W[0,1]")))
        wanted = {f"dense_2.W[1,{k}]" for k in range(3)} | {f"dense_3.W[{k},0]" for k in range(3)}
        assert lines == {"dense_1.W[0,1]"} | wanted
        assert found == {"x[0,0]", "dense_1.y[0,1]", *(f"dense_2.y[0,{k}]" for k in range(3)), "dense_3.y[0,0]"}

    def test_every_path_to_the_loss_is_lit_as_thick_as_its_share(self):
        net = dense(2, 3, 3, 2, activation="tanh")
        x, t = rng().normal(size=(4, 2)), rng().normal(size=(4, 2))
        every, focus = followed(net, x, t, "half_squared_error", "dense_1.W[0,1]")
        svg = read(picture_of(every, focus=focus))
        lines, found = self.lit(svg)
        hops = {f"dense_2.W[1,{k}]" for k in range(3)} | {f"dense_3.W[{k},{j}]" for k in range(3) for j in range(2)}
        assert lines == {"dense_1.W[0,1]"} | hops
        assert {"L", "t[0,1]", "dense_3.y[0,0]", "dense_1.y[0,1]", "x[0,0]"} <= found
        assert "dense_1.y[0,0]" not in found
        widths = {line.get("data-q"): float(line.get("stroke-width")) for line in of_kind(svg, "weight")}
        shares = {q: abs(focus.shares[q[:9]][int(q[10]), int(q[12])]) for q in hops}
        order = sorted(hops, key=shares.get)
        assert [widths[q] for q in order] == sorted(widths[q] for q in order)
        assert "24 paths lead from W1[0,1] to L" in " ".join(text.text for text in texts(svg))

    @pytest.mark.parametrize("name", sorted({*NETWORKS} - {"columns", "many columns", "784-64-10"}))
    def test_shares_add_up_to_the_gradient_behind_every_layer(self, name):
        """The number is a weight of the first Dense layer: what passes through each wire behind it is all of it."""
        net = NETWORKS[name]()
        x, t = rng().normal(size=(2, net.n_in)), rng().normal(size=(2, net.n_out))
        first = next(op for op in net.program.operations if op.is_dense)
        at = "0,0,1" if first.kind == "own_dense" else "0,1"
        every, focus = followed(net, x, t, "half_squared_error", f"{first.name}.W[{at}]")
        entry = tuple(map(int, at.split(",")))
        gradient = every.values[every.name(f"{first.name}.W").gradient("L")][entry]
        last = every.wires[-1]
        assert focus.shares[last.full].sum() == pytest.approx(gradient, rel=1e-4, abs=1e-7)
        dense_last = next(op for op in reversed(every.operations) if op.is_dense)
        if dense_last.name != first.name and not any(op.kind == "add" for op in every.operations[-2:]):
            assert focus.shares[f"{dense_last.name}.W"].sum() == pytest.approx(gradient, rel=1e-4, abs=1e-7)

    def test_the_way_past_a_block_has_its_share(self):
        net = residual()
        every, focus = followed(net, rng().normal(size=(2, 2)), [0, 1], "softmax_cross_entropy", "dense_1.W[0,1]")
        past = focus.shares["residual_1.add.y:skip"]
        inside = focus.shares["residual_1.dense_2.y"].sum()
        assert past + inside == pytest.approx(focus.shares["dense_2.y"].sum())
        assert past != 0
        (skip,) = of_kind(read(picture_of(every, focus=focus)), "skip")
        assert float(skip.get("opacity")) > 0.4

    def test_a_number_without_a_place_of_its_own_lights_the_units_that_it_affects(self):
        net = residual()
        x, t = rng().normal(size=(2, 2)), [0, 1]
        every, focus = followed(net, x, t, "softmax_cross_entropy", "residual_1.layer_norm_1.gamma[2]")
        lines, found = self.lit(read(picture_of(every, focus=focus)))
        assert "residual_1.dense_1.W[2,0]" in lines
        assert not any(line.startswith("dense_1.") for line in lines)
        assert "residual_1.layer_norm_1.y[0,2]" in found
        assert "residual_1.layer_norm_1.y[0,1]" not in found

    def test_without_one_nothing_is_faint(self):
        svg = picture("2-3-1")
        assert not [line for line in of_kind(svg, "weight", "through") if "opacity" in line.attrib]
        assert not [u for u in units(svg).values() if "fill-opacity" in u.find(f"{SVG}rect").attrib]

    def test_faint_words_have_the_colour_of_the_page_which_shines_through(self):
        svg = read(fc.draw(dense(2, 3, 2), [[0.5, 1.0]], focus="dense_1.y[0,2]"))
        faint = units(svg)["4"]
        assert faint.get("data-q") == "dense_1.y[0,1]"
        words = [*faint.iter(f"{SVG}text"), *(t for t in texts(svg, "values") if t.get("data-q") == "dense_1.y[0,1]")]
        assert {text.get("fill") for text in words} == {"currentColor"}
        assert all(float(text.get("opacity")) >= 0.6 for text in words)

    def test_the_places_stay(self):
        net = dense(3, 4, 2)
        places = [
            {text.get("data-q"): (text.get("x"), text.get("y")) for text in texts(read(svg), "values")}
            for svg in (fc.draw(net), fc.draw(net, focus="dense_1.y[0,1]"))
        ]
        assert places[0] == places[1]

    def test_a_quantity_that_is_not_there(self):
        with pytest.raises(
            errors.UnknownNameError, match=r"'dense_1.W\[0,20\]' is not in the picture; .* dense_1.W\[0,2\]"
        ):
            fc.draw(dense(2, 3), focus="dense_1.W[0,20]")


def test_what_to_show_is_checked():
    with pytest.raises(errors.ConfigError, match="show is one of values, gradients, both; got 'weights'"):
        picture("2-3-1", show="weights")


def luminance(colour):
    channels = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, two):
    dark, light = sorted((luminance(one), luminance(two)))
    return (light + 0.05) / (dark + 0.05)


class TestAppearance:
    @pytest.mark.parametrize("name", ["784-64-10", "residual", "4-8-8-3"])
    def test_every_look_is_an_attribute(self, name):
        for element in picture(name, focus="dense_1.y[0,1]").iter():
            assert element.tag.removeprefix(SVG) in {"svg", "title", "desc", "g", "path", "rect", "circle", "text"}
            assert not {"style", "class", "href", "onclick"} & set(element.attrib)

    def test_names_for_those_who_do_not_see_it(self):
        svg = picture("2-3-1", prefix="second")
        ids = {element.get("id") for element in svg.iter() if "id" in element.attrib}
        assert ids == {"second-title", "second-desc"}
        assert svg.get("role") == "img"
        assert (svg.get("aria-labelledby"), svg.get("aria-describedby")) == ("second-title", "second-desc")
        assert all(unit.findtext(f"{SVG}title") for unit in units(svg).values())

    def test_numbers_are_short(self):
        out = picture_of(record("residual"))
        for value in re.findall(r' (?:d|x|y|cx|cy|r|width|height|viewBox)="([^"]*)"', out):
            assert all(len(number.partition(".")[2]) <= 1 for number in re.findall(r"[\d.]+", value))

    def test_the_same_again(self):
        assert picture_of(record("residual")) == picture_of(record("residual"))

    def test_words_can_be_read_on_every_fill(self):
        for fill in (*(fill for fill, _ in FILLS.values()), *CHIPS.values()):
            assert contrast(DARK, fill) >= 7
            assert all(contrast(ink, fill) >= 4.5 for ink in INKS.values())

    def test_marks_can_be_seen_on_their_fields(self):
        assert all(contrast(mark, CHIPS[layer]) >= 3 for layer, marks in MARKS.items() for mark in marks)

    @pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
    def test_lines_can_be_seen_on_a_light_page_and_on_a_dark_one(self, page):
        for colour in (POSITIVE, NEGATIVE, *(stroke for _, stroke in FILLS.values())):
            assert contrast(colour, page) >= 3, colour


def test_long_names_are_broken_where_their_words_end():
    text = "input, standardize_1, piecewise_linear_embedding_1"
    assert lines(text, 20 * 0.62 * 10, 10) == ["input,", "standardize_1,", "piecewise_linear_", "embedding_1"]
    assert lines("a_b layer_norm_1", 8 * 0.62, 1) == ["a_b", "layer_", "norm_1"]
    assert lines("unbroken" * 2, 8 * 0.62, 1) == ["unbroken"] * 2


@pytest.mark.parametrize("room", [30, 60, 100, 300])
def test_lines_of_wide_signs_fit_and_end_between_signs(room):
    text = "方块：偏置 \u00b7 虚线、空心：负权重 \u00b7 dL/dW1 传回（共 4 行），piecewise_linear_embedding_1 关闭"
    found = lines(text, room, 10)
    assert "".join(found).replace(" ", "") == text.replace(" ", "")
    for line in found:
        assert width(line, 10) <= room or len(line) == 1
        assert line == line.strip()
        if room > 30:
            assert line[0] not in "：、），\u00b7"
            assert line[-1] != "（"
    assert lines(text, 1000, 10) == [text]
    assert lines("一\n二", 1000, 10) == ["一", "二"]
