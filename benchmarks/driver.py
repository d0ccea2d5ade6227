"""The driver's calls beside the least that a shell would have to do, in turn, in the test guest.

``python -m benchmarks.driver`` boots a guest and prints what the same module, run in it with
``--inside``, measured. Times are medians; the ratio is that of each pair in turn, so that a machine
whose speed drifts drifts on both sides.
"""

import itertools
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import NamedTuple

ROUNDS = 15
GROUP = "dind"
FLOOR = "floor"
"""The floor's own volume group, so that neither side sees the other's changes."""
PODS = Path("/var/lib/kubelet/pods")
DRIVER = Path(__file__).parent.parent / "flexvol" / "slab"
SIZE_MIB = 256


class Sample(NamedTuple):
    """One run of one thing: its wall time and how many processes it started, itself left out."""

    seconds: float
    processes: int


class Pair(NamedTuple):
    """One thing measured beside its floor, and the ratio it should reach."""

    name: str
    driver: list[Sample]
    floor: list[Sample]
    bound: float

    def line(self) -> str:
        """Return what a person reads."""
        pairs = zip(self.driver, self.floor, strict=True)
        ratio = statistics.median(ours.seconds / floor.seconds for ours, floor in pairs)
        verdict = "reached" if ratio <= self.bound else "NOT reached"
        return (
            f"{self.name:<28} {_ms(self.driver):6.0f} ms  floor {_ms(self.floor):6.0f} ms  "
            f"ratio {ratio:.2f} (bound {self.bound:.1f}: {verdict})  "
            f"processes {_processes(self.driver)}, floor {_processes(self.floor)}"
        )


def _ms(samples: list[Sample]) -> float:
    return statistics.median(sample.seconds for sample in samples) * 1000


def _processes(samples: list[Sample]) -> int:
    # Kernel threads count too: two that every mount of ext4 starts, and now and then a worker.
    return min(sample.processes for sample in samples)


def timed(*command: object) -> Sample:
    """Run a command and measure it; it must succeed."""
    forks = _forks()
    start = time.monotonic()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    seconds = time.monotonic() - start
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    return Sample(seconds, _forks() - forks - 1)


def _forks() -> int:
    stat = Path("/proc/stat").read_text()
    found = re.search(r"^processes (\d+)$", stat, re.MULTILINE)
    assert found  # noqa: S101 - proc(5): every Linux has this line
    return int(found[1])


class Volume(NamedTuple):
    """One pod's volume, as the kubelet names it."""

    directory: Path
    options: str

    @classmethod
    def of(cls, namespace: str) -> "Volume":
        """Return a new pod's volume in ``namespace``."""
        uid = str(uuid.uuid4())
        directory = PODS / uid / "volumes" / "dind~slab" / "g"
        directory.mkdir(parents=True)
        options = {
            "size_mb": str(SIZE_MIB),
            "kubernetes.io/fsType": "ext4",
            "kubernetes.io/pod.name": "bench",
            "kubernetes.io/pod.namespace": namespace,
            "kubernetes.io/pod.uid": uid,
            "kubernetes.io/pvOrVolumeName": "g",
            "kubernetes.io/readwrite": "rw",
            "kubernetes.io/serviceAccount.name": "default",
        }
        return cls(directory, json.dumps(options))

    def mount(self) -> Sample:
        """Have the driver mount it."""
        return timed(DRIVER, "mount", self.directory, self.options)

    def unmount(self) -> Sample:
        """Have the driver unmount it."""
        return timed(DRIVER, "unmount", self.directory)


def shell(script: str) -> Sample:
    """Measure a shell script."""
    return timed("sh", "-c", script)


LIST = f"lvs --reportformat json -o lv_name,lv_size,lv_tags {FLOOR}"


def warm_and_release() -> list[Pair]:
    """Measure a mount of a free slab, and a release that keeps it."""
    first = Volume.of("warm")
    first.mount()
    first.unmount()
    shell(f"lvcreate -y -qq -L {SIZE_MIB}M -n one {FLOOR} && mkfs.ext4 -q /dev/{FLOOR}/one")
    at = Path("/mnt/floor")
    at.mkdir()
    warm = Pair("warm mount", [], [], 2.0)
    release = Pair("release", [], [], 2.0)
    for round_number in range(ROUNDS):
        volume = Volume.of("warm")
        warm.driver.append(volume.mount())
        warm.floor.append(shell(f"{LIST}; mount /dev/{FLOOR}/one {at}"))
        release.driver.append(volume.unmount())
        tag = f"--addtag b{round_number + 1} --deltag b{round_number}"
        release.floor.append(shell(f"umount {at}; lvchange -qq {tag} {FLOOR}/one"))
    return [warm, release]


