"""A record behaves as a frozen dataclass does."""

import pytest

from flexvol.record import Record


class Point(Record):
    """A point."""

    x: int
    y: int = 0


class Named(Point):
    """A point with a name."""

    name: str = ""


def test_fields_are_given_by_position_or_by_name() -> None:
    assert (Point(1, 2).x, Point(1, 2).y) == (1, 2)
    assert Point(x=1) == Point(1, 0)
    assert Named(1, name="a").replace(y=5) == Named(1, 5, "a")


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="frozen"):
        Point(1).x = 2  # type: ignore[misc] # what the test is about


def test_equal_ones_are_equal_and_hash_alike() -> None:
    assert Point(1, 2) == Point(1, 2)
    assert hash(Point(1, 2)) == hash(Point(1, 2))
    assert Point(1, 2) != Point(2, 1)
    assert Point(1, 0) != Named(1, 0)


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"z": 1}), ((), {"y": 1})]
)
def test_a_field_that_lacks_or_is_unknown_is_an_error(
    values: tuple[int, ...], named: dict[str, int]
) -> None:
    with pytest.raises(TypeError, match="Point"):
        Point(*values, **named)


def test_it_shows_its_fields() -> None:
    assert repr(Point(1)) == "Point(x=1, y=0)"
