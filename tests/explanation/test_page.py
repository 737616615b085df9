"""What a page of a worked example says, without a browser."""

import re
import warnings
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.symbolic.digits import brief


def section(page, name):
    """Return a section of a page, as text with its tags."""
    return re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)[0]


def story(page):
    """Return the heading and the rows of the table in the story, each a list of texts."""
    return [
        [unescape(re.sub("<[^>]*>", "", cell)).strip() for cell in re.findall("<t[hd].*?</t[hd]>", row)]
        for row in re.findall("<tr.*?</tr>", section(page, "story"), re.DOTALL)
    ]


def rows(n=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 2)), rng.normal(size=(n, 1))


def ensemble():
    return fc.Network([fc.Members(3, [fc.Dense(2, 4, "relu"), fc.Dense(4, 1)])], dtype="float64", seed=0)


def dropping():
    return fc.Network([fc.Dense(2, 6, "relu"), fc.Dropout(0.5), fc.Dense(6, 1)], dtype="float64", seed=0)


class TestRows:
    @pytest.mark.parametrize(
        ("net", "train", "said", "in_chinese"),
        [(ensemble(), False, "in an ensemble", "集成"), (dropping(), True, "dropout leaves out", "随机丢弃")],
    )
    def test_where_no_row_can_be_chosen_it_says_why(self, net, train, said, in_chinese):
        made = fc.explain(net, *rows(), "half_squared_error", train=train)
        for lang, words in (("en", said), ("zh", in_chinese)):
            told = section(made.to_html(lang), "story")
            assert words in unescape(told)
            assert 'name="row"' not in told

    def test_where_a_row_can_be_chosen_or_there_is_one_nothing_is_said(self):
        for net, train, n in ((dropping(), False, 4), (ensemble(), False, 1), (dropping(), True, 1)):
            told = section(fc.explain(net, *rows(n), "half_squared_error", train=train).to_html(), "story")
            assert "can be chosen" not in told
            assert ('name="row"' in told) == (n > 1)

    @pytest.mark.parametrize(
        ("net", "notation"),
        [(fc.mlp([2, 3, 1], dtype="float64"), "xW"), (fc.mlp([2, 3, 1], dtype="float64"), "Wx"), (ensemble(), "xW")],
    )
    def test_weights_of_rows_are_a_column(self, net, notation):
        x, t = rows()
        given = (net, x, t, "half_squared_error")
        table = story(fc.explain(*given, sample_weight=[1, 2, 3, 4], notation=notation).to_html())
        assert table[0][-1] == "share of the weights"
        assert [line[-1] for line in table[1:]] == ["0.1", "0.2", "0.3", "0.4"]
        assert story(fc.explain(*given, notation=notation).to_html())[0][-1] == "loss of the row"


class TestBlame:
    @pytest.mark.parametrize("optimizer", [None, "adam"])
    @pytest.mark.parametrize("focus", [None, "dense_1.W[0,1]"])
    @pytest.mark.parametrize("sizes", [[2, 3, 1], [2, 12, 12, 12, 12, 1]])
    def test_the_weight_that_is_most_to_blame_is_worked_out(self, sizes, focus, optimizer):
        net = fc.mlp(sizes, activation="tanh", dtype="float64", seed=1)
        made = fc.explain(net, *rows(), "half_squared_error", optimizer, focus=focus)
        page = made.to_html()
        links = re.findall(r'href="#step=(\d+)&amp;q=([^"]*)"', section(page, "answers"))
        assert len(links) >= 2 + (optimizer is not None)
        gradient = made.trace.values[made.trace.name(links[0][1].partition("[")[0])]
        assert brief(np.abs(gradient).max()) in section(page, "answers")
        for step, quantity in links[: 1 + (optimizer is not None)]:
            (article,) = re.findall(rf'<article id="step={step}".*?</article>', unescape(page), re.DOTALL)
            lines = re.findall("<li.*?</li>", article[article.index("worked") :])
            assert [line for line in lines if f'data-q="{quantity}"' in line.rpartition("<math>")[2]], quantity
            for line in lines:
                ElementTree.fromstring(line)


LONG = "the length of a petal, <measured> in the garden & in the house"


