"""A run of the playground as a script that repeats it with the public functions of the library, to the last digit."""

import ast
import inspect
from collections.abc import Callable
from typing import Any

from fullyconnected.core.version import __version__
from fullyconnected.errors import ConfigError
from fullyconnected.playing import points
from fullyconnected.playing.building import outputs_of
from fullyconnected.playing.data import DATA, SPLIT
from fullyconnected.playing.formula import CONSTANTS, SEVERAL, compiled
from fullyconnected.playing.stepping import Stepper

__all__ = ["script_of"]

INPUTS = {
    "x1": "x1",
    "x2": "x2",
    "x1^2": "x1 * x1",
    "x2^2": "x2 * x2",
    "x1*x2": "x1 * x2",
    "sin(x1)": "np.sin(x1)",
    "sin(x2)": "np.sin(x2)",
}
NORMS = {"batch": "fc.BatchNorm()", "layer": "fc.LayerNorm()", "rms": "fc.RMSNorm()"}
SCHEDULES = {
    "step": "fc.StepDecay(0.5, {0})",
    "exponential": "fc.ExponentialDecay(0.1 ** (1 / {0}))",
    "linear": "fc.LinearDecay({0})",
    "cosine": "fc.CosineDecay({0})",
    "warmup": "fc.Warmup({0})",
}


def script_of(stepper: Stepper) -> str:
    """Return the script. It trains the complete epochs of the run; :func:`fullyconnected.fit` knows no others."""
    edits = [each for each in stepper.edits if each.step > 0]
    if edits:
        raise ConfigError(
            f"a weight was set by hand after step {edits[0].step}, in the midst of training, which no call of fc.fit "
            f"repeats. Download the model instead, or rewind and set weights before the first step"
        )
    epochs, more = divmod(stepper.step, stepper.steps)
    lines = [
        f'"""{_said(stepper, epochs, more)}"""',
        "",
        "from __future__ import annotations",
        "",
        "import numpy as np",
        "",
        "import fullyconnected as fc",
        "",
        *_data(stepper),
        *_network(stepper),
        *_training(stepper, epochs),
    ]
    return "\n".join(lines) + "\n"


def _said(stepper: Stepper, epochs: int, more: int) -> str:
    said = [
        f"A run of the playground: {epochs} epochs, {epochs * stepper.steps} steps.",
        "",
        f"Address: #{stepper.setup.address()}",
        f"Written by fullyconnected {__version__}. With this version, and on a processor with the same instructions,",
        "the numbers are the same to the last digit.",
    ]
    if more:
        said.insert(1, f"The playground has made {more} more of the {stepper.steps} steps of the next epoch.")
    return "\n".join(said).replace("\\", "\\\\").replace('"""', "'''") + "\n"


def _data(stepper: Stepper) -> list[str]:
    setup, data = stepper.setup, stepper.data
    seed = setup.data_seed
    lines = []
    if setup.data == "table":
        lines += [
            f"# the rows of the table as the playground gave them to the network: {', '.join(data.input_names)}"[:400],
            f"inputs = np.array({_listed(data.rows)})",
            f"t = np.array({data.t.tolist()!r})",
        ]
    elif setup.data == "points":
        lines += [f"x = np.array({_listed(data.x)})", f"t = np.array({data.t.tolist()!r})"]
    else:
        kind = None if setup.data == "formula" else points.KINDS[setup.data]
        lines += [f"REACH = {points.REACH!r}", "", ""]
        wanted: tuple[Callable[..., Any], ...] = (
            points.normal,
            points.square,
            points.class_of,
            *([kind] if kind is not None else []),
        )
        for function in wanted:
            lines += [inspect.getsource(function).replace("Array", "np.ndarray").rstrip(), "", ""]
        draw = f"np.random.Generator(np.random.Philox(key=np.array([{seed}, {DATA}], np.uint64)))"
        lines += [f"u = {draw}.random(({setup.rows}, 4))", "n = normal(u)"]
        if kind is not None:
            lines.append(f"x, t = {kind.__name__}(u, n, noise={setup.noise!r}, classes={setup.classes})")
        else:
            lines += [
                "x = square(u)",
                "x1, x2 = x[:, 0], x[:, 1]",
                f"v = {_in_numpy(setup.formula)} + np.zeros(len(x))",
            ]
            if setup.task == "regression":
                lines.append(f"t = v + {setup.noise!r} * n[:, 0]")
            else:
                lines += ["t = (v > 0).astype(float)", f"x = x + {setup.noise!r} * n"]
    if setup.data != "table":
        columns = ", ".join(INPUTS[name] for name in setup.features)
        lines += ["x1, x2 = x[:, 0], x[:, 1]", f"inputs = np.column_stack([{columns}])"]
    lines.append("t = t.astype(np.int64)" if data.classes is not None else "t = t[:, None]")
    n_test = int(data.test.sum())
    lines += [
        "",
        f"# {n_test} of {len(data.t)} rows are for testing",
        f"split = np.random.Generator(np.random.Philox(key=np.array([{seed}, {SPLIT}], np.uint64)))",
        f"test = np.zeros({len(data.t)}, bool)",
        f"test[split.permutation({len(data.t)})[:{n_test}]] = True",
        "",
    ]
    return lines


