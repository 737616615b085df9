"""The languages of a worked example: every sentence that it can say has a translation, with the same values."""

import ast
import copy
import json
import pickle
import re
import string
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.activations import ACTIVATIONS
from fullyconnected.core.messages import Message
from fullyconnected.explanation.catalogue import LANGUAGES, say, sentence
from fullyconnected.explanation.chinese import CHINESE
from fullyconnected.explanation.pictures.drawing import graph_of, picture_of
from fullyconnected.explanation.pictures.gates import circuit_of, gates_of
from fullyconnected.explanation.render import document
from fullyconnected.layers import LAYERS
from fullyconnected.losses import LOSSES
from fullyconnected.optimizers import OPTIMIZERS
from fullyconnected.playing.exports import explanation_of
from fullyconnected.playing.session import Session
from fullyconnected.playing.setup import Setup

SOURCE = Path(fc.__file__).parent
WORDS = re.compile("[A-Za-z]{2,}")
CHINESE_SIGNS = re.compile(r"[\u4e00-\u9fff]")
AS_THEY_ARE = {"", "{name}", "{text}", "l2", "{one}; {other}", "{name}: {said}"}  # templates without a word
RULES = sorted(name for name, cls in OPTIMIZERS.classes.items() if issubclass(cls, fc.Optimizer))


