"""For the tests and the examples in docstrings alike: whatever one of them registers is known to it alone."""

from collections.abc import Iterator

import pytest

from fullyconnected.registries import REGISTRIES

# what needs PyTorch or Keras, which the tests do without: no example is there
OTHERS = "pytorch/reader", "pytorch/modules", "pytorch/writer", "keras/operations", "keras/writer"
collect_ignore = [f"src/fullyconnected/exchange/{name}.py" for name in OTHERS]


@pytest.fixture(autouse=True)
def registries_as_before() -> Iterator[None]:
    """Put back what was registered before."""
    before = [dict(registry.classes) for registry in REGISTRIES]
    yield
    for registry, classes in zip(REGISTRIES, before, strict=True):
        registry.classes.clear()
        registry.classes.update(classes)
