"""What tells one setting from another: the same in every process and under every Python, never for two that differ."""

import ast
import copy
import datetime
import functools
import math
import os
import re
import runpy
import subprocess
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.training import sourcecode
from fullyconnected.training.identity import alike, stable_repr


def halve(epoch, by=0.5):
    return by**epoch


def make(factor):
    return lambda epoch: factor**epoch


class Slotted:
    __slots__ = ("factor",)

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, epoch):
        return self.factor


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda e: 0.5, lambda e: 1e-9),
        (lambda e: [2 * i for i in (1, 2)], lambda e: [3 * i for i in (1, 2)]),
        (make(0.5), make(0.9)),
        (make(math.cos), make(math.sin)),
        (make([0.5]), make([0.9])),
        (make(np.arange(1000.0)), make(np.arange(1.0, 1001))),
        (make(2**60), make(2**60 + 1)),
        (functools.partial(halve, by=0.5), functools.partial(halve, by=0.9)),
        (functools.lru_cache(make(0.5)), functools.lru_cache(make(0.9))),
        (Slotted(1), Slotted(2)),
        (Slotted(1).__call__, Slotted(2).__call__),
        (np.vectorize(make(0.5)), np.vectorize(make(0.9))),
        (np.poly1d([1, 2]), np.poly1d([1, 3])),
        (fc.StepDecay(0.5), fc.StepDecay(0.6)),
        (fc.Warmup(1, then=make(0.5)), fc.Warmup(1, then=make(0.9))),
        (fc.SGD(0.1), fc.SGD(0.2)),
    ],
    ids=range(16),
)
def test_two_settings_that_differ_are_told_apart(one, other) -> None:
    assert stable_repr(one) == stable_repr(one)
    assert stable_repr(one) != stable_repr(other)
    assert not alike(stable_repr(one), stable_repr(other))
    assert " at 0x" not in stable_repr(one)


def test_the_same_setting_made_twice_is_the_same() -> None:
    assert stable_repr(make(0.5)) == stable_repr(make(0.5))
    assert stable_repr(make({1, "a", 2.5})) == stable_repr(make({2.5, "a", 1.0}))
    assert stable_repr(Slotted(np.float64(0.5))) == stable_repr(Slotted(np.float64(0.5)))
    assert stable_repr(functools.partial(halve, 1)) == stable_repr(functools.partial(halve, 1))
    assert stable_repr(functools.partial(max, key=1, default=2)) == stable_repr(
        functools.partial(max, default=2, key=1)
    )


