"""The graph of a computation: what is in it, and that no words of it cover each other, whatever is drawn."""

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullyconnected.explanation.pictures.graph import BACK, FILL, FORWARD, Op, Parameter, Wire, graph
from fullyconnected.pages.svg import DARK

SVG = "{http://www.w3.org/2000/svg}"
LONG = "[-0.12345679, -0.12345679]"


def chain(layers, value="[0.49, 0.62]", *, back=True):
    """Dense layers and a loss, each of them three operations."""

    def wire(name):
        return Wire(name, value, f"dL/d{name}" if back else "", value if back else "", "(1, 2)", f"q.{name}")

    def held(name):
        return [Parameter(name, value, value if back else "", f"q.{name}")]

    wires, ops = [], []
    for k in range(1, layers + 1):
        wires += [wire(f"h{k - 1}" if k > 1 else "x"), wire(f"u{k}"), wire(f"z{k}")]
        ops += [Op(f"@ W{k}", held(f"W{k}")), Op(f"+ b{k}", held(f"b{k}")), Op("sigmoid")]
    return [*wires, wire(f"h{layers}"), Wire("L", "0.3", "", "", "", "loss")], [*ops, Op("loss")]


def drawn(wires, ops, bypasses=()):
    return ElementTree.fromstring(graph(wires, ops, bypasses, title="a title", desc="A desc."))


def of_kind(svg, kind):
    return [element for element in svg.iter() if element.get("data-kind") == kind]


def texts(svg, layer=None):
    groups = [svg] if layer is None else [group for group in svg.iter(f"{SVG}g") if group.get("data-layer") == layer]
    return [text for group in groups for text in group.iter(f"{SVG}text")]


def box(text):
    """Where a text is: from its baseline up to the height of a capital, and 0.62 em for each character."""
    x, y, size = (float(text.get(name)) for name in ("x", "y", "font-size"))
    wide = 0.62 * size * len(text.text)
    left = x - wide * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")]
    return left, y - 0.75 * size, left + wide, y + 0.2 * size


def shape(rect):
    x, y, wide, high = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
    return x, y, x + wide, y + high


def overlap(a, b):
    return (
        min(a[2], b[2]) - max(a[0], b[0]) > 0.15 and min(a[3], b[3]) - max(a[1], b[1]) > 0.15
    )  # 0.1 is a coordinate's


def strokes(svg):
    """Return each line of the picture as its corners, without those that are rounded off."""
    for line in svg.iter(f"{SVG}path"):
        if line.get("fill") == "none":
            points = re.findall(r"([MLQ ])(-?[\d.]+) (-?[\d.]+)", line.get("d"))
            yield [(float(x), float(y)) for letter, x, y in points if letter != "Q"]


def require_clear(svg):
    """Every text and every box has its place to itself, within the picture, and no line goes through them."""
    boxes, operations = (
        [(text.text, box(text)) for text in texts(svg)],
        [shape(rect) for rect in svg.iter(f"{SVG}rect")],
    )
    wide, high = float(svg.get("width")), float(svg.get("height"))
    for name, (left, top, right, bottom) in boxes:
        assert left >= 0, name
        assert top >= 0, name
        assert right <= wide, name
        assert bottom <= high, name
    for (name, one), (other, two) in itertools.combinations(boxes, 2):
        assert not overlap(one, two), (name, other)
    for one, two in itertools.combinations(operations, 2):
        assert not overlap(one, two)
    for name, (left, top, right, bottom) in boxes:
        inside = [o for o in operations if overlap((left, top, right, bottom), o)]
        assert all(o[0] <= left and o[1] <= top and right <= o[2] and bottom <= o[3] for o in inside), name
    for points in strokes(svg):
        for (x, y), (to_x, to_y) in itertools.pairwise(points):
            line = min(x, to_x) - 0.2, min(y, to_y) - 0.2, max(x, to_x) + 0.2, max(y, to_y) + 0.2
            assert 0 <= line[0] <= line[2] <= wide
            assert 0 <= line[1] <= line[3] <= high
            for name, where in [*boxes, *(("operation", o) for o in operations)]:
                assert not overlap(line, where), (name, line, where)


class TestNoWordsCoverOthers:
    @pytest.mark.parametrize("layers", [1, 2, 4])
    @pytest.mark.parametrize("value", ["", "0.5", LONG, f"[{LONG}\n {LONG}\n {LONG}]"])
    @pytest.mark.parametrize("bypasses", [[], [(1, 2), (0, 3)]])
    @pytest.mark.parametrize("back", [True, False])
    def test_in_these_networks(self, layers, value, bypasses, back):
        require_clear(drawn(*chain(layers, value, back=back), bypasses))

    @settings(max_examples=80, deadline=None)
    @given(data=st.data(), names=st.lists(st.integers(1, 20), min_size=1, max_size=9))
    def test_in_any_network(self, data, names):
        values = st.one_of(st.just(""), st.integers(1, 40).map(lambda n: "8" * n), st.just("1, 2\n3, 4"))
        wires = [
            Wire(
                "n" * n,
                data.draw(values),
                data.draw(st.sampled_from(["", "dL/dn"])),
                data.draw(values),
                "(1, 2)",
                f"q{i}",
            )
            for i, n in enumerate([*names, 1])
        ]
        params = st.lists(st.builds(Parameter, st.just("W"), values, values), max_size=3)
        ops = [Op("o" * n, data.draw(params)) for n in names]
        ends = st.tuples(st.integers(0, len(ops) - 1), st.integers(0, len(ops) - 1)).filter(lambda e: e[0] < e[1])
        some = len(ops) > 1
        bypasses = data.draw(st.lists(ends, max_size=3, unique_by=(lambda e: e[0], lambda e: e[1]))) if some else []
        require_clear(drawn(wires, ops, bypasses))


