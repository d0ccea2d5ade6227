"""What happens on the node: pods one after another, then two at once, played in the test guest.

Runs inside the guest as root (``python -m demo.story POD.json``) and prints events. The pod is the
one that the webhook injected; this module adds nothing to it.
"""

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from demo.events import Chapter, Check, Done, Event, PodTimes, Said, Step, to_line
from demo.kubelet import DRIVERS, Manifest, Pod, call_driver

PROJECT = Path(__file__).parent.parent
SLAB = PROJECT / "flexvol" / "slab"
SETTINGS = Path("/etc/dind/slab.json")
DISK = "/dev/ubda"
BASE_IMAGE = "busybox:1.36"

_LIST_IMAGES = "docker images --format '{{.Repository}}:{{.Tag}}'"
_IMPORT_BASE = (
    "mkdir -p /base/bin && cp /usr/bin/busybox /base/bin/ && "
    "/base/bin/busybox --install /base/bin && "
    f"tar -C /base -c . | docker import - {BASE_IMAGE} >/dev/null"
)


def tell(event: Event) -> None:
    """Print an event for the terminal that follows."""
    print(to_line(event), flush=True)  # noqa: T201 - the events are this program's output


class Clock:
    """How long the last timed step took."""

    seconds = 0.0

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Tell that a step begins and, when it ended well, how long it took."""
        tell(Step(text))
        start = time.monotonic()
        yield
        self.seconds = time.monotonic() - start
        tell(Done(self.seconds))


def prepare_node(driver: str) -> None:
    """Give the node what an installer gives it: the driver's executable and its settings."""
    vendor, name = driver.split("/")
    folder = DRIVERS / f"{vendor}~{name}"
    folder.mkdir(parents=True)
    (folder / name).symlink_to(SLAB)
    configure(provisioning="linear")
    call_driver(driver, "init")


def configure(provisioning: str) -> None:
    """Write the node's settings."""
    SETTINGS.parent.mkdir(parents=True, exist_ok=True)
    SETTINGS.write_text(json.dumps({"device": [DISK], "provisioning": provisioning}))


def slabs() -> set[str]:
    """Return the names of the node's logical volumes, as LVM tells them."""
    report = subprocess.run(
        ["lvs", "--noheadings", "-o", "lv_name"], capture_output=True, text=True, check=True
    )
    return set(report.stdout.split())


def start(pod: Pod, clock: Clock) -> tuple[float, float]:
    """Mount the pod's graph storage and start its daemon; return the seconds each took."""
    with clock.step("driver: mount the graph storage"):
        pod.mount()
    mount_seconds = clock.seconds
    with clock.step("daemon: start, until its startup probe passes"):
        pod.start_sidecars()
    return mount_seconds, clock.seconds


def end(pod: Pod, clock: Clock) -> None:
    """End the pod, as when its containers are done."""
    with clock.step("pod ends: daemon stops, driver: unmount"):
        pod.end()


def build(pod: Pod, clock: Clock, *, tell_output: bool = True) -> tuple[int, int, float]:
    """Run the pod's own command; return its build steps, those from the cache, and the seconds."""
    with clock.step("pod: its own command"):
        output = pod.run()
    if tell_output:
        tell(Said(output))
    steps = len(re.findall(r"^Step \d+/\d+ : (?!FROM)", output, re.MULTILINE))
    return steps, output.count("---> Using cache"), clock.seconds


def first_pod(manifest: Manifest) -> PodTimes:
    """A cold pod: an empty slab, a base image that has to be fetched, a build from nothing."""
    tell(Chapter("The first pod of namespace team-a"))
    clock = Clock()
    pod = Pod(manifest, "team-a")
    mount_seconds, daemon_seconds = start(pod, clock)
    tell(Check("the new slab is empty: no image is there", not pod.run(script=_LIST_IMAGES)))
    with clock.step(f"{BASE_IMAGE}: imported from a tar (stands for a pull; no registry here)"):
        pod.run(script=_IMPORT_BASE)
    base_seconds = clock.seconds
    steps, cached, build_seconds = build(pod, clock)
    tell(Check(f"all {steps} build steps really ran", steps > 0 and cached == 0))
    end(pod, clock)
    return PodTimes(
        "first", mount_seconds, daemon_seconds, base_seconds, build_seconds, steps, cached
    )


