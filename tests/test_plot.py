"""The figures: what is drawn and said in them, what is refused, and that nothing of matplotlib's is changed."""

import subprocess
import sys

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.training.history import History

matplotlib = pytest.importorskip("matplotlib")
figure = pytest.importorskip("matplotlib.figure")

X2 = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
XOR = np.array([0, 1, 1, 0])


@pytest.fixture
def ax():
    return figure.Figure(layout="constrained").subplots()


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def drawn(axes):
    """Draw the whole figure, as saving it does: whatever matplotlib would warn of is an error here."""
    for drawing in {ax.figure for ax in np.ravel(axes)}:
        drawing.draw_without_rendering()
    return axes


def net_of(W, b, activation=None):
    net = fc.Network([fc.Dense(*np.shape(W), activation)], dtype=np.float64)
    net.params[0].W, net.params[0].b = W, b
    return net


class TestDecisionBoundary:
    def test_the_regions_are_where_the_network_says(self, ax):
        net = net_of([[1, 0, -1], [0, 1, -1]], [0, 0, 0])
        drawn(fc.plot.decision_boundary(net, [[-1, -1], [1, 0], [0, 1]], [2, 0, 1], ax=ax))
        (image,) = ax.images
        left, right, bottom, top = image.get_extent()
        region = image.get_array()
        for x in ([-0.7, -0.3], [0.9, 0.1], [-0.2, 0.8]):
            column = int((x[0] - left) / (right - left) * region.shape[1])
            row = int((x[1] - bottom) / (top - bottom) * region.shape[0])
            assert region[row, column] == net.predict([x]).argmax()
        assert legend(ax) == ["class 0", "class 1", "class 2"]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("input 0", "input 1")

    def test_classes_differ_in_colour_and_in_marker(self, ax):
        t = np.arange(20)
        fc.plot.decision_boundary(fc.mlp([2, 20], seed=0), np.random.default_rng(0).normal(size=(20, 2)), t, ax=ax)
        looks = {(tuple(c.get_facecolor()[0]), c.get_paths()[0].vertices.tobytes()) for c in ax.collections[-20:]}
        assert len(looks) == 20
        assert {text.get_text() for text in ax.texts} <= set(map(str, range(20)))  # colours come twice: so, by number
        assert ax.texts

    @pytest.mark.parametrize("t", [[0, 2, 1], [[0], [2], [1]], np.eye(3)[[0, 2, 1]], [[0.8, 0.1, 0.1]] * 3])
    def test_classes_in_any_form(self, t, ax):
        drawn(fc.plot.decision_boundary(fc.mlp([2, 3], seed=0), [[0, 0], [1, 1], [2, 0]], t, ax=ax))
        assert legend(ax)[0] == "class 0"

    @pytest.mark.parametrize(
        ("activation", "boundary", "said"),
        [(None, None, "output = 0"), ("sigmoid", None, "output = 0.5"), (None, 0.25, "output = 0.25")],
    )
    def test_one_output_has_a_line_and_says_at_which_value(self, activation, boundary, said, ax):
        net = net_of([[1], [0]], [-0.5], activation)
        drawn(fc.plot.decision_boundary(net, X2, XOR, ax=ax, boundary=boundary))
        assert legend(ax) == [said, "class 0", "class 1"]
        lines = [c for c in ax.collections if type(c).__name__ == "QuadContourSet" and not c.filled]
        (path,) = lines[0].get_paths()
        np.testing.assert_allclose(path.vertices[:, 0], 0.5 if boundary is None else 0.75, atol=1e-6)

    @pytest.mark.parametrize(
        ("loss", "said"), [("half_squared_error", "output = 0.5"), ("binary_cross_entropy", "output = 0")]
    )
    def test_the_line_is_where_the_loss_of_the_training_says(self, loss, said, ax):
        net = net_of([[1], [0]], [-0.5], None)
        net.loss = loss
        drawn(fc.plot.decision_boundary(net, X2, XOR, ax=ax))
        assert legend(ax)[0] == said

    def test_numbers_have_the_colours_of_the_values(self, ax):
        x = np.random.default_rng(0).normal(size=(30, 2))
        t = 10 * x[:, 0]
        drawn(fc.plot.decision_boundary(fc.mlp([2, 8, 1], seed=0), x, t, ax=ax))
        filled, points = ax.collections
        assert points.norm.vmin == filled.norm.vmin <= t.min()
        assert points.norm.vmax == filled.norm.vmax >= t.max()
        np.testing.assert_array_equal(points.get_array(), t)

    def test_one_of_several_outputs(self, ax):
        x = np.random.default_rng(0).normal(size=(30, 2))
        drawn(fc.plot.decision_boundary(fc.mlp([2, 3], seed=0), x, 5 * x[:, [0, 1, 0]], output=1, ax=ax))
        np.testing.assert_array_equal(ax.collections[-1].get_array(), 5 * x[:, 1])
        assert [each.get_xlabel() for each in ax.figure.axes] == ["input 0", "output 1"]

    def test_further_inputs_are_held_at_their_mean_and_the_axes_say_so(self, ax):
        net = net_of([[0], [0], [1], [0]], [-3])
        x = np.array([[0, 0, 2, 0], [1, 1, 6, 1.0]])
        drawn(fc.plot.decision_boundary(net, x, [0, 1], columns=(3, 0), ax=ax))
        assert ax.get_xlabel() == "input 3 (the other 2 are at the mean)"
        assert ax.get_ylabel() == "input 0"
        assert ax.collections[0].get_array().size  # the output is 4 - 3 everywhere
        low, high = ax.collections[0].get_clim()
        assert low <= 1 <= high
        images = np.random.default_rng(0).normal(size=(5, 3, 4))
        drawn(fc.plot.decision_boundary(fc.mlp([12, 3]), images, [0, 1, 2, 0, 1], columns=(0, 11), ax=ax))

    @pytest.mark.parametrize("weight", [0, 1e-30, 1e19, 1e38, np.inf])
    @pytest.mark.parametrize("outputs", [1, 2])
    def test_outputs_that_are_all_alike_or_overflow(self, weight, outputs, ax):
        net = fc.mlp([2, 4, outputs], seed=0)
        net.params[0].W *= 0 if weight == 0 else 1
        net.params[1].W = 0 if weight == 0 else weight
        if np.isinf(weight):
            net.params[1].b = np.nan
            with pytest.raises(errors.DataError, match=r"look at net\.theta"):
                fc.plot.decision_boundary(net, X2, XOR, ax=ax)
        else:
            drawn(fc.plot.decision_boundary(net, X2, XOR, ax=ax))

    @pytest.mark.parametrize(
        "x", [[[1.0, 1.0]], [[5e9, 1], [5e9, 2]], X2 * 1e30, X2 * 1e-30, [[3e38, 0], [-3e38, 1]]], ids=range(5)
    )
    def test_rows_wherever_they_lie(self, x, ax):
        drawn(fc.plot.decision_boundary(fc.mlp([2, 2], seed=0), x, np.arange(len(x)) % 2, ax=ax))

    @pytest.mark.parametrize(
        ("arguments", "settings", "error", "message"),
        [
            ((fc.mlp([1, 1]), [[1.0]], [0]), {}, errors.ShapeError, "takes 1 input, and a plane has 2: plot net.pre"),
            ((fc.mlp([3, 1]), [[1, 2, 3]], [0]), {}, errors.ConfigError, r"takes 3 inputs.*columns=\(0, 1\)"),
            ((fc.mlp([2, 1]), [[1, 2, 3]], [0]), {}, errors.ShapeError, "3 numbers a row; the network takes 2"),
            ((fc.mlp([2, 1]), X2, [0, 1]), {}, errors.ShapeError, r"x has 4 rows and t has shape \(2,\)"),
            ((fc.mlp([2, 1]), [[1, np.nan]], [0]), {}, errors.DataError, r"x\[0, 1\] is nan"),
            ((fc.mlp([2, 1]), [[1, 2]], [np.nan]), {}, errors.DataError, r"t\[0\] is nan"),
            ((fc.mlp([2, 1]), np.zeros((0, 2)), []), {}, errors.ShapeError, "x has no rows"),
            ((fc.mlp([2, 1]), [["a", "b"]], [0]), {}, errors.InputTypeError, "numbers are wanted"),
            ((fc.mlp([2, 1]), X2, np.zeros((4, 2))), {}, errors.ShapeError, r"\(rows,\) or \(rows, 1\) is wanted"),
            ((fc.mlp([2, 3]), X2, np.zeros((4, 2))), {}, errors.ShapeError, r"\(4,\) or \(4, 3\) is wanted"),
            ((fc.mlp([2, 3]), X2, [0, 1, 3, 0]), {}, errors.DataError, r"t\[2\] is 3; with 3 outputs the classes"),
            ((fc.mlp([2, 2]), X2, 7 * X2), {}, errors.DataError, "t holds numbers, not classes.*output=0"),
            ((fc.mlp([2, 2]), X2, XOR), {"output": 2}, errors.ConfigError, "output is 0 to 1 for this network; got 2"),
            ((fc.mlp([2, 2]), X2, XOR), {"output": "0"}, errors.InputTypeError, "output is a whole number; got '0'"),
            ((fc.mlp([2, 2]), X2, XOR), {"boundary": 0.5}, errors.ConfigError, "a value of one output"),
            ((fc.mlp([2, 1]), X2, XOR), {"boundary": "0"}, errors.InputTypeError, "boundary is a number; got '0'"),
            ((fc.mlp([2, 1]), X2, XOR), {"columns": (0, 0)}, errors.ConfigError, "two different inputs"),
            ((fc.mlp([2, 1]), X2, XOR), {"columns": (0, 2)}, errors.ConfigError, r"got \(0, 2\)"),
            ((fc.mlp([2, 1]), X2, XOR), {"columns": (0, -1)}, errors.ConfigError, r"columns\[1\] must be 0 or more"),
            ((fc.mlp([2, 1]), X2, XOR), {"columns": 1}, errors.InputTypeError, "columns is a pair of inputs"),
            ((fc.mlp([2, 1]), X2, XOR), {"ax": "here"}, errors.InputTypeError, "a matplotlib Axes.*got 'here'"),
            (([[1]], X2, XOR), {}, errors.InputTypeError, r"the first argument is a Network; got \[\[1\]\]"),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, arguments, settings, error, message):
        with pytest.raises(error, match=message):
            fc.plot.decision_boundary(*arguments, **settings)


class TestLearningCurves:
    def test_of_a_run(self):
        x = np.random.default_rng(0).normal(size=(60, 2))
        t = (x[:, 0] > 0).astype(int)
        history = fc.fit(
            fc.mlp([2, 8, 2], seed=0), x[:40], t[:40], fc.SoftmaxCrossEntropy(), fc.Adam(0.05), 8, 20,
            validation=(x[40:], t[40:]), metrics=["accuracy"], patience=3, engine="numpy", progress=False,
        )  # fmt: skip
        axes = drawn(fc.plot.learning_curves(history, ax=figure.Figure().subplots(2)))
        np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), history.loss)
        np.testing.assert_array_equal(axes[0].lines[1].get_ydata(), history.validation_loss)
        np.testing.assert_array_equal(axes[1].lines[0].get_ydata(), history.metrics["accuracy"])
        assert axes[0].lines[0].get_xdata().tolist() == list(range(1, len(history.loss) + 1))
        best = f"best epoch, whose weights are kept: epoch {history.best_epoch}"
        assert legend(axes[0]) == ["training", "validation", best]
        assert legend(axes[1]) == ["validation"]
        assert axes[1].get_ylabel() == "accuracy"
        assert [ax.lines[-1].get_xdata()[0] for ax in axes] == [history.best_epoch] * 2

    def test_without_validation(self, ax):
        history = History(loss=[3.0, 2.0], metrics={"mean_absolute_error": [1.0, 0.5]})
        axes = fc.plot.learning_curves(history, ax=figure.Figure().subplots(1, 2))
        assert [legend(each) for each in axes] == [["training"], ["training"]]
        assert axes[1].get_ylabel() == "mean absolute error"
        assert fc.plot.learning_curves(history, ax=ax) == [ax]  # the loss alone

    @pytest.mark.parametrize(
        ("loss", "scale"),
        [
            ([5.0, 0.1], "log"),
            ([5.0, 1.0], "linear"),
            ([5.0, 0.0], "linear"),
            ([5.0, -1.0], "linear"),
            ([2.0], "linear"),
        ],
    )
    def test_the_scale(self, loss, scale, ax):
        drawn(fc.plot.learning_curves(History(loss=loss), ax=ax))
        assert ax.get_yscale() == scale

    def test_what_is_not_finite_is_counted(self, ax):
        history = History(loss=[2.0, np.inf, 1.0], validation_loss=[np.nan, np.nan, np.inf])
        drawn(fc.plot.learning_curves(history, ax=ax))
        assert legend(ax) == ["training (1 not finite)", "validation (3 not finite)"]

    @pytest.mark.parametrize("name", ["price [$]", "$a$", "$\\frac{$", "a_b^c {", "two\nlines\x00", "caf\udce9"])
    def test_a_metric_of_any_name_is_written_as_it_is(self, name):
        axes = drawn(fc.plot.learning_curves(History(loss=[3.0, 2.0], metrics={name: [0.5, 0.6]})))
        assert axes[1].get_ylabel() in (name.replace("_", " "), "two lines\ufffd", "caf\\xe9")

    def test_the_lowest_validation_loss_is_a_finite_one(self, ax):
        fc.plot.learning_curves(History(loss=[1.0] * 4, validation_loss=[-np.inf, 3.0, 2.0, np.nan]), ax=ax)
        assert legend(ax)[-1] == "lowest validation loss: epoch 3"

    @pytest.mark.parametrize(
        ("history", "axes", "error", "message"),
        [
            (History(), 1, errors.DataError, "no epoch"),
            ([1.0, 2.0], 1, errors.InputTypeError, r"what fc.fit returns; got \[1.0, 2.0\]"),
            (History(loss=["a"]), 1, errors.InputTypeError, "the training curve has dtype"),
            (History(loss=[1.0], metrics={"r2": [1.0]}), 3, errors.ShapeError, "for the loss, r2: .*; got 3"),
            (History(loss=[1.0]), 0, errors.InputTypeError, "ax is a matplotlib Axes"),
        ],
    )
    def test_what_is_refused(self, history, axes, error, message):
        with pytest.raises(error, match=message):
            fc.plot.learning_curves(history, ax=figure.Figure().subplots(axes) if axes else "here")


