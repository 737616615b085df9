"""The report on a model for a table: one page that is whole, safe, of bounded size, and tells what it is given."""

import re
import time
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from fullyconnected.pages import charts
from fullyconnected.pages.outcomes import Classes, Numbers
from fullyconnected.pages.report import Model, Report, to_html
from fullyconnected.tables.frame import frame_of
from fullyconnected.tables.kinds import judge
from fullyconnected.tabular.report import TabularReport, TrainedNetwork
from fullyconnected.tabular.scores import Score

HOSTILE = "<script>alert('x')</script> & \"q\" \u202e\x00 \udce9"
COLUMN = HOSTILE[:-1]  # of a table, whose names are text
VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """What is in a page: tags with their attributes, and text by the tag that it is in; tags must be balanced."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", " ".join(data.split())))

    def all(self, tag):
        return [attributes for each, attributes in self.tags if each == tag]

    def of(self, *tags):
        return [text for tag, text in self.texts if tag in tags]


def classes(n=3, rows=60, name="kind", seed=0):
    rng = np.random.default_rng(seed)
    t = rng.integers(0, n, rows)
    p = rng.dirichlet(np.ones(n), rows) / 2
    p[np.arange(rows), t] += 0.5
    return Classes(name, [f"class {i}" for i in range(n)], t, p, t)


def numbers(rows=60, name="price", seed=0):
    rng = np.random.default_rng(seed)
    t = rng.normal(10, 3, rows)
    return Numbers(name, t, t + rng.normal(size=rows), t)


def whole(**more):
    """A report with everything in it."""
    columns = judge(
        frame_of({"size": [1.5, None, 3, 4], "city": ["a", "b", "a", None], "same": [1] * 4, COLUMN: [1, 2, 3, 5]})
    )
    given = {
        "title": "Predicting price from flats.csv",
        "facts": [("table", "flats.csv"), ("rows", "80")],
        "models": [
            Model("this model", {"R2": 0.91, "RMSE": 278.15}, {"R2": 0.88, "RMSE": 310.0}, 7.31),
            Model("linear model", None, {"R2": 0.8, "RMSE": 402.0}, 0.1),
            ("trivial", {"R2": 0.0, "RMSE": 950.0}, {"R2": -0.01, "RMSE": 960.0}, None),
        ],
        "trivial": "always the mean",
        "suspects": ["'fee' tells the target by itself"],
        "advice": ["look at 'agent'"],
        "outcomes": [numbers()],
        "outcomes_of": "60 rows of the test part",
        "importances": [("size", 0.5), ("city", 0.25), ("same", -0.001)],
        "importances_of": "by how much R2 falls",
        "columns": columns,
        "networks": [TrainedNetwork("smooth", 0.4, 64, (12, 31)), TrainedNetwork("bends", 0.6, 64, (30, 30))],
        "notes": ["trained in 7 s"],
    }
    return Report(**{**given, **more})


class TestThePage:
    def test_it_tells_everything(self):
        page = Page(to_html(whole()))
        assert page.of("h1") == page.of("title")[:1] == ["Predicting price from flats.csv"]
        assert page.of("h2") == [
            "What to look at next",
            "How good it is",
            "Predictions beside the truth",
            "What it relies on",
            "What is predicted",
            "What is in the table",
            "What was trained",
        ]
        text = " ".join(text for _, text in page.texts)
        for said in (
            "flats.csv",
            "'fee' tells the target by itself",
            "look at 'agent'",
            "The trivial prediction is always the mean",
            "60 rows of the test part",
            "by how much R2 falls",
            "trained in 7 s",
            "12 to 31",
            "left out",
            "3 different numbers",
            "25.0%",
        ):
            assert said in text, said

    def test_scores(self):
        page = Page(to_html(whole()))
        assert page.of("span")[:3] == ["0.880", "R2, the test part", "linear model 0.800 \u00b7 trivial -0.010"]
        table = page.texts[page.texts.index(("th", "model")) :]
        told = [text for _, text in table[: table.index(("h2", "Predictions beside the truth"))]]
        assert told == [
            *("model", "R2", "held out", "R2", "test", "RMSE", "held out", "RMSE", "test", "seconds"),
            *("this model", "0.910", "0.880", "278.1", "310.0", "7.3"),
            *("linear model", "0.800", "402.0", "0.1"),
            *("trivial", "0.000", "-0.010", "950.0", "960.0"),
            "The trivial prediction is always the mean.",
        ]

    @pytest.mark.parametrize(
        ("ours", "trivial", "told"),
        [
            (0.8701, -0.0008, ["0.870", "-0.001"]),
            (0.8701, -0.0001, ["0.870", "0.000"]),
            (1.5e-5, 2e-4, ["1.5e-5", "0.0002"]),
            (31250.4, 9.0, ["31,250", "9"]),
            (float("nan"), 0.5, ["nan", "0.500"]),
            (-1e30, float("inf"), ["-1e30", "inf"]),
            (0.0, 0.0, ["0.000", "0.000"]),
        ],
    )
    def test_scores_have_as_many_digits_as_mean_something(self, ours, trivial, told):
        page = Page(
            to_html(Report("r", models=[Model("this model", {"s": ours}, None), Model("t", {"s": trivial}, None)]))
        )
        assert page.of("td") == told
        assert page.of("span")[0] == told[0]
        assert page.of("span")[2] == f"t {told[1]}"

    def test_what_is_empty_is_left_out(self):
        page = Page(to_html(Report("Nothing")))
        assert page.of("h2") == []
        assert page.all("table") == page.all("svg") == page.all("ul") == []
        empty = Numbers("y", np.array([]), np.array([]), np.array([]))
        assert Page(to_html(Report("Nothing", outcomes=[empty]))).all("svg") == []

    def test_it_is_whole_and_loads_nothing(self):
        html = to_html(whole(outcomes=[classes(), numbers()]))
        assert html.isascii()
        page = Page(html)
        assert page.all("script") == page.all("img") == page.all("iframe") == []
        assert page.all("link") == [{"rel": "icon", "href": "data:,"}]  # else a browser asks the server for an icon
        used = {name for _, attributes in page.tags for name in attributes}
        assert not {name for name in used if name == "style" or name.startswith("on")} | ({"src", "srcset"} & used)
        assert all(each["href"].startswith("#") for each in page.all("a"))
        assert "url(" not in html
        assert "@import" not in html
        assert set(re.findall(r"https?://[^\s\"]*", html)) == {"http://www.w3.org/2000/svg"}
        assert "default-src 'none'" in page.all("meta")[1]["content"]

    def test_what_comes_from_the_table_is_escaped(self):
        named = Classes(HOSTILE, [HOSTILE, "b"], np.array([0, 1]), np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0, 1]))
        many = Classes(HOSTILE, [f"{HOSTILE} {i}" for i in range(20)], np.arange(20), np.eye(20), np.arange(20))
        html = to_html(
            whole(
                title=HOSTILE,
                facts=[(HOSTILE, HOSTILE)],
                models=[Model(HOSTILE, {HOSTILE: 0.5}, None)],
                trivial=HOSTILE,
                suspects=[HOSTILE],
                advice=[HOSTILE],
                outcomes=[named, many, Numbers(HOSTILE, np.arange(3.0), np.arange(3.0), np.arange(3.0))],
                outcomes_of=HOSTILE,
                importances=[(HOSTILE, 1.0)],
                importances_of=HOSTILE,
                networks=[TrainedNetwork(HOSTILE, 1.0, 3, (1,))],
                notes=[HOSTILE],
            )
        )
        page = Page(html)
        assert page.all("script") == []
        assert html.lower().count("<script") == html.count("\x00") == html.count("\u202e") == html.count("&#8238;") == 0
        assert any("<script>alert('x')</script> & \"q\"" in text for _, text in page.texts)
        assert not any("&lt;" in text or "&amp;" in text for _, text in page.texts)  # what is escaped twice shows it

    def test_it_can_be_read_aloud(self):
        page = Page(to_html(whole(outcomes=[classes(), classes(20, name="many"), numbers()])))
        ids = [each["id"] for _, each in page.tags if "id" in each]
        assert len(ids) == len(set(ids))
        for section in page.all("section"):
            assert section["aria-labelledby"] in ids
        assert {each["href"][1:] for each in page.all("a")} <= set(ids)
        for picture in page.all("svg"):
            if "aria-hidden" not in picture:
                assert picture["role"] == "img"
                assert {picture["aria-labelledby"], picture["aria-describedby"]} <= set(ids)
        assert all(each["scope"] in ("row", "col") for each in page.all("th"))
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert ("html", {"lang": "en"}) in page.tags

    def test_its_size_is_bounded(self):
        rng = np.random.default_rng(0)
        columns = judge(frame_of({f"column {i}": rng.normal(size=30).tolist() for i in range(500)}))
        report = whole(
            outcomes=[classes(100, 20_000)],
            columns=columns,
            importances=[(each.column, 1 / (i + 1)) for i, each in enumerate(columns)],
        )
        began = time.perf_counter()
        html = to_html(report)
        assert len(html) < 500_000
        assert time.perf_counter() - began < 10
        assert html.count("column 499") == 2
        assert len(to_html(Report("Rows", outcomes=[numbers(50_000), classes(3, 50_000)]))) < 100_000
        assert len(to_html(Report("Outputs", outcomes=[numbers(500, f"y{i}") for i in range(100)]))) < 1_000_000
        wide = to_html(Report("Columns", columns=columns * 10))
        assert "4,000 further columns are not listed" in wide
        assert (
            len(to_html(whole(title="t" * 10**6, advice=["a"]))) < 1_200_000
        )  # the title of the window alone is whole


class TestOutcomes:
    def test_a_matrix_of_counts(self):
        t, taken = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0])
        page = Page(to_html(Report("r", outcomes=[Classes("k", ["a", "b", "c"], t, np.eye(3)[taken])])))
        assert [each for each in page.of("td") if each] == [
            *("2", "1", "0", "67%"),
            *("0", "2", "0", "100%"),
            *("1", "0", "0", "0%"),
        ]
        kinds = [each["class"] for each in page.all("td") if each.get("class", "").startswith(("one", "two"))]
        assert kinds == ["one h3", "two h2", "two h0", "two h0", "one h4", "two h0", "two h4", "two h0", "one h0"]
        assert page.of("li") == ["1 of 3 rows of a are taken for b", "1 of 1 rows of c are taken for a"]

    def test_many_classes_are_shades_and_a_table(self):
        page = Page(to_html(Report("r", outcomes=[classes(120, 5000)])))
        assert "of the 100 classes with most rows" in " ".join(page.of("p"))
        assert page.of("summary") == ["All 120 classes"]
        assert page.of("title")[1:3] == ["Confusion matrix", "Calibration of the predicted class"]

    def test_a_class_without_rows(self):
        t, p = np.array([0, 0, 2]), np.array([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.1, 0.1, 0.8]])
        page = Page(to_html(Report("r", outcomes=[Classes("k", ["a", "b", "c"], t, p, np.array([0, 2]))])))
        assert "nan" not in " ".join(text for _, text in page.texts).lower()

    def test_several_outputs_have_their_names(self):
        several = [classes(2, name="sold"), classes(2, name="seen"), numbers(name="price")]
        page = Page(to_html(Report("r", outcomes=several)))
        assert page.of("h3")[:3] == ["sold", "seen", "price"]
        assert page.of("h4").count("Are the probabilities right?") == 2
        assert "The probability of class 1, and how" in " ".join(page.of("p"))
        many = Page(to_html(Report("r", outcomes=[numbers(20, f"y{i}") for i in range(15)])))
        assert "3 more are not drawn." in many.of("p")

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize(
        ("t", "p"),
        [
            ([1.0], [1.0]),
            ([0.0] * 5, [0.0] * 5),
            ([1e308, -1e308], [-1e308, 1e308]),
            ([1e-320, 2e-320], [0.0, 1e-320]),
            ([1.0, np.nan, np.inf], [np.inf, 2.0, 3.0]),
            ([1.0, 1e9, 1e18, 3.0], [1.0, 1e8, 1e17, 2.0]),
            ([1e300, 1e-300, 1.0], [1e-300, 1e300, 1.0]),
            ([1.0, 1.0 + 1e-15], [1.0, 1.0]),
            (list(range(2000)), [5.0] * 2000),
        ],
    )
    def test_any_numbers_can_be_drawn(self, t, p):
        t, p = np.array(t), np.array(p, float)
        page = Page(to_html(Report("r", outcomes=[Numbers("y", t, p, t)])))
        for tag, attributes in page.tags:
            for name, value in attributes.items():
                if tag in ("circle", "rect", "path", "text") and name in ("x", "y", "cx", "cy", "d", "width", "height"):
                    assert "nan" not in value
                    assert "inf" not in value
                    coordinates = [abs(float(found)) for found in re.findall(r"-?\d+\.?\d*", value)]
                    assert max(coordinates) < 1000


class TestCharts:
    def test_calibration(self):
        curve = charts.calibration_of(np.array([1, 0, 1, 1.0]), np.array([0.05, 0.07, 0.95, 1.0]))
        np.testing.assert_allclose(curve.predicted, [0.06, 0.975])
        np.testing.assert_allclose(curve.true, [0.5, 1.0])
        assert curve.rows.tolist() == [2, 2]

    def test_a_histogram_has_every_row_in_a_bar(self):
        values = np.random.default_rng(0).normal(size=1000)
        values[0] = 1e6
        drawn = charts.histogram(values, "y", "h")
        assert sum(int(rows.replace(",", "")) for rows in re.findall(r"<title>([\d,]+) rows", drawn)) == 1000

    def test_points_lie_where_they_belong(self):
        drawn = charts.against_truth(np.array([0.0, 10.0, 5.0]), np.array([0.0, 10.0, 0.0]), "y", "p")
        places = [tuple(map(float, each)) for each in re.findall(r'cx="(.+?)" cy="(.+?)"', drawn)]
        (left, bottom), (right, top), (x, y) = places
        assert left < right
        assert top < bottom
        assert x == left
        assert y == pytest.approx((top + bottom) / 2, abs=0.1)

    @pytest.mark.parametrize(
        ("value", "told"),
        [
            (0.0, "0"),
            (1234.0, "1,234"),
            (12345.6, "12,346"),
            (1e6, "1e6"),
            (0.25, "0.25"),
            (1e-5, "1e-5"),
            (-3.5, "-3.5"),
        ],
    )
    def test_numbers_are_short(self, value, told):
        assert charts.said(value) == told


def test_the_report_of_an_estimator_is_a_page():
    decisions = judge(frame_of({"a": [1.0, 2.0, None], "b": ["x", "y", "z"]}))
    nets = (TrainedNetwork("smooth", 1.0, 8, (3, 5)),)
    report = TabularReport(
        3, decisions, nets, None, "the mean of y", (Score("R2", 0.75, 0.0, None),), importances=(0.1, 0.2)
    )
    page = Page(report.to_html("Prices", [numbers()]))
    text = " ".join(text for _, text in page.texts)
    assert page.of("h1") == ["Prices"]
    for said in ("0.750", "R2, held-out rows", "trivial 0.000", "the mean of y", "R2 falls", "Residuals", "3 to 5"):
        assert said in text, said
    assert "linear model" not in text
    assert text.index("b 0.200") < text.index("a 0.100")


def test_a_notebook_shows_the_report_of_an_estimator():
    decisions = judge(frame_of({COLUMN: [1.0, 2.0, None], "b": ["x", "y", "z"], "same": [1, 1, 1]}))
    report = TabularReport(
        3, decisions, (TrainedNetwork("smooth", 1.0, 8, (3, 5)),), 1.1, "the most frequent class",
        (Score("accuracy", 0.75, 0.5, 0.625), Score("log-loss", 0.5, 0.7, 0.6)), True, (0.5, 0.0, 0.0), "logistic",
    )  # fmt: skip
    page = Page(report._repr_html_())
    assert page.all("script") == page.all("svg") == []
    text = " ".join(text for _, text in page.texts)
    for said in (
        "3 rows",
        "33.3%",
        "left out",
        "3 to 5",
        "temperature 1.1",
        "Ctrl-C",
        "0.75",
        "+0.500",
        "baseline: the mo",
    ):
        assert said in text, said
