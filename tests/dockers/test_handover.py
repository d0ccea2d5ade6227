"""One pod takes over another's slab, with the Docker of other Debian releases.

``tests/node`` shows in detail what holds with the machine's own; this shows that it is not by luck.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.guest import machine
from tests.guest.machine import Guest

FETCH = Path(__file__).with_name("fetch.sh")


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("suite", "driver", "arguments"),
    [
        ("trixie", "overlay2", ""),
        ("sid", "overlay2", ""),
        ("sid", "overlayfs", "--feature=containerd-snapshotter"),
    ],
    ids=["trixie", "sid", "sid-containerd-store"],
)
def test_a_pod_takes_over_a_slab(suite: str, driver: str, arguments: str, tmp_path: Path) -> None:
    machine.fetch()
    root = machine.ROOT.with_name(f"docker-{suite}")
    subprocess.run([FETCH, suite, root], check=True)
    job = (
        "export PYTHONDONTWRITEBYTECODE=1\n"
        f"exec {sys.executable} -m tests.dockers.handover {root} {arguments}"
    )
    with Guest(tmp_path / "share", job) as guest:
        assert guest.wait(600) == 0, guest.last_output()
        assert f"storage driver {driver}" in guest.last_output()
