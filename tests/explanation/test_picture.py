"""The picture of a network: what is in it, and that no words of it cover each other, whatever is drawn."""

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullyconnected import errors
from fullyconnected.explanation.pictures.picture import (
    FILLS,
    MOST_LABELS,
    NEGATIVE,
    POSITIVE,
    Column,
    Edge,
    Unit,
    picture,
)
from fullyconnected.pages.svg import DARK, Box, lines, visible

SVG = "{http://www.w3.org/2000/svg}"
LONG = "-0.12345679"
SIZES = [[2, 2, 2], [2, 3, 1], [3, 4, 4, 2], [4, 8, 3], [784, 64, 10]]  # of the last, four units a layer


def network(sizes, value=LONG, gradient=LONG, *, shown=4, bias=True):
    """A network of dense layers in which weights grow, and every other one is negative."""
    columns, edges = [], []
    for i, (size, letter) in enumerate(zip(sizes, ["x", *"h" * (len(sizes) - 2), "y"], strict=True)):
        kind, name = {"x": ("input", "x"), "h": ("hidden", f"dense_{i}.y"), "y": ("output", f"dense_{i}.y")}[letter]
        drawn = range(size) if size <= 2 * shown else [0, 1, 2, size - 1]
        units = [Unit("1", "bias")] if bias and letter != "y" else []
        units += [Unit(f"{letter}{k + 1}", kind, value, gradient, f"{name}[0,{k}]") for k in drawn]
        columns.append(Column(f"dense_{i} sigmoid" if i else "input", units, size))
    for i, (left, right) in enumerate(itertools.pairwise(columns)):
        between = [
            (k, j) for j, target in enumerate(right.units) for k in range(len(left.units)) if target.kind != "bias"
        ]
        edges.append([
            Edge(k, j, (-1) ** n * (n + 1) / len(between), value, gradient, f"dense_{i + 1}.W[{k},{j}]")
            for n, (k, j) in enumerate(between)
        ])  # fmt: skip
    return columns, edges


def drawn(sizes=(2, 2, 2), show="values", focus=None, **more):
    columns, edges = network(sizes, **more)
    return ElementTree.fromstring(picture(columns, edges, show=show, focus=focus, title="a title", desc="A desc."))


def of_kind(svg, *kinds):
    return [element for element in svg.iter() if element.get("data-kind") in kinds]


def texts(svg, layer=None):
    groups = [svg] if layer is None else [group for group in svg.iter(f"{SVG}g") if group.get("data-layer") == layer]
    return [text for group in groups for text in group.iter(f"{SVG}text")]


def box(text):
    """Where a text is: from its baseline up to the height of a capital, and 0.62 em for each character."""
    x, y, size = (float(text.get(name)) for name in ("x", "y", "font-size"))
    wide = 0.62 * size * len(text.text)
    left = x - wide * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")]
    return left, y - 0.8 * size, left + wide, y + 0.25 * size


def overlap(a, b):
    return (
        min(a[2], b[2]) - max(a[0], b[0]) > 0.15 and min(a[3], b[3]) - max(a[1], b[1]) > 0.15
    )  # 0.1 is a coordinate's


def shape(unit):
    if unit.tag == f"{SVG}circle":
        x, y, r = (float(unit.get(name)) for name in ("cx", "cy", "r"))
        return x - r, y - r, x + r, y + r
    x, y, wide, high = (float(unit.get(name)) for name in ("x", "y", "width", "height"))
    return x, y, x + wide, y + high


def require_clear(svg):
    """Every text has its place to itself, within the picture, off every unit but its own."""
    boxes = [(text.text, box(text)) for text in texts(svg)]
    wide, high = float(svg.get("width")), float(svg.get("height"))
    for name, (left, top, right, bottom) in boxes:
        assert left >= 0, name
        assert top >= 0, name
        assert right <= wide, name
        assert bottom <= high, name
    for (name, one), (other, two) in itertools.combinations(boxes, 2):
        assert not overlap(one, two), (name, other)
    shapes = [shape(unit) for unit in of_kind(svg, *FILLS)]
    for name, (left, top, right, bottom) in boxes:
        inside = [s for s in shapes if overlap((left, top, right, bottom), s)]
        assert len(inside) <= 1, name
        for s in inside:
            assert s[0] <= left, name
            assert s[1] <= top, name
            assert right <= s[2], name
            assert bottom <= s[3], name


