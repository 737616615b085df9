"""Each notation prints each kind of node, or says why not; and a notation costs a file and a line."""

import itertools
import json

import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.symbolic.copies import COPIES
from fullyconnected.symbolic.equation import NOTATIONS, Equation
from fullyconnected.symbolic.evaluation import FUNCTIONS
from fullyconnected.symbolic.expression import (
    Binary,
    Call,
    Cases,
    Compare,
    Expression,
    Gap,
    Name,
    Negative,
    Number,
    Opaque,
    Placed,
    Reduce,
    Taken,
    Transposed,
    names_in,
    number,
)
from fullyconnected.symbolic.notation import WHOLE, Notation

A, B = Name("A"), Name("b", "1")
OPERANDS = {"clip": 3, "max": 2, "onehot": 2, "indicator": 2, "pick": 2, "beside": 2, **dict.fromkeys(COPIES, 2)}
OPERANDS |= {"most_of_members": 2, "flat": 1, "own_outer": 3, "over_entries": 1}
OPERANDS |= dict.fromkeys(("joined", "each", "each_back", "each_outer", "rows_beside", "back_to", "back_beside"), 2)
NODES = [
    A,
    Name("m", "W1", of="L", new=True),
    Number(1e-7, "1e-7", "x[0,0]"),
    number(float("nan")),
    number(-float("inf")),
    *(Binary(operator, A, B) for operator in "+-*/@^"),
    Negative(A),
    Transposed(A),
    Taken(A, (0, 1)),
    Placed(A, (2, 0), 3),
    *(
        Reduce(kind, over, A)
        for kind in ("sum", "mean", "max", "var", "logsumexp")
        for over in ("units", "rows", "all")
    ),
    *(Call(function, (A, B, number(2))[: OPERANDS.get(function, 1)]) for function in FUNCTIONS),
    Opaque("of my own", (A, B)),
    Compare(A, B),
    Cases(Compare(A, B), A, B),
    Gap(1234),
]
REFUSED = {("numpy", Gap): "NumPy has no notation for a sum of which 1,234 terms are left out"}


def kinds(cls=Expression):
    for each in cls.__subclasses__():
        yield each
        yield from kinds(each)


def test_the_nodes_are_of_every_kind():
    assert {type(node) for node in NODES} == set(kinds())


@pytest.mark.parametrize("name", NOTATIONS)
@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
def test_a_node_is_printed_or_refused_with_a_reason(name, node):
    if reason := REFUSED.get((name, type(node))):
        with pytest.raises(errors.ConfigError, match=reason):
            NOTATIONS[name](node)
        return
    written = NOTATIONS[name](node)
    assert written.isprintable()
    assert written.strip() == written
    assert written
    assert all(first.letter in written for first in itertools.islice(names_in(node), 1))


class Words(Notation):
    """A formula read out."""

    def name(self, name):
        return name.text

    def number(self, number):
        return number.text

    def negative(self, text):
        return f"minus {text}"

    def transposed(self, operand):
        return f"{self.write(operand, WHOLE)} transposed"

    def product(self, left, right):
        return f"{left} into {right}"

    def sign(self, operator):
        return {"+": " plus ", "-": " minus ", "/": " over "}[operator]

    def times(self, left, right):
        return " times "

    def cases(self, condition, then, otherwise):
        return f"{self.write(then)} where {self.write(condition)}, else {self.write(otherwise)}", WHOLE

    def reduce(self, kind, over, operand, down):
        return f"the {kind} over {over} of {self.write(operand, WHOLE)}", WHOLE

    def call(self, function, operands, down):
        return f"{function} of {' and '.join(map(self.write, operands))}", WHOLE

    def taken(self, operand, across):
        return f"columns {across} of {operand}"

    def placed(self, operand, columns, n, down):
        return f"{operand} in columns {columns} of {n}", WHOLE

    def gap(self, count):
        return f"{count} more"


class TestOneOfYourOwn:
    @pytest.fixture(autouse=True)
    def _added(self, monkeypatch):
        monkeypatch.setitem(NOTATIONS, "words", Words())

    def test_it_writes_whatever_is_registered(self, every_formula):
        for of, lines in every_formula.items():
            for line in lines:
                written = Equation(Name("y"), line.formula).written("words")
                assert written.startswith("y = "), of
        (line, *_) = every_formula["dense, train=True"]
        assert Words()(line.formula) == "x into W plus b"

    def test_an_equation_and_the_record_have_it(self):
        net = fc.Network([fc.Dense(2, 2)], seed=0)
        example = fc.explain(net, [[1.0, 2.0]], [[0.0, 1.0]], "half_squared_error")
        assert example.trace.steps[0].equation.written("words") == "y1 = x into W1 plus b1"
        formulas = [step["formula"] for step in json.loads(example.to_json())["steps"]]
        assert all([*formula] == ["text", "latex", "mathml", "numpy", "words"] for formula in formulas)
        assert formulas[0]["words"] == "y1 = x into W1 plus b1"

    def test_one_that_is_not_there_is_named(self):
        with pytest.raises(errors.UnknownNameError, match="there is no notation 'word'; did you mean 'words'"):
            Equation(A, B).written("word")


def test_what_a_notation_does_not_write_it_lacks():
    class Bare(Notation):
        def name(self, name):
            return name.text

        def number(self, number):
            return number.text

    lacking = (A @ B, A.T, Gap(2), Cases(Compare(A, B), A, B), Reduce("sum", "rows", A), Call("exp", (A,)))
    for node in lacking:
        with pytest.raises(errors.ConfigError, match="Bare has no notation for "):
            Bare()(node)
