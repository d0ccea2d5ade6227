"""Runs one container of a pod with runc, the way a node's container runtime would.

Its root file system is a fresh overlay over the guest's own, which holds dockerd and the docker
client: there is no registry to pull an image from. All else comes from the pod's manifest.
"""

import json
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

RUN = Path("/run/demo")
_RUNC = ("runc", "--root", f"{RUN}/runc")

# What containerd gives a container that asks for nothing.
_CAPABILITIES = """
CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE
SYS_CHROOT KILL AUDIT_WRITE
"""
_PRIVILEGED_CAPABILITIES = f"""{_CAPABILITIES}
DAC_READ_SEARCH LINUX_IMMUTABLE NET_BROADCAST NET_ADMIN IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG LEASE
AUDIT_CONTROL MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
CHECKPOINT_RESTORE
"""


@dataclass(frozen=True)
class Mount:
    """A folder of the node, seen in the container at ``path``."""

    source: Path
    path: str
    read_only: bool = False


@dataclass(frozen=True)
class Container:
    """What runc is told: one container of a pod."""

    id: str
    args: tuple[str, ...]
    env: tuple[str, ...]
    mounts: tuple[Mount, ...]
    cgroup: str
    network_namespace: Path
    privileged: bool = False
    groups: tuple[int, ...] = field(default=())

    def oci_config(self, root: Path) -> dict[str, object]:
        """Return the OCI runtime configuration (opencontainers/runtime-spec, config.md)."""
        names = _PRIVILEGED_CAPABILITIES if self.privileged else _CAPABILITIES
        capabilities = [f"CAP_{name}" for name in names.split()]
        return {
            "ociVersion": "1.0.2",
            "hostname": self.id,
            "root": {"path": str(root)},
            "process": {
                "user": {"uid": 0, "gid": 0, "additionalGids": list(self.groups)},
                "args": list(self.args),
                "env": list(self.env),
                "cwd": "/",
                "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
            },
            "mounts": [*self._system_mounts(), *map(_bind, self.mounts)],
            "linux": {
                "cgroupsPath": self.cgroup,
                "resources": {"devices": [{"allow": True, "access": "rwm"}]},
                "namespaces": [
                    *({"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")),
                    {"type": "network", "path": str(self.network_namespace)},
                ],
            },
        }

    def _system_mounts(self) -> list[dict[str, object]]:
        mode = "rw" if self.privileged else "ro"
        return [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "bind", "source": "/dev", "options": ["rbind", "rw"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [mode]},
            {
                "destination": "/sys/fs/cgroup",
                "type": "cgroup",
                "source": "cgroup",
                "options": [mode],
            },
        ]


def _bind(mount: Mount) -> dict[str, object]:
    mode = "ro" if mount.read_only else "rw"
    return {
        "destination": mount.path,
        "type": "bind",
        "source": str(mount.source),
        "options": ["rbind", mode],
    }


class Running:
    """A container that was started; its output is in the file ``log``."""

    def __init__(self, container: Container) -> None:
        self.id = container.id
        bundle = RUN / container.id
        root = bundle / "root"
        for folder in ("upper", "work", "root"):
            (bundle / folder).mkdir(parents=True)
        layers = f"lowerdir=/,upperdir={bundle}/upper,workdir={bundle}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", root], check=True)
        (bundle / "config.json").write_text(json.dumps(container.oci_config(root)))
        self._root = root
        self.log = bundle / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*_RUNC, "run", "--bundle", bundle, self.id],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ended(self) -> bool:
        """Tell whether the container's first process has ended."""
        return self._process.poll() is not None

    def succeeds(self, *command: str) -> bool:
        """Run a command in the container, as an exec probe does, and tell whether it succeeded."""
        probe = [*_RUNC, "exec", self.id, *command]
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0

    def wait(self, timeout_seconds: float) -> int:
        """Wait for the container's end and return its exit status."""
        status = self._process.wait(timeout_seconds)
        subprocess.run(["umount", self._root], check=True)
        return status

    def stop(self, grace_seconds: float) -> int:
        """End the container as the kubelet does: SIGTERM, a grace period, SIGKILL."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
        return self.wait(10)

    def _signal(self, number: signal.Signals) -> None:
        kill = [*_RUNC, "kill", self.id, number.name]
        subprocess.run(kill, check=False, capture_output=True)


def make_network_namespace(name: str) -> Path:
    """Make a pod's network: a loopback of its own and nothing else (there is nowhere to go)."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    return Path("/run/netns") / name


def remove_network_namespace(name: str) -> None:
    """Remove what ``make_network_namespace`` made."""
    subprocess.run(["ip", "netns", "delete", name], check=True)


def environment(variables: dict[str, str]) -> tuple[str, ...]:
    """Return a container's environment: the variables of its manifest after those of an image."""
    image = {
        "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        # Debian's docker has no BuildKit client and would say so before each build.
        "DOCKER_BUILDKIT": "0",
    }
    return tuple(f"{name}={value}" for name, value in {**image, **variables}.items())
