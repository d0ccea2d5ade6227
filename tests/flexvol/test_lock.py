"""Locks that vanish with their holder."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flexvol.callout import Request
from flexvol.lock import Locks
from flexvol.waiting import Line
from tests.flexvol.make import request


def test_a_slab_is_claimed_by_one(tmp_path: Path) -> None:
    locks = Locks(str(tmp_path))
    claim = locks.claim("slab-1")
    assert claim is not None
    assert locks.claim("slab-1") is None
    assert locks.claim("slab-2") is not None
    claim.release()
    assert locks.claim("slab-1") is not None


def test_a_removed_lock_is_no_lock_for_those_who_waited(tmp_path: Path) -> None:
    locks = Locks(str(tmp_path))
    first = locks.volume("v", 0)
    first.remove()
    second = locks.volume("v", 0)
    assert (tmp_path / "volumes" / "v").exists()
    assert os.fstat(second.fd).st_ino == (tmp_path / "volumes" / "v").stat().st_ino


def holder(tmp_path: Path, script: str) -> "subprocess.Popen[str]":
    """Start a process that claims a slab, says so, and goes on as ``script``."""
    program = (
        "import sys, time, os; from flexvol.lock import Locks; from flexvol.command import run; "
        f"claim = Locks({str(tmp_path)!r}).claim('slab-1'); print('claimed', flush=True); {script}"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    return process


def test_a_killed_holders_claim_is_gone(tmp_path: Path) -> None:
    with holder(tmp_path, "time.sleep(60)") as process:
        assert Locks(str(tmp_path)).claim("slab-1") is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert Locks(str(tmp_path)).claim("slab-1") is not None


def test_a_command_that_outlives_its_killed_driver_keeps_the_claim(tmp_path: Path) -> None:
    done = tmp_path / "done"
    with holder(tmp_path, f"run(['sh', '-c', 'sleep 2; touch {done}'])") as process:
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
        process.wait()
        locks = Locks(str(tmp_path))
        while locks.claim("slab-1") is None:
            time.sleep(0.01)
    assert done.exists()


def test_what_dead_calls_left_is_swept_and_what_lives_is_not(tmp_path: Path) -> None:
    locks = Locks(str(tmp_path))
    living = locks.claim("living")
    dead = locks.claim("dead")
    assert living is not None
    assert dead is not None
    dead.release()
    locks.sweep()
    assert [path.name for path in (tmp_path / "claims").iterdir()] == ["living"]


def line(tmp_path: Path, asked: Request | None = None) -> Line:
    """Return a place in the line of those who wait for room."""
    place = Line(str(tmp_path), Locks(str(tmp_path)))
    if asked is not None:
        place.join(asked)
    return place


def test_a_call_sees_those_who_came_before_it(tmp_path: Path) -> None:
    first, second = request(100, pod="first"), request(200, pod="second", anonymous=True)
    one = line(tmp_path, first)
    two = line(tmp_path, second)
    assert one.before_me() == []
    assert two.before_me() == [first]
    assert line(tmp_path).before_me() == [first, second]
    one.leave()
    assert two.before_me() == []


@pytest.mark.parametrize("text", ["", "{}", "not JSON", '{"directory": "/etc"}'])
def test_a_ticket_that_is_not_understood_is_nobodys(tmp_path: Path, text: str) -> None:
    ticket = Locks(str(tmp_path)).ticket("00000000000000000001-1")
    os.write(ticket.fd, text.encode())
    assert line(tmp_path).before_me() == []
