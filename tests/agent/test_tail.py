"""The driver's log, read as it grows: every line once, across rotations and restarts."""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flexvol.agent.tail import Tail
from flexvol.log import MAX_BYTES, Log
from tests.agent.make import NOON

LONG_AGO = NOON - timedelta(days=10000)


class Node:
    """A node's log, written by the driver's own code, and the agents that read it."""

    def __init__(self, place: Path) -> None:
        self.path = place / "slab.log"
        self.bookmark = place / "agent"
        self.log = Log(str(self.path), call="mount")
        self.tails: list[Tail] = []

    def agent(self, since: datetime = LONG_AGO) -> Tail:
        """Start an agent."""
        tail = Tail(self.path, self.bookmark, since)
        self.tails.append(tail)
        return tail

    def write(self, *slabs: str, padding: str = "") -> None:
        """Have the driver log a mount of each slab."""
        for slab in slabs:
            self.log.info("mounted", slab=slab, padding=padding)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    for tail in node.tails:
        tail.close()


def read(tail: Tail) -> list[str]:
    """Return what is news."""
    news = [entry.line.slab for entry in tail.read() if entry.is_new]
    tail.keep_place()
    return news


def test_each_line_is_read_once(node: Node) -> None:
    tail = node.agent()
    assert read(tail) == []
    node.write("a", "b")
    assert read(tail) == ["a", "b"]
    assert read(tail) == []
    node.write("c")
    assert read(tail) == ["c"]


def test_half_a_line_waits_for_its_end(node: Node) -> None:
    node.write("a")
    whole = node.path.read_bytes()
    node.path.write_bytes(whole + whole[:20])
    tail = node.agent()
    assert read(tail) == ["a"]
    with node.path.open("ab") as stream:
        stream.write(whole[20:])
    assert read(tail) == ["a"]


def test_what_is_no_line_of_the_drivers_is_passed_over(node: Node) -> None:
    node.write("a")
    with node.path.open("ab") as stream:
        stream.write(b"\xff\xfe nonsense\n{}\n[]\n")
    node.write("b")
    assert read(node.agent()) == ["a", "b"]


def test_rotations_lose_nothing(node: Node) -> None:
    tail = node.agent()
    seen = []
    for number in range(60):
        node.write(f"slab-{number}", padding="x" * (MAX_BYTES // 20))
        if number % 7 == 0:
            seen += read(tail)
    seen += read(tail)
    assert seen == [f"slab-{number}" for number in range(60)]
    assert Path(f"{node.path}.1").exists()


def test_a_call_that_still_writes_to_the_file_put_aside_is_heard(node: Node) -> None:
    node.write("a")
    tail = node.agent()
    assert read(tail) == ["a"]
    late = os.open(node.path, os.O_WRONLY | os.O_APPEND)
    last = node.path.read_bytes().replace(b'"a"', b'"late"')
    node.path.rename(f"{node.path}.1")
    node.write("b")
    assert read(tail) == ["b"]
    os.write(late, last)
    os.close(late)
    assert read(tail) == ["late"]


def test_the_next_agent_goes_on_where_the_last_one_stopped(node: Node) -> None:
    node.write("a")
    assert read(node.agent()) == ["a"]
    node.write("b")
    later = node.agent()
    entries = [(entry.line.slab, entry.is_new) for entry in later.read()]
    assert entries == [("a", False), ("b", True)]


def test_a_rotation_while_no_agent_runs_loses_nothing(node: Node) -> None:
    node.write("a")
    assert read(node.agent()) == ["a"]
    node.write("b")
    node.path.rename(f"{node.path}.1")
    node.write("c")
    assert read(node.agent()) == ["b", "c"]
    node.write("d")
    assert read(node.agent()) == ["d"]


def test_two_rotations_while_no_agent_runs_lose_only_what_is_gone(node: Node) -> None:
    node.write("a")
    assert read(node.agent()) == ["a"]
    keep = node.path.open("rb")  # or its inode would be given to another file
    for slab in ("b", "c"):
        node.path.rename(f"{node.path}.1")
        node.write(slab)
    assert read(node.agent()) == ["b", "c"]
    keep.close()


def test_without_a_bookmark_what_happened_since_the_boot_is_news(node: Node) -> None:
    node.write("a")
    booted = NOON + timedelta(days=10000)
    assert read(node.agent(since=booted)) == []
    node.bookmark.unlink()
    assert read(node.agent()) == ["a"]


def test_a_log_that_somebody_emptied_is_read_from_its_start(node: Node) -> None:
    node.write("a", "b")
    tail = node.agent()
    assert read(tail) == ["a", "b"]
    os.truncate(node.path, 0)
    node.write("c")
    assert read(tail) == ["c"]


def test_a_broken_bookmark_is_none(node: Node) -> None:
    node.write("a")
    node.bookmark.write_text("nonsense")
    assert read(node.agent()) == ["a"]