class TestHistograms:
    def test_of_a_network(self):
        net = fc.Network([fc.Dense(3, 8), fc.Residual([fc.LayerNorm(), fc.Dense(8, 8, bias=False)]), fc.Dense(8, 1)])
        axes = drawn(fc.plot.histograms(net, fig=figure.Figure(layout="constrained")))
        names = [tensor.name for tensor in net.program.tensors]
        assert [ax.get_title().split("\n")[0] for ax in axes] == names
        assert axes[0].get_title() == "dense_1.W\n3 x 8"
        for ax, tensor in zip(axes, net.program.tensors, strict=True):
            assert ax.patches[0].get_data().values.sum() == np.prod(tensor.shape)

    def test_of_gradients(self):
        net = fc.Network([fc.Dense(2, 4), fc.Residual([fc.Activation("relu"), fc.Dense(4, 4)]), fc.Dense(4, 1)])
        g = net.gradients(X2, XOR, "half_squared_error")
        axes = drawn(fc.plot.histograms(g, fig=figure.Figure(layout="constrained")))
        assert [ax.get_title().split("\n")[0] for ax in axes] == [
            "params[0].W", "params[0].b", "params[1][1].W", "params[1][1].b", "params[2].W", "params[2].b", "x",
        ]  # fmt: skip

    def test_what_is_not_finite_is_counted(self):
        net = fc.mlp([2, 4, 1], seed=0)
        net.params[0].W[0] = [np.nan, np.inf, -np.inf, 1]
        net.params[0].b = np.nan
        axes = drawn(fc.plot.histograms(net, fig=figure.Figure(layout="constrained")))
        assert axes[0].get_title() == "dense_1.W\n2 x 4, 1 NaN, 2 infinite"
        assert axes[0].patches[0].get_data().values.sum() == 5
        assert axes[1].get_title() == "dense_1.b\n4, 4 NaN"
        assert not axes[1].patches

    @pytest.mark.parametrize(
        "values", [0, 1, -1e-40, 3e38, [1, 1 + 1e-7], [3e38, -3e38], [1e-45, 0], [1e-30, 1e30]], ids=str
    )
    def test_any_spread(self, values):
        net = fc.Network([fc.Dense(2, 1, bias=False)])
        net.params[0].W = np.reshape(values, (-1, 1)) if np.size(values) > 1 else values
        (ax,) = drawn(fc.plot.histograms(net, fig=figure.Figure(layout="constrained")))
        assert ax.patches[0].get_data().values.sum() == 2

    def test_long_names_are_broken(self):
        layer = fc.Dense(2, 2)
        for _ in range(5):
            layer = fc.Residual([layer])
        (title, _) = (ax.get_title() for ax in fc.plot.histograms(fc.Network([layer]), fig=figure.Figure()))
        assert max(map(len, title.split("\n"))) < 35
        assert title.replace("\n", "") == 5 * "residual_1." + "dense_1.W2 x 2"

    @pytest.mark.parametrize(
        ("of", "fig", "error", "message"),
        [
            (fc.Network([fc.Dropout(0.1, n_in=2)]), None, errors.DataError, "no parameters"),
            ([1.0], None, errors.InputTypeError, r"give a Network.*got \[1.0\]"),
            (fc.mlp([2, 1]), "here", errors.InputTypeError, "fig is a matplotlib Figure; got 'here'"),
        ],
    )
    def test_what_is_refused(self, of, fig, error, message):
        with pytest.raises(error, match=message):
            fc.plot.histograms(of, fig=fig)


