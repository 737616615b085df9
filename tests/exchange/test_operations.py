"""The table of operations and formats in docs/exchange.md says what the formats do."""

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")  # before Keras is loaded

from tests.exchange.networks import ACTIVATION_NAMES, LAYER_NAMES
from tests.exchange.operations import COLUMNS, in_document, operations, table, there


def test_it_has_every_operation_and_every_format():
    found = in_document()
    assert {name for _, name, _ in operations()} == {*LAYER_NAMES, *ACTIVATION_NAMES}
    assert [*found] == [name for name, *_ in operations()]
    for cells in found.values():
        assert [*cells] == [column.name for column in COLUMNS]
        assert all(cell.startswith(("yes", "in float32", "no: ")) for cell in cells.values())


@pytest.mark.filterwarnings("default")  # of Keras, such as of PyTorch
@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_it_is_true(column):
    if not there(column):
        pytest.skip(f"{' and '.join(column.needs)} is not installed; .ci/nightly pytorch and keras have it")
    found = in_document()
    for name, cells in table([column]).items():
        assert found[name][column.name] == cells[column.name], f"{name}; python -m tests.exchange.operations writes it"
