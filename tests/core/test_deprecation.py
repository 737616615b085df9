"""Old names: each works as the new one does, and gives one warning, of the line that uses it."""

import contextlib
import copy
import pickle
import pydoc
import subprocess
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.cli import main
from fullyconnected.core import deprecation
from fullyconnected.losses import LOSSES
from fullyconnected.training.identity import own_code

X, T = np.array([[0.5, -1.0], [0.25, 2.0], [-1.5, 1.0]]), np.array([[1.0], [0.0], [1.0]])


@contextlib.contextmanager
def warned(old, new):
    """The lines within are one warning, of the first of them, which names both."""
    line = sys._getframe(2).f_lineno
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    (warning,) = caught
    assert warning.category is FutureWarning
    assert warning.filename == __file__
    assert warning.lineno - line in (1, 2, 3)  # a class has an empty line and decorators before it
    assert str(warning.message) == f"{old} is an old name, which a later version will not know; write {new}"


@pytest.mark.parametrize(("old", "new"), deprecation.PUBLIC.items())
def test_public_names(old, new):
    with warned(f"fc.{old}", f"fc.{new}"):
        found = getattr(fc, old)
    assert found is getattr(fc, new)


def test_a_name_that_is_imported():
    with warned("fc.SquaredError", "fc.HalfSquaredError"):
        from fullyconnected import SquaredError
    assert SquaredError is fc.HalfSquaredError


@pytest.mark.parametrize(("old", "new"), deprecation.ERRORS.items())
def test_errors(old, new):
    with warned(f"errors.{old}", f"errors.{new}"):
        found = getattr(fc.errors, old)
    assert found is getattr(fc.errors, new)


def test_an_error_is_caught_by_its_old_name():
    with warned("errors.KindError", "errors.InputTypeError"):
        from fullyconnected.errors import KindError
    with pytest.raises(KindError):
        fc.Momentum("fast")


@pytest.mark.parametrize(("old", "new"), deprecation.REGISTERED["loss"].items())
def test_losses_by_name(old, new):
    net = fc.mlp([2, 3, 1], seed=0)
    with warned(repr(old), repr(new)):
        loss = net.gradients(X, T, old).loss
    assert loss == net.gradients(X, T, new).loss


@pytest.mark.parametrize(
    "use",
    [
        lambda net, x: fc.fit(net, x, x, "squared_error", validation=(x, x), epochs=2, progress=False),
        lambda net, x: next(fc.epochs(net, x, x, "squared_error")),
        lambda net, x: net.evaluate(x, x, "squared_error"),
        lambda net, x: net.gradients(x, x, "squared_error"),
        lambda net, x: net.loss_and_grad(x, x, "squared_error"),
        lambda net, x: fc.check_gradients(net, x, x, "squared_error"),
        lambda net, x: fc.trace(net, x, x, "squared_error"),
        lambda net, x: fc.explain(net, x, x, "squared_error", "sgd", focus="x[0,0]").to_html(),
        lambda net, x: fc.draw(net, x, x, "squared_error"),
    ],
)
def test_a_call_warns_once_however_often_it_looks_at_the_loss(use):
    net, x = fc.mlp([2, 2], dtype="float64", seed=0), np.eye(2)
    with pytest.warns(FutureWarning, match="'half_squared_error'") as caught:
        use(net, x)
    assert [each.filename for each in caught] == [__file__]


def test_a_name_of_another_kind_is_not_touched():
    with pytest.raises(fc.errors.UnknownNameError, match="did you mean 'sigmoid'"):
        fc.Dense(2, 3, "logistic")


def test_what_a_user_registers_under_an_old_name_is_theirs(monkeypatch):
    monkeypatch.setattr(LOSSES, "classes", dict(LOSSES.classes))

    @fc.register
    class Mine(fc.HalfSquaredError):
        name = "squared_error"

    assert type(LOSSES.get("squared_error")) is Mine


def test_looking_at_everything_is_no_use():
    for each in (fc.Layer, fc.Loss, fc.ActivationFunction, fc.BatchNorm, fc.Momentum):
        assert pydoc.render_doc(each)


