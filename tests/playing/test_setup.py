"""Setups: the table of knobs, the address, and what is refused."""

import dataclasses
import json
import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullyconnected.activations import ACTIVATIONS
from fullyconnected.errors import ConfigError, FullyConnectedError
from fullyconnected.initializers import INITIALIZERS
from fullyconnected.playing import formula
from fullyconnected.playing.knobs import BY_NAME, KNOBS, Knob, described
from fullyconnected.playing.setup import Setup


class TestKnobs:
    def test_the_record_has_a_field_for_each_knob(self) -> None:
        assert [field.name for field in dataclasses.fields(Setup)] == [knob.name for knob in KNOBS]

    @pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
    def test_each_knob_says_what_it_does(self, knob: Knob) -> None:
        assert len(knob.says) > 20
        assert knob.says.endswith(".")
        assert knob.label
        for name, values in (knob.when or {}).items():
            known = [choice.value for choice in BY_NAME[name].choices]
            assert set(values) <= set(known)

    def test_every_activation_and_initializer_is_a_choice(self) -> None:
        chosen = {choice.value for choice in BY_NAME["activation"].choices}
        assert chosen == set(ACTIVATIONS.classes) - {"softmax"}  # whose units are not apart
        assert {choice.value for choice in BY_NAME["init"].choices} == {"auto", "file", *INITIALIZERS}

    def test_the_table_is_plain(self) -> None:
        assert json.loads(json.dumps(described()))[0]["name"] == "data"

    def test_the_defaults_of_version_1_stay(self) -> None:
        """A link leaves out what has its default, so another default would change what old links mean."""
        assert Setup.of().plain() == {
            "v": 1, "data": "xor", "rows": 200, "noise": 0.1, "classes": 3, "task": "classification",
            "formula": "sin(2*x1) + x2",
            "points": [[-1, -1, 0], [1, 1, 0], [-0.6, -1.3, 0], [1.4, 0.7, 0], [-1, 1, 1], [1, -1, 1], [-1.3, 0.6, 1],
                       [0.7, -1.4, 1]],
            "columns": "", "target": "", "test_share": 0.3, "data_seed": 0, "features": ["x1", "x2"], "hidden": [4, 3],
            "activation": "tanh", "norm": "none", "dropout": 0.0, "residual": False, "init": "auto", "seed": 0,
            "loss": "auto", "optimizer": "sgd", "learning_rate": 0.03, "momentum": 0.9, "weight_decay": 0.01,
            "schedule": "constant", "schedule_epochs": 100, "batch_size": 10, "shuffle": True, "l2": 0.0,
            "max_grad_norm": 0.0,
        }  # fmt: skip


def refusal(run: Callable[[Any], object], given: Any) -> str | None:
    """Return what an error says, or None if there is none."""
    try:
        run(given)
    except FullyConnectedError as error:
        return str(error)
    return None


def values_of(knob: Knob) -> st.SearchStrategy[Any]:
    """Return the values that a knob may have."""
    numbers = {"min_value": knob.least, "max_value": knob.most}
    return {
        "choice": lambda: st.sampled_from([choice.value for choice in knob.choices]),
        "choices": lambda: st.lists(st.sampled_from([choice.value for choice in knob.choices]), min_size=1),
        "integer": lambda: st.integers(int(knob.least or 0), int(knob.most or 0)),
        "number": lambda: st.floats(**numbers),
        "text": lambda: st.text(max_size=200) if knob.name != "formula" else st.just("x1 * x2"),
        "flag": st.booleans,
        "widths": lambda: st.lists(st.integers(1, 64), max_size=8),
        "points": lambda: st.lists(
            st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(0, 5)).map(list), min_size=2, max_size=20
        ),
    }[knob.kind]()


SETUPS = st.fixed_dictionaries({}, optional={knob.name: values_of(knob) for knob in KNOBS if knob.name != "loss"})


