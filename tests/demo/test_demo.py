"""The demonstration of the article: shown to people by ``make demo``, held to by these tests."""

import re
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from demo.events import Chapter, Check, Done, PodTimes, Said, Step, from_line, to_line
from demo.kubelet import expanded
from demo.terminal import Terminal
from tests.guest.machine import PROJECT

CHECKS = {
    "the new slab is empty: no image is there",
    "the images of the first pod are there",
    "no slab was made for it",
    "it sees nothing of team-a's images",
    "it has a slab of its own",
    "its slab was over half full and is deleted",
    "the one of the two builds 3 of 3 steps from the cache",
    "the other of the two builds 3 of 3 steps from the cache",
}


@pytest.mark.timeout(900)
def test_the_next_pod_finds_the_images_of_the_last_one() -> None:
    command = [sys.executable, "-m", "demo"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr
    held = {line.removeprefix("  ✔ ") for line in done.stdout.splitlines() if "✔" in line}
    assert held >= CHECKS
    assert re.search(r"the same build: (\d+) of \1 steps from the cache", done.stdout)


def test_what_does_not_hold_is_remembered() -> None:
    terminal = Terminal(Console(file=StringIO()))
    terminal.show(Check("the sky is blue", holds=True))
    terminal.show(Check("the sky is green", holds=False))
    assert terminal.failed == ["the sky is green"]


@pytest.mark.parametrize(
    "event",
    [
        Chapter("one"),
        Step("mount"),
        Done(1.5),
        Said("two\nlines"),
        Check("it holds", holds=True),
        PodTimes("first", 1, 2, 3, 4, steps=5, steps_cached=0),
    ],
)
def test_events_survive_the_way_through_the_console(event: Chapter) -> None:
    line = to_line(event)
    assert "\n" not in line
    assert from_line(line) == event


def test_lines_of_the_kernel_are_no_events() -> None:
    assert from_line("reboot: System halted") is None


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(NAME)", "value"),
        ("$$(NAME)", "$(NAME)"),
        ("$(date)", "$(date)"),
        ("$NAME $1", "$NAME $1"),
        ("$$$$", "$$"),
    ],
)
def test_commands_are_expanded_as_the_kubelet_does(text: str, result: str) -> None:
    assert expanded(text, {"NAME": "value"}) == result
