"""The guest is what the other tests here take it for."""

import subprocess
from pathlib import Path

import pytest


def test_is_a_kernel_of_its_own() -> None:
    assert "User Mode Linux" in Path("/proc/cpuinfo").read_text()


def test_has_device_mapper_with_thin_pools() -> None:
    targets = subprocess.run(
        ["dmsetup", "targets"], capture_output=True, text=True, check=True
    ).stdout
    assert {"linear", "thin", "thin-pool", "snapshot"} <= {
        line.split()[0] for line in targets.splitlines()
    }


def test_changes_of_its_root_stay_in_its_memory() -> None:
    Path("/etc/dind-guest-was-here").write_text("written by a test\n")
    with pytest.raises(FileNotFoundError):
        Path("/.host/etc/dind-guest-was-here").stat()