class TestWhatIsDrawn:
    def test_the_operations_in_the_order_of_the_chain(self):
        svg = drawn(*chain(1))
        assert len(of_kind(svg, "operation")) == 4
        words = [text.text for text in texts(svg)]
        assert [word for word in words if word in ("@ W1", "+ b1", "sigmoid", "loss")] == [
            "@ W1",
            "+ b1",
            "sigmoid",
            "loss",
        ]

    def test_a_long_chain_goes_on_in_the_next_row(self):
        svg = drawn(*chain(4))
        rows = {rect.get("y"): 0 for rect in of_kind(svg, "operation")}
        assert len(rows) > 1
        assert float(svg.get("width")) <= 800

    def test_forward_above_and_to_the_right_gradients_below_and_to_the_left(self):
        svg = drawn(*chain(1, ""))
        height = {text.text: float(text.get("y")) for text in texts(svg)}
        assert height["u1 (1, 2)"] < height["+ b1"] < height["dL/du1 (1, 2)"]
        lines = {(line.get("stroke"), points[-1] > points[0]) for line, points in across(svg)}
        assert lines == {(FORWARD, True), (BACK, False)}

    def test_each_number_says_what_it_is_in_the_group_of_its_layer(self):
        svg = drawn(*chain(1))
        forward = {text.get("data-q") for text in texts(svg, "values")}
        assert forward == {"q.x", "q.W1", "q.u1", "q.b1", "q.z1", "q.h1", "loss"}
        assert {text.get("data-q") for text in texts(svg, "gradients")} == {f"dL:{q}" for q in forward - {"loss"}}

    def test_without_gradients_there_is_no_group_for_them(self):
        svg = drawn(*chain(2, back=False))
        assert [group.get("data-layer") for group in svg.iter(f"{SVG}g") if group.get("data-layer")] == ["values"]
        assert "gradient" not in " ".join(text.text for text in texts(svg))

    def test_parameters_stand_above_their_operation_with_their_gradients(self):
        params = [Parameter("g", "1", "2"), Parameter("b", "3", "4")]
        svg = drawn([Wire("x", "", "", "", ""), Wire("y", "", "", "", "")], [Op("norm", params)])
        at = {text.text: (float(text.get("x")), float(text.get("y"))) for text in texts(svg)}
        left, top, right, _ = shape(of_kind(svg, "operation")[0])
        for name, value, gradient in (("g", "1", "2"), ("b", "3", "4")):
            column = [name, value, f"dL/d{name}", gradient]
            assert len({at[word][0] for word in column}) == 1
            assert left < at[name][0] < right
            assert [at[word][1] for word in column] == sorted(at[word][1] for word in column)
            assert at[gradient][1] < top

    @pytest.mark.parametrize("ends", [(0, 3), (1, 2), (2, 9)])
    def test_a_bypass_leads_from_its_wire_to_its_operation(self, ends):
        svg = drawn(*chain(3), [ends])
        (branch,) = of_kind(svg, "branch")
        at = float(branch.get("cx")), float(branch.get("cy"))
        left, _, right, bottom = shape(of_kind(svg, "operation")[ends[1]])
        (path,) = [points for points in strokes(svg) if points[0] == at]
        assert path[-1][0] == pytest.approx((left + right) / 2, abs=0.1)
        assert bottom < path[-1][1] < bottom + 12
        before = shape(of_kind(svg, "operation")[ends[0]])
        assert at[0] < before[0]
        assert before[1] < at[1] < before[3]

    def test_names_are_text(self):
        wires = [Wire("<x>", "a & b", "", "", ""), Wire("y\x01", "", "", "", "")]
        out = graph(wires, [Op("<script>")], title="</svg>", desc="a < b")
        svg = ElementTree.fromstring(out)
        assert "<script" not in out
        assert {"<x>", "a & b", "y\ufffd", "<script>"} <= {text.text for text in texts(svg)}
        assert svg.find(f"{SVG}title").text == "</svg>"


def across(svg):
    """Return the arrows that do not turn and do not come from above, with where they are across."""
    for line in svg.iter(f"{SVG}path"):
        points = [(float(x), float(y)) for x, y in re.findall(r"[MLQ ](-?[\d.]+) (-?[\d.]+)", line.get("d"))]
        if line.get("fill") == "none" and points[0][1] == points[-1][1]:
            yield line, [x for x, _ in points]


class TestAppearance:
    def test_every_look_is_an_attribute(self):
        for element in drawn(*chain(3), [(0, 3)]).iter():
            assert element.tag.removeprefix(SVG) in {"svg", "title", "desc", "g", "path", "rect", "circle", "text"}
            assert not {"style", "class", "href", "onclick"} & set(element.attrib)

    def test_names_for_those_who_do_not_see_it(self):
        svg = ElementTree.fromstring(graph(*chain(1), title="a title", desc="A desc.", prefix="second"))
        ids = {element.get("id"): element.text for element in svg.iter() if "id" in element.attrib}
        assert ids == {"second-title": "a title", "second-desc": "A desc."}
        assert svg.get("role") == "img"
        assert (svg.get("aria-labelledby"), svg.get("aria-describedby")) == ("second-title", "second-desc")

    def test_colours_can_be_seen_on_a_light_page_and_on_a_dark_one(self):
        assert all(contrast(line, page) >= 3 for line in (FORWARD, BACK) for page in ("#ffffff", "#0d1117"))
        assert contrast(DARK, FILL) >= 7


def luminance(colour):
    channels = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, two):
    dark, light = sorted((luminance(one), luminance(two)))
    return (light + 0.05) / (dark + 0.05)
