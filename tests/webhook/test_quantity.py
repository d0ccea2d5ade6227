"""Quantities mean what they mean to Kubernetes."""

from fractions import Fraction

import pytest

from webhook import quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("10", 10),
        ("+10", 10),
        ("1.5", Fraction(3, 2)),
        (".5", Fraction(1, 2)),
        ("1.", 1),
        ("100m", Fraction(1, 10)),
        ("5u", Fraction(5, 10**6)),
        ("7n", Fraction(7, 10**9)),
        ("1k", 1000),
        ("500M", 500 * 10**6),
        ("1E", 10**18),
        ("10Ki", 10240),
        ("10Gi", 10 * 2**30),
        ("1.5Ti", 3 * 2**39),
        ("1e3", 1000),
        ("1E3", 1000),
        ("12e-1", Fraction(6, 5)),
        (str(2**63 - 1), 2**63 - 1),
    ],
)
def test_a_quantity_has_its_exact_value(text: str, value: Fraction) -> None:
    assert quantity.parse(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "10 gigs", "10 Gi", "10gi", "10GI", "10K", "Gi", "1e", "1e3Ki", "1ee3", "-1"),
        *("--1", "1,5", "1..5", ".", "٣", "0x10", "1_000", "10Gi\n", "inf"),
        *("1e99", "9" * 400, str(2**63)),
    ],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"quantity|count"):
        quantity.parse(text)


@pytest.mark.parametrize(
    ("text", "mib"),
    [("10Gi", 10240), ("500M", 480), ("256Mi", 256), ("257Mi", 260), ("10737418241", 10244)],
)
def test_a_size_is_rounded_up_to_whole_extents(text: str, mib: int) -> None:
    assert quantity.mib(quantity.parse(text), multiple=4) == mib
