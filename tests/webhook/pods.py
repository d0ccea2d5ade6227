"""Pods for tests, and what becomes of them, as plain JSON."""

import copy
import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import jsonpatch
import msgspec

from webhook import quantity
from webhook.inject import Injection, inject
from webhook.names import TOKEN_DIR
from webhook.pod import Pod
from webhook.settings import Settings, parse_cluster, parse_namespace, resolve

Json = dict[str, Any]
BUILT_IN = resolve()


def settings(
    cluster: Mapping[str, str] | None = None, namespace: Mapping[str, str] | None = None
) -> Settings:
    return resolve(parse_cluster(cluster or {}), parse_namespace(namespace or {}))


def labelled(annotations: Mapping[str, str] | None = None, **spec: object) -> Json:
    """Return a pod that asks for Docker, with a container ``c`` unless ``spec`` says otherwise."""
    containers = [{"name": "c", "image": "docker:29-cli"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "pod",
            "labels": {"dind": "true"},
            "annotations": dict(annotations or {}),
        },
        "spec": {"containers": containers} | spec,
    }


def injection(pod: Json, under: Settings = BUILT_IN) -> Injection:
    return inject(msgspec.convert(pod, Pod), under)


def operations(result: Injection) -> list[Json]:
    """Return the patch as it is sent."""
    patch: list[Json] = json.loads(msgspec.json.encode(result.operations))
    return patch


def injected(pod: Json, under: Settings = BUILT_IN) -> Json:
    """Return the pod with Docker; it must be a pod that gets it."""
    result = injection(pod, under)
    assert result.decision.kind == "inject", result.decision
    patched: Json = jsonpatch.apply_patch(copy.deepcopy(pod), operations(result))
    return patched


def daemon_of(pod: Json) -> Json:
    """Return the daemon's container of an injected pod."""
    spec = pod["spec"]
    containers = [*spec.get("initContainers", ()), *spec["containers"]]
    (daemon,) = (each for each in containers if each["name"] == "dind")
    return daemon  # type: ignore[no-any-return] # JSON


def env_of(container: Json) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container.get("env", ())}


def as_stored(pod: Json) -> Json:
    """Return ``pod`` as an API server hands it out: defaults set, quantities in canonical form.

    What Kubernetes 1.36 did to the pods in ``tests/admission``, and its service account plugin.
    """
    stored = copy.deepcopy(pod)
    spec = stored["spec"]
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("imagePullPolicy", "IfNotPresent")
        resources = container.setdefault("resources", {})
        if "limits" in resources:
            resources["requests"] = resources["limits"] | resources.get("requests", {})
        for amounts in resources.values():
            for name, amount in amounts.items():
                amounts[name] = canonical(str(amount))
        if "startupProbe" in container:
            container["startupProbe"].setdefault("successThreshold", 1)
        for variable in container.get("env", ()):
            if "fieldRef" in variable.get("valueFrom", {}):
                variable["valueFrom"]["fieldRef"].setdefault("apiVersion", "v1")
        mounts = container.setdefault("volumeMounts", [])
        if all(mount["mountPath"] != TOKEN_DIR for mount in mounts):
            mounts.append({"name": "kube-api-access", "mountPath": TOKEN_DIR, "readOnly": True})
    volumes = spec.setdefault("volumes", [])
    for volume in volumes:
        if "sizeLimit" in volume.get("emptyDir", {}):
            volume["emptyDir"]["sizeLimit"] = canonical(volume["emptyDir"]["sizeLimit"])
    if all(volume["name"] != "kube-api-access" for volume in volumes):
        volumes.append({"name": "kube-api-access", "projected": {"sources": []}})
    return stored


def canonical(text: str) -> str:
    """Return a quantity as Kubernetes writes it, near enough: 1024Mi is 1Gi, 1000m is 1."""
    value = quantity.parse(text)
    if value % 1:
        return f"{value * 1000}m"
    suffixes = [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)] if "i" in text else []
    for suffix, power in suffixes:
        if value % 2**power == 0:
            return f"{Fraction(value, 2**power)}{suffix}"
    return str(value)
