"""A record as a Python script that computes every number again with NumPy alone, and compares."""

import base64
from collections.abc import Iterable, Iterator

import numpy as np

from fullyconnected.core.arrays import Array
from fullyconnected.core.wording import in_ascii
from fullyconnected.explanation.record import Step, Trace
from fullyconnected.explanation.render.document import chapters, folded, given, headline, losses, nothing_yet
from fullyconnected.symbolic.as_numpy import as_numpy
from fullyconnected.symbolic.evaluation import evaluate, size_of
from fullyconnected.symbolic.expression import Call, Expression, names_in, sides

__all__ = ["to_python"]

LITERAL = 1000  # a larger array is written as bytes

HEAD = '''"""{headline}.

The script computes every number again, from the recorded numbers in its formula, and compares. It needs NumPy alone.
"""

import base64
import math

import numpy as np

inf, nan = math.inf, math.nan
TOLERANCE = {tolerance:g}  # relative to the largest intermediate number
compared = 0
if not __debug__:
    raise SystemExit("python -O skips assertions, so nothing would be compared: run this script without -O")


def unpack(text, dtype, shape):
    """Return an array from its bytes."""
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


def check(name, computed, recorded, size, tolerance=TOLERANCE):
    """Compare a computed with a recorded array, and return the recorded one."""
    global compared
    recorded = np.asarray(recorded)
    computed = np.broadcast_to(computed, recorded.shape)
    finite = np.isfinite(recorded)
    assert not np.isfinite(computed[~finite]).any(), f"{{name}}: recorded as not finite, computed as {{computed}}"
    off = np.abs(computed[finite].astype(float) - recorded[finite])
    assert (off <= tolerance * size).all(), f"{{name}}: recorded {{recorded}}, computed {{computed}}"
    compared += recorded.size
    return recorded
'''

THROUGH = '''

def through(name, computed, recorded, size, tolerance=TOLERANCE):
    """Compare only where both are finite: with NaN or infinity as input, codes differ, as for 0 times infinity."""
    recorded = np.asarray(recorded)
    computed = np.broadcast_to(computed, recorded.shape)
    both = np.isfinite(recorded) & np.isfinite(computed)
    check(name, computed[both], recorded[both], size, tolerance)
    return recorded
'''

HELPERS = {
    "Phi": "\n\ndef Phi(z):\n"
    '    """The normal distribution function."""\n'
    "    return (0.5 * np.vectorize(math.erfc, otypes=[float])(-z / math.sqrt(2))).astype(z.dtype)\n",
    "phi": '\n\ndef phi(z):\n    """The normal density."""\n    return np.exp(-z * z / 2) / math.sqrt(2 * math.pi)\n',
}


def to_python(trace: Trace, focus: object = None, lang: str = "en") -> str:
    """Return the script, which computes every number, whatever the focus; as code it is in English."""
    return "\n".join(_lines(trace)).rstrip() + "\n"


def _calls(node: Expression) -> Iterator[str]:
    if isinstance(node, Call):
        yield node.function
    for part in sides(node):
        yield from _calls(part)


def _lines(trace: Trace) -> Iterator[str]:
    tolerance = 1e-12 if trace.dtype == "float64" else 1e-5
    yield HEAD.format(headline=headline(trace), tolerance=tolerance).rstrip()
    used = {function for step in (*trace.steps, *trace.again) for function in _calls(step.equation.right)}
    if _check((*trace.steps, *trace.again)) == "through":
        yield THROUGH.rstrip()
    for function, source in HELPERS.items():
        if function in used:
            yield source.rstrip()
    yield ""
    yield ""
    yield 'np.seterr(all="ignore")  # numbers that are not finite are compared, too'
    yield ""
    yield "# given"
    for name, what in given(trace):
        yield f"{as_numpy(name)} = {_array(trace.values[name])}  # {in_ascii(what)}"
    if zeros := folded(trace):
        yield f"# {nothing_yet(trace)}"
        for name in zeros:
            array = trace.values[name]
            yield f"{as_numpy(name)} = np.zeros({array.shape}, {array.dtype.name!r})"
    for phase, _, steps, _ in chapters(trace):
        yield ""
        yield f"# {f'after the update: {losses(trace)}' if phase == 'after' else phase}"
        if phase == "check":
            yield from _checks(trace, steps)
        else:
            for step in (*(trace.again if phase == "after" else ()), *steps):
                yield from _step(step)
    yield ""
    yield 'print(f"{compared:,} numbers were computed again, and agree")'


