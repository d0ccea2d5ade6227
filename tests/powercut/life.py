"""The life of a node from a boot to the next power cut. Run in the guest, as its job.

Pods come and go until the power does. Then the node boots again, and the kubelet takes up what it
left: pods whose volumes were mounted want their own back, what was begun is begun again, some pods
have been deleted meanwhile.

The kubelet's directory and the ledger lie in the folder that is the host's: what is written there
outlives the guest at once, as on a disk of the kubelet's own.
"""

import argparse
import json
import os
import random
import subprocess
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tests.guest.machine import SHARE_INSIDE
from tests.node import invariants
from tests.node.disturbances import HereKubelet, reconcile_here
from tests.node.host import Host

DISK = "/dev/ubda"
NAMESPACES = ("one", "two")
SIZES_MB = {"ext4": ("32", "48", "64"), "xfs": ("304", "320")}
PODS_AT_ONCE = 4
"""All of them fit on the disk at once, and not much besides."""

ASKED, MOUNTED, WORKED, LEAVING, GONE = "asked", "mounted", "worked", "leaving", "gone"


@dataclass(frozen=True)
class Entry:
    """What the kubelet knows of a pod.

    Attributes:
        pod: its UID.
        namespace: its namespace.
        size_mb: of its volume, as the pod's author wrote it.
        options: of its volume besides.
        state: how far it is.
        slab: what is mounted for it.
        clean: its daemon has said that it ended in order.
        in_order: its volume was mounted when it ended.
    """

    pod: str
    namespace: str
    size_mb: str
    options: dict[str, str] = field(default_factory=dict)
    state: str = ASKED
    slab: str = ""
    clean: bool = False
    in_order: bool = False

    @property
    def lineage(self) -> tuple[str, str]:
        """With whom it shares a graph."""
        return self.namespace, self.size_mb

    @property
    def scope(self) -> str:
        """Whose slabs it may have."""
        return f"namespace/{self.namespace}"