def test_the_library_uses_no_old_name_on_import():
    code = "import fullyconnected as fc, fullyconnected.cli; [getattr(fc, name) for name in fc.__all__]"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_warning_is_of_the_users_line(tmp_path):
    path = tmp_path / "script.py"
    path.write_text("import fullyconnected as fc\n\nloss = fc.SquaredError()\n", encoding="utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    assert done.stderr.count("FutureWarning") == 1
    assert f"{Path(path).name}:3: FutureWarning: fc.SquaredError is an old name" in done.stderr


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [("Momentum", "decay", "momentum"), ("Nesterov", "decay", "momentum"), ("RMSProp", "decay", "rho")],
)
class TestSettings:
    def test_given(self, rule, old, new):
        with warned(f"{old}= of {rule}", f"{new}="):
            made = getattr(fc, rule)(0.1, **{old: 0.75})
        assert made == getattr(fc, rule)(0.1, **{new: 0.75})
        assert repr(made) == repr(getattr(fc, rule)(0.1, 0.75))

    def test_asked_for(self, rule, old, new):
        made = getattr(fc, rule)(0.1, 0.75)
        with warned(f"{rule}.{old}", new):
            assert getattr(made, old) == 0.75

    def test_checked(self, rule, old, new):
        with warned(f"{old}= of {rule}", f"{new}="), pytest.raises(fc.errors.ConfigError, match=new):
            getattr(fc, rule)(**{old: 1.5})

    def test_both(self, rule, old, new):
        with pytest.raises(fc.errors.InputTypeError, match=f"there is no setting '{old}'.* Known: .*{new}"):
            getattr(fc, rule)(**{old: 0.5, new: 0.5})
        with pytest.raises(fc.errors.InputTypeError, match=f"there is no setting '{old}'"):
            replace(getattr(fc, rule)(), **{old: 0.5})

    def test_by_the_call_of_a_users_own_making(self, rule, old, new):
        class Mine(getattr(fc, rule)):
            def __init__(self, decay):
                with warned(f"{old}= of {rule}", f"{new}="):
                    super().__init__(0.1, decay=decay)

        assert getattr(Mine(decay=0.5), new) == 0.5

    def test_by_a_dataclass_of_ones_own(self, rule, old, new):
        @dataclass(frozen=True)
        class Mine(getattr(fc, rule)):
            extra: float = 2.0

        for _ in range(2):
            with warned(f"{old}= of Mine", f"{new}="):
                made = Mine(0.1, extra=3.0, **{old: 0.5})
            assert made == Mine(0.1, 0.5, extra=3.0)

    def test_redeclared(self, rule, old, new):
        with warned(f"Mine.{old}", new):

            @dataclass(frozen=True)
            class Mine(getattr(fc, rule)):
                decay: float = 0.3
                extra: float = 2.0

        assert vars(Mine(0.1)) == {**vars(getattr(fc, rule)(0.1, 0.3)), "extra": 2.0}
        with warned(f"{old}= of Mine", f"{new}="):
            assert Mine(0.1, **{old: 0.2}) == Mine(0.1, 0.2)

    def test_in_a_pickle_of_the_version_before(self, rule, old, new):
        state = {old if name == new else name: value for name, value in vars(getattr(fc, rule)(0.1, 0.75)).items()}
        loaded = getattr(fc, rule)()
        loaded.__setstate__(state)
        assert loaded == getattr(fc, rule)(0.1, 0.75)

    def test_in_a_pickle(self, rule, old, new):
        made = getattr(fc, rule)(0.1, 0.75)
        assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made

    def test_by_a_subclass(self, rule, old, new):
        mine = type("Mine", (getattr(fc, rule),), {"name": "mine"})
        with warned(f"{old}= of {rule}", f"{new}="):
            assert getattr(mine(0.1, **{old: 0.5}), new) == 0.5


class TestArguments:
    NET = fc.mlp([2, 3, 1], activation="tanh", dtype=np.float64, seed=0)

    def test_check_gradients(self):
        with warned("h= of check_gradients", "step="):
            report = fc.check_gradients(self.NET, X, T, "huber", h=1e-4)
        assert report == fc.check_gradients(self.NET, X, T, "huber", step=1e-4)
        with warned("Report.h", "step"):
            assert report.h == 1e-4

    @pytest.mark.parametrize("function", ["explain", "trace"])
    def test_worked_examples(self, function):
        with warned(f"h= of {function}", "step="):
            old = getattr(fc, function)(self.NET, X, T, "huber", h=1e-4)
        assert str(old) == str(getattr(fc, function)(self.NET, X, T, "huber", step=1e-4))

    def test_both(self):
        with pytest.raises(TypeError, match="'h'"):
            fc.check_gradients(self.NET, X, T, "huber", h=1e-4, step=1e-4)

    def test_on_the_command_line(self, capsys):
        assert main(["explain", "xor", "--step", "0.5"]) == 0
        new = capsys.readouterr()
        assert main(["explain", "xor", "--h", "0.5"]) == 0
        old = capsys.readouterr()
        assert old.out == new.out
        assert new.err == ""
        assert old.err == "fullyconnected: --h is an old name, which a later version will not know; write --step\n"


