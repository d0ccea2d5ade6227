"""The seed of whatever is random in a test run, printed at its head, in the guests too."""

import os
import random
from collections.abc import Callable, Mapping

import hypothesis
import pytest
from _pytest.mark import ParameterSet

VARIABLE = "DIND_SEED"
"""The environment variable to set to repeat a run."""

_SAMPLED, _SOAK = pytest.mark.sampled, pytest.mark.soak


def choose() -> int:
    """Return the run's seed; the first call chooses it, where the environment does not."""
    return int(os.environ.setdefault(VARIABLE, str(random.SystemRandom().randrange(10**6))))


def dice(name: str) -> random.Random:
    """Return dice that fall alike in every run of this seed.

    Args:
        name: keeps one test's dice apart from another's.
    """
    return random.Random(f"{choose()} {name}")  # noqa: S311 - nothing secret


def sampled(name: str, cases: Mapping[str, tuple[object, ...]], count: int) -> list[ParameterSet]:
    """Return a test's cases: those that this seed draws for every run, the others for the soak.

    Args:
        name: keeps one test's dice apart from another's.
        cases: the arguments of each case, by its name.
        count: how many run under ``make test``; ``make soak`` runs all.
    """
    drawn = set(dice(name).sample(sorted(cases), count))
    return [
        pytest.param(*cases[case], id=case, marks=_SAMPLED if case in drawn else _SOAK)
        for case in cases
    ]


def fixed(test: Callable[..., None]) -> Callable[..., None]:
    """Have hypothesis begin a test with the run's seed; decorates what ``given`` returns."""
    return hypothesis.seed(choose())(test)
