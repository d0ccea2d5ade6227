"""One pod's daemon, started as the kubelet and its runtime start it, but without either.

A pod has a network with an ``eth0`` of its own, a folder for the sockets and a graph storage, which
outlive its containers. Each container is fresh: a root of its own (changes in memory), its own
processes, its own cgroup below the node's; the script is its first process, as ``sh -c``.
"""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.waiting import PATIENCE_SECONDS
from webhook import names
from webhook.sidecar import COMMAND

SCRIPT = COMMAND[-1].replace("$$", "$")
"""The daemon's script as Kubernetes hands it to the container's shell."""
DASH = ("/usr/bin/dash", "-c")
BUSYBOX = ("/usr/bin/busybox", "sh", "-c")
CGROUPS = Path("/sys/fs/cgroup")
LIMITED = ("cpu", "memory", "pids")
"""The controllers that the kubelet uses for containers and this kernel has."""
MODULES = (
    "bridge veth br_netfilter iptable_nat iptable_filter xt_conntrack xt_MASQUERADE xt_addrtype"
)
MTU = 1400
"""Of the pods' ``eth0``: not Ethernet's, as in most overlay networks."""

ENTER = r"""
set -e
work=$1 root=$2 cgroup=$3 namespace=$4; shift 4
echo 0 >"$cgroup/cgroup.procs"
echo 990 >/proc/self/oom_score_adj  # a burstable pod's, as the kubelet sets it
if [ "$namespace" = own ]; then exec unshare --cgroup sh -c "$BUILD" sh "$work" "$root" "$@"; fi
exec sh -c "$BUILD" sh "$work" "$root" "$@"
"""
BUILD = r"""
set -e
work=$1 root=$2; shift 2
new=$work/root
mkdir -p "$work/upper" "$work/overlay" "$new"
mount -t overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/overlay" overlay "$new"
mount -t proc proc "$new/proc"
mount -t sysfs sysfs "$new/sys"
mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
mount --rbind /dev "$new/dev"
for place in run tmp mnt; do mount -t tmpfs tmpfs "$new/$place"; done
mkdir -p "$new/run/dind" "$new/var/lib/docker" "$new/run/old"
mount --bind "$work/../sockets" "$new/run/dind"
mount --bind "$GRAPH" "$new/var/lib/docker"
cp -a "$work/files/." "$new/"
cd "$new"
pivot_root . run/old
umount -l /run/old
unset BUILD GRAPH
exec "$@"
"""


class Slab:
    """An ext4 file system on a loop device, as the driver would hand it out.

    Args:
        place: a folder for its file and its mount point.
        size_mib: its size in MiB.
    """

    def __init__(self, place: Path, size_mib: int = 1024) -> None:
        self.size_mib = size_mib
        self.path = place / "graph"
        self.path.mkdir(parents=True)
        image = place / "image"
        with image.open("wb") as stream:
            stream.truncate(size_mib << 20)
        run("mkfs.ext4", "-q", "-i", "8192", "-m", "0", "-E", "nodiscard", image)
        run("mount", "-o", "loop", image, self.path)

    @property
    def state(self) -> str:
        """What the daemon says of the graph's health."""
        return (self.path / ".dind" / "state").read_text()

    def locked(self) -> bool:
        """Tell whether something of a daemon still holds the graph's lock."""
        lock = self.path / ".dind" / "lock"
        return subprocess.run(["flock", "-n", lock, "true"], check=False).returncode != 0


