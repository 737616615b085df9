"""A network as a list of operations: what each reads, where it lies, and that every reader knows what to do with it."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.engine.lowering import OPERATIONS_HERE
from fullyconnected.explanation.forms import FORMS
from fullyconnected.explanation.paths import OWN_COLUMN
from fullyconnected.explanation.pictures.computation import SAID
from fullyconnected.files.model import build_model
from fullyconnected.layers import LAYERS, PARTS, operation
from fullyconnected.program.plain import build_layers, describe_layers
from fullyconnected.program.program import Program
from fullyconnected.program.summary import CONSTANTS, FORMULAS, WORK
from fullyconnected.program.workspace import Workspace
from fullyconnected.symbolic import formulas
from fullyconnected.symbolic.evaluation import evaluate


@dataclass(frozen=True)
class Gate(fc.Layer):
    """The end of a block that multiplies what came through it by what came into it."""

    n_in: int
    n_out = property(lambda self: self.n_in)
    name = "gate"
    skips = True

    def forward(self, p, x, c, y, *, train):
        c.xp.multiply(x, c.skip, out=y)

    def backward(self, p, x, c, y, dy, g, dx):
        c.xp.multiply(dy, x, out=c.d_skip)
        if dx is not None:
            c.xp.multiply(dy, c.skip, out=dx)


@dataclass(frozen=True)
class Gated(fc.Layer):
    """A block of a user's own: what its one layer gives, times what that layer was given."""

    n_in: int
    n_out = property(lambda self: self.n_in)
    name = "gated"

    def steps(self):
        return fc.Dense(self.n_in, self.n_in, "tanh"), Gate(self.n_in)


@dataclass(frozen=True)
class Members(fc.Layer):
    """Makes k copies of each row, each scaled by factors of its own."""

    n_in: int
    k: int = 3
    n_out = property(lambda self: self.n_in)
    name = "members"

    def copies(self, n):
        return n * self.k

    def params(self):
        return {"r": fc.Param((self.k, self.n_in), decays=True)}

    def initialize(self, p, rng):
        p.r = rng.normal(size=(self.k, self.n_in))

    def forward(self, p, x, c, y, *, train):
        c.xp.multiply(x[:, None], p.r, out=y.reshape(len(x), self.k, self.n_in))

    def backward(self, p, x, c, y, dy, g, dx):
        dy = dy.reshape(len(x), self.k, self.n_in)
        g.r = (dy * x[:, None]).sum(axis=0)
        if dx is not None:
            dx[...] = (dy * p.r).sum(axis=1)


@dataclass(frozen=True)
class Mean(fc.Layer):
    """The mean of the k copies of each row."""

    n_in: int
    k: int = 3
    n_out = property(lambda self: self.n_in)
    name = "mean"

    def copies(self, n):
        return n // self.k

    def forward(self, p, x, c, y, *, train):
        y[...] = x.reshape(len(y), self.k, self.n_in).mean(axis=1)

    def backward(self, p, x, c, y, dy, g, dx):
        if dx is not None:
            dx.reshape(len(dy), self.k, self.n_in)[...] = dy[:, None] / self.k


@dataclass(frozen=True)
class Named(Gate):
    """The end of a block, whose name is that of the first Dense layer in it."""

    name = "dense_1"


X = np.random.default_rng(0).normal(size=(7, 3))


def reads(*layers):
    return [op.reads for op in Program(layers).operations]