class TestNoWordsCoverOthers:
    @pytest.mark.parametrize("show", ["values", "gradients", "both"])
    @pytest.mark.parametrize("sizes", SIZES, ids=str)
    @pytest.mark.parametrize("value", [LONG, "0.5"])
    def test_in_networks_of_these_sizes(self, sizes, show, value):
        svg = drawn(sizes, show, value=value)
        require_clear(svg)
        layers = 2 if show == "both" else 1
        units = len(of_kind(svg, "input", "hidden", "output"))
        labels = texts(svg, "values") + texts(svg, "gradients")
        assert len(labels) == layers * (units + len(of_kind(svg, "weight")))  # every weight of these has its number

    @settings(max_examples=60, deadline=None)
    @given(
        sizes=st.lists(st.integers(1, 7), min_size=2, max_size=4),
        value=st.integers(0, 14),
        gradient=st.integers(0, 14),
        show=st.sampled_from(["values", "gradients", "both"]),
        shown=st.integers(1, 4),
        bias=st.booleans(),
        name=st.integers(1, 30),
        focus=st.booleans(),
    )
    def test_in_any_network(self, sizes, value, gradient, show, shown, bias, name, focus):
        columns, edges = network(sizes, "8" * value, "8" * gradient, shown=shown, bias=bias)
        last = columns[0].units[-1]
        columns[0] = columns[0]._replace(units=[*columns[0].units[:-1], last._replace(name="n" * name)])
        chosen = last.quantity if focus else None
        svg = ElementTree.fromstring(picture(columns, edges, show=show, focus=chosen, title="t", desc="d"))
        require_clear(svg)
        assert len(of_kind(svg, "weight")) == sum(map(len, edges))

    @pytest.mark.parametrize("sizes", SIZES, ids=str)
    def test_and_no_line_goes_through_a_number(self, sizes):
        svg = drawn(sizes, "both")
        numbers = [box(text) for text in texts(svg, "values") + texts(svg, "gradients")]
        for line in of_kind(svg, "weight"):
            pieces = re.findall(r"M(\S+) (\S+?)L(\S+) ([^M]+)", line.get("d"))
            assert pieces
            for x, y, to_x, to_y in pieces:
                start, stop = complex(float(x), float(y)), complex(float(to_x), float(to_y))
                x, y = sorted((start.real, stop.real)), sorted((start.imag, stop.imag))
                around = x[0], y[0], x[1], y[1]
                digits = [Box(left, top + 3, right, bottom - 3) for left, top, right, bottom in numbers]
                near = [each for each in digits if overlap(each, around)]
                assert sum(abs(b - a) for a, b in visible(start, stop, near)) > abs(stop - start) - 3.1

    def test_a_title_of_many_words_is_broken(self):
        columns, edges = network([2, 2])
        columns[1] = columns[1]._replace(title="residual_1.residual_2.dense_1 leaky_relu with dropout")
        require_clear(ElementTree.fromstring(picture(columns, edges, title="t", desc="d")))

    def test_a_picture_of_one_layer(self):
        columns, _ = network([3, 1])
        require_clear(ElementTree.fromstring(picture(columns[:1], [], title="t", desc="d")))


