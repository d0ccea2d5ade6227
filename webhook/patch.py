"""JSON Patch (RFC 6902) of additions only, written directly: nothing is copied, nothing diffed.

Every path is valid against the pod as it came plus the operations before it.
"""

from collections.abc import Sequence

import msgspec


class Operation(msgspec.Struct, frozen=True, gc=False, tag_field="op", tag="add"):
    """One addition: ``path`` is a JSON pointer (RFC 6901)."""

    path: str
    value: object


def pointer(*tokens: str | int) -> str:
    """Return the JSON pointer of ``tokens``, escaped."""
    return "".join(f"/{str(token).replace('~', '~0').replace('/', '~1')}" for token in tokens)


def appended(
    path: str, existing: Sequence[object] | None, values: Sequence[object]
) -> list[Operation]:
    """Return the additions that put ``values`` at the end of the list at ``path``.

    Args:
        path: pointer to the list.
        existing: the list as it is; None where it is absent or null.
        values: what to add; where it is empty nothing is done.
    """
    if existing is None:
        return [Operation(path, values)] if values else []
    return [Operation(f"{path}/-", value) for value in values]


def prepended(path: str, existing: Sequence[object] | None, value: object) -> Operation:
    """Return the addition that puts ``value`` first into the list at ``path``."""
    return Operation(path, [value]) if existing is None else Operation(f"{path}/0", value)