def _listed(table: Any) -> str:
    return "[\n" + "".join(f"    {row!r},\n" for row in table.tolist()) + "]"


def _of_numpy(name: str) -> ast.expr:
    return ast.Attribute(ast.Name("np"), name)


def _in_numpy(text: str) -> str:
    """Return a formula as an expression in NumPy, whose every part is computed as the playground does."""

    class Names(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return _of_numpy(node.id) if node.id in CONSTANTS else node

        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            return ast.Call(_of_numpy("float64"), [node], [])

        def visit_Call(self, node: ast.Call) -> ast.AST:
            assert isinstance(node.func, ast.Name)
            arguments = [self.visit(each) for each in node.args]
            if node.func.id not in SEVERAL:
                return ast.Call(_of_numpy(node.func.id), arguments, [])
            pair = _of_numpy(f"{node.func.id}imum")
            found = arguments[0]
            for each in arguments[1:]:
                found = ast.Call(pair, [found, each], [])
            return found

        def visit_Compare(self, node: ast.Compare) -> ast.AST:
            return ast.BinOp(self.generic_visit(node), ast.Mult(), ast.Constant(1.0))  # type: ignore[arg-type]

    return ast.unparse(ast.fix_missing_locations(Names().visit(compiled(text))))


def _network(stepper: Stepper) -> list[str]:
    setup, n_in = stepper.setup, len(stepper.data.input_names)
    init = "" if setup.init in ("auto", "file") else f", init={setup.init!r}"
    lines = ["net = fc.Network(", "    ["]
    for width in setup.hidden:
        if setup.norm == "none":
            block = [f"fc.Dense({n_in}, {width}, {setup.activation!r}{init})"]
        else:
            block = [f"fc.Dense({n_in}, {width}{init})", NORMS[setup.norm], f"fc.Activation({setup.activation!r})"]
        if setup.dropout:
            block.append(f"fc.Dropout({setup.dropout!r})")
        residual = setup.residual and n_in == width
        lines += [f"        fc.Residual([{', '.join(block)}])," if residual else f"        {', '.join(block)},"]
        n_in = width
    lines += [
        f"        fc.Dense({n_in}, {outputs_of(setup, stepper.data)}),",
        "    ],",
        '    dtype="float64",',
        f"    seed={setup.seed},",
        ")",
    ]
    if setup.init == "file":
        lines.append(
            'net.theta = fc.load("playground.safetensors").theta  # the file that the playground was opened with'
        )
    for each in stepper.edits:
        lines.append(f"net.theta[{each.place}] = {each.value!r}  # set by hand")
    return lines


def _training(stepper: Stepper, epochs: int) -> list[str]:
    setup = stepper.setup
    settings = [f"batch_size={stepper.batch_size}", f"shuffle={setup.shuffle}", f"seed={setup.seed}"]
    if setup.l2:
        settings.append(f"l2={setup.l2!r}")
    if setup.max_grad_norm:
        settings.append(f"max_grad_norm={setup.max_grad_norm!r}")
    if setup.schedule != "constant":
        settings.append(f"schedule={SCHEDULES[setup.schedule].format(setup.schedule_epochs)}")
    settings.append(f'engine="{stepper.engine.name}"')
    if stepper.n_threads is not None:
        settings.append(f"n_threads={stepper.n_threads}")
    lines = [f"loss, rule = fc.{stepper.loss!r}, fc.{_rule(stepper)}"]
    if epochs:
        lines.append(
            f"fc.fit(net, inputs[~test], t[~test], loss, rule, epochs={epochs}, {', '.join(settings)}, warn=False)"
        )
    lines += ['print("loss of the training rows", repr(float(net.evaluate(inputs[~test], t[~test], loss).loss)))']
    if stepper.testing is not None:
        lines += ['print("loss of the test rows    ", repr(float(net.evaluate(inputs[test], t[test], loss).loss)))']
    return lines


def _rule(stepper: Stepper) -> str:
    setup = stepper.setup
    more = f", momentum={setup.momentum!r}" if setup.optimizer in ("momentum", "nesterov") else ""
    more = f", weight_decay={setup.weight_decay!r}" if setup.optimizer == "adamw" else more
    return f"{type(stepper.rule).__name__}(lr={setup.learning_rate!r}{more})"