class TestWhatIsDrawn:
    def test_one_line_for_each_weight_dashed_where_it_is_negative(self):
        _, edges = network([2, 3, 1])
        lines = {line.get("data-q"): line for line in of_kind(drawn([2, 3, 1]), "weight")}
        assert len(lines) == 3 * 3 + 4
        for edge in itertools.chain(*edges):
            assert ("stroke-dasharray" in lines[edge.quantity].attrib) == (edge.weight < 0)

    def test_a_larger_weight_has_a_wider_line(self):
        widths = [float(line.get("stroke-width")) for line in of_kind(drawn([2, 3]), "weight")]
        assert widths == sorted(widths)
        assert (widths[0] < 1.5, widths[-1]) == (True, 4)

    @pytest.mark.parametrize("weight", [0.0, float("nan"), float("inf"), float("-inf"), 1e308, 5e-324])
    def test_any_weight_can_be_drawn(self, weight):
        units = [Unit("x1", "input")], [Unit("y1", "output")]
        columns = [Column("a", units[0], 1), Column("b", units[1], 1)]
        svg = ElementTree.fromstring(picture(columns, [[Edge(0, 0, weight, str(weight))]], title="t", desc="d"))
        assert 1 <= float(of_kind(svg, "weight")[0].get("stroke-width")) <= 4

    def test_units_are_circles_in_the_colours_of_their_kinds_and_biases_squares(self):
        svg = drawn([2, 3, 1])
        for kind, count in {"input": 2, "hidden": 3, "output": 1, "bias": 2}.items():
            units = of_kind(svg, kind)
            assert len(units) == count
            assert {unit.tag for unit in units} == {f"{SVG}rect" if kind == "bias" else f"{SVG}circle"}
            assert {unit.get("fill") for unit in units} == {FILLS[kind][0]}
        assert [text.text for text in texts(svg)].count("1") == 2

    def test_units_that_are_left_out_are_counted(self):
        svg = drawn([784, 64, 3])
        words = [text.text for text in texts(svg)]
        assert [word for word in words if "more" in word] == ["780 more", "60 more"]
        assert len(of_kind(svg, "ellipsis")) == 6
        assert svg.find(f"{SVG}desc").text.startswith(
            "A desc. Of the 784 units of input, 780 are not drawn. Of the 64 "
        )
        height = {text.text: float(text.get("y")) for text in texts(svg)}
        assert height["x3"] < height["780 more"] < height["x784"]

    def test_what_is_too_long_for_a_unit_stands_below_it(self):
        columns, edges = network([2, 1])
        bias, _, last = columns[0].units
        names = ["sepal length", "a name that is much too long to be drawn"]
        columns[0] = columns[0]._replace(units=[bias, *(last._replace(name=name) for name in names)])
        svg = ElementTree.fromstring(picture(columns, edges, title="t", desc="d"))
        words = [text.text for text in texts(svg)]
        assert "sepal length" in words
        assert "a name that is much too…" in words
        assert f"{names[1]}: {LONG}, gradient {LONG}" in [title.text for title in svg.iter(f"{SVG}title")]

    def test_names_are_text(self):
        columns, edges = network([1, 1])
        name = "<b>&\"'\x00"
        columns = [
            column._replace(title=name, units=[u._replace(name=name) for u in column.units]) for column in columns
        ]
        out = picture(columns, edges, title="<script>alert(1)</script>", desc="a < b & c", prefix="p")
        svg = ElementTree.fromstring(out)
        assert "<script" not in out
        assert svg.find(f"{SVG}title").text == "<script>alert(1)</script>"
        assert svg.find(f"{SVG}desc").text == "a < b & c"
        assert name.replace("\x00", "\ufffd") in [text.text for text in texts(svg)]

    def test_the_legend_names_the_signs_that_occur(self):
        assert texts(drawn(show="both"))[-1].text == (
            "square: bias · dashed: negative weight · thick: large weight · italics: gradient of the loss"
        )
        assert texts(drawn([1, 1], bias=False))[-1].text == "thick: large weight"


class TestNumbers:
    def test_each_says_what_it_is_in_the_group_of_its_layer(self):
        svg = drawn([1, 1], "both", value="0.5", gradient="-2")
        quantities = ["x[0,0]", "dense_1.y[0,0]", "dense_1.W[0,0]", "dense_1.W[1,0]"]
        assert [(text.text, text.get("data-q")) for text in texts(svg, "values")] == [("0.5", q) for q in quantities]
        assert [(t.text, t.get("data-q")) for t in texts(svg, "gradients")] == [("-2", f"dL:{q}") for q in quantities]
        assert {shape.get("data-q") for shape in of_kind(svg, *FILLS, "weight")} == {None, *quantities}

    @pytest.mark.parametrize("show", ["values", "gradients"])
    def test_only_what_is_asked_for(self, show):
        svg = drawn([2, 2], show)
        assert [group.get("data-layer") for group in svg.iter(f"{SVG}g") if group.get("data-layer")] == [show]

    def test_gradients_are_in_italics(self):
        groups = {group.get("data-layer"): group for group in drawn(show="both").iter(f"{SVG}g")}
        assert groups["gradients"].get("font-style") == "italic"
        assert groups["values"].get("font-style") is None

    def test_too_many_between_two_layers_are_left_out_and_that_is_said(self):
        svg = drawn([5, 7, 2])
        said = "42 weights are drawn from input to dense_1 sigmoid: too many to show their numbers."
        numbers = [text for text in texts(svg, "values") if ".W" in text.get("data-q")]
        assert 5 * 7 + 7 > MOST_LABELS >= 8 * 2
        assert [text.get("data-q").startswith("dense_2") for text in numbers] == [True] * 16
        assert len(of_kind(svg, "weight")) == 42 + 16
        assert said in svg.find(f"{SVG}desc").text
        assert said in " ".join(text.text for text in texts(svg))

    def test_those_in_focus_are_there_nevertheless(self):
        svg = drawn([5, 7, 2], "both", focus="dense_1.y[0,3]")
        numbers = [text.get("data-q") for text in texts(svg, "values") if ".W" in text.get("data-q")]
        assert [quantity for quantity in numbers if "dense_1" in quantity] == [f"dense_1.W[{k},4]" for k in range(6)]
        assert "only those in focus have numbers" in svg.find(f"{SVG}desc").text
        require_clear(svg)

    def test_a_fan_of_any_size_can_be_in_focus(self):
        svg = drawn([90, 3], "values", focus="dense_1.y[0,1]", shown=50)
        assert sum(".W" in text.get("data-q") for text in texts(svg, "values")) == 91
        require_clear(svg)