class TestTheAddress:
    @given(SETUPS)
    def test_holds_the_whole_setup(self, given: dict[str, Any]) -> None:
        setup = Setup.of(given)
        address = setup.address()
        assert re.fullmatch(r"[!-~]+", address)
        assert Setup.from_address(address) == (setup, 0)
        assert Setup.from_address(f"http://127.0.0.1:8000/token/#{address}&at=12") == (setup, 12)
        assert Setup.of(setup.plain()) == setup

    def test_can_be_read(self) -> None:
        setup = Setup.of({"data": "spirals", "hidden": [8, 8], "activation": "relu", "learning_rate": 0.1})
        assert setup.address() == "v=1&data=spirals&hidden=8,8&activation=relu&learning_rate=0.1"
        points = Setup.of({"data": "points", "points": [[0, 0.5, 1], [1, -2, 0]], "shuffle": False, "hidden": []})
        assert points.address() == "v=1&data=points&points=0:0.5:1;1:-2:0&hidden=&shuffle=no"

    @given(st.text(max_size=300))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        said = refusal(Setup.from_address, text)
        assert said is None or 10 < len(said) < 1000

    @given(st.dictionaries(st.sampled_from([knob.name for knob in KNOBS] + ["v", "at", "x"]), st.text(max_size=50)))
    def test_any_values_are_read_or_refused(self, given: dict[str, str]) -> None:
        said = refusal(Setup.from_address, "&".join(f"{name}={value}" for name, value in given.items()))
        assert said is None or 10 < len(said) < 1000

    @given(
        st.dictionaries(
            st.sampled_from([knob.name for knob in KNOBS]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
                lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
                max_leaves=8,
            ),
        )
    )
    def test_any_json_is_taken_or_refused_with_the_name_of_the_knob(self, given: dict[str, Any]) -> None:
        said = refusal(Setup.of, given)
        assert said is None or any(said.startswith((f"{name} ", f"{name}:")) for name in given)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("v=2", "this playground reads setups of version 1; got v=2"),
            ("data=zor", "data: there is no value 'zor'; did you mean 'xor'?"),
            ("rows=3", "rows is a whole number from 4 to 2000, such as 200; got 3"),
            ("rows=1e3", "rows is a whole number from 4 to 2000, such as 200; got '1e3'"),
            ("noise=nan", "noise is a number from 0 to 1, such as 0.1; got 'nan'"),
            ("noise=", "noise is a number from 0 to 1, such as 0.1; got ''"),
            ("hidden=4,,3", "hidden: layer 2 has a whole number of units from 1 to 64; got ''"),
            ("hidden=1,1,1,1,1,1,1,1,1", "hidden has at most 8 layers; got 9. Remove some"),
            ("shuffle=true", "shuffle is yes or no, in Python True or False; got 'true'"),
            ("rows=9&rows=9", "rows is in the link twice: leave one of them out"),
            ("rows", "a link has name=value between the signs &, such as v=1&data=moons&at=120; got 'rows'"),
            ("row=9", "there is no knob 'row'; did you mean 'rows'?"),
            ("at=-1", "at is the step to train to, a whole number from 0 to 1000000000; got '-1'"),
            ("at=1.5", "at is the step to train to, a whole number"),
            ("at=0&at=1", "at is in the link twice"),
            ("features=", "features is empty: choose one or more"),
            ("seed=-1", "seed is a whole number from 0 to 9007199254740991, such as 0; got -1"),
            ("learning_rate=1000", "learning_rate is a number from 0.00001 to 100, such as 0.03; got 1000"),
            ("hidden=4,65", "hidden: layer 2 has a whole number of units from 1 to 64; got 65"),
            ("data=points&points=0:0:1", "points: two points or more are needed; got 1. Draw some"),
            ("data=points&points=0:0:1;1:1:7", "points: the point at (1, 1) has class 7; classes are from 0 to 5."),
            ("points=0:0", "points: point 1 is three numbers from -1000000 to 1000000, x1, x2 and t; got [0.0, 0.0]"),
            ("points=0:0:0;0:0:inf", "points: point 2 is three numbers"),
            ("data=plane&loss=hinge", "loss: hinge is for classes, and these data are numbers; choose auto"),
            ("loss=huber", "loss: huber is for numbers, and these data are classes; choose auto"),
            ("data=formula&formula=open(1)", "formula: open(1) is not known"),
        ],
    )
    def test_what_is_wrong_is_said(self, text: str, said: str) -> None:
        with pytest.raises(FullyConnectedError) as error:
            Setup.from_address(text)
        assert str(error.value).startswith(said)


class TestFormulas:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("x1 + 2*x2", 5.0), ("x1^2 - x2", -1.0), ("-x2^2", -4.0), ("max(x1, x2, 3)", 3.0), ("x1 < x2", 1.0),
            ("min(x1, -1) / 2", -0.5), ("e - e + pi/pi", 1.0), ("floor(2.7) + sign(-3)", 1.0), ("7", 7.0),
        ],
    )  # fmt: skip
    def test_values(self, text: str, value: float) -> None:
        assert formula.values(text, np.array([1.0]), np.array([2.0])).tolist() == [value]

    @pytest.mark.parametrize(
        "text",
        [
            "__import__('os').system('x')", "x1.__class__", "().__class__", "(lambda: 1)()", "[x1][0]",
            "x1 if x2 else 1", "f'{x1}'", "x1 and x2", "x3", "sin", "sin(x1, x2)", "sin(x1, out=x2)", "max(x1)",
            "x1 := 2", "x1; x2", "x1 % 2", "x1 // 2", "x1 << 9", "1j", "True", "'a'", "...", "x1 == x2", "1 < x1 < 2",
            "eval('1')", "sin(*x1)",
            "np.sin(x1)", "x1 @ x2", "~x1", "not x1", "", " ", "(", "\n", "x1\n+ x2", "\u0435", "{x1}", "x1[0]",
            "await x1", "(" * 200, "-" * 200, "x1" * 101, "9" * 201, "yield",
        ],
    )  # fmt: skip
    def test_nothing_else_is_read(self, text: str) -> None:
        with pytest.raises(ConfigError, match="formula"):
            formula.compiled(text)

    @pytest.mark.parametrize(
        "text",
        [
            "9^9^9^9^9^9^9", "9" * 200, "exp(exp(exp(exp(x1))))", "-" * 198 + "x1", "(" * 90 + "x1" + ")" * 90,
            "+".join(["x1^99"] * 33), "max(" + ",".join(["x1"] * 60) + ")",
        ],
    )  # fmt: skip
    def test_none_takes_long(self, text: str) -> None:
        """Counted in the time of a call, with much to spare: a power of whole numbers would take minutes."""
        began = time.perf_counter()
        refusal(lambda text: formula.values(text, np.linspace(-2, 2, 2000), np.linspace(-2, 2, 2000)), text)
        assert time.perf_counter() - began < 5

    @given(st.text(alphabet="x12+-*/^()<>., sincoexpmaxpie0.", max_size=60))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        try:
            found = formula.values(text, np.array([1.0, -2.0]), np.array([0.5, 0.0]))
        except ConfigError:
            return
        assert found.shape == (2,)
        assert found.dtype == np.float64
