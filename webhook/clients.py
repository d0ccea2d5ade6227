"""Which containers of a pod get Docker, and which keep what they have."""

from collections.abc import Iterable
from typing import NamedTuple

from webhook import names
from webhook.admin import Admin, Sidecar
from webhook.options import DockerHost, Options
from webhook.outcome import listed
from webhook.pod import Container, PodSpec, Volume

AGENTS = frozenset(
    {"istio-proxy", "istio-init", "istio-validation"}
    | {"linkerd-proxy", "linkerd-init", "linkerd-network-validator"}
    | {"vault-agent", "vault-agent-init"}
    | {"consul-dataplane", "consul-connect-inject-init"}
    | {"kuma-sidecar", "kuma-init", "daprd"}
)
"""Containers that meshes and secret stores add to pods: Docker is none of their business."""

_SOCKET = "docker.sock"
ARGO_WAIT = "wait"
ARGO_IMAGE = "argoexec"

OUR_HOSTS = {
    DockerHost.UNIX: frozenset({names.UNIX_HOST}),
    DockerHost.TCP: frozenset({names.TCP_HOST, "tcp://127.0.0.1:2375"}),
}
"""Values of ``DOCKER_HOST`` that lead to our daemon."""


class Client(NamedTuple):
    """A container that gets Docker.

    Attributes:
        group: the field of the pod's spec that lists it.
        place: its index in that list.
        container: itself.
    """

    group: str
    place: int
    container: Container


class Clients(NamedTuple):
    """The containers that get Docker, and what to warn of."""

    members: tuple[Client, ...]
    warnings: tuple[str, ...]


def candidates(spec: PodSpec, admin: Admin) -> list[Client]:
    """Return the containers that could get Docker.

    In ``container`` mode the daemon starts after the init containers, so these are not among them.
    """
    groups = {"containers": spec.containers or ()}
    if admin.sidecar is Sidecar.NATIVE:
        groups["initContainers"] = spec.init_containers or ()
    return [
        Client(group, place, container)
        for group, containers in groups.items()
        for place, container in enumerate(containers)
        if container.name != names.CONTAINER
    ]


def clients(possible: list[Client], spec: PodSpec, options: Options) -> Clients:
    """Return those of ``possible`` that get Docker.

    Not those that ``containers`` leaves out, no known agents unless it names them, and none that
    has a Docker already.
    """
    members: list[Client] = []
    equipped: list[str] = []
    named = frozenset(options.containers)
    sockets = {v.name for v in spec.volumes or () if _is_docker_socket(v)}
    for candidate in possible:
        container = candidate.container
        if container.name not in named and (named or _is_agent(container)):
            continue
        own = _own_docker(container, options, sockets)
        if own:
            equipped.append(f"{container.name} ({own})")
        else:
            members.append(candidate)
    return Clients(tuple(members), tuple(_warnings(members, equipped)))


def has_our_host(container: Container, options: Options) -> bool:
    """Say whether a container's own ``DOCKER_HOST`` leads to our daemon already."""
    return any(
        variable.name == names.DOCKER_HOST and variable.value in OUR_HOSTS[options.docker_host]
        for variable in container.env or ()
    )


def _is_agent(container: Container) -> bool:
    return container.name in AGENTS or (
        container.name == ARGO_WAIT and ARGO_IMAGE in (container.image or "")
    )


def _is_docker_socket(volume: Volume) -> bool:
    return volume.host_path is not None and volume.host_path.path.endswith(_SOCKET)


def _own_docker(container: Container, options: Options, sockets: set[str]) -> str:
    """Return what a container has of Docker already; empty for nothing."""
    for variable in container.env or ():
        if variable.name == names.DOCKER_CONTEXT or (
            variable.name == names.DOCKER_HOST
            and variable.value not in OUR_HOSTS[options.docker_host]
        ):
            return variable.name
    for mount in container.volume_mounts or ():
        if mount.name in sockets or mount.mount_path.endswith(_SOCKET):
            return _SOCKET
    return ""


def _warnings(members: list[Client], equipped: list[str]) -> Iterable[str]:
    if equipped:
        keep = "keeps its" if len(equipped) == 1 else "keep their"
        yield f"{listed(equipped)} {keep} own Docker and will not use the pod's daemon"
    if not members:
        yield "no container of the pod gets Docker: the daemon runs for nobody"