class Pod:
    """One pod; ``start`` runs a container of it.

    Args:
        place: a folder of its own.
        graph: the mounted graph storage.
        number: makes its address, 10.99.``number``.2.
    """

    def __init__(self, place: Path, graph: Path, number: int = 1) -> None:
        self._place = place
        self._graph = graph
        self._containers = 0
        self.address = f"10.99.{number}.2"
        self.gateway = f"10.99.{number}.1"
        self.network = f"pod{number}"
        self.sockets = place / "sockets"
        self.sockets.mkdir(parents=True)
        self.socket = self.sockets / "docker.sock"
        self.cgroup = CGROUPS / "pods" / self.network
        self.cgroup.mkdir(parents=True)
        for group in (CGROUPS, self.cgroup.parent, self.cgroup):
            for controller in LIMITED:
                (group / "cgroup.subtree_control").write_text(f"+{controller}")
        self._make_network()

    def _make_network(self) -> None:
        run("modprobe", "-a", *MODULES.split())
        peer = f"veth-{self.network}"
        inside = ("ip", "-n", self.network)
        run("ip", "netns", "add", self.network)
        run("ip", "link", "add", peer, "mtu", MTU, "type", "veth",
            "peer", "name", "eth0", "mtu", MTU, "netns", self.network)  # fmt: skip
        run("ip", "address", "add", f"{self.gateway}/24", "dev", peer)
        run("ip", "link", "set", peer, "up")
        run(*inside, "address", "add", f"{self.address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            run(*inside, "link", "set", link, "up")
        run(*inside, "route", "add", "default", "via", self.gateway)

    def start(
        self,
        environment: Mapping[str, str],
        shell: Sequence[str] = DASH,
        *,
        files: Mapping[str, str] | None = None,
        cgroup_namespace: str = "host",
        root: Path = Path("/"),
    ) -> "Container":
        """Start a container that runs the daemon's script.

        Args:
            environment: what the script reads.
            shell: what runs the script.
            files: files of its image, by absolute path; executable where they begin with ``#!``.
            cgroup_namespace: ``host``, as Kubernetes gives privileged containers, or ``own``.
            root: the image's root.
        """
        self._containers += 1
        cgroup = self.cgroup / f"container-{self._containers}"
        cgroup.mkdir()
        (cgroup / "memory.oom.group").write_text("1")  # as the kubelet does, since 1.28
        work = self._place / f"container-{self._containers}"
        for path, text in {"/etc/resolv.conf": "", **(files or {})}.items():
            target = work / "files" / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(0o755 if text.startswith("#!") else 0o644)
        # fmt: off
        command: list[str | Path] = [
            "nsenter", f"--net=/run/netns/{self.network}",
            "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child",
            "sh", "-c", ENTER, "sh", work, root, cgroup, cgroup_namespace,
            *shell, SCRIPT,
        ]
        # fmt: on
        log = work / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={
                    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                    "BUILD": BUILD,
                    "GRAPH": str(self._graph),
                    names.ENV_SHUTDOWN_SECONDS: "10",
                    **environment,
                },
            )
        return Container(self, process, cgroup, log)

    def docker(self, *arguments: object, check: bool = True, stdin: bytes = b"") -> str:
        """Run docker as a container of the pod would; return what it printed, on both streams."""
        return run(
            "/usr/bin/docker",
            *arguments,
            check=check,
            stdin=stdin,
            DOCKER_HOST=f"unix://{self.socket}",
            DOCKER_BUILDKIT="1",
        )

    def api(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """GET a path of the daemon's API over the pod's socket; return the parsed answer."""
        return get(_UnixConnection(str(self.socket)), path)


class Container:
    """The running daemon's container."""

    def __init__(
        self, pod: Pod, process: "subprocess.Popen[bytes]", cgroup: Path, log: Path
    ) -> None:
        self.pod = pod
        self.cgroup = cgroup
        self._process = process
        self._log = log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def log(self) -> str:
        """What it printed so far."""
        return self._log.read_text()

    def ready(self) -> bool:
        """Ask as the kubelet's startup probe does: ``test -S``."""
        return self.pod.socket.is_socket()

    def wait_ready(self, timeout_seconds: float = PATIENCE_SECONDS) -> Self:
        """Wait for the startup probe to pass.

        Raises:
            AssertionError: the container ended, or the probe did not pass in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while not self.ready():
            assert self._process.poll() is None, f"the container ended:\n{self.log}"
            assert time.monotonic() < deadline, f"the daemon is not ready:\n{self.log}"
            time.sleep(0.02)
        return self

    def terminate(self, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """Send SIGTERM to the first process, as the kubelet does; return the exit status."""
        self.signal_first("TERM")
        return self.wait(timeout_seconds)

    def signal_first(self, name: str) -> None:
        """Send a signal to the container's first process."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        run("kill", f"-{name}", children.read_text().strip())

    def wait(self, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait until the container ends; return its exit status."""
        return self._process.wait(timeout_seconds)

    def kill(self) -> None:
        """Kill all of the container's processes at once, as the kubelet does after the grace."""
        self._process.kill()
        self._process.wait()
        while "populated 1" in (self.cgroup / "cgroup.events").read_text():
            time.sleep(0.05)


def run(*command: object, check: bool = True, stdin: bytes = b"", **environment: str) -> str:
    """Run a command; return what it printed, on both streams.

    Raises:
        AssertionError: it failed, and ``check`` was asked.
    """
    done = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        env={**os.environ, **environment},
    )
    output = done.stdout.decode(errors="replace")
    assert not check or done.returncode == 0, f"{command}: status {done.returncode}\n{output}"
    return output


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def get(connection: http.client.HTTPConnection, path: str) -> Any:  # noqa: ANN401 - JSON
    """GET a path; return the parsed answer."""
    with contextlib.closing(connection):
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