class TestWhatIsRead:
    def test_one_after_the_other(self):
        assert reads(fc.Dense(3, 4), fc.Dropout(0.5, n_in=4), fc.Dense(4, 2)) == [(-1,), (0,), (1,)]

    def test_blocks(self):
        block = fc.Residual([fc.Dense(3, 3)])
        assert reads(block) == [(-1,), (0, -1)]
        assert reads(fc.Dense(3, 3), fc.Residual([block, block])) == [(-1,), (0,), (1, 0), (2,), (3, 2), (4, 0)]

    def test_names_and_places(self):
        net = fc.Network([fc.Dense(2, 3, "tanh"), fc.Residual([fc.Dense(3, 3), fc.BatchNorm()])])
        assert [op.name for op in net.program.operations] == [
            "dense_1", "residual_1.dense_1", "residual_1.batch_norm_1", "residual_1.add",
        ]  # fmt: skip
        assert [op.kind for op in net.program.operations] == ["dense", "dense", "batch_norm", "add"]
        ends = [tensor.part.stop for tensor in net.program.tensors]
        assert [tensor.part.start for tensor in net.program.tensors] == [0, *ends[:-1]]
        assert ends[-1] == net.n_params

    def test_a_layer_is_built_of_its_kind_and_settings(self):
        layers = [fc.Dense(3, 4, fc.LeakyReLU(0.2), bias=False), fc.Dropout(0.3), fc.BatchNorm(momentum=0.2)]
        net = fc.Network([*layers, fc.Residual([fc.Activation("elu")])])
        assert net.program.operations[-1].settings == {"n_in": 4}
        for op in net.program.operations[:-1]:
            assert build_layers([{"layer": op.kind, "settings": op.settings}]) == (op.layer,)

    def test_a_class_that_is_not_registered_is_no_operation_of_that_name(self):
        class Dense(fc.Dense):
            """Another one that inherits the name."""

        kind = Program([Dense(2, 3)]).operations[0].kind
        assert kind != "dense"
        assert operation(kind) is None


class TestBlocksOfOnesOwn:
    @pytest.mark.parametrize(
        "layers",
        [
            [Gated(3)],
            [fc.Dense(3, 3), Gated(3), fc.Dense(3, 2)],
            [Gated(3), fc.Residual([Gated(3), fc.Residual([Gated(3)])])],
        ],
    )
    def test_gradients(self, layers):
        net = fc.Network(layers, dtype="float64", seed=0)
        assert fc.check_gradients(net, X, np.zeros((7, net.n_out)), "huber").ok

    def test_an_end_without_a_block_or_of_another_width_is_refused(self):
        with pytest.raises(errors.ConfigError, match="gate reads the input of its block, and is in none"):
            fc.Network([fc.Dense(3, 3), Gate(3)])

        @dataclass(frozen=True)
        class Wider(Gated):
            n_out = property(lambda self: 4)

            def steps(self):
                return fc.Dense(self.n_in, 4), Gate(4)

        with pytest.raises(errors.ShapeError, match=r"gate takes 4 columns, and the input of its block has 3"):
            fc.Network([Wider(3)])

    def test_it_trains_and_is_explained(self):
        net = fc.Network([fc.Dense(3, 3), Gated(3)], dtype="float64", seed=0)
        t = np.ones((7, 3))
        before = net.evaluate(X, t, "huber").loss
        history = fc.fit(net, X, t, "huber", epochs=20, progress=False, warn=False)
        assert history.engine == "numpy"
        assert "Gate" in history.engine_why
        assert net.evaluate(X, t, "huber").loss < before
        assert len(net.params) == 2
        assert fc.explain(net, X[:2], t[:2], "huber", "sgd").trace.ok
        assert "gated_1.gate" in net.summary()


@dataclass(frozen=True)
class Block(fc.Layer):
    """Whatever layers it is given."""

    inside: tuple = ()
    n_in: int = 3
    n_out: int = 3
    name = "block"

    def steps(self):
        return self.inside


@dataclass(frozen=True)
class Open(fc.Layer):
    """A layer that becomes whatever it is given."""

    becomes: object
    n_in = n_out = None
    name = "open"

    def with_input_width(self, n_in):
        return self.becomes


@dataclass(frozen=True)
class Endless(fc.Layer):
    """A block that is in itself."""

    n_in: int = 3
    n_out: int = 3
    name = "endless"

    def steps(self):
        return fc.Dense(3, 3), Endless()


@dataclass(frozen=True)
class Weighted(Gate):
    """The end of a block, with a parameter."""

    name = "weighted"

    def params(self):
        return {"a": fc.Param((self.n_in,))}

    def initialize(self, p, rng):
        p.a = rng.normal(size=self.n_in)

    def forward(self, p, x, c, y, *, train):
        y[...] = x + p.a * c.skip

    def backward(self, p, x, c, y, dy, g, dx):
        g.a = (dy * c.skip).sum(axis=0)
        c.d_skip[...] = dy * p.a
        if dx is not None:
            dx[...] = dy


def nested(levels):
    layer = fc.Dense(3, 3)
    for _ in range(levels):
        layer = fc.Residual([layer])
    return layer


