"""The manifests as a cluster would get them: rendered by the real kubectl."""

import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.guest.machine import PROJECT

Manifest = dict[str, Any]
"""An object as the API server would take it: open-ended by nature."""

MANIFESTS = PROJECT / "manifests"
KUBECTL = Path(sys.executable).with_name("kubectl")
OVERLAYS = tuple(sorted(path.name for path in (MANIFESTS / "overlays").iterdir()))
KUBELETS = tuple(sorted(path.name for path in (MANIFESTS / "kubelet-dirs").iterdir()))


def kubectl(*words: str, stdin: str | None = None) -> str:
    """Run kubectl, without any cluster, and return what it printed."""
    done = subprocess.run(
        [KUBECTL, *words], capture_output=True, text=True, check=False, input=stdin, env={}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def rendered_text(folder: Path) -> str:
    return kubectl("kustomize", str(folder))


def rendered(folder: Path) -> list[Manifest]:
    """Return the objects that a kustomization renders to."""
    return list(YAML(typ="safe").load_all(rendered_text(folder)))


def combined(place: Path, overlay: str, kubelet: str | None) -> list[Manifest]:
    """Render an overlay with the plugin directory of a distribution, as `make deploy` would."""
    place.mkdir(exist_ok=True)
    (place / "manifests").symlink_to(MANIFESTS)
    components = f"components: [manifests/kubelet-dirs/{kubelet}]\n" if kubelet else ""
    (place / "kustomization.yaml").write_text(
        f"resources: [manifests/overlays/{overlay}]\n{components}"
    )
    return rendered(place)


def one(objects: list[Manifest], kind: str, name: str) -> Manifest:
    """Return the object of this kind and name."""
    (found,) = (o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)
    return found


def pod_specs(objects: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Yield the pods that the objects make: name and spec."""
    for o in objects:
        if o["kind"] in ("Deployment", "DaemonSet"):
            yield o["metadata"]["name"], o["spec"]["template"]["spec"]


def containers(spec: Manifest) -> list[Manifest]:
    return [*spec.get("initContainers", []), *spec["containers"]]
