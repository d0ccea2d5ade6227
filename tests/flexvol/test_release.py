"""What becomes of a released slab."""

import pytest

from flexvol.release import CLEAN, READY, STARTING, Contents, Fate, fate


@pytest.mark.parametrize(
    ("contents", "anonymous", "expected"),
    [
        (Contents(10.0, CLEAN), False, Fate(delete=False, reason="kept")),
        (Contents(50.0, CLEAN), False, Fate(delete=False, reason="kept")),
        (Contents(50.5, CLEAN), False, Fate(delete=True, reason="50 % full")),
        (Contents(51.0, CLEAN), False, Fate(delete=True, reason="51 % full")),
        (Contents(10.0, ""), False, Fate(delete=False, reason="kept")),
        (Contents(10.0, "nonsense"), False, Fate(delete=False, reason="kept")),
        (Contents(None, ""), False, Fate(delete=False, reason="kept")),
        (
            Contents(10.0, READY),
            False,
            Fate(delete=False, unchecked=True, reason="its daemon did not stop in order"),
        ),
        (
            Contents(10.0, STARTING),
            False,
            Fate(delete=True, reason="its daemon never became ready"),
        ),
        (Contents(10.0, CLEAN), True, Fate(delete=True, reason="anonymous")),
    ],
)
def test_the_fate_of_a_slab(contents: Contents, anonymous: bool, expected: Fate) -> None:  # noqa: FBT001 - parametrized
    assert fate(contents, anonymous=anonymous, full_percent=50) == expected


@pytest.mark.parametrize(
    ("contents", "kept"),
    [
        (Contents(50.0, CLEAN), True),
        (Contents(50.0, ""), True),
        (Contents(50.5, CLEAN), False),
        (Contents(10.0, READY), False),
        (Contents(10.0, STARTING), False),
        (Contents(None, CLEAN), False),
    ],
)
def test_only_what_is_known_to_be_good_becomes_a_generation(
    contents: Contents,
    kept: bool,  # noqa: FBT001 - parametrized
) -> None:
    what = fate(contents, anonymous=False, full_percent=50, thin=True)
    assert what.delete != kept
    assert not what.unchecked
