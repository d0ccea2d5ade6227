"""JSON, without what importing ``json`` costs.

That module imports ``re``, ``enum`` and ``functools``, which touch 400 pages of memory, a tenth of
what a whole warm mount does. The scanner and the string encoder underneath it, in C, are enough.
"""

import _json

_WHITESPACE = " \t\n\r"


class _Rules:
    """What the scanner asks of its context: plain JSON, nothing converted."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    memo: "dict[str, str]" = {}  # noqa: RUF012 - the scanner's own

    @staticmethod
    def parse_constant(name: str) -> object:
        raise ValueError(f"{name} is not JSON")


def loads(text: str) -> object:
    """Return the value of a JSON text.

    Raises:
        ValueError: the text is not JSON; the message says where.
    """
    start = len(text) - len(text.lstrip(_WHITESPACE))
    try:
        value, end = _json.make_scanner(_Rules)(text, start)  # type: ignore[arg-type] # see _Rules
    except RecursionError:
        raise ValueError("not JSON that anyone means: nested too deeply") from None
    except (ValueError, StopIteration, SystemError):
        raise _explained(text) from None
    if text[end:].strip(_WHITESPACE):
        raise ValueError(f"not JSON alone: more follows at character {end}")
    return value


def _explained(text: str) -> ValueError:
    """Return the error that the module itself would raise: only it has the words."""
    import json

    try:
        json.loads(text, parse_constant=_Rules.parse_constant)
    except ValueError as error:
        return ValueError(f"not JSON: {error}")
    return ValueError("not JSON")


def dumps(value: object) -> str:
    """Return strings, numbers, booleans, None, and dicts and lists of them as one line of JSON."""
    if isinstance(value, str):
        return _json.encode_basestring_ascii(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{dumps(str(key))}: {dumps(item)}" for key, item in value.items())
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(dumps, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no JSON form here")
