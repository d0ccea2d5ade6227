"""The seed of whatever is random in a test run, printed at its head, in the guests too."""

import os
import random
from collections.abc import Callable

import hypothesis

VARIABLE = "DIND_SEED"
"""The environment variable to set to repeat a run."""


def choose() -> int:
    """Return the run's seed; the first call chooses it, where the environment does not."""
    return int(os.environ.setdefault(VARIABLE, str(random.SystemRandom().randrange(10**6))))


def dice(name: str) -> random.Random:
    """Return dice that fall alike in every run of this seed.

    Args:
        name: keeps one test's dice apart from another's.
    """
    return random.Random(f"{choose()} {name}")  # noqa: S311 - nothing secret


def fixed(test: Callable[..., None]) -> Callable[..., None]:
    """Have hypothesis begin a test with the run's seed; decorates what ``given`` returns."""
    return hypothesis.seed(choose())(test)