class TestFocus:
    def strong(self, focus):
        svg = drawn([2, 3, 2], "both", focus=focus)
        lines = {line.get("data-q") for line in of_kind(svg, "weight") if "opacity" not in line.attrib}
        groups = [group for group in svg.iter(f"{SVG}g") if "opacity" not in group.attrib]
        units = {unit.get("data-q") for group in groups for unit in group if unit.get("data-kind") in FILLS}
        numbers = {text.get("data-q") for text in texts(svg, "values") if "opacity" not in text.attrib}
        back = {text.get("data-q") for text in texts(svg, "gradients") if "opacity" not in text.attrib}
        assert back == {f"dL:{quantity}" for quantity in numbers}
        assert numbers == (lines | units) - {None}
        return lines, units

    def test_a_unit_keeps_its_weights_and_neighbours(self):
        lines, units = self.strong("dense_1.y[0,1]")
        assert lines == {"dense_1.W[0,2]", "dense_1.W[1,2]", "dense_1.W[2,2]", "dense_2.W[2,0]", "dense_2.W[2,1]"}
        assert units == {None, "x[0,0]", "x[0,1]", "dense_1.y[0,1]", "dense_2.y[0,0]", "dense_2.y[0,1]"}

    def test_a_weight_keeps_its_ends(self):
        assert self.strong("dense_1.W[1,2]") == ({"dense_1.W[1,2]"}, {"x[0,0]", "dense_1.y[0,1]"})

    def test_without_one_nothing_is_faint(self):
        assert not [e for e in drawn([2, 3, 2]).iter() if "opacity" in e.attrib and e.tag != f"{SVG}text"]

    def test_the_places_stay(self):
        places = [
            {text.get("data-q"): (text.get("x"), text.get("y")) for text in texts(svg, "values")}
            for svg in (drawn([3, 4, 2]), drawn([3, 4, 2], focus="dense_1.y[0,1]"))
        ]
        assert places[0] == places[1]

    def test_a_quantity_that_is_not_there(self):
        with pytest.raises(
            errors.UnknownNameError, match=r"'dense_1.W\[0,20\]' is not in the picture; .* dense_1.W\[0,2\]"
        ):
            drawn([2, 3], focus="dense_1.W[0,20]")


def test_what_to_show_is_checked():
    with pytest.raises(errors.ConfigError, match="show is one of values, gradients, both; got 'weights'"):
        drawn(show="weights")


def luminance(colour):
    channels = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, two):
    dark, light = sorted((luminance(one), luminance(two)))
    return (light + 0.05) / (dark + 0.05)


class TestAppearance:
    def test_every_look_is_an_attribute(self):
        svg = drawn([784, 64, 10], "both", focus="dense_1.y[0,1]")
        for element in svg.iter():
            assert element.tag.removeprefix(SVG) in {"svg", "title", "desc", "g", "path", "rect", "circle", "text"}
            assert not {"style", "class", "href", "onclick"} & set(element.attrib)

    def test_names_for_those_who_do_not_see_it(self):
        columns, edges = network([1, 1])
        svg = ElementTree.fromstring(picture(columns, edges, title="a title", desc="A desc.", prefix="second"))
        ids = {element.get("id"): element.text for element in svg.iter() if "id" in element.attrib}
        assert ids == {"second-title": "a title", "second-desc": "A desc."}
        assert svg.get("role") == "img"
        assert (svg.get("aria-labelledby"), svg.get("aria-describedby")) == ("second-title", "second-desc")

    def test_numbers_are_short(self):
        columns, edges = network([3, 4, 2])
        out = picture(columns, edges, title="t", desc="d")
        for value in re.findall(r' (?:d|x|y|cx|cy|r|width|height|viewBox)="([^"]*)"', out):
            assert all(len(number.partition(".")[2]) <= 1 for number in re.findall(r"[\d.]+", value))

    def test_the_same_again(self):
        assert picture(*network([3, 4, 2]), title="t", desc="d") == picture(*network([3, 4, 2]), title="t", desc="d")

    def test_names_can_be_read_on_every_unit(self):
        assert all(contrast(DARK, fill) >= 7 for fill, _ in FILLS.values())

    @pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
    def test_lines_can_be_seen_on_a_light_page_and_on_a_dark_one(self, page):
        for colour in (POSITIVE, NEGATIVE, *(stroke for _, stroke in FILLS.values())):
            assert contrast(colour, page) >= 3, colour


def test_long_names_are_broken_where_their_words_end():
    text = "input, standardize_1, piecewise_linear_embedding_1"
    assert lines(text, 20 * 0.62 * 10, 10) == ["input,", "standardize_1,", "piecewise_linear_", "embedding_1"]
    assert lines("a_b layer_norm_1", 8 * 0.62, 1) == ["a_b", "layer_", "norm_1"]
    assert lines("unbroken" * 2, 8 * 0.62, 1) == ["unbroken"] * 2