def next_pod(manifest: Manifest) -> PodTimes:
    """A warm pod: the slab of the first one, its images and its build cache."""
    tell(Chapter("The next pod of namespace team-a"))
    before = slabs()
    clock = Clock()
    pod = Pod(manifest, "team-a")
    mount_seconds, daemon_seconds = start(pod, clock)
    images = pod.run(script=_LIST_IMAGES).split()
    tell(Said("\n".join(images)))
    tell(Check("the images of the first pod are there", BASE_IMAGE in images and len(images) > 1))
    tell(Check("no slab was made for it", slabs() == before))
    steps, cached, build_seconds = build(pod, clock)
    tell(Check(f"the same build: {cached} of {steps} steps from the cache", cached == steps > 0))
    end(pod, clock)
    return PodTimes("next", mount_seconds, daemon_seconds, 0, build_seconds, steps, cached)


def other_pod(manifest: Manifest) -> None:
    """A pod of another namespace: it sees nothing, and it fills its slab over half."""
    tell(Chapter("A pod of namespace team-b, which fills its graph storage"))
    before = slabs()
    clock = Clock()
    pod = Pod(manifest, "team-b")
    start(pod, clock)
    tell(Check("it sees nothing of team-a's images", not pod.run(script=_LIST_IMAGES)))
    with clock.step("pod: fill the graph storage to 55 %"):
        pod.run(script=f"{_IMPORT_BASE} && {_fill_script(manifest)}")
    tell(Check("it has a slab of its own", len(slabs() - before) == 1))
    end(pod, clock)
    tell(Check("its slab was over half full and is deleted", slabs() == before))


def pods_at_once(manifest: Manifest) -> None:
    """Two pods that run at the same time: each has a clone of what an earlier one left."""
    tell(Chapter("Two pods of namespace team-a at the same time (provisioning: thin)"))
    clock = Clock()
    configure(provisioning="thin")
    with clock.step("slab setup: a thin pool in the place of the slabs"):
        subprocess.run([SLAB, "setup"], capture_output=True, check=True)
    earlier = Pod(manifest, "team-a")
    start(earlier, clock)
    earlier.run(script=_IMPORT_BASE)
    build(earlier, clock, tell_output=False)
    end(earlier, clock)
    pods = [Pod(manifest, "team-a"), Pod(manifest, "team-a")]
    for pod in pods:
        start(pod, clock)
    for name, pod in zip(("one", "other"), pods, strict=True):
        steps, cached, _ = build(pod, clock, tell_output=False)
        said = f"the {name} of the two builds {cached} of {steps} steps from the cache"
        tell(Check(said, cached == steps > 0))
    for pod in pods:
        end(pod, clock)


def _fill_script(manifest: Manifest) -> str:
    flex = next(v["flexVolume"] for v in manifest["spec"]["volumes"] if "flexVolume" in v)
    fill_mib = int(flex["options"]["size_mb"]) * 55 // 100
    return (
        f"docker run --rm --network=none -v fill:/fill {BASE_IMAGE} "
        f"fallocate -l {fill_mib * 2**20} /fill/file"
    )


def main(pod_file: Path) -> None:
    """Play all chapters for the injected pod in ``pod_file``."""
    manifest = json.loads(pod_file.read_text())
    driver = next(v for v in manifest["spec"]["volumes"] if "flexVolume" in v)["flexVolume"][
        "driver"
    ]
    prepare_node(driver)
    tell(first_pod(manifest))
    tell(next_pod(manifest))
    other_pod(manifest)
    pods_at_once(manifest)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