class TestWhatIsInABlock:
    """Engines trust the widths, the native one with its memory: no network is made of layers that do not fit."""

    @pytest.mark.parametrize(
        ("layers", "error", "message"),
        [
            (
                [Block((fc.Dense(3, 3), fc.Dense(50, 3)))],
                errors.ShapeError,
                r"block_1: layer 1, Dense\(n_in=50.* gives 3",
            ),
            (
                [Block((fc.Dense(3, 5), fc.Dense(3, 3)))],
                errors.ShapeError,
                "takes 3 columns, and what comes before it gi",
            ),
            ([Block((fc.Dense(4, 3),))], errors.ShapeError, r"block_1: layer 0, .*\(the input of the block\)"),
            ([Block((fc.Dense(3, 4),))], errors.ShapeError, "block_1: the block needs 3 outputs, but .* gives 4"),
            ([Block((Block((fc.Dense(3, 4),)), fc.Dense(3, 3)))], errors.ShapeError, "block_1.block_1: .* gives 4"),
            ([fc.Residual([Block((fc.Dense(3, 4),))])], errors.ShapeError, "residual_1.block_1: .* gives 4"),
            (
                [fc.Dense(3, 4), Open(fc.Dense(50, 7))],
                errors.ShapeError,
                "dense_2 takes 50 columns, and what .* gives 4",
            ),
            (
                [fc.Dense(3, 4), Open(Block())],
                errors.ConfigError,
                r"block_1.steps\(\) returns .* one or more; got \(\)",
            ),
            ([fc.Dense(3, 4), Open(Open(None))], errors.ShapeError, "open_1 takes None columns, and what .* gives 4"),
            ([fc.Dense(3, 4), Open(3)], errors.InputTypeError, "what with_input_width of layer 1 returns is 3"),
            ([Block(None)], errors.ConfigError, r"steps\(\) returns .* one or more; got None"),
            ([Block(3)], errors.ConfigError, r"steps\(\) returns .* one or more; got 3"),
            ([Block((None,))], errors.InputTypeError, "block_1: layer 0 is None; layers are"),
            ([Block("ab")], errors.InputTypeError, "block_1: layer 0 is 'a'; layers are"),
            ([Endless()], errors.ConfigError, "blocks are nested more than 100 levels deep: endless_1.endless_1"),
            ([nested(300)], errors.ConfigError, "blocks are nested more than 100 levels deep: residual_1"),
        ],
    )
    def test_what_does_not_fit_is_refused_when_the_network_is_made(self, layers, error, message):
        with pytest.raises(error, match=message):
            fc.Network(layers, seed=0)

    def test_a_hundred_levels_are_none_too_many(self):
        assert fc.Network([nested(100)], seed=0).predict(X).shape == (7, 3)

    @pytest.mark.parametrize(
        "inside", [(fc.Activation("tanh"), fc.BatchNorm()), (fc.Residual([fc.Activation("tanh")]),)]
    )
    def test_open_widths_are_those_of_the_layer_before(self, inside):
        blocks = [Block((fc.Dense(3, 3), *inside)), fc.Residual([Block(inside)])]
        net = fc.Network(blocks, dtype="float64", seed=0)
        same = fc.Network([fc.Dense(3, 3), *inside, fc.Residual(inside)], dtype="float64", seed=0)
        same.theta = net.theta
        assert {op.n_in for op in net.program.operations} == {3}
        for engine in [name for name, info in fc.engines().items() if info.available and name in ("numpy", "native")]:
            np.testing.assert_array_equal(net.predict(X, engine=engine), same.predict(X, engine=engine))
        assert fc.check_gradients(net, X, np.zeros((7, 3)), "huber").ok
        assert len(net.params[0]) == 1 + len(inside)
        assert "block_1.dense_1" in net.summary()

    @pytest.mark.parametrize("inside", [(fc.Dense(3, 5), fc.Dense(3, 3)), (fc.Dense(3, 3), Gate(3), Named(3))])
    def test_a_file_that_describes_no_network_is_refused(self, inside):
        fc.register(Block), fc.register(Gate), fc.register(Named)
        layers = [{"layer": "block", "settings": {"inside": describe_layers(inside), "n_in": 3, "n_out": 3}}]
        described = {"version": 2, "dtype": "float32", "layers": layers, "loss": None, "extras": {}}
        with pytest.raises(errors.FileFormatError, match="do not form a network"):
            build_model(described, {})


