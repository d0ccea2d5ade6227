"""The door to processes, with real ones."""

import os
import time
from pathlib import Path

import pytest

from flexvol.command import run
from flexvol.errors import CommandError


def test_status_and_output_come_back() -> None:
    assert run(["sh", "-c", "echo out; echo err >&2"]) == (0, "out\n")


def test_an_unexpected_status_is_an_error_with_what_it_said() -> None:
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", "echo it broke >&2; exit 3"])
    assert (caught.value.status, caught.value.stderr) == (3, "it broke")
    assert "ended with 3: it broke" in str(caught.value)


def test_an_expected_status_is_none() -> None:
    assert run(["sh", "-c", "exit 3"], accept=(0, 3)) == (3, "")


def test_a_command_that_is_not_installed_is_named_with_its_package() -> None:
    with pytest.raises(CommandError, match="cannot be started"):
        run(["no-such-program"])


def test_more_output_than_a_pipe_holds_comes_back_whole() -> None:
    script = "head -c 300000 /dev/zero | tr '\\0' x; head -c 300000 /dev/zero >&2"
    assert run(["sh", "-c", script]) == (0, "x" * 300000)


def test_the_environment_is_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LVM_SYSTEM_DIR", "/elsewhere")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    _, text = run(["env"])
    variables = dict(line.split("=", 1) for line in text.splitlines())
    assert variables["LC_ALL"] == "C"
    assert "LVM_SYSTEM_DIR" not in variables


def test_a_late_reader_is_killed() -> None:
    started = time.monotonic()
    with pytest.raises(CommandError, match="still runs"):
        run(["sleep", "30"], changes=False, patience_seconds=0.2)
    assert time.monotonic() - started < 10


def test_a_late_changer_is_left_to_end_by_itself(tmp_path: Path) -> None:
    done = tmp_path / "done"
    with pytest.raises(CommandError, match="still runs"):
        run(["sh", "-c", f"sleep 1; touch {done}"], patience_seconds=0.2)
    os.waitpid(-1, 0)
    assert done.exists()


def test_no_descriptor_is_left_open() -> None:
    before = {fd.name for fd in Path("/proc/self/fd").iterdir()}
    run(["true"])
    with pytest.raises(CommandError):
        run(["false"])
    with pytest.raises(CommandError):
        run(["no-such-program"])
    assert {fd.name for fd in Path("/proc/self/fd").iterdir()} == before
