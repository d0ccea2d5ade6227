"""A node to test on: disks that are loop devices, settings, a kubelet, and what LVM says."""

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flexvol.model import POOL_NAME, Slab, slab_from
from tests.node.kubelet import Kubelet, environment

GROUP = "dind"


class Host:
    """One node.

    Args:
        place: a folder of its own; everything the node has lies in it.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.disks: list[str] = []
        self.always: dict[str, object] = {}
        """Settings that every ``configure`` writes, unless it is given others."""
        self.settings_path = place / "slab.json"
        self.log_path = place / "slab.log"
        self.run_dir = place / "run"
        self.kubelet = Kubelet(place / "kubelet", environment(self.settings_path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Take everything away again; pytest shows the driver's log if the test failed."""
        if self.log_path.exists():
            print(self.log_path.read_text())  # noqa: T201 - pytest captures it
        for mount in reversed(self.mounts()):
            sh("umount", "--lazy", mount)
        # The disks are files of the test's, and go with what lies on them: faster than vgremove.
        sh("dmsetup", "remove_all", "--force")
        sh("dmsetup", "mknodes")
        sh("losetup", "--detach-all")
        shutil.rmtree(f"/dev/{GROUP}", ignore_errors=True)
        Path("/run/lvm/hints").unlink(missing_ok=True)

    def mounts(self) -> list[str]:
        """Return the mount points below the node's folder, in the order they were mounted."""
        table = Path("/proc/self/mountinfo").read_text()
        points = [line.split()[4] for line in table.splitlines()]
        return [point for point in points if point.startswith(f"{self.place}/")]

    def add_disk(self, size_mib: int) -> str:
        """Attach a blank disk and return its path."""
        image = self.place / f"disk{len(self.disks)}"
        with image.open("wb") as stream:
            stream.truncate(size_mib << 20)
        device = run("losetup", "--find", "--show", str(image)).strip()
        self.disks.append(device)
        return device

    def configure(self, **settings: object) -> None:
        """Write the node's settings: its disks, and what is given."""
        disk = {} if "file" in settings else {"device": self.disks}
        own = {"run_dir": str(self.run_dir), "log_file": str(self.log_path), "wait_seconds": 0}
        self.settings_path.write_text(json.dumps({**disk, **own, **self.always, **settings}))

    def reboot(self) -> None:
        """Lose what a reboot loses: mounts, locks, active volumes; the disks stay."""
        for mount in reversed(self.mounts()):
            run("umount", mount)
        run("vgchange", "--activate", "n", GROUP)
        sh("rm", "-rf", str(self.run_dir))

    def volumes(self) -> dict[str, Slab | None]:
        """Return every logical volume by name, with the slab that LVM records it to be.

        The thin pool is none.
        """
        report = json.loads(
            run(
                *("lvs", "--reportformat", "json", "--units", "b", "--nosuffix"),
                *("-o", "lv_name,lv_size,lv_tags,vg_extent_size"),
                *("-S", f"vg_name={GROUP} && lv_name!={POOL_NAME}"),
            )
        )
        volumes = {}
        for row in report["report"][0]["lv"]:
            name, tags = row["lv_name"], row["lv_tags"].split(",")
            extents = int(row["lv_size"]) // int(row["vg_extent_size"])
            volumes[name] = slab_from(name, extents, tags)
        return volumes

    def slabs(self) -> list[Slab]:
        """Return the slabs, by name."""
        slabs = (slab for slab in self.volumes().values() if slab is not None)
        return sorted(slabs, key=lambda slab: slab.name)

    def slab(self) -> Slab:
        """Return the only slab."""
        (slab,) = self.slabs()
        return slab

    def mounted_slab(self, pod: str) -> str:
        """Return the name of the slab mounted for a pod."""
        number = self.directory(pod).stat().st_dev
        device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
        name = (device / "dm" / "name").read_text().strip()
        return name.removeprefix(f"{GROUP}-").replace("--", "-")

    def directory(self, pod: str) -> Path:
        """Return where a pod's volume is mounted."""
        return self.kubelet.directory(pod)

    def device(self, slab: str) -> str:
        """Return the device of a slab."""
        return f"/dev/mapper/{GROUP}-{slab.replace('-', '--')}"

    def events(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of the driver's log that tell of one kind of event."""
        if not self.log_path.exists():
            return []
        lines = map(json.loads, self.log_path.read_text().splitlines())
        return [line for line in lines if line["event"] == event]

    def admin(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Make one of the calls that are not the kubelet's."""
        return subprocess.run(
            [*self.kubelet.command, *arguments],
            env=self.kubelet.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def free_mib(self) -> int:
        """Return how much of the volume group belongs to no volume, in MiB."""
        text = run("vgs", "--noheadings", "--units", "m", "--nosuffix", "-o", "vg_free", GROUP)
        return int(float(text))


def run(*argv: str) -> str:
    """Run a command that must succeed and return what it printed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout


def sh(*argv: str) -> None:
    """Run a command that may fail."""
    with contextlib.suppress(OSError):
        subprocess.run(argv, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