class TestNames:
    """Files and checkpoints know parameters by their names."""

    @pytest.mark.parametrize("layer", [Block, lambda inside: fc.Residual(inside)], ids=["block", "residual"])
    def test_two_ends_in_a_block_have_two_names(self, layer, tmp_path):
        fc.register(Block), fc.register(Weighted)

        def made():
            half = fc.Dense(3, 3, "tanh"), Weighted(3)
            return fc.Network([layer((*half, *half))], dtype="float64", seed=0)

        net = made()
        names = [op.name.partition(".")[2] for op in net.program.operations][:4]
        assert names == ["dense_1", "weighted", "dense_2", "weighted_2"]
        net.save(tmp_path / "net")
        np.testing.assert_array_equal(fc.load(tmp_path / "net").theta, net.theta)
        ends = []
        for runs in ([4], [2, 4]):
            for epochs in runs:
                net, path = made(), tmp_path / str(len(runs))
                fc.fit(net, X, X, "huber", "adam", epochs=epochs, checkpoint=path, progress=False, warn=False)
            ends.append(net.theta.tobytes())
        assert ends[0] == ends[1]

    def test_one_name_for_two_is_refused(self):
        with pytest.raises(errors.ConfigError, match=r"are called block_1\.dense_1: give a class another name"):
            fc.Network([Block((fc.Dense(3, 3), Named(3)))])

    @pytest.mark.parametrize("name", ["residual_1.dense", "my.gate"])
    @pytest.mark.parametrize("base", [Weighted, Members], ids=["an end", "a layer"])
    def test_a_name_with_a_dot_is_refused(self, name, base):
        cls = type("Mine", (base,), {"name": name})
        for use in (fc.register, lambda cls: fc.Network([cls(3)]), lambda cls: fc.Network([Block((cls(3),))])):
            with pytest.raises(errors.ConfigError, match=f"Mine needs a class attribute name.*in '{name}' the dot"):
                use(cls)


class TestCopies:
    @pytest.mark.parametrize(("value", "message"), [
        (None, "is a whole number; got None"), ("x", "is a whole number; got 'x'"), (1.5, "is a whole number; got 1.5"),
        (True, "is a whole number; got True"), (0, "must be 1 or more; got 0"),
    ])  # fmt: skip
    def test_their_number_is_a_whole_one(self, value, message):
        @dataclass(frozen=True)
        class Odd(Members):
            def copies(self, n):
                return value

        with pytest.raises((errors.ConfigError, errors.InputTypeError), match=rf"copies\(1\) of members_1 {message}"):
            fc.Network([Odd(3), Mean(3)])

    def test_gradients_and_shapes(self):
        net = fc.Network([Members(3), fc.Dense(3, 4, "tanh"), fc.Residual([fc.Dense(4, 4)]), Mean(4)], dtype="float64")
        assert [op.copies for op in net.program.operations] == [3, 3, 3, 3, 1]
        assert fc.check_gradients(net, X, np.zeros((7, 4)), "huber", seed=1).ok
        assert net.predict(X).shape == (7, 4)
        assert "(3 rows, 4)" in net.summary(width=100)

    def test_it_is_the_mean_of_networks_of_their_own(self):
        net = fc.Network([Members(3), fc.Dense(3, 4, "tanh"), Mean(4)], dtype="float64", seed=0)
        r, dense = net.params[0].r, net.params[1]
        alone = [np.tanh(X * r[k] @ dense.W + dense.b) for k in range(3)]
        np.testing.assert_allclose(net.predict(X), np.mean(alone, axis=0), rtol=1e-12)

    def test_in_batches_of_any_size(self):
        net = fc.Network([Members(3), fc.Dense(3, 2), Mean(2)], dtype="float64", seed=0)
        history = fc.fit(net, X, X[:, :2], "huber", fc.Adam(0.05), epochs=40, batch_size=3, progress=False, warn=False)
        assert history.loss[-1] < history.loss[0] / 2
        assert "copies" in history.engine_why or "Members" in history.engine_why

    @pytest.mark.parametrize("train", [False, True])
    @pytest.mark.parametrize(
        "layers",
        [
            [Members(3), fc.Dense(3, 2, "tanh"), Mean(2)],
            [Members(3), fc.Dense(3, 2), fc.BatchNorm(), fc.Activation("tanh"), Mean(2), fc.Dense(2, 2)],
            [fc.Dense(3, 3), Members(3), fc.LayerNorm(), fc.Dropout(0.3), Mean(3), fc.Dense(3, 2, "softmax")],
            [Members(3), fc.Residual([fc.Dense(3, 3, "relu"), fc.BatchNorm()]), Mean(3), fc.Dense(3, 2)],
        ],
    )
    def test_every_form_of_the_worked_example(self, layers, train):
        net = fc.Network(layers, dtype="float64", seed=0)
        found = fc.explain(net, X[:4], X[:4, :2], "huber", "adam", train=train)
        assert found.trace.ok
        for step in found.trace.steps:  # what a formula says is what the code wrote
            if step.known and step.phase != "check":
                computed = np.broadcast_to(evaluate(step.formula, step.values), step.result.shape)
                np.testing.assert_allclose(computed, step.result, rtol=1e-9, atol=1e-12, err_msg=step.name)
        for form in FORMS:
            found.to(form)
        exec(compile(found.to_python(), "script", "exec"), {"__name__": "script"})
        first = [f"{tensor.name}[{'0,' * (len(tensor.shape) - 1)}0]" for tensor in net.program.tensors]
        for focus, form in zip([*first, "x[0,1]"], itertools.cycle(FORMS), strict=False):
            fc.explain(net, X[:4], X[:4, :2], "huber", train=train, focus=focus).to(form)

    def test_refused(self):
        with pytest.raises(errors.ConfigError, match=r"members_1 gives 3 copies of each row; the output must have one"):
            fc.Network([Members(3)])
        with pytest.raises(errors.ShapeError, match=r"residual_1.add adds 3 copies of each row to 1"):
            fc.Network([fc.Residual([Members(3)]), Mean(3)])


