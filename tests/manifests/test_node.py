"""What the node's manifests name is what installer and driver use."""

import re
from pathlib import Path

import pytest

from flexvol.agent.flags import parse_flags
from flexvol.install.__main__ import parser
from flexvol.settings import PATH
from tests.guest.machine import PROJECT
from tests.manifests.rendering import (
    KUBELETS,
    MANIFESTS,
    Manifest,
    combined,
    containers,
    one,
    pod_specs,
    rendered,
)

DEFAULT_PLUGINS = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"


def daemon_set(objects: list[Manifest]) -> Manifest:
    spec: Manifest = one(objects, "DaemonSet", "dind-node")["spec"]["template"]["spec"]
    return spec


def expanded(container: Manifest) -> list[str]:
    """Return a container's arguments as the kubelet would hand them over."""
    values = {v["name"]: v.get("value", v["name"].lower()) for v in container["env"]}
    return [re.sub(r"\$\((\w+)\)", lambda m: values[m[1]], word) for word in container["args"]]


def mounts(spec: Manifest, container: Manifest) -> dict[str, str]:
    """Return the folders of the host, or the ConfigMap, by where a container sees them."""
    volumes = {
        volume["name"]: volume["hostPath"]["path"]
        if "hostPath" in volume
        else volume["configMap"]["name"]
        for volume in spec["volumes"]
    }
    return {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}


def plugin_directories() -> dict[str, str]:
    """Return the table of docs/install.md."""
    rows = re.findall(r"^\| `KUBELET=(\w+)` \|.*\| `(/[^`]+)` \|$", INSTALL_PAGE, re.MULTILINE)
    return dict(rows)


INSTALL_PAGE = (PROJECT / "docs" / "install.md").read_text()


@pytest.mark.parametrize("kubelet", [None, *KUBELETS])
def test_the_installer_sees_every_folder_it_is_told_of(tmp_path: Path, kubelet: str | None) -> None:
    spec = daemon_set(combined(tmp_path / "all", "file", kubelet))
    (installer,) = spec["initContainers"]
    assert installer["command"] == ["python", "-m", "flexvol.install"]
    given = parser().parse_args(expanded(installer))
    seen = mounts(spec, installer)
    # Entries hold this path, and the kubelet reads them on the host: it must be the same on both.
    assert seen[str(given.root)] == str(given.root)
    assert seen[str(Path(PATH).parent)] == str(Path(PATH).parent)
    assert seen[str(given.settings_from)] == "dind-node"
    assert seen[str(given.plugin_dir)] == plugin_directories().get(kubelet or "", DEFAULT_PLUGINS)
    assert given.host_pid == 1
    assert spec["hostPID"] is True


@pytest.mark.parametrize("kubelet", [None, *KUBELETS])
def test_the_agent_sees_what_the_installer_does_and_is_told_the_same(
    tmp_path: Path, kubelet: str | None
) -> None:
    spec = daemon_set(combined(tmp_path / "all", "disk", kubelet))
    (agent,) = spec["containers"]
    (installer,) = spec["initContainers"]
    assert agent["command"] == ["python", "-m", "flexvol", "agent"]
    assert mounts(spec, agent) == mounts(spec, installer)
    assert set(expanded(installer)) - {"install"} <= set(expanded(agent))
    flags = parse_flags(expanded(agent), {})
    assert (flags.node, flags.host_pid) == ("node_name", 1)


def test_the_page_knows_every_distribution() -> None:
    assert set(plugin_directories()) == set(KUBELETS)


def test_the_agents_port_is_the_one_that_is_probed_and_open() -> None:
    objects = rendered(MANIFESTS)
    (agent,) = daemon_set(objects)["containers"]
    (port,) = agent["ports"]
    assert f"--port={port['containerPort']}" in agent["args"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert agent[probe]["httpGet"]["port"] == port["name"]
    policy = one(objects, "NetworkPolicy", "dind-node")["spec"]
    assert policy["ingress"] == [{"ports": [{"port": port["name"]}]}]


def test_only_what_works_on_the_host_is_privileged() -> None:
    for name, spec in pod_specs(rendered(MANIFESTS)):
        assert "hostNetwork" not in spec
        for container in containers(spec):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context.get("privileged", False) == (name == "dind-node")
            if name != "dind-node":
                assert context["capabilities"] == {"drop": ["ALL"]}
                assert context["allowPrivilegeEscalation"] is False
                assert spec["securityContext"]["runAsNonRoot"] is True


def test_every_critical_pod_is_allowed_to_be_one() -> None:
    objects = rendered(MANIFESTS)
    (scope,) = one(objects, "ResourceQuota", "dind-critical")["spec"]["scopeSelector"][
        "matchExpressions"
    ]
    assert {spec["priorityClassName"] for _, spec in pod_specs(objects)} <= set(scope["values"])