class Life:
    """One node, from one boot to the next.

    Args:
        host: the node.
        file_system: of all volumes.
        dice: what decides all that is random.
        boot: which boot this is.
    """

    def __init__(self, host: Host, file_system: str, dice: random.Random, boot: int) -> None:
        self._host = host
        self._file_system = file_system
        self._dice = dice
        self._boot = boot
        self._born = 0
        self._ledger = host.place / "ledger"
        self._pods: dict[str, Entry] = {}
        self._warm: set[tuple[str, str]] = set()
        """Of which there is a generation, where the node has a thin pool."""
        lines = self._ledger.read_text().splitlines() if self._ledger.exists() else []
        for line in lines:
            self._take(Entry(**json.loads(line)))

    def recover(self) -> None:
        """Take up what the power cut left.

        Raises:
            AssertionError: something is lost, shared, or cannot be taken up.
        """
        for entry in list(self._pods.values()):
            if self._dice.random() < 0.3:
                self._reconcile()
            if entry.state == LEAVING or self._dice.random() < 0.2:
                self._leave(entry)
            else:
                self._mount(entry)
        self._check()

    def go_on(self) -> None:
        """Let pods come and go until the power does."""
        while True:
            self._dice.choice((self._begin, self._begin, self._end, self._end, self._reconcile))()
            self._check()

    def rest(self) -> None:
        """End all pods.

        Raises:
            AssertionError: something of the disk cannot be used any more.
        """
        for entry in list(self._pods.values()):
            self._leave(entry)
        self._reconcile()
        invariants.check_at_rest(self._host)
        invariants.check_no_leak(self._host)

    def _begin(self) -> None:
        if len(self._pods) >= PODS_AT_ONCE:
            return
        self._born += 1
        anonymous = {"volume_type": "anonymous"} if self._dice.random() < 0.2 else {}
        entry = Entry(
            f"pod-{self._boot}-{self._born}",
            self._dice.choice(NAMESPACES),
            self._dice.choice(SIZES_MB[self._file_system]),
            anonymous,
        )
        self._write(entry)
        self._mount(entry)

    def _mount(self, entry: Entry) -> None:
        """Mount a pod's volume, for the first time or again, and work in it."""
        host, pod = self._host, entry.pod
        answer = host.kubelet.mount(
            pod, entry.size_mb, entry.namespace, self._file_system, **entry.options
        )
        assert answer.status == "Success", answer.message
        slab = host.mounted_slab(pod)
        assert entry.slab in ("", slab), f"{pod} had {entry.slab} and was given {slab}"
        before = invariants.enter(host, pod, entry.scope)
        assert entry.state != WORKED or pod in before, f"the work of {pod} is lost"
        warm = entry.lineage in self._warm and entry.state == ASKED and not entry.options
        assert before or not warm, f"{pod} found no generation"
        self._write(replace(entry, state=MOUNTED, slab=slab, clean=False))
        health = host.directory(pod) / ".dind" / "state"
        health.parent.mkdir(exist_ok=True)
        said = self._dice.choice(("starting", "ready", "clean", "clean"))
        health.write_text(said)
        if self._dice.random() < 0.7:
            os.sync()
            self._write(replace(entry, state=WORKED, slab=slab, clean=said == "clean"))

    def _end(self) -> None:
        if self._pods:
            self._leave(self._dice.choice(list(self._pods.values())))

    def _leave(self, entry: Entry) -> None:
        in_order = os.path.ismount(self._host.directory(entry.pod))
        entry = replace(entry, in_order=in_order)
        self._write(replace(entry, state=LEAVING))
        answer = self._host.kubelet.end(entry.pod)
        assert answer.status == "Success", answer.message
        self._write(replace(entry, state=GONE))

    def _reconcile(self) -> None:
        failed = [deed for deed in reconcile_here(self._host) if deed.failed]
        assert failed == []

    def _check(self) -> None:
        if invariants.has_group():
            invariants.check(self._host)

    def _write(self, entry: Entry) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_SYNC
        ledger = os.open(self._ledger, flags, 0o600)
        try:
            os.write(ledger, json.dumps(asdict(entry)).encode() + b"\n")
        finally:
            os.close(ledger)
        self._take(entry)

    def _take(self, entry: Entry) -> None:
        self._pods[entry.pod] = entry
        if entry.state == GONE:
            del self._pods[entry.pod]
            if self._host.always and entry.clean and not entry.options and entry.in_order:
                self._warm.add(entry.lineage)


def node(pool: str) -> Host:
    """Return the node that this guest is.

    Args:
        pool: ``device``, ``thin``: a thin pool on it, or ``file``: a file on a file system that is
            on the device.
    """
    host = Host(SHARE_INSIDE / "node")
    host.kubelet = HereKubelet(host.place / "kubelet", host.kubelet.environ)
    host.run_dir = Path("/run/dind-slab")
    if pool in ("device", "thin"):
        host.disks = [DISK]
        host.always = invariants.THIN if pool == "thin" else {}
        host.configure()
        if pool == "thin":
            done = host.admin("setup")
            assert done.returncode == 0, done.stderr
        return host
    on = Path("/mnt/disk")
    on.mkdir()
    if subprocess.run(["mount", DISK, on], check=False).returncode != 0:
        subprocess.run(["mkfs.ext4", "-q", "-E", "nodiscard", DISK], check=True)
        subprocess.run(["mount", DISK, on], check=True)
    host.configure(file=str(on / "pool"), size="400Mi")
    return host


def main() -> None:
    """Live until the power goes; the last time, until all is at rest."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pool", required=True)
    parser.add_argument("--file-system", required=True)
    parser.add_argument("--boot", type=int, required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--last", action="store_true")
    given = parser.parse_args()
    dice = random.Random(f"{given.seed} {given.boot}")  # noqa: S311 - nothing secret
    life = Life(node(given.pool), given.file_system, dice, given.boot)
    life.recover()
    (SHARE_INSIDE / f"recovered-{given.boot}").touch()
    if given.last:
        life.rest()
    else:
        life.go_on()


if __name__ == "__main__":
    main()