class TestRoles:
    def test_a_matrix_is_turned_by_its_role(self):
        @dataclass(frozen=True)
        class Square(fc.Layer):
            n_in: int
            n_out = property(lambda self: self.n_in)
            name = "square"

            def params(self):
                return {"W": fc.Param((3, 3)), "V": fc.Param((3, 3), matrix=True)}

            def initialize(self, p, rng):
                p.W, p.V = rng.normal(size=(2, 3, 3))

        net = fc.Network([Square(3)], seed=0)
        W, V = net.get_weights("out,in")
        assert (W == net.params[0].W).all()
        assert (V == net.params[0].V.T).all()
        net.set_weights([V, W], "out,in")
        assert (net.params[0].W == V).all()
        assert (net.params[0].V == W.T).all()

    @pytest.mark.parametrize(
        ("param", "said"),
        [
            (fc.Param((3,), lr_factor=-1.0), "lr_factor of s of Odd must be 0 or more"),
            (fc.Param((3,), lr_factor=float("nan")), "lr_factor of s of Odd"),
            (fc.Param((3,), matrix=True), r"s of Odd is an \(in, out\) matrix, and has the shape \(3,\)"),
        ],
    )
    def test_a_role_that_cannot_be_is_refused(self, param, said):
        @dataclass(frozen=True)
        class Odd(Gate):
            skips = False

            def params(self):
                return {"s": param}

        with pytest.raises(errors.ConfigError, match=said):
            fc.Network([Odd(3)])


# Every operation that a network may be made of; and what reads them, each by a table of its own.
PLAIN = fc.Layer.steps, fc.Layer.branches
BLOCKS = {name for name, cls in LAYERS.classes.items() if (cls.steps, cls.branches) != PLAIN}
KINDS_OF_ALL = sorted(LAYERS.classes.keys() - BLOCKS | PARTS.keys())
OURS = [name for name in KINDS_OF_ALL if operation(name).__module__.startswith("fullyc")]
# those that are not of Members, which alone has them in a network
ALONE = [kind for kind in OURS if kind in ("add", "select", "concatenate") or kind not in PARTS]
TABLES = {"the native engine": OPERATIONS_HERE, "summary": FORMULAS, "FLOPs": WORK, "formulas": formulas.LAYERS}
# These say something of some operations; what is right for any other is written where they are read.
OF_SOME = {"paths": dict.fromkeys(OWN_COLUMN), "the graph": SAID, "constants": CONSTANTS}


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_reader_knows_every_operation(table, kind):
    assert kind in table


