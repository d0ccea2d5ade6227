"""What ``slab prune`` is asked for, and which slabs that is."""

import pytest

from flexvol.errors import BadCallError
from flexvol.model import BUSY, DOOMED, FREE, GENERATION, HELD, SPARE
from flexvol.prune import Selection, read_selection
from tests.flexvol.make import slab

NOW, DAY = 1_800_000_000, 86_400
LONG_AGO = NOW - 30 * DAY


@pytest.mark.parametrize(
    ("arguments", "selection"),
    [
        (["--all"], Selection()),
        (["--all", "--dry-run"], Selection(dry_run=True)),
        (["--scope", "namespace/a"], Selection(scope="namespace/a")),
        (["--scope=namespace/a#k=1"], Selection(scope="namespace/a#k=1")),
        (["--unused-for", "90m"], Selection(unused_seconds=5400)),
        (["--unused-for=2w", "--dry-run"], Selection(unused_seconds=14 * DAY, dry_run=True)),
        (
            ["--unused-for", "7d", "--scope", "cluster"],
            Selection(scope="cluster", unused_seconds=7 * DAY),
        ),
    ],
)
def test_arguments_are_read(arguments: list[str], selection: Selection) -> None:
    assert read_selection(arguments) == selection


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--all is missing"),
        (["--dry-run"], "--all is missing"),
        (["--all", "--scope", "a"], "--all excludes"),
        (["--scope"], "--scope has no value"),
        (["--scope="], "--scope has no value"),
        (["--unused-for", "0d"], "'0d'"),
        (["--unused-for", "7 days"], "'7 days'"),
        (["--unused-for", "-7d"], "'-7d'"),
        (["--everything"], "'--everything'"),
        (["--all=yes"], "'--all'"),
        (["namespace/a"], "'namespace/a'"),
    ],
)
def test_what_is_not_understood_is_named(arguments: list[str], named: str) -> None:
    with pytest.raises(BadCallError) as caught:
        read_selection(arguments)
    assert named in str(caught.value)
    assert "slab prune" in str(caught.value) or "7d" in str(caught.value)


EVERYTHING = Selection()
OLD = Selection(unused_seconds=7 * DAY)
TEAM = Selection(scope="namespace/team")


@pytest.mark.parametrize(
    ("facts", "selection", "goes"),
    [
        ({"phase": FREE}, EVERYTHING, True),
        ({"phase": SPARE, "scope": ""}, EVERYTHING, True),
        ({"phase": DOOMED}, EVERYTHING, True),
        ({"phase": HELD, "orphaned": True}, EVERYTHING, True),
        ({"phase": HELD}, EVERYTHING, False),
        ({"phase": BUSY}, EVERYTHING, False),
        ({"phase": GENERATION, "released_at": LONG_AGO}, OLD, True),
        ({"phase": GENERATION}, TEAM, True),
        ({"phase": SPARE, "base": 3}, TEAM, True),
        ({"released_at": LONG_AGO}, OLD, True),
        ({"released_at": NOW - 7 * DAY}, OLD, True),
        ({"released_at": NOW - 7 * DAY + 1}, OLD, False),
        ({"released_at": NOW + DAY}, OLD, False),
        ({"phase": HELD, "orphaned": True, "released_at": LONG_AGO}, OLD, False),
        ({"phase": SPARE, "scope": ""}, OLD, False),
        ({"scope": "namespace/team"}, TEAM, True),
        ({"scope": "namespace/team#key"}, TEAM, True),
        ({"scope": "namespace/team-b"}, TEAM, False),
        ({"scope": "namespace/team#key"}, Selection(scope="namespace/team#key"), True),
        ({"scope": "namespace/team"}, Selection(scope="namespace/team#key"), False),
        ({"phase": SPARE, "scope": ""}, TEAM, False),
        ({"scope": "namespace/team", "released_at": NOW}, OLD.replace(scope=TEAM.scope), False),
    ],
)
def test_only_what_nobody_holds_and_was_asked_for_goes(
    facts: dict[str, object], selection: Selection, goes: object
) -> None:
    assert selection.has(slab("a").replace(**facts), NOW) is goes
