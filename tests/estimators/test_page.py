"""The page "From scikit-learn" has every parameter of the estimators, with its default, and no other."""

import inspect
import re
from pathlib import Path

import pytest

import fullyconnected as fc

PAGE = Path(__file__).parents[2] / "docs" / "from-scikit-learn.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not beside the tests")
WHOSE = {"": {"MLPClassifier", "MLPRegressor"}, "classifier": {"MLPClassifier"}, "regressor": {"MLPRegressor"}}


def test_the_page_has_every_parameter_with_its_default_and_no_other() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("\n## Parameters\n")[2].partition("\n## ")[0]
    said: dict[str, dict[str, str]] = {"MLPClassifier": {}, "MLPRegressor": {}}
    for names, whose, defaults in re.findall(r"^\| (`[^|]*`)(?: of the (\w+))? \| ([^|]*) \|", section, re.MULTILINE):
        names, defaults = re.findall("`(.*?)`", names), re.findall("`(.*?)`", defaults)
        for kind in WHOSE[whose]:
            assert not said[kind].keys() & set(names)
            said[kind].update(zip(names, defaults, strict=True))
    for kind, found in said.items():
        parameters = inspect.signature(getattr(fc, kind)).parameters
        assert found == {name: repr(parameter.default) for name, parameter in parameters.items()}