class TestParameters:
    @pytest.fixture
    def net(self):
        return fc.Network([fc.Dense(2, 3), fc.BatchNorm(), fc.Residual([fc.LayerNorm()])], dtype=np.float64, seed=0)

    @pytest.mark.parametrize(("old", "new"), [("gain", "gamma"), ("shift", "beta")])
    def test_views(self, net, old, new):
        for views in (net.params[1], net.params[2][0], net.gradients(X, X[:, [0, 1, 1]], "huber").params[1]):
            with warned(old, new):
                assert getattr(views, old) is getattr(views, new)
            with warned(old, new):
                setattr(views, old, 0.5)
            assert getattr(views, new).tolist() == [0.5] * 3
            assert [name for name, _ in views] == ["gamma", "beta"]

    @pytest.mark.parametrize(("old", "new"), [("mean", "running_mean"), ("variance", "running_var")])
    def test_running_statistics(self, net, old, new):
        p = net.program.memory(net.theta, net.state)[1]
        with warned(old, new):
            assert getattr(p, old) is getattr(p, new)

    def test_a_layer_without_them(self, net):
        with pytest.raises(AttributeError, match="no parameter 'gain' here, only W, b"):
            net.params[0].gain  # noqa: B018

    def test_a_layer_of_ones_own_may_call_them_so(self):
        class Scale(fc.Layer):
            name = "scale"
            n_in = n_out = 2

            def params(self):
                return {"gain": fc.Param((2,))}

            def initialize(self, p, rng):
                p.gain = 2

        assert fc.Network([Scale()]).params[0].gain.tolist() == [2, 2]


