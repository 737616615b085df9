"""The CUDA engine computes what the NumPy engine computes: the tests of the native engine, with this one."""

import pytest

from tests.native.test_equality import (  # noqa: F401
    nearest,
    test_an_ensemble_ends_at_the_same_place,
    test_codes_and_bins_are_looked_up_as_numpy_multiplies_by_them,
    test_dropout_draws_the_same_masks,
    test_every_ensemble_with_every_activation_and_loss,
    test_every_layer_with_every_activation_and_loss,
    test_networks_of_any_shape,
    test_networks_of_many_blocks,
    test_rows_of_every_dtype,
    test_twenty_steps_end_at_the_same_place,
    test_what_is_not_finite_passes_through_as_in_numpy,
)


@pytest.fixture(scope="module")
def engine(cupy):
    return "cuda"
