"""For the tests and the examples in docstrings alike: whatever one of them registers is known to it alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from fullyconnected.registries import REGISTRIES
from fullyconnected.symbolic import formulas

# what needs PyTorch or Keras, which the tests do without: no example is there
OTHERS = "pytorch/reader", "pytorch/modules", "pytorch/writer", "keras/operations", "keras/writer"
collect_ignore = [f"src/fullyconnected/exchange/{name}.py" for name in OTHERS]


TABLES: list[dict[str, Any]] = [
    *(registry.classes for registry in REGISTRIES),
    *(formulas.ACTIVATIONS, formulas.LAYERS, formulas.LOSSES, formulas.OPTIMIZERS),
]


@pytest.fixture(autouse=True)
def registries_as_before() -> Iterator[None]:
    """Put back what was registered before, and the formulas of it."""
    before = [dict(table) for table in TABLES]
    yield
    for table, entries in zip(TABLES, before, strict=True):
        table.clear()
        table.update(entries)