class TestMembersOfUsersClasses:
    def test_layer(self):
        with warned("Scale.start", "initialize"):

            class Scale(fc.Layer):
                name = "scale"
                n_in = n_out = 2

                def params(self):
                    return {"k": fc.Param((2,))}

                def start(self, p, rng):
                    p.k = 3

                def forward(self, p, x, c, y, *, train):
                    c.xp.multiply(x, p.k, out=y)

        assert fc.Network([Scale()]).predict([[1.0, 2.0]]).tolist() == [[3, 6]]

    def test_a_width_that_is_taken_from_before(self):
        with warned("Same.sized", "with_input_width"):

            class Same(fc.Activation):
                name = "same"

                def sized(self, n_in):
                    return type(self)("tanh", n_in=n_in)

        assert type(fc.Network([fc.Dense(2, 3), Same("relu")]).layers[1]) is Same

    def test_super_leads_to_the_library(self):
        with warned("Sevens.start", "initialize"):

            class Sevens(fc.Dense):
                name = "sevens"

                def start(self, p, rng):
                    with warned("Sevens.start", "initialize"):
                        super().start(p, rng)
                    assert p.W.any()
                    p.W = 7

        assert (fc.Network([Sevens(2, 2)]).theta[:4] == 7).all()

    def test_activation(self):
        with warned("Square.keeps_input", "needs_input"):

            class Square(fc.ActivationFunction):
                name = "square"
                keeps_input = True

                def forward(self, h, c, y):
                    c.xp.multiply(h, h, out=y)

                def backward(self, h, c, y, dy):
                    dy *= h
                    dy *= 2

        assert fc.check_gradients(Square()).ok
        assert fc.check_gradients(fc.Network([fc.Dense(2, 1, Square())], dtype=np.float64), X, T, "huber").ok

    def test_loss(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")

            class Fourth(fc.Loss):
                name = "fourth"
                least_outputs = 2

                def encode(self, t, n_out):
                    return np.stack([t, -t], axis=1)

                def terms(self, z, t, c, dz):
                    c.e[...] = (z - t) ** 4
                    dz[...] = 4 * (z - t) ** 3

                def weigh(self, c, w):
                    c.w[...] = c.w_e[...] = w[:, None]

                def into(self, z, t, c, dz):
                    self.terms(z, t, c, dz)
                    dz *= c.w
                    return (c.e * c.w_e).sum()

        told = ["into", "weigh", "encode", "least_outputs"]
        assert [str(each.message).partition(" ")[0] for each in caught] == [f"Fourth.{name}" for name in told]
        assert len({each.lineno for each in caught}) == 1
        value, dz = Fourth()([[3.0, -1.0]], [1.0], [2.0])
        assert (value, dz.tolist()) == (32, [[64, 0]])
        with pytest.raises(fc.errors.ShapeError, match="takes 2 outputs or more"):
            Fourth()([[1.0]], [1.0])
        assert fc.check_gradients(Fourth(), [[2.0, 1.0]], [0.0]).ok

    def test_set_by_an_object(self):
        class Cube(fc.ActivationFunction):
            name = "cube"

            def __init__(self):
                with warned("Cube.keeps_input", "needs_input"):
                    self.keeps_input = True

        assert "z" in fc.Dense(2, 3, Cube()).cache(4)

    def test_a_class_that_defines_both_is_as_it_is(self):
        class Both(fc.Dense):
            name = "both"

            def initialize(self, p, rng):
                p.W, p.b = 1, 0

            start = initialize

        assert Both(1, 1).start.__func__ is Both.initialize

    def test_what_is_mixed_in(self):
        class Ones:
            def start(self, p, rng):
                p.W, p.b = 1, 0

        with warned("Ones.start", "initialize"):

            class Mixed(Ones, fc.Dense):
                name = "mixed"

        class Derived(Mixed):  # it has been told
            name = "derived"

        assert fc.Network([Derived(2, 1)]).theta.tolist() == [1, 1, 0]

    @pytest.mark.parametrize(
        ("thing", "old", "new"),
        [
            (fc.Dense(2, 3), "start", "initialize"),
            (fc.BatchNorm(), "sized", "with_input_width"),
            (fc.Hinge(), "encode", "encode_targets"),
            (fc.Hinge(), "least_outputs", "min_outputs"),
            (fc.Huber(), "into", "value_and_gradient"),
            (fc.ELU(), "keeps_input", "needs_input"),
            (fc.ELU, "keeps_input", "needs_input"),
        ],
    )
    def test_asked_for(self, thing, old, new):
        name = (thing if isinstance(thing, type) else type(thing)).__name__
        with warned(f"{name}.{old}", new):
            found = getattr(thing, old)
        assert found == getattr(thing, new)

    def test_a_checkpoint_knows_the_code_as_it_was(self, monkeypatch):
        """The text that tells the code of a class is the same, whatever name a method is called by."""
        with warned("Old.start", "initialize"):

            class Old(fc.Dense):
                name = "old"
                keeps_input = True

                def start(self, p, rng):
                    p.W, p.b = 1, 0

        told = own_code(Old(2, 1))
        monkeypatch.setattr(deprecation, "ATTRIBUTES", {})

        class Old(fc.Dense):
            name = "old"
            keeps_input = True

            def start(self, p, rng):
                p.W, p.b = 1, 0

        assert own_code(Old(2, 1)) == told

    def test_a_field(self):
        with warned("Several.least_outputs", "min_outputs"):

            @dataclass(frozen=True)
            class Several(fc.HalfSquaredError):
                name = "several"
                least_outputs: int

        with warned("Several.least_outputs", "min_outputs"):
            assert Several(3).least_outputs == 3
        with warned("least_outputs= of Several", "min_outputs="), pytest.raises(fc.errors.ShapeError, match="takes 3"):
            Several(least_outputs=3)([[1.0]], [1.0])

    def test_a_property(self):
        with warned("Several.least_outputs", "min_outputs"):

            class Several(fc.HalfSquaredError):
                name = "several"
                least_outputs = property(lambda self: 3)

        with pytest.raises(fc.errors.ShapeError, match="takes 3"):
            Several()([[1.0]], [1.0])

    @pytest.mark.parametrize(
        "put", [lambda f: vars(f).update(keeps_input=True), lambda f: setattr(type(f), "keeps_input", True)]
    )
    def test_what_is_set_past_the_class(self, put):
        class Square(fc.ActivationFunction):
            name = "square"

            def forward(self, z, c, y):
                c.xp.multiply(z, z, out=y)

            def backward(self, z, c, y, dy):
                dy *= z
                dy *= 2

        f = Square()
        put(f)
        with warned("Square.keeps_input", "needs_input"):
            layer = fc.Dense(2, 1, f)
        assert fc.check_gradients(fc.Network([layer], dtype=np.float64), X, T, "huber").ok

    def test_what_a_frozen_object_sets(self):
        @dataclass(frozen=True)
        class Square(fc.ActivationFunction):
            name = "square"

            def __post_init__(self):
                with warned("Square.keeps_input", "needs_input"):
                    object.__setattr__(self, "keeps_input", True)

        assert Square().needs_input is True

    def test_a_method_that_a_class_gets_later(self):
        class Ones(fc.Dense):
            name = "ones"

        Ones.start = lambda self, p, rng: vars(p)["W"].fill(1)
        layer = Ones(2, 1, bias=False)
        with warned("Ones.start", "initialize"):
            net = fc.Network([layer])
        assert net.theta.tolist() == fc.Network([layer]).theta.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("own", "several", "predicts", "inverse"),
    [
        (("sigmoid", "softmax"), True, "labels", "Sigmoid()"),
        (["softmax"], False, "scores", "None"),
        (("exp",), False, "rates", "None"),
    ],
)
def test_what_a_loss_of_ones_own_said_of_outputs(own, several, predicts, inverse):
    with warned("Mine.own_output", "link.refuses"):

        class Mine(fc.HalfSquaredError):
            name = "mine"
            own_output = own
            takes = "what it takes"
            several_labels = several

    assert (Mine().link.predicts, repr(Mine().link.inverse)) == (predicts, inverse)
    net = fc.mlp([2, 1], output_activation=own[0], seed=0)
    with pytest.raises(fc.errors.ConfigError, match=f"'{own[0]}', but Mine takes what it takes"):
        net.evaluate(X, T, Mine())


