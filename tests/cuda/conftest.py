"""The tests of the CUDA engine run on a strict stand-in for CuPy, whether there is a GPU or not."""

import pytest

from tests.cuda import standin


@pytest.fixture(scope="module")
def cupy():
    """What stands for CuPy, on which ``engine="cuda"`` then runs."""
    with pytest.MonkeyPatch.context() as patch:
        yield standin.install(patch, devices=4)
