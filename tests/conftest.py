"""What all tests share."""

import cProfile
import os

import numpy as np
import pytest

try:
    import hypothesis
except ImportError:  # the tests that use it say so themselves
    pass
else:
    hypothesis.settings.register_profile(  # the same examples in every run: a red test stays red
        "repeatable", deadline=None, derandomize=True, database=None
    )
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

collect_ignore_glob = ["golden/make_*.py"]  # they need what the tests do without, such as PyTorch


@pytest.fixture
def rng():
    """Random numbers, the same in every run."""
    return np.random.default_rng(7)


@pytest.fixture
def blobs():
    """A small, solvable problem: three clouds of points, float64, and their class numbers."""
    rng = np.random.default_rng(3)
    t = np.arange(90) % 3
    centres = np.array([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]])
    return centres[t] + 0.3 * rng.normal(size=(90, 2)), t


@pytest.fixture
def calls():
    """Return a function that does some work, and says how many calls of functions it took: what a clock would say on a
    machine that is always the same, with nothing else to do."""

    def count(work):
        profile = cProfile.Profile()
        profile.runcall(work)
        return sum(entry.callcount for entry in profile.getstats())

    return count