@pytest.mark.parametrize(
    ("base", "said", "link"),
    [
        (fc.BinaryCrossEntropy, {"own_output": ()}, ("values", "None", ())),
        (fc.BinaryCrossEntropy, {"own_output": ("tanh",)}, ("rates", "None", ("tanh",))),
        (fc.BinaryCrossEntropy, {"takes": "x"}, ("labels", "Sigmoid()", ("sigmoid", "softmax"))),
        (fc.SoftmaxCrossEntropy, {"own_output": "softmax"}, ("classes", "Softmax()", ("softmax",))),
        (fc.Poisson, {"takes": "x"}, ("rates", "Exp()", ("exp",))),
        (fc.Hinge, {"several_labels": True}, ("labels", "Sigmoid()", ("softmax", "sigmoid"))),
        (fc.Loss, {"own_output": property(lambda self: ("exp",))}, ("rates", "None", ("exp",))),
    ],
)
def test_what_a_loss_of_ones_own_says_of_outputs_in_place_of_the_librarys(base, said, link):
    with pytest.warns(FutureWarning, match=r"Mine\.\w+ is an old name.* write link\."):
        mine = type("Mine", (base,), {"name": "mine", **said})
    derived = type("Derived", (mine,), {"name": "derived"})
    for found in (mine().link, derived().link):
        assert (found.predicts, repr(found.inverse), found.refuses) == link
        assert found.takes == said.get("takes", base.link.takes)


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("own_output", "link.refuses", ("softmax", "sigmoid")),
        ("takes", "link.takes", fc.links.MULTINOMIAL_LOGIT.takes),
        ("several_labels", "link.tells_labels", False),
    ],
)
def test_what_the_librarys_losses_said_of_outputs(old, new, value):
    with warned(f"SoftmaxCrossEntropy.{old}", new):
        assert getattr(fc.SoftmaxCrossEntropy(), old) == value
    with pytest.raises(AttributeError, match=f"{old} cannot be set; set link"):
        setattr(fc.SoftmaxCrossEntropy(), old, value)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("SquaredError()", "HalfSquaredError()"),
        ("LogisticLoss()", "BinaryCrossEntropy()"),
        ("Momentum(lr=0.02, decay=0.8)", "Momentum(lr=0.02, momentum=0.8)"),
        ("RMSProp(lr=0.01, decay=0.99, epsilon=1e-08)", "RMSProp(lr=0.01, rho=0.99, epsilon=1e-08)"),
        ("Mixed of code 0123abcd (first=SquaredError())", "Mixed of code 0123abcd (first=HalfSquaredError())"),
        # a subclass has the settings of its base, and a class of the user's own may be called as one of the library's
        ("Mine(lr=0.1, decay=0.5) of code 0123abcd", "Mine(lr=0.1, momentum=0.5) of code 0123abcd"),
        ("Momentum(lr=0.1, decay=0.5) of code 0123abcd",) * 2,
        ("SquaredError() of code 0123abcd",) * 2,
    ],
)
def test_settings_of_a_run_of_an_earlier_version(then, now):
    assert deprecation.in_old_names(then) == deprecation.in_old_names(now)
    assert deprecation.in_old_names(then) != deprecation.in_old_names(now.replace("0.", "1.").replace("()", "(1)"))
