"""Kubernetes quantities: ``10Gi``, ``500M``, ``100m``, ``1e3``.

The grammar is that of ``k8s.io/apimachinery/pkg/api/resource.Quantity``; values are exact.
"""

import re
from fractions import Fraction
from functools import lru_cache

MIB = 1024 * 1024

_SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
} | {
    suffix: Fraction(base**power)
    for base, suffixes in ((1000, "kMGTPE"), (1024, ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")))
    for power, suffix in enumerate(suffixes, start=1)
}
_GRAMMAR = re.compile(r"\+?([0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})([A-Za-z]{0,2})")
_EXPONENT = re.compile(r"(.{1,62})[eE]([+-]?[0-9]{1,2})")
_MAX = 2**63 - 1


@lru_cache(maxsize=1024)
def parse(text: str) -> Fraction:
    """Return the value of a quantity that is not negative.

    Raises:
        ValueError: ``text`` is no quantity, is negative, or exceeds 2**63 - 1.
    """
    exponent = _EXPONENT.fullmatch(text)
    digits, power = exponent.groups() if exponent else (text, "0")
    number = _GRAMMAR.fullmatch(digits)
    if number is None or number[2] not in _SUFFIXES or (exponent and number[2]):
        raise ValueError(f"{text!r} is no Kubernetes quantity")
    value = Fraction(number[1]) * _SUFFIXES[number[2]] * Fraction(10) ** int(power)
    if value > _MAX:
        raise ValueError(f"{text!r} is more than Kubernetes can count")
    return value


def mib(size: Fraction, *, multiple: int = 1) -> int:
    """Return ``size`` bytes in MiB, rounded up to a whole ``multiple`` of MiB."""
    return -(-size // (MIB * multiple)) * multiple