FILE = """
import functools, math, threading
import fullyconnected as fc
import helper
from helper import decay

FACTOR = 0.5
RATES = [1.0, 0.5]
CONFIG = {"rate": 0.5, "epochs": 10, "out": print}
SEEN, COUNT = [], 0

def plain(epoch: float, by: float = 2.0) -> float:
    '''Return a factor.'''
    return FACTOR ** (epoch / by)  # smoothly

def several(epoch):
    return CONFIG["rate"] * RATES[0] * helper.POWER * decay(epoch)

def counting(epoch):
    global COUNT
    COUNT += 1
    SEEN.append(epoch)
    return FACTOR

def recursive(epoch):
    return 1.0 if epoch < 1 else FACTOR * recursive(epoch - 1)

def closed(by):
    calls = 0
    def schedule(epoch):
        nonlocal calls
        calls += 1
        return by ** epoch
    return schedule

def wrapped(function):
    @functools.wraps(function)
    def wrapper(*args):
        return FACTOR * function(*args)
    return wrapper

@wrapped
def decorated(epoch):
    return 2.0

@functools.lru_cache
def cached(epoch):
    return FACTOR ** epoch

class Base:
    power = 2.0

    def value(self, epoch):
        return self.rate ** (self.power * epoch)

class Locked(Base):
    def __init__(self, rate):
        self.rate, self.lock, self.me = rate, threading.RLock(), self
        self.cache, self.calls = {}, 0

    def __call__(self, epoch):
        with self.lock:
            self.calls += 1
            self.cache[epoch] = self.value(epoch) * self.half
            return self.cache[epoch]

    @property
    def half(self):
        return FACTOR

@fc.register
class Own(fc.Loss):
    name = "own"
    scale = 3.0

    def __init__(self, delta):
        self.delta = delta

    def terms(self, z, t, c, dz):
        dz[...] = FACTOR * self.scale * self.delta

locked = Locked(0.5)
THINGS = {
    "plain": plain, "several": several, "counting": counting, "recursive": recursive, "closed": closed(0.5),
    "decorated": decorated, "cached": cached, "locked": locked, "method": locked.value, "loss": Own(1),
    "partial": functools.partial(plain, by=3), "lambda": [lambda e: e, lambda e: e + FACTOR][1], "class": Own,
    "library": fc.Warmup(2, then=lambda e: FACTOR), "c": math.cos, "installed": fc.mlp,
}
"""
HELPER = "POWER = 2\nSCALE = 1.5\ndef decay(epoch):\n    return SCALE ** -epoch\n"
TOLD = {
    "plain": "plain of code ec143d6c (FACTOR=0.5, by=2.0)",
    "several": "several of code 4d95fb8f (CONFIG['rate']=0.5, RATES[0]=1.0, "
    "decay=decay of code aea1d6b9 (SCALE=1.5), helper.POWER=2.0)",
    "counting": "counting of code 5fe207c9 (FACTOR=0.5)",
    "recursive": "recursive of code 6fa4a7d8 (FACTOR=0.5, recursive=...)",
    "closed": "closed.<locals>.schedule of code 01cef7aa (by=0.5)",
    "decorated": "decorated of code 80ec56ad (FACTOR=0.5, function=decorated of code 8a334873)",
    "cached": "cached of code 04574daf (FACTOR=0.5)",
    "locked": "Locked of code f35259e1 (half=Locked.half of code 8aac1113 (FACTOR=0.5), lock=RLock(), "
    "value=Base.value of code a4eb4115 (power=2.0, rate=0.5))",
    "method": "Base.value of code a4eb4115 (power=2.0, rate=0.5)",
    "loss": "Own(delta=1.0) of code 29c26ee5 (FACTOR=0.5, delta=1.0, name='own', scale=3.0)",
    "partial": "partial(plain of code ec143d6c (FACTOR=0.5, by=2.0), [], {'by': 3.0})",
    "lambda": "<lambda> of code c41bb7c4 (FACTOR=0.5)",
    "class": "Own of code 29c26ee5 (FACTOR=0.5, name='own', scale=3.0)",
    "library": "Warmup(epochs=2.0, then=<lambda> of code b413b20a (FACTOR=0.5))",
    "c": "cos",
    "installed": "mlp",
}


