"""Tables in docstrings, read as what they are: the cases of a test."""

import re
from collections.abc import Callable


def rows(documented: Callable[..., object]) -> list[list[str]]:
    """Return the cells of the table in a function's docstring, its heading left out.

    Columns are separated by two blanks or more, rows enclosed by bars of ``=``.
    """
    lines = [line.strip() for line in (documented.__doc__ or "").splitlines()]
    bars = [number for number, line in enumerate(lines) if re.fullmatch(r"=+(  +=+)+", line)]
    _, start, end = bars
    return [re.split(r"  +", line) for line in lines[start + 1 : end]]
