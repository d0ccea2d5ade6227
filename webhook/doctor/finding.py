"""What a check says: one question, how it stands, and how to mend it."""

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How it stands."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """One thing found.

    Attributes:
        check: which check found it.
        level: how it stands.
        message: what was found.
        mend: what to do, a command to type where there is one; empty where all is well.
    """

    check: str
    level: Level
    message: str
    mend: str = ""


class Verdict(NamedTuple):
    """A finding that does not know its check's name yet."""

    level: Level
    message: str
    mend: str = ""


def fine(message: str) -> Verdict:
    """Return that all is well."""
    return Verdict(Level.OK, message)


def warning(message: str, mend: str) -> Verdict:
    """Return what works, but not as it should."""
    return Verdict(Level.WARNING, message, mend)


def error(message: str, mend: str) -> Verdict:
    """Return what does not work."""
    return Verdict(Level.ERROR, message, mend)


def unknown(what: str, why: str) -> Verdict:
    """Return that a question has no answer."""
    return Verdict(
        Level.UNKNOWN, f"{what} cannot be told: {why}", "ask as somebody who may read it"
    )
