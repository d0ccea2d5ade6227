"""Clones of a thin pool beside the least that a shell would have to do, and what writing costs.

``python -m benchmarks.thin`` boots a guest and prints what the same module, run in it with
``--inside``, measured. The guest's disk is its memory: what a volume costs shows there as on no
real disk, whose own slowness hides much of it.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.driver import Pair, Volume, measure_in_guest, shell

ROUNDS = 11
GROUP, FLOOR = "dind", "floor"
SETTINGS = Path("/tmp/thin.json")  # noqa: S108 - the guest's own memory
SIZE_MIB = 256
"""Of the volumes that are written to."""
POOL = (
    "--type thin-pool --chunksize 64k --zero y --poolmetadatasize 64m --config "
    "'activation{monitoring=0}'"
)
LIST = f"lvs --reportformat json -o lv_name,lv_size,lv_tags {FLOOR}"


def set_up() -> None:
    """Make two volume groups with a thin pool each: the driver's, and one for the floor."""
    disks = {}
    for group in (GROUP, FLOOR):
        file = f"/mnt/{group}.img"
        shell(f"truncate -s 100G {file} && losetup -f --show {file} > {file}.device")
        disks[group] = Path(f"{file}.device").read_text().strip()
    SETTINGS.write_text(json.dumps({"device": disks[GROUP], "provisioning": "thin"}))
    os.environ["DIND_SLAB_SETTINGS"] = str(SETTINGS)
    shell("flexvol/slab setup")
    shell(f"vgcreate -qq {FLOOR} {disks[FLOOR]}")
    shell(f"lvcreate -y -qq {POOL} -L 50G -n pool {FLOOR}")
    shell(f"lvcreate -y -qq -V 256M --thinpool pool -n one {FLOOR}")
    shell(f"mkfs.ext4 -q -E nodiscard /dev/{FLOOR}/one")


def mounts_and_release() -> list[Pair]:
    """Measure a cloning mount, a mount with a ready clone, and a release that is kept."""
    at = Path("/mnt/floor")
    at.mkdir()
    first = Volume.of("team")
    first.mount()
    first.unmount()
    cloned = Pair("thin: cloning mount", [], [], 1.5)
    ready = Pair("thin: mount of a ready clone", [], [], 2.0)
    release = Pair("thin: release", [], [], 2.0)
    for number in range(ROUNDS):
        volume = Volume.of("team")
        cloned.driver.append(volume.mount())
        clone = f"lvcreate -y -qq -kn -s -n clone{number} {FLOOR}/one"
        cloned.floor.append(shell(f"{clone}; mount /dev/{FLOOR}/clone{number} {at}"))
        release.driver.append(volume.unmount())
        tags = f"lvchange -qq --addtag newest {FLOOR}/clone{number}"
        remove = f"lvremove -y -qq {FLOOR}/clone{number}"
        release.floor.append(shell(f"fstrim {at}; umount {at}; {tags}; {remove}"))
    for _ in range(ROUNDS):
        shell("flexvol/slab reconcile")
        volume = Volume.of("team")
        ready.driver.append(volume.mount())
        ready.floor.append(shell(f"{LIST}; mount /dev/{FLOOR}/one {at}"))
        volume.unmount()
        shell(f"umount {at}")
    return [cloned, ready, release]


def sequential(folder: Path) -> None:
    """Write one large file, as the layer of an image is."""
    shell(f"dd if=/dev/zero of={folder}/large bs=1M count=64 conv=fsync")


def small_files(folder: Path) -> None:
    """Unpack many small files, as most images are."""
    shell(f"mkdir -p {folder}/tree && tar -x -C {folder}/tree -f /tmp/tree.tar && sync -f {folder}")


def overwrite(folder: Path) -> None:
    """Write here and there in what is there already: a clone must copy whole chunks for it."""
    fd = os.open(folder / "old", os.O_RDWR)
    try:
        for number in range(2048):
            os.pwrite(fd, b"x" * 4096, number * 40503 % 8192 * 4096)
        os.fsync(fd)
    finally:
        os.close(fd)


WORK: dict[str, Callable[[Path], None]] = {
    "one large file": sequential,
    "2000 small files": small_files,
    "4 KiB here and there": overwrite,
}


def writing() -> list[str]:
    """Measure writing to a directory without LVM, and to every kind of slab; as ratios to it."""
    shell(
        "mkdir -p /tmp/tree && cd /tmp/tree && for i in $(seq 2000); do echo $i > f$i; done && "
        "tar -c -f /tmp/tree.tar ."
    )
    figures: dict[tuple[str, str], list[float]] = {}
    for number in range(5):
        for kind, device in _fresh(number):
            at = Path("/mnt/work")
            at.mkdir(exist_ok=True)
            shell(f"mount -o noatime {device} {at}")
            for name, work in WORK.items():
                started = time.monotonic()
                work(at)
                figures.setdefault((name, kind), []).append(time.monotonic() - started)
            shell(f"umount {at}")
        volumes = " ".join(f"{FLOOR}/{name}" for name in "ltc")
        # The disk is memory: what was written must be given back.
        shell("; ".join(f"blkdiscard -f /dev/{FLOOR}/{name}" for name in "ctl"))
        shell(f"lvremove -y -qq {volumes} && losetup -d $(cat /tmp/plain) && rm /mnt/plain*.img")
    return [_line(name, figures) for name in WORK]


def _fresh(number: int) -> list[tuple[str, str]]:
    """Make one device of each kind, with an old file of 32 MiB on it."""
    plain = f"/mnt/plain{number}.img"
    shell(f"truncate -s {SIZE_MIB}M {plain} && losetup -f --show {plain} > /tmp/plain")
    shell(f"lvcreate -y -qq -Wn -L {SIZE_MIB}M -n l {FLOOR}")
    shell(f"lvcreate -y -qq -V {SIZE_MIB}M --thinpool pool -n t {FLOOR}")
    directory = Path("/tmp/plain").read_text().strip()  # noqa: S108 - the guest's own memory
    kinds = [("directory", directory), ("linear", f"/dev/{FLOOR}/l"), ("thin", f"/dev/{FLOOR}/t")]
    for _, device in kinds:
        make = f"mkfs.ext4 -q -i 8192 -m 0 -E nodiscard {device} && mkdir -p /mnt/new"
        fill = "dd if=/dev/urandom of=/mnt/new/old bs=1M count=32 conv=fsync"
        shell(f"{make} && mount {device} /mnt/new && {fill} && umount /mnt/new")
    shell(f"lvcreate -y -qq -kn -s -n c {FLOOR}/t")
    return [*kinds, ("clone", f"/dev/{FLOOR}/c")]


def _line(name: str, figures: dict[tuple[str, str], list[float]]) -> str:
    floor = figures[name, "directory"]
    words = [f"directory {statistics.median(floor) * 1000:.0f} ms"]
    for kind in ("linear", "thin", "clone"):
        pairs = zip(figures[name, kind], floor, strict=True)
        words.append(f"{kind} {statistics.median(ours / theirs for ours, theirs in pairs):.2f}")
    return f"thin: writing {name:<22} {', '.join(words)}"


def inside() -> None:
    """Measure everything; runs in the guest."""
    set_up()
    for pair in mounts_and_release():
        print(pair.line(), flush=True)  # noqa: T201 - a program's output
    for line in writing():
        print(line, flush=True)  # noqa: T201 - a program's output


if __name__ == "__main__":
    if "--inside" in sys.argv:
        inside()
    else:
        sys.exit(measure_in_guest("benchmarks.thin"))