def templates():
    """Return every template that stands in the code, and where."""
    found = {}
    rooms = [*(SOURCE / "explanation").rglob("*.py"), *(SOURCE / "symbolic").rglob("*.py")]
    for path in sorted([*rooms, SOURCE / "playing" / "exports.py", SOURCE / "cli" / "explain.py"]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Message":
                first = node.args[0]
                if isinstance(first, ast.Attribute) and first.attr == "template":
                    continue  # that of another message
                assert isinstance(first, ast.Constant), f"{path.name}:{node.lineno}: a template is written out"
                found[first.value] = f"{path.name}:{node.lineno}"
    return found


def fields(template):
    return sorted({field for _, field, _, _ in string.Formatter().parse(template) if field})


def test_every_template_has_a_translation_and_every_translation_a_template():
    known = templates()
    assert {template: where for template, where in known.items() if template and template not in CHINESE} == {}
    assert set(CHINESE) - set(known) == {"{text}"}  # of text that is joined to messages


def test_translations_have_the_same_values_and_are_chinese():
    for template, chinese in CHINESE.items():
        assert fields(template) == fields(chinese), template
        assert template in AS_THEY_ARE or CHINESE_SIGNS.search(chinese), template
        assert not re.search(r"[,;:?!]$", chinese), template  # the signs of Chinese are wide
        if {"row", "rows"} <= set(fields(template)):  # for a page's script, which puts another row in its place
            for each in (template, chinese):
                assert re.findall(r"\{.*?\}|\d+", each)[0] == "{row}"


class Strict(dict):
    """A table of templates in which none is missing."""

    def get(self, template, default=None):
        assert template in self or template in AS_THEY_ARE, template
        return super().get(template, default)


def examples():
    rng = np.random.default_rng(0)
    for name in sorted(LAYERS.classes):
        cls = LAYERS.classes[name]
        for example in cls.examples(3):
            layers = [example]
            if not cls.comes_last:
                layers += [fc.Dense(int(example.n_out), 3, "tanh"), fc.Dense(3, 2)]
            net = fc.Network(layers, dtype="float64", seed=0)
            x = net.layers[0].example_rows(rng, 3)
            t = rng.normal(size=(3, net.n_out))
            yield net, x, t, "half_squared_error", "adam"
    for name in ACTIVATIONS.classes:
        yield fc.mlp([2, 3, 2], activation=name, seed=0), rng.normal(size=(9, 2)), np.zeros((9, 2)), "huber", "sgd"
    for name, cls in LOSSES.classes.items():
        for loss in (LOSSES.build(name), cls.example(3)):
            yield fc.mlp([2, 3], seed=0), rng.normal(size=(1, 2)), loss.example_targets(rng, 1, 3), loss, "momentum"
    for name in RULES:
        yield fc.mlp([2, 3, 2], seed=0), np.ones((2, 2)), np.zeros((2, 2)), "half_squared_error", name


@pytest.mark.parametrize("train", [False, True])
def test_nothing_that_a_record_says_is_missing(train, monkeypatch):
    monkeypatch.setitem(LANGUAGES, "zh", LANGUAGES["zh"]._replace(templates=Strict(CHINESE)))
    for i, given in enumerate(examples()):
        weights = np.arange(1, len(given[1]) + 1) if i % 2 else None
        made = fc.explain(*given, l2=0.1 * (i % 3), sample_weight=weights, train=train, lang="zh")
        for step in (*made.trace.steps, *made.trace.again):
            assert isinstance(step.why, Message), step.equation
            assert CHINESE_SIGNS.search(say(step.why, "zh"))
        for _, what in document.given(made.trace):
            say(what, "zh")
        if i % 20 == 0:
            made.to_text()
            made.to_markdown()


def names_of(record):
    """Return all words of letters that are names: of quantities, layers and functions, which no language changes."""
    names = {name.text for name in record.values} | {op.name for op in record.operations} | {"sqrt"}
    names |= {op.layer.name for op in record.operations} | {*ACTIVATIONS.classes, "softmax"}
    names |= {cls.__name__ for cls in LOSSES.classes.values()} | {"pbld", "plr", "pl", "concatenate", "columns"}
    return set(WORDS.findall(" ".join([*names, *(f"dL/d{name}" for name in names), "dL/dL"])))


def english_in(svg, record):
    """Return what stands in a picture, or is read of it, with a word of letters that is no name."""
    texts = [element.text or "" for element in ElementTree.fromstring(svg).iter()]
    known = names_of(record)
    return sorted({text for text in texts if set(WORDS.findall(text)) - known})


@pytest.mark.parametrize("train", [False, True])
def test_no_word_in_a_chinese_picture_is_english(train, monkeypatch):
    monkeypatch.setitem(LANGUAGES, "zh", LANGUAGES["zh"]._replace(templates=Strict(CHINESE)))
    for i, given in enumerate(examples()):
        record = fc.trace(*given[:4], l2=0.1 * (i % 2), train=train)
        pictures = [graph_of(record, "zh")]
        if any(op.is_dense for op in record.operations):
            pictures += [picture_of(record, lang="zh"), picture_of(record, show="values", lang="zh")]
        if circuit := circuit_of(record, 0):
            pictures.append(gates_of(circuit, lang="zh"))
        for svg in pictures:
            assert english_in(svg, record) == []


@pytest.mark.parametrize("notation", ["xW", "Wx"])
def test_the_pictures_of_a_page_are_in_its_language(notation):
    block = [fc.LayerNorm(), fc.Dense(4, 4, "relu"), fc.Dropout(0.5), fc.Dense(4, 4)]
    layers = [fc.Dense(20, 4, "tanh"), fc.BatchNorm(), fc.Residual(block), fc.Dense(4, 30)]
    net = fc.Network(layers, dtype="float64", seed=0)
    x = np.random.default_rng(0).normal(size=(3, 20))
    given = (net, x, [0, 1, 1], "softmax_cross_entropy", "adam")
    made = fc.explain(*given, focus="dense_1.W[0,1]", train=True, notation=notation, lang="zh")
    pictures = [svg for svg in re.findall("<svg.*?</svg>", made.to_html(), re.DOTALL) if "<title" in svg]
    assert len(pictures) == 3
    for svg in pictures:
        assert english_in(svg, made.trace.in_rows) == []
    said = "".join(ElementTree.fromstring(pictures[0]).itertext())
    for words in (
        "第 0 行，共 3 行",
        "还有 16 个",
        "已丢弃",
        "绕过 residual_1：",
        "焦点：",
        "t，类别",
        "叠放：混合各行",
    ):
        assert words in said
    english = "".join(re.findall("<svg.*?</svg>", made.to_html("en"), re.DOTALL))
    assert not re.search(r"&#(1[3-9]|[2-9]\d)\d{3};", english)  # no sign of Chinese
    for words in ("row 0 of 3", "16 more", "dropped", "past residual_1: ", "In focus: "):
        assert words in english


@pytest.fixture(scope="module")
def made():
    net = fc.Network([fc.Dense(2, 3, "relu"), fc.LayerNorm(), fc.Dense(3, 2)], dtype="float64", seed=0)
    return fc.explain(
        net,
        np.random.default_rng(0).normal(size=(4, 2)),
        [0, 1, 1, 0],
        "softmax_cross_entropy",
        "adam",
        focus="W1[0,1]",
    )


def test_numbers_and_formulas_are_the_same_in_both_languages(made):
    english, chinese = (json.loads(made.to_json(lang)) for lang in ("en", "zh"))
    assert english["language"] == "en"
    assert chinese["language"] == "zh"
    assert english["quantities"] == chinese["quantities"]
    for one, other in zip(english["steps"], chinese["steps"], strict=True):
        assert {**one, "why": ""} == {**other, "why": ""}
        assert CHINESE_SIGNS.search(other["why"])
        assert not CHINESE_SIGNS.search(one["why"])


def test_an_example_of_the_playground_says_in_its_language_that_a_gradient_is_clipped():
    stepper = Session(Setup.of({"data": "xor", "max_grad_norm": 0.001})).stepper
    made = explanation_of(stepper, None)
    task = made.trace.settings["task"]
    assert "down to the length 0.001" in say(task)
    assert CHINESE_SIGNS.search(said := say(task, "zh"))
    assert "0.001" in said
    assert said in unescape(made.to_html("zh"))


def test_what_is_ascii(made):
    for form in ("text", "markdown", "html", "json", "python"):
        assert made.to(form).isascii()
    for form in ("html", "json", "python"):
        assert made.to(form, "zh").isascii()
    for form in ("text", "markdown"):
        assert CHINESE_SIGNS.search(made.to(form, "zh"))
    assert str(made).isascii()


def test_chinese_text_has_80_columns_where_signs_are_wide(made):
    import unicodedata

    for line in made.to_text("zh").splitlines():
        assert sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line) <= 82, line
        assert line == line.rstrip()