class TestNames:
    def of_table(self):
        first = fc.Columns([([LONG, "income"], fc.Standardize(scale=[10.0, 1e4])), ("city", fc.OneHot(3))])
        net = fc.Network([first, fc.Dense(5, 3, "tanh"), fc.Dense(3, 3)], dtype="float64", seed=0)
        made = fc.explain(net, [[30.0, 2e4, 1], [40.0, 1.0, -1]], [0, 2], "softmax_cross_entropy", "adam")
        return made.named(outputs=["setosa", "versicolor", "virginica"])

    def test_the_story_has_those_of_columns_and_classes(self):
        made = self.of_table()
        table = story(made.to_html())
        assert table[0][1].startswith("the length")
        assert table[0][1].endswith("…")
        assert table[0][2:5] == ["income", "city", "the network says"]
        assert table[1][1:4] == ["30", "20000", "1"]
        for r, p in enumerate(made.trace.predicted):
            assert table[r + 1][4] == f"{['setosa', 'versicolor', 'virginica'][p.argmax()]} {brief(p.max())}"
        assert [line[5] for line in table[1:]] == ["setosa", "virginica"]

    @pytest.mark.parametrize("lang", ["en", "zh"])
    def test_the_picture_has_them_cut_with_the_whole_name_on_hover(self, lang):
        (svg,) = re.findall(r'id="picture"[^>]*>(<svg.*?</svg>)', self.of_table().to_html(lang), re.DOTALL)
        root = ElementTree.fromstring(svg)
        titles = {unit.get("data-q"): unit[0].text for unit in root.iter() if unit.get("data-unit")}
        assert titles["x[0,0]"].startswith(LONG)
        assert titles["dense_2.y[0,1]" if "dense_2.y[0,1]" in titles else "dense_2.z[0,1]"].startswith("versicolor")
        texts = [text.text for text in root.iter() if text.tag.endswith("text")]
        assert "income" in texts
        assert "versicolor" in texts
        assert LONG not in texts
        assert [text for text in texts if text.startswith("the length") and text.endswith("…")]

    def test_a_single_probability_is_that_of_the_second_class(self):
        net, x = fc.mlp([2, 3, 1], dtype="float64", seed=0), [[1, 2.0], [3, 1]]
        for notation in ("xW", "Wx"):
            made = fc.explain(net, x, [[0], [1]], "binary_cross_entropy", notation=notation).named(
                ["a", "b"], ["no", "yes"]
            )
            p = made.trace.predicted.ravel()
            table = story(made.to_html())
            assert table[0][1:3] == ["a", "b"]
            for line, share in zip(table[1:], p, strict=True):
                assert line[3] == (f"yes {brief(share)}" if share > 0.5 else f"no {brief(1 - share)}")
            assert [line[4] for line in table[1:]] == ["no", "yes"]
            assert 'data-called="yes"' in made.to_html()

    def test_targets_of_a_table_are_named(self):
        net = fc.mlp([2, 3, 2], dtype="float64", seed=0)
        net.columns = net.columns._replace(x=("age", "size"), t=("price", "rent"))
        made = fc.explain(net, [[1, 2.0]], [[0.5, 1]], "half_squared_error")
        table = story(made.to_html())
        y = made.trace.predicted[0]
        assert table[0][1:3] == ["age", "size"]
        assert table[1][3:5] == [f"price {brief(y[0])}, rent {brief(y[1])}", "price 0.5, rent 1"]
        assert ", the age of row 0" in (page := section(made.to_html(), "answers")) or ", the size of row 0" in page

    def test_names_that_are_too_few_are_refused(self):
        made = fc.explain(fc.mlp([2, 1], seed=0), [[1, 2]], [[1]], "half_squared_error")
        for how in ({"inputs": ["a"]}, {"outputs": ["a", "b", "c"]}):
            with pytest.raises(fc.errors.ShapeError, match="names of"):
                made.named(**how)


def test_numbers_that_overflow_are_shown_without_a_warning():
    net = fc.mlp([3, 3, 2], activation="relu", dtype="float64", seed=0)
    net.theta = np.resize([1e-300, -1.2e-105, 2.3e300, -1.2e-105, 1e-300, -1.2e-205, 3.3e-200], net.n_params)
    x = [[-1.2e-105, 1.2e-100, -1.2e-105], [1, 2, 3]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = fc.explain(net, x, [[0, 2], [1, 1]], "half_squared_error", fc.SGD(0.001)).to_html()
    assert 'id="gates"' in page