def cold() -> Pair:
    """Measure a mount for which a slab must be made."""
    at = Path("/mnt/cold")
    at.mkdir()
    pair = Pair("cold mount", [], [], 1.5)
    for round_number in range(ROUNDS):
        volume = Volume.of(f"cold-{round_number}")
        pair.driver.append(volume.mount())
        device = f"/dev/{FLOOR}/cold{round_number}"
        make = f"lvcreate -y -qq -L {SIZE_MIB}M -n cold{round_number} {FLOOR}"
        format_ = f"mkfs.ext4 -q -i 8192 -m 0 -E nodiscard {device}"
        pair.floor.append(shell(f"{make}; {format_}; mount {device} {at}"))
        volume.unmount()
        shell(f"umount {at}; lvremove -y -qq {FLOOR}/cold{round_number}")
    return pair


def inventory() -> str:
    """Measure a warm mount beside 10, 100 and 500 other slabs."""
    medians: dict[int, float] = {}
    for before, others in itertools.pairwise((0, 10, 100, 500)):
        _add_slabs(range(before, others))
        samples = []
        for _ in range(5):
            # Another's change, so that the driver must ask LVM for everything again.
            shell(f"vgchange -qq --addtag x {GROUP}; vgchange -qq --deltag x {GROUP}")
            volume = Volume.of("warm")
            samples.append(volume.mount())
            volume.unmount()
        medians[others] = _ms(samples)
    ratio = medians[500] / medians[10]
    verdict = "reached" if ratio <= 1.5 else "NOT reached"
    figures = ", ".join(f"{count} slabs {ms:.0f} ms" for count, ms in medians.items())
    return f"warm mount beside {figures}: ratio {ratio:.2f} (bound 1.5: {verdict})"


def _add_slabs(numbers: range) -> None:
    """Give the volume group slabs of other namespaces, all at once by LVM's restore."""
    backup = Path("/tmp/backup")  # noqa: S108 - the guest's own memory
    shell(f"vgcfgbackup -qq -f {backup} {GROUP}")
    text = backup.read_text()
    found = re.search(r"\n\t\t(slab-\w+) \{.*?\n\t\t\}\n", text, re.DOTALL)
    assert found  # noqa: S101 - the warm slab is there
    blocks = []
    for number in numbers:
        block = found[0].replace(found[1], f"slab-{number:012x}", 1)
        ident = f"{number:032d}"
        cuts = itertools.pairwise((0, 6, 10, 14, 18, 22, 26, 32))
        block = re.sub(
            r'id = "[^"]+"', f'id = "{"-".join(ident[a:b] for a, b in cuts)}"', block, count=1
        )
        block = block.replace("namespace/warm", f"namespace/other{number}")
        start = 2000 + number * 64
        blocks.append(re.sub(r'"pv0", \d+', f'"pv0", {start}', block))
    text = text.replace(found[0], found[0] + "".join(blocks), 1)
    backup.write_text(text)
    shell(f"vgcfgrestore -y -qq --force -f {backup} {GROUP}")


def inside() -> None:
    """Measure everything; runs in the guest."""
    for group in (GROUP, FLOOR):
        file = f"/mnt/{group}.img"
        shell(f"truncate -s 300G {file} && vgcreate -qq {group} $(losetup -f --show {file})")
    for pair in (*warm_and_release(), cold()):
        print(pair.line(), flush=True)  # noqa: T201 - a program's output
    print(inventory(), flush=True)  # noqa: T201 - a program's output


def measure_in_guest(module: str) -> int:
    """Boot a guest, have a module measure in it, print what it found; return its exit status."""
    from tests.guest import machine
    from tests.guest.machine import Guest

    machine.fetch()
    with tempfile.TemporaryDirectory(prefix="dind-bench-") as name:
        share = Path(name)
        with Guest(share, f"exec {sys.executable} -m {module} --inside") as guest:
            status = guest.wait(1200)
            print((share / "output").read_text(), end="")  # noqa: T201 - a program's output
    return status


if __name__ == "__main__":
    if "--inside" in sys.argv:
        inside()
    else:
        sys.exit(measure_in_guest("benchmarks.driver"))