@pytest.fixture
def things(tmp_path, monkeypatch):
    """What a program's settings are told as, with parts of its text, or of its helper's, replaced."""

    def run(*changes):
        (tmp_path / "program.py").write_text(replaced(FILE, changes), encoding="utf-8")
        (tmp_path / "helper.py").write_text(replaced(HELPER, changes), encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        sys.modules.pop("helper", None)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        for registry in fc.registries.REGISTRIES:
            registry.classes.pop("own", None)
        found = runpy.run_path(str(tmp_path / "program.py"))["THINGS"]
        sys.modules.pop("helper", None)
        return found

    yield run
    sys.modules.pop("helper", None)


def replaced(text, changes):
    for old, new in changes:
        text = text.replace(old, new)
    return text


def told_of(found):
    return {name: stable_repr(thing) for name, thing in found.items()}


def test_every_setting_that_a_function_has_is_told(things):
    """Checkpoints hold these texts: where one changes, runs that are on their way are refused."""
    assert told_of(things()) == TOLD


def test_it_is_the_same_in_every_process(tmp_path, things):
    here = told_of(things())
    code = (
        "import runpy; from fullyconnected.training.identity import stable_repr\n"
        "for name, thing in runpy.run_path('program.py')['THINGS'].items(): print(name, stable_repr(thing), sep='=')\n"
    )
    for options, seed in (([], "1"), (["-OO"], "2")):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, *options, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.stderr == ""
        assert dict(line.split("=", 1) for line in done.stdout.splitlines()) == here


def test_it_is_the_same_after_use(things):
    found = things()
    before = told_of(found)
    for name in ("counting", "closed", "locked", "cached"):
        found[name](1.0)
        found[name](2.0)
    assert told_of(found) == before


LAYOUT = [
    ("  # smoothly", ""),
    ("return FACTOR ** (epoch / by)", "return (\n        FACTOR\n        ** (epoch / by)\n    )"),
    ("'''Return a factor.'''", "'''Return another.'''"),
    ("(epoch: float, by: float = 2.0) -> float", "(epoch, by: int = 2)"),
    ("import functools, math, threading", "import math\nimport threading\n\n\nimport functools"),
    ('"epochs": 10', '"epochs": 20, "more": 1'),
    ("def value(self, epoch)", "\n\n    def value(self, epoch)"),
    ("POWER = 2\n", "POWER = 2.0\nOTHER = 7\n"),
]


def test_layout_comments_annotations_and_what_is_not_read_do_not_matter(things):
    assert told_of(things(*LAYOUT)) == told_of(things())


CHANGES = {
    ("FACTOR = 0.5", "FACTOR = 0.6"): {
        *("plain", "counting", "recursive", "decorated", "cached", "locked", "loss", "partial", "lambda", "class"),
        "library",
    },
    ("(epoch / by)", "(epoch * by)"): {"plain", "partial"},
    ("by: float = 2.0", "by: float = 3.0"): {"plain", "partial"},
    ('"rate": 0.5', '"rate": 0.6'): {"several"},
    ("RATES = [1.0", "RATES = [2.0"): {"several"},
    ("POWER = 2\n", "POWER = 3\n"): {"several"},
    ("SCALE = 1.5", "SCALE = 1.6"): {"several"},
    ("SCALE ** -epoch", "SCALE ** epoch"): {"several"},
    ("closed(0.5)", "closed(0.6)"): {"closed"},
    ("return by ** epoch", "return by * epoch"): {"closed"},
    ("return 2.0", "return 3.0"): {"decorated"},
    ("FACTOR * function", "FACTOR + function"): {"decorated"},
    ("power = 2.0", "power = 3.0"): {"locked", "method"},
    ("Locked(0.5)", "Locked(0.6)"): {"locked", "method"},
    ("self.power * epoch", "self.power + epoch"): {"locked", "method"},
    ("return FACTOR\n\n@fc", "return 2 * FACTOR\n\n@fc"): {"locked"},
    ("scale = 3.0", "scale = 4.0"): {"loss", "class"},
    ("FACTOR * self.scale", "FACTOR / self.scale"): {"loss", "class"},
    ("Own(1)", "Own(2)"): {"loss"},
    ("lambda e: e + FACTOR", "lambda e: e - FACTOR"): {"lambda"},
    ("by=3)", "by=4)"): {"partial"},
    ("then=lambda e: FACTOR", "then=lambda e: -FACTOR"): {"library"},
    ('"c": math.cos', '"c": math.sin'): {"c"},
}


@pytest.mark.parametrize("change", CHANGES, ids=" -> ".join)
def test_what_changes_a_setting_is_told_and_nothing_else_is(change, things):
    before, after = told_of(things()), told_of(things(change))
    assert {name for name in before if before[name] != after[name]} == CHANGES[change]
    assert {name for name in before if not alike(before[name], after[name])} == CHANGES[change]


def test_what_refers_to_itself_ends():
    loop = []
    loop.append(loop)
    deep = functools.reduce(lambda inner, _: [inner], range(100_000), [])
    parent, child = types.SimpleNamespace(), types.SimpleNamespace()
    parent.child, child.parent = child, parent

    class Node:
        def __call__(self, epoch):
            return self.other(epoch) * self.rate

    one, other = Node(), Node()
    one.other, other.other, one.rate, other.rate = other, one, 0.5, 0.25
    for thing in (loop, deep, parent, one, make(one), functools.partial(one, loop), fc.Warmup(1, then=one)):
        assert len(stable_repr(thing)) < 1000
    assert "rate=0.5" in stable_repr(one)
    assert "rate=0.25" in stable_repr(one)


def test_values_of_all_kinds_are_told():
    day = datetime.date(2020, 2, 29)
    for value in (Decimal("0.5"), Fraction(1, 3), day, range(3), slice(2), re.compile("a"), np.datetime64(day), 1j):
        assert stable_repr(make(value)) == stable_repr(make(copy.deepcopy(value)))
    different = [
        Decimal("0.5"),
        Decimal("0.6"),
        Fraction(1, 3),
        day,
        range(3),
        range(4),
        re.compile("a"),
        b"",
        "",
        None,
    ]
    assert len(set(map(stable_repr, different))) == len(different)


def test_an_object_that_fails_where_it_is_looked_at():
    class Odd:
        def __getattr__(self, name):
            raise RuntimeError("not ready")

        def __call__(self, epoch):
            return self.rate

    assert stable_repr(Odd()).startswith("test_an_object_that_fails_where_it_is_looked_at.<locals>.Odd")


def test_what_cannot_be_told_has_the_name_of_its_class():
    for thing in (threading.Lock(), object(), np.random.default_rng(0), types.SimpleNamespace(a=1), iter([])):
        assert stable_repr(thing) == f"{type(thing).__qualname__}()"


def test_what_is_large_is_told_in_few_words():
    many = [*range(100_000)]
    for thing in (many, tuple(many), np.array(many), set(many), dict.fromkeys(many), "x" * 10**6, make(many)):
        assert len(stable_repr(thing)) < 400
    assert stable_repr(many) != stable_repr([*many[:-1], 0])
    assert stable_repr("x" * 10**6) != stable_repr("x" * (10**6 - 1) + "y")


def test_a_number_that_has_become_a_function_is_another_setting():
    assert not alike(stable_repr(make(0.5)), stable_repr(make(halve)))
    assert not alike(stable_repr(fc.Warmup(1)), stable_repr(fc.Warmup(1, then=halve)))
    assert not alike(stable_repr(fc.Warmup(1, then=halve)), stable_repr(fc.Warmup(1, then=make(halve))))


def test_a_property_that_is_kept_is_not_computed():
    class Kept:
        computed = 0

        @functools.cached_property
        def table(self):
            Kept.computed += 1
            return 5.0

        def __call__(self, epoch):
            return self.table

    assert "table of code" in stable_repr(Kept())
    assert Kept.computed == 0


def from_a_prompt(text):
    """As functions are that have no file."""
    names = {}
    exec(compile(text, "<string>", "exec"), names)
    return names["schedule"]


def test_a_function_without_source_is_told_by_what_the_interpreter_made_of_it():
    text = "RATE, LOG = 0.5, []\ndef schedule(epoch, by=2):\n    LOG.append(epoch)\n    return RATE ** (epoch / by)\n"
    one = stable_repr(from_a_prompt(text))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert one.startswith(f"schedule of Python {version} ")
    assert one.endswith(" (RATE=0.5, by=2.0)")
    assert one == stable_repr(from_a_prompt(text))
    for change in (("0.5", "0.6"), ("by=2", "by=3"), ("epoch / by", "epoch * by")):
        assert not alike(one, stable_repr(from_a_prompt(replaced(text, [change]))))
    sets = "def schedule(epoch):\n    return 1.0 if str(epoch) in {'a', 'bc', 'def', 'ghij', 'klmno'} else 0.5\n"
    code = f"{sets}from fullyconnected.training.identity import stable_repr\nprint(stable_repr(schedule))"
    found = set()
    for seed in "123":
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        found.add(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout)
    assert len(found) == 1
    # another Python makes something else of it, and a file has its source: then its name is all that there is
    assert alike(one, one.replace(f"Python {version}", "Python 3.99"))
    assert alike(one, "schedule of code 12345678 (RATE=0.7)")
    assert not alike(one, "another of code 12345678 (RATE=0.5)")


def test_functions_on_one_line_are_told_apart_or_by_what_the_interpreter_made_of_them():
    code = (
        "from fullyconnected.training.identity import stable_repr\n"
        "for f in [lambda e: e + 1, lambda e: e + 2, (lambda a: lambda e: a + e), (lambda a: lambda e: a + e)(3)]:\n"
        "    print(stable_repr(f))\n"
    )
    for options in ([], ["-X", "no_debug_ranges"]):
        done = subprocess.run([sys.executable, *options, "-"], input=code, capture_output=True, text=True, check=True)
        assert len(set(done.stdout.splitlines())) == 4


def test_runs_in_threads_that_begin_at_once_find_the_same_code(monkeypatch):
    """What ast and inspect count and keep is no thread's own: of two at once, one may fail."""
    inside, parse = threading.Lock(), ast.parse

    def alone(text):
        assert inside.acquire(blocking=False), "two threads parse at once"
        try:
            time.sleep(0.01)
            return parse(text)
        finally:
            inside.release()

    monkeypatch.setattr(ast, "parse", alone)
    code = (lambda epoch: 1 - epoch / 4).__code__
    with ThreadPoolExecutor(8) as threads:
        found = [each.result() for each in [threads.submit(sourcecode.find, code, {}) for _ in range(16)]]
    assert found[0] is not None
    assert len(set(found)) == 1
