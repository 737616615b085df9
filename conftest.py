"""For the tests and the examples in docstrings alike: whatever one of them registers is known to it alone."""

from collections.abc import Iterator

import pytest

from fullyconnected.registries import REGISTRIES


@pytest.fixture(autouse=True)
def registries_as_before() -> Iterator[None]:
    """Put back what was registered before."""
    before = [dict(registry.classes) for registry in REGISTRIES]
    yield
    for registry, classes in zip(REGISTRIES, before, strict=True):
        registry.classes.clear()
        registry.classes.update(classes)