@pytest.mark.parametrize("table", [*TABLES.values(), *OF_SOME.values()], ids=[*TABLES, *OF_SOME])
def test_no_reader_knows_another(table):
    assert set(table) <= set(KINDS_OF_ALL)


def test_a_kind_that_is_named_in_the_code_is_one():
    """So that none is passed over where an operation gets another name."""
    named = r"\bkind (?:==|!=) \"(\w+)\"|\.kind (?:in|not in) \(([^)]+)\)"
    found = set()
    for path in (Path(fc.__file__).parent).rglob("*.py"):
        rooms, modules = (
            ("assessment", "core", "estimators", "exchange", "playing", "symbolic", "tables", "training"),
            {
                *("base.py", "labels.py", "members.py", "metrics.py", "periodic.py"),
                *("light.py", "lines.py", "pen.py", "placement.py", "picture.py", "scene.py", "units.py"),
            },
        )
        if path.relative_to(Path(fc.__file__).parent).parts[0] in rooms or path.name in modules:
            continue  # the kinds of other things: dtypes, labels, columns, ensembles, embeddings, folds, units
        for one, many in re.findall(named, path.read_text(encoding="utf-8")):
            found |= {one, *re.findall(r'"(\w+)"', many)} - {""}
    assert {"dense", "add", "dropout"} <= found
    assert found - {"bias", "c", "f"} <= set(OURS)


CODES = np.array([[-1.0], [0], [1], [2], [3]])  # all that Embedding.example(4) takes


def example(kind):
    """Return a network whose last operation, or one of whose operations, is of this kind; and that operation."""
    blocks = {"add": fc.Residual([fc.Dense(4, 4)]), **dict.fromkeys(("select", "concatenate"), fc.Columns.example(4))}
    layer = blocks.get(kind) or operation(kind).example(4)
    net = fc.Network([layer] if kind in blocks or layer.reads_raw else [fc.Dense(4, 4), layer])
    net = fc.Network(net.layers, dtype="float64", seed=0)
    return net, [op for op in net.program.operations if op.kind == kind][-1]


@pytest.mark.parametrize("kind", ALONE)
def test_what_the_paths_take_for_a_parameter_of_one_column_is_one(kind):
    net, op = example(kind)
    x = np.concatenate([net.layers[0].example_rows(np.random.default_rng(1), 20), *[CODES] * (kind == "embedding")])
    before = net.predict(x, engine="numpy")
    alone = []
    for tensor in op.params:
        for entry in np.ndindex(tensor.shape):
            twin = net.copy()
            tensor.of(twin.theta)[entry] += 0.5
            changed = (twin.predict(x, engine="numpy") != before).any(axis=0)
            alone.append(np.flatnonzero(changed).tolist() == [entry[-1]])
    assert (bool(alone) and all(alone)) == (kind in OWN_COLUMN)


@pytest.mark.parametrize("kind", ALONE)
def test_a_layer_that_normalizes_says_so(kind):
    """Of its inputs no warning about their scale is given."""
    _, op = example(kind)
    if kind in PARTS or op.layer.input_units(op.layer.example_rows(np.random.default_rng(2), 1)) is not None:
        assert not op.layer.normalizes
        return
    x = np.random.default_rng(2).normal(size=(20, 4))
    layer = {
        "activation": fc.Activation("relu", n_in=4),
        "dense": fc.Dense(4, 4),
        "parametric": fc.Parametric("relu", n_in=4),
    }.get(kind, op.layer)  # not bounded
    small, large = (ran(layer, scale * x) for scale in (1e3, 1e6))
    assert op.layer.normalizes == np.allclose(small, large, rtol=1e-3, atol=1e-3)


def ran(layer, x):
    """Return what a layer makes of a batch in training."""
    program = Program([layer])
    net = fc.Network([layer], dtype="float64", seed=0)
    workspace = Workspace(program, net.theta, net.state, len(x))
    workspace.at(0, 0)
    batch = workspace.bind(len(x))
    batch.x[...] = x
    batch.forward(train=True)
    return batch.z.copy()
