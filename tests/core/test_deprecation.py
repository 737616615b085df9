"""Old names: each works as the new one does, and gives one warning, of the line that uses it."""

import contextlib
import pydoc
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.core import deprecation
from fullyconnected.losses import LOSSES

X, T = np.array([[0.5, -1.0], [0.25, 2.0], [-1.5, 1.0]]), np.array([[1.0], [0.0], [1.0]])


@contextlib.contextmanager
def warned(old, new):
    """The lines within are one warning, of the first of them, which names both."""
    line = sys._getframe(2).f_lineno + 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    (warning,) = caught
    assert warning.category is FutureWarning
    assert (warning.filename, warning.lineno) == (__file__, line)
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
