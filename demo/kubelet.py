"""Plays the kubelet for one injected pod: calls the driver, starts, probes and ends its containers.

Only what an ordinary CI pod needs, in the kubelet's own order: volumes, native sidecars (each must
pass its startup probe), the pod's containers, and on the way out the containers first, the sidecars
last, the volumes after them.
"""

import json
import re
import shutil
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

from demo import container
from demo.container import Container, Mount, Running

KUBELET = Path("/var/lib/kubelet")
DRIVERS = Path("/usr/libexec/kubernetes/kubelet-plugins/volume/exec")

Manifest = dict[str, Any]
"""A pod or a part of one, as the API server would hand it to the kubelet: open-ended by nature."""


class PodError(Exception):
    """The pod did not get as far as it had to; the message is what its events would say."""


def call_driver(driver: str, *args: str) -> dict[str, Any]:
    """Call a flex driver as the kubelet does and return its reply.

    Args:
        driver: vendor and name, ``dind/slab`` for one.
        args: the call-out and its arguments.

    Raises:
        PodError: the call failed, with the reply's message.
    """
    vendor, name = driver.split("/")
    done = subprocess.run(
        [DRIVERS / f"{vendor}~{name}" / name, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    reply: dict[str, Any] = json.loads(done.stdout)
    if done.returncode or reply["status"] != "Success":
        raise PodError(f"{args[0]} command failed, status: {reply['status']}, {reply['message']}")
    return reply


def expanded(text: str, variables: dict[str, str]) -> str:
    """Return a command's word with ``$(NAME)`` replaced and ``$$`` made ``$``, as the kubelet does.

    Source: k8s.io/kubernetes/third_party/forked/golang/expansion.
    """

    def replacement(match: re.Match[str]) -> str:
        name = match["name"]
        return "$" if name is None else variables.get(name, match[0])

    return re.sub(r"\$(?:\$|\((?P<name>[^)]*)\))", replacement, text)


class Pod:
    """One pod on this node, from its volumes to its end.

    Args:
        manifest: the pod as it came out of admission.
        namespace: the namespace that the kubelet names to the driver.
    """

    def __init__(self, manifest: Manifest, namespace: str) -> None:
        self.name = f"{manifest['metadata']['name']}-{uuid.uuid4().hex[:5]}"
        self.uid = str(uuid.uuid4())
        self.namespace = namespace
        self._spec = manifest["spec"]
        self._folder = KUBELET / "pods" / self.uid
        self._volumes = {v["name"]: self._prepare(v) for v in self._spec["volumes"]}
        self._network = container.make_network_namespace(self.name)
        self._sidecars: list[Running] = []

    def _prepare(self, volume: Manifest) -> Path:
        plugin = "kubernetes.io/empty-dir"
        if "flexVolume" in volume:
            plugin = volume["flexVolume"]["driver"]
        folder: Path = self._folder / "volumes" / plugin.replace("/", "~") / volume["name"]
        folder.mkdir(parents=True)
        return folder

    def mount(self) -> None:
        """Mount the pod's flexVolumes, with the keys that a kubelet passes."""
        for volume in self._flex_volumes():
            flex = volume["flexVolume"]
            options = {
                **flex.get("options", {}),
                "kubernetes.io/fsType": flex.get("fsType", ""),
                "kubernetes.io/pod.name": self.name,
                "kubernetes.io/pod.namespace": self.namespace,
                "kubernetes.io/pod.uid": self.uid,
                "kubernetes.io/pvOrVolumeName": volume["name"],
                "kubernetes.io/readwrite": "rw",
                "kubernetes.io/serviceAccount.name": "default",
            }
            folder = self._volumes[volume["name"]]
            call_driver(flex["driver"], "mount", str(folder), json.dumps(options))

    def start_sidecars(self) -> None:
        """Start the native sidecars, each until its startup probe passes.

        Raises:
            PodError: a sidecar ended, or its probe failed for too long; its last lines are told.
        """
        for spec in self._spec.get("initContainers", []):
            if spec.get("restartPolicy") != "Always":
                raise PodError(f"init container {spec['name']} is none the demo knows how to run")
            running = Running(self._container(spec))
            self._sidecars.append(running)
            self._await_startup(running, spec["startupProbe"])

    def _await_startup(self, running: Running, probe: Manifest) -> None:
        for _ in range(probe["failureThreshold"]):
            if running.ended():
                break
            if running.succeeds(*probe["exec"]["command"]):
                return
            time.sleep(probe["periodSeconds"])
        last = running.log.read_text(errors="replace").splitlines()[-20:]
        raise PodError("the sidecar did not start:\n" + "\n".join(last))

    def run(self, *, script: str | None = None) -> str:
        """Run the pod's first container to its end and return what it printed.

        Args:
            script: shell text to run in it instead of its own command.

        Raises:
            PodError: it ended with another exit status than 0.
        """
        spec = self._spec["containers"][0]
        running = Running(self._container(spec, script))
        status = running.wait(timeout_seconds=180)
        output = running.log.read_text(errors="replace")
        shutil.rmtree(running.log.parent)
        if status:
            raise PodError(f"container {spec['name']} ended with status {status}:\n{output}")
        return output

    def end(self) -> None:
        """Stop the sidecars, unmount the volumes, forget the pod."""
        for running in reversed(self._sidecars):
            status = running.stop(self._spec.get("terminationGracePeriodSeconds", 30))
            if status:
                raise PodError(
                    f"the sidecar ended with status {status}:\n"
                    + running.log.read_text(errors="replace")
                )
            shutil.rmtree(running.log.parent)
        for volume in self._flex_volumes():
            folder = self._volumes[volume["name"]]
            call_driver(volume["flexVolume"]["driver"], "unmount", str(folder))
            folder.rmdir()
        container.remove_network_namespace(self.name)
        shutil.rmtree(self._folder)

    def _flex_volumes(self) -> list[Manifest]:
        return [volume for volume in self._spec["volumes"] if "flexVolume" in volume]

    def _container(self, spec: Manifest, script: str | None = None) -> Container:
        variables = {entry["name"]: entry.get("value", "") for entry in spec.get("env", [])}
        command = [
            expanded(word, variables) for word in [*spec.get("command", []), *spec.get("args", [])]
        ]
        security = self._spec.get("securityContext") or {}
        return Container(
            id=f"{self.name}-{spec['name']}",
            args=("sh", "-c", script) if script else tuple(command),
            env=container.environment(variables),
            mounts=tuple(
                Mount(self._volumes[m["name"]], m["mountPath"], m.get("readOnly", False))
                for m in spec.get("volumeMounts", [])
            ),
            cgroup=f"/kubepods/pod{self.uid}/{spec['name']}",
            network_namespace=self._network,
            privileged=spec.get("securityContext", {}).get("privileged", False),
            groups=tuple(security.get("supplementalGroups", ())),
        )
