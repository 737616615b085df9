"""What a page of a worked example says, without a browser."""

import re
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.symbolic.digits import brief


def section(page, name):
    """Return a section of a page, as text with its tags."""
    return unescape(re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)[0])


def story(page):
    """Return the heading and the rows of the table in the story, each a list of texts."""
    return [
        [re.sub("<[^>]*>", "", cell).strip() for cell in re.findall("<t[hd].*?</t[hd]>", row)]
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
            assert words in told
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
        links = re.findall(r'href="#step=(\d+)&q=([^"]*)"', section(page, "answers"))
        assert len(links) >= 2 + (optimizer is not None)
        gradient = made.trace.values[made.trace.name(links[0][1].partition("[")[0])]
        assert brief(np.abs(gradient).max()) in section(page, "answers")
        for step, quantity in links[: 1 + (optimizer is not None)]:
            (article,) = re.findall(rf'<article id="step={step}".*?</article>', unescape(page), re.DOTALL)
            lines = re.findall("<li.*?</li>", article[article.index("worked") :])
            assert [line for line in lines if f'data-q="{quantity}"' in line.rpartition("<math>")[2]], quantity
            for line in lines:
                ElementTree.fromstring(line)