def test_figures_of_its_own(monkeypatch):
    """Made by pyplot, where a notebook looks for them; and neither shown, nor is a setting changed."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(pyplot, "show", lambda: pytest.fail("shown"))
    before, open_before = dict(matplotlib.rcParams), pyplot.get_fignums()
    history = History(loss=[3.0, 1.0], metrics={"accuracy": [0.5, 1.0]})
    try:
        for draw, panels in (
            (lambda: [fc.plot.decision_boundary(fc.mlp([2, 2], seed=0), X2, XOR)], 1),
            (lambda: fc.plot.learning_curves(history), 2),
            (lambda: fc.plot.histograms(fc.mlp([2, 3, 1], seed=0)), 4),
        ):
            axes = drawn(draw())
            assert len(axes) == panels
            assert axes[0].figure is pyplot.gcf()
        assert len(pyplot.get_fignums()) == len(open_before) + 3
    finally:
        for number in set(pyplot.get_fignums()) - set(open_before):
            pyplot.close(number)
    assert dict(matplotlib.rcParams) == before


def test_axes_of_ones_own_need_no_pyplot():
    code = (
        "import sys, fullyconnected as fc; from matplotlib.figure import Figure\n"
        "net = fc.mlp([2, 2]); ax = Figure().subplots()\n"
        "fc.plot.decision_boundary(net, [[0, 0], [1, 1]], [0, 1], ax=ax); fc.plot.histograms(net, fig=Figure())\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: fc.plot.decision_boundary(fc.mlp([2, 2]), X2, XOR),
        lambda: fc.plot.learning_curves(History(loss=[1.0])),
        lambda: fc.plot.histograms(fc.mlp([2, 2])),
    ],
)
def test_without_matplotlib(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(errors.MissingPackageError, match=r"fullyconnected\[plot\]"):
        draw()