def _step(step: Step) -> Iterator[str]:
    left = as_numpy(step.equation.left)
    if not step.known:
        layer = in_ascii(step.layer)
        yield f"{left} = {_array(step.result)}  # of {layer}, whose formula is not known: not computed again"
        return
    if _marked(step):
        yield f"{left} = {_array(step.result)}  # an intermediate number was too large, which the code marks by NaN"
        return
    check = _check([step])
    yield f"{left} = {check}({step.name!a}, {as_numpy(step.equation.right)}, {_array(step.result)}, {_size(step)!r})"


def _check(steps: Iterable[Step]) -> str:
    """Return the function of the script that compares the results of steps, depending on whether inputs are finite."""
    going_in = (step.values[name] for step in steps if step.known for name in names_in(step.formula))
    return "check" if all(np.isfinite(array).all() for array in going_in) else "through"


def _size(step: Step) -> float:
    """Return the largest intermediate number of a result, to which the tolerance is relative."""
    with np.errstate(all="ignore"):
        return max(size_of(step.equation.right, step.values), float(np.finfo(np.float32).tiny))


def _marked(step: Step) -> bool:
    """Whether a layer's code gave NaN because an intermediate number was too large, where the formula gives one."""
    if step.finite:
        return False
    with np.errstate(all="ignore"):
        goes_on = np.isfinite(np.broadcast_to(evaluate(step.formula, step.values), step.result.shape))
    try:
        with np.errstate(all="ignore", over="raise"):
            evaluate(step.formula, step.values)
    except FloatingPointError:
        return bool((goes_on & ~np.isfinite(step.result)).any())
    return False


def _checks(trace: Trace, steps: list[Step]) -> Iterator[str]:
    """Yield the gradient check: the loss as a function, if all formulas are known, with every number moved."""
    loss = trace.name("L")
    upto = next(i for i, step in enumerate(trace.steps) if step.equation.left == loss)
    lines = [step for step in trace.steps[: upto + 1] if step.equation.left.of == ""]
    known = all(step.known for step in lines)
    size = max(_size(step) for step in lines if step.phase == "loss") if known else 0.0
    # masks and sample weights are recorded in the network's dtype, but the differences were computed in float64
    tolerance = 1e-9 if trace.dtype == "float64" else 1e-5
    moved = [trace.name(step.equation.left.full.removesuffix(":slope")) for step in steps]
    if known:
        yield f"def loss_of({', '.join(map(as_numpy, moved))}):"
        yield '    """Return the loss, computed in float64."""'
        for step in lines:
            yield f"    {as_numpy(step.equation.left)} = {as_numpy(step.equation.right)}"
        yield f"    return {as_numpy(loss)}"
        yield ""
        yield ""
        arrays = ", ".join(f"{as_numpy(name)!a}: np.array({as_numpy(name)}, float)" for name in moved)
        yield f"numbers = {{{arrays}}}"
    compare = _check(lines) if known else ""
    for step, name in zip(steps, moved, strict=True):
        yield from _differences(step, as_numpy(name), compare, f"max({size!r}, abs(recorded)), {tolerance:g}")


def _differences(step: Step, name: str, compare: str, within: str) -> Iterator[str]:
    right, left, *steps = (step.values[each] for each in names_in(step.equation.right))
    rows = []
    for entry in step.entries or ():
        h = float(steps[0][entry] if steps[0].shape else steps[0])
        rows.append((entry, h, float(right[entry]), float(left[entry]), float(step.result[entry])))
    yield f"for entry, h, right, left, slope in {rows!r}:"
    if compare:
        yield "    for way, recorded in ((h, right), (-h, left)):"
        yield f"        other = numbers[{name!a}].copy()"
        yield "        other[entry] += way"
        yield f"        {compare}('L', loss_of(**{{**numbers, {name!a}: other}}), recorded, {within})"
    yield f"    check({step.name!a}, (right - left) / (2 * h), slope, max(abs(right), abs(left)) / h, 1e-10)"


def _array(array: Array) -> str:
    dtype = array.dtype
    if array.size > LITERAL:
        text = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
        return f"unpack({text!r}, {dtype.str!r}, {array.shape})"
    # the shortest digits that give the same float32 again
    values = (array.astype(str).astype(float) if dtype == np.float32 else array).tolist()
    if not array.shape:
        return f"np.float32({values!r})" if dtype == np.float32 else repr(values)
    return f"np.array({values!r}, {dtype.name!r})"
