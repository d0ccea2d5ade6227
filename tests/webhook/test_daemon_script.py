"""The daemon's script as text; what it does is shown in ``tests/node/test_daemon_*.py``."""

import subprocess
import sys
from pathlib import Path

import pytest

import webhook
from tests.guest.machine import ROOT, fetch
from tests.node.pod import SCRIPT as RUN
from webhook import names
from webhook.sidecar import COMMAND

SCRIPT = Path(webhook.__file__).with_name("daemon.sh")
LARGEST_BYTES = 12 * 1024
"""Every injected pod carries the script, and etcd keeps it."""


def test_shellcheck_finds_nothing() -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("shell", ["dash", "busybox sh"])
def test_each_shell_reads_it(shell: str) -> None:
    fetch()
    binary, *applet = shell.split()
    found = Path("/usr/bin/dash") if binary == "dash" else ROOT / "usr/bin/busybox"
    done = subprocess.run(
        [found, *applet, "-n", "-c", RUN], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_it_fits_into_a_pod() -> None:
    assert len(COMMAND[-1].encode()) < LARGEST_BYTES


def test_it_uses_the_names_that_the_webhook_gives() -> None:
    script = SCRIPT.read_text()
    assert f"graph={names.GRAPH_DIR}\n" in script
    assert f"sockets={names.SOCKET_DIR}\n" in script
    assert f"--group={names.SOCKET_GROUP}\n" in script
    told = {value for name, value in vars(names).items() if name.startswith("ENV_")}
    for variable in told - {names.ENV_PREFIX}:
        assert variable in script
