"""Plays the kubelet for the driver: the calls it makes, and what it makes of the answers."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

PROJECT = Path(__file__).parent.parent.parent
DRIVER = (str(PROJECT / "flexvol" / "slab"),)


class Answer(NamedTuple):
    """What the driver answered."""

    status: str
    message: str
    capabilities: dict[str, bool] | None


class Kubelet:
    """One kubelet.

    Args:
        root: its root directory.
        environ: the environment it gives to the driver.
        command: the driver's executable.
    """

    def __init__(
        self, root: Path, environ: Mapping[str, str], command: Sequence[str] = DRIVER
    ) -> None:
        self.root = root
        self.environ = dict(environ)
        self.command = command
        (root / "pods").mkdir(parents=True, exist_ok=True)

    def directory(self, pod: str, volume: str = "graph", driver: str = "dind~slab") -> Path:
        """Return where a pod's volume is mounted."""
        return self.root / "pods" / pod / "volumes" / driver / volume

    def mount(
        self,
        pod: str,
        size_mb: str = "64",
        namespace: str = "default",
        fs_type: str = "ext4",
        account: str = "default",
        **options: str,
    ) -> Answer:
        """Set up a pod's volume, as for a pod that has just been bound to this node."""
        return self.call(
            "mount", *self.arguments(pod, size_mb, namespace, fs_type, account, **options)
        )

    def arguments(self, pod: str, *args: str, **options: str) -> tuple[str, str]:
        """Return the arguments of a mount call, and make the directory that the kubelet makes."""
        directory = self.directory(pod)
        directory.mkdir(parents=True, exist_ok=True)
        return str(directory), self.options(pod, *args, **options)

    def options(
        self,
        pod: str,
        size_mb: str = "64",
        namespace: str = "default",
        fs_type: str = "ext4",
        account: str = "default",
        **options: str,
    ) -> str:
        """Return the JSON of a mount call, with the keys of Kubernetes 1.36."""
        document = {
            **options,
            "size_mb": size_mb,
            "kubernetes.io/fsType": fs_type,
            "kubernetes.io/pod.name": f"{pod}-name",
            "kubernetes.io/pod.namespace": namespace,
            "kubernetes.io/pod.uid": pod,
            "kubernetes.io/pvOrVolumeName": "graph",
            "kubernetes.io/readwrite": "rw",
            "kubernetes.io/serviceAccount.name": account,
        }
        return json.dumps(document, sort_keys=True)

    def unmount(self, pod: str) -> Answer:
        """Tear a pod's volume down; the pod's directory stays."""
        return self.call("unmount", str(self.directory(pod)))

    def end(self, pod: str) -> Answer:
        """End a pod: tear its volume down, and remove the pod's directory if that went well."""
        answer = self.unmount(pod)
        if answer.status == "Success":
            self.forget(pod)
        return answer

    def forget(self, pod: str) -> None:
        """Remove a pod's directory, as when the driver was never told."""
        shutil.rmtree(self.root / "pods" / pod)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a call and do not wait for it."""
        return subprocess.Popen(
            [*self.command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environ,
            text=True,
        )

    def call(self, *arguments: str) -> Answer:
        """Make one call and read its answer as strictly as the contract is."""
        return self.read(self.start(*arguments))

    @staticmethod
    def read(process: subprocess.Popen[str]) -> Answer:
        """Wait for a call and read its answer: one line of JSON, and nothing else anywhere."""
        stdout, stderr = process.communicate(timeout=200)
        assert stderr == "", stderr
        assert stdout.endswith("\n"), (stdout, process.returncode)
        assert stdout.count("\n") == 1, stdout
        document: dict[str, Any] = json.loads(stdout)
        assert set(document) <= {"status", "message", "capabilities"}
        assert (process.returncode == 0) == (document["status"] != "Failure"), stdout
        return Answer(document["status"], document.get("message", ""), document.get("capabilities"))


def environment(settings: Path) -> dict[str, str]:
    """Return the environment of a kubelet whose driver reads another settings file."""
    return {"PATH": os.environ["PATH"], "DIND_SLAB_SETTINGS": str(settings)}