def test_what_is_chosen_first_is_kept(made, tmp_path):
    net, x, t = fc.mlp([2, 2], seed=0), [[1.0, 2.0]], [[0.0, 1.0]]
    chinese = fc.explain(net, x, t, "half_squared_error", lang="zh")
    assert str(chinese) == chinese.to_text() == chinese.to_text("zh") != chinese.to_text("en")
    chinese.save(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == chinese.to_text()
    assert chinese.about({"data": "iris.csv"}).lang == "zh"
    with pytest.raises(errors.UnknownNameError, match="there is no language 'de'"):
        fc.explain(net, x, t, "half_squared_error", lang="de")
    with pytest.raises(errors.UnknownNameError):
        made.to_text("french")


class TestMessages:
    def test_reads_as_its_text(self):
        said = Message("{n} paths lead", n=3)
        assert said == "3 paths lead"
        assert f"{said}!" == "3 paths lead!"
        assert say(said) == "3 paths lead"
        assert say(said, "zh") == "有 3 条路径"
        assert sentence(Message("the input")) == "The input."

    def test_joined_and_nested(self):
        both = Message("The exponential is always positive.") + Message("It is its own slope.")
        assert both == "The exponential is always positive. It is its own slope."
        assert say(both, "zh") == "指数函数总是正的。它的导数就是它自己。"
        assert say(both + "As {it} is.", "zh").endswith("As {it} is.")
        inner = Message("{of}; {n} are not finite", of=Message("{shape}: {n} numbers", shape="2x2", n=4), n=1)
        assert inner == "2x2: 4 numbers; 1 are not finite"
        assert say(inner, "zh") == "2x2：4 个数；其中 1 个不是有限值"

    def test_copies(self):
        both = Message("{n} paths lead", n=3) + Message("One path leads")
        for other in (copy.copy(both), copy.deepcopy(both), pickle.loads(pickle.dumps(both))):
            assert other == both
            assert say(other, "zh") == say(both, "zh")

    def test_other_text_stays(self):
        assert say("plain", "zh") == "plain"
