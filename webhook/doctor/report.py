"""Findings, for people and for programs."""

import json
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from webhook.doctor.finding import Finding, Level

_STYLES = {
    Level.OK: "green",
    Level.UNKNOWN: "dim",
    Level.WARNING: "yellow",
    Level.ERROR: "bold red",
}
_WIDTH = max(map(len, Level))


def show(findings: Iterable[Finding], console: Console) -> None:
    """Print findings: a line each, and how to mend it below; a terminal gets colours."""
    for found in findings:
        line = Text(f"{found.level:<{_WIDTH}}  ", style=_STYLES[found.level])
        line.append(f"{found.check}: {found.message}", style="default")
        console.print(line, soft_wrap=True)
        if found.mend:
            console.print(Text(f"{'':<{_WIDTH}}  → {found.mend}"), soft_wrap=True)


def document(findings: Iterable[Finding]) -> str:
    """Return findings as one JSON document."""
    rows = [
        {"check": found.check, "level": found.level, "message": found.message, "mend": found.mend}
        for found in findings
    ]
    return json.dumps({"findings": rows, "ok": not has_errors(found.level for found in findings)})


def has_errors(levels: Iterable[Level]) -> bool:
    """Tell whether anything does not work."""
    return Level.ERROR in set(levels)


def counted(findings: Iterable[Finding]) -> str:
    """Return how many findings there are of each level that is not well, in words."""
    return ", ".join(_counts([found.level for found in findings])) or "all is well"


def _counts(levels: list[Level]) -> Iterator[str]:
    for level in (Level.ERROR, Level.WARNING, Level.UNKNOWN):
        number = levels.count(level)
        if number:
            plural = "" if number == 1 or level is Level.UNKNOWN else "s"
            yield f"{number} {level}{plural}"
