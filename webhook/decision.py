"""Whether a pod gets a daemon, is left alone, or is refused: each with its code and sentence."""

from collections.abc import Iterator
from typing import NamedTuple

from webhook import image, names, sidecar
from webhook.admin import Admin
from webhook.clients import Client
from webhook.options import DockerHost
from webhook.outcome import Code, Fault, Kind, fault, quoted, sentence
from webhook.paths import normal
from webhook.pod import Container, Metadata, Pod, PodSpec
from webhook.request import DindRequest

OS_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")

_SOCKET_NAME = names.SOCKET_DIR.rpartition("/")[2]
_FAULTS_TOLD = 24
"""As many as all annotations and all other rules can bring at once, each a time."""


class Decision(NamedTuple):
    """What becomes of a pod.

    Attributes:
        kind: whether it is injected, skipped or refused.
        code: the outcome; for several reasons to refuse, that of the first.
        sentence: the outcome in words; for several reasons to refuse, all of them.
    """

    kind: Kind
    code: Code
    sentence: str


INJECT = Decision(Kind.INJECT, Code.INJECTED, sentence(Code.INJECTED))
RESTORE = Decision(Kind.INJECT, Code.RESTORED, sentence(Code.RESTORED))


def skip(code: Code, **values: str) -> Decision:
    """Return the decision to leave something alone."""
    return Decision(Kind.SKIP, code, sentence(code, **values))


def refuse(faults: tuple[Fault, ...]) -> Decision:
    """Return the decision to refuse a pod for ``faults``, of which there is at least one."""
    told = [each.sentence for each in faults[:_FAULTS_TOLD]]
    if len(faults) > _FAULTS_TOLD:
        told.append(f"and {len(faults) - _FAULTS_TOLD} faults more")
    return Decision(Kind.REFUSE, faults[0].code, "; ".join(told))


def decide(pod: Pod, request: DindRequest, clients: tuple[Client, ...], admin: Admin) -> Decision:
    """Return what becomes of a pod.

    Skipping comes before refusing: what is left alone is not judged. A pod that has our container
    already is skipped (``already_injected``), or gets back what it lost (``restored``).

    Each row is a plain pod with one container ``c``, changed as it says; ``p`` is a second
    container, a privileged one. The administrator has set ``max-storage-size: 50Gi``,
    ``allowed-images: docker:*`` and ``enforce: cpu``.

    ================================================================  ========================
    pod                                                               outcome
    ================================================================  ========================
    {}                                                                inject injected
    {labels: {dind: "yes"}}                                           skip not_labelled
    {annotations: {kubernetes.io/config.mirror: "1f"}}                skip mirror_pod
    {annotations: {dind/inject: "false"}}                             skip opted_out
    {annotations: {dind/inject: "true"}}                              inject injected
    {p: {image: "docker:27-dind"}}                                    skip has_daemon
    {p: {image: "example.com/ci/ubuntu-dind:1@sha256:0"}}             skip has_daemon
    {p: {volumeMounts: [{name: v, mountPath: /var/lib/docker}]}}      skip has_daemon
    {p: {image: "docker:27-cli"}}                                     inject injected
    {c: {image: "docker:27-dind"}}                                    inject injected
    {c: {volumeMounts: [{name: v, mountPath: /var/lib/docker}]}}      inject injected
    {spec: {hostNetwork: true}, p: {image: "docker:27-dind"}}         skip has_daemon
    {spec: {hostNetwork: true}}                                       refuse host_network
    {spec: {hostPID: true}}                                           refuse host_pid
    {spec: {hostUsers: false}}                                        refuse user_namespace
    {spec: {hostUsers: true, hostIPC: true}}                          inject injected
    {spec: {os: {name: windows}}}                                     refuse not_linux
    {spec: {nodeSelector: {kubernetes.io/os: windows}}}               refuse not_linux
    {spec: {os: {name: linux}, shareProcessNamespace: true}}          inject injected
    {annotations: {dind/inject: "no"}}                                refuse bad_annotation
    {annotations: {dind/storage-size: 10 gigs}}                       refuse bad_annotation
    {annotations: {dind/storage-size: 255Mi}}                         refuse size_too_small
    {annotations: {dind/storage-size: 51Gi}}                          refuse over_limit
    {annotations: {dind/storage-size: 50Gi}}                          inject injected
    {annotations: {dind/storage: disk}}                               refuse bad_annotation
    {annotations: {dind/cache-key: a/../b}}                           refuse bad_annotation
    {annotations: {dind/cache: none}}                                 refuse bad_annotation
    {annotations: {dind/cache: read-only}}                            inject injected
    {annotations: {dind/image: "Not An Image"}}                       refuse bad_annotation
    {annotations: {dind/image: "example.com/docker:29"}}              refuse image_not_allowed
    {annotations: {dind/image: "docker.io/library/docker:28-dind"}}   inject injected
    {annotations: {dind/cpu: "2"}}                                    refuse enforced
    {annotations: {dind/cpu: 100m}}                                   inject injected
    {annotations: {dind/memory: 400m}}                                refuse bad_annotation
    {annotations: {dind/memory-limit: "0"}}                           refuse bad_annotation
    {annotations: {dind/memory: 2Gi, dind/memory-limit: 1Gi}}         refuse bad_annotation
    {annotations: {dind/docker-host: tls}}                            refuse bad_annotation
    {annotations: {dind/containers: "c, nobody"}}                     refuse bad_annotation
    {annotations: {dind/share-volumes: "yes"}}                        refuse bad_annotation
    {annotations: {dind/status: forged, dind/cash-key: a}}            inject injected
    {c: {name: dind}}                                                 refuse name_taken
    {spec: {volumes: [{name: dind-storage}]}}                         refuse name_taken
    {spec: {volumes: [{name: dind-socket}]}}                          refuse name_taken
    {spec: {volumes: [{name: storage}]}}                              inject injected
    {c: {volumeMounts: [{name: v, mountPath: /run/dind/}]}}           refuse path_taken
    {c: {volumeMounts: [{name: v, mountPath: /var/run/dind}]}}        refuse path_taken
    {c: {volumeMounts: [{name: v, mountPath: /run/dindings}]}}        inject injected
    {c: {volumeDevices: [{name: v, devicePath: /run/dind}]}}          refuse path_taken
    ================================================================  ========================

    Args:
        pod: the pod as it came.
        request: what its annotations ask for.
        clients: the containers that are to get Docker.
        admin: the cluster's own settings.
    """
    metadata, spec = pod.metadata or Metadata(), pod.spec
    if (metadata.labels or {}).get(names.LABEL) != names.LABEL_VALUE:
        return skip(Code.NOT_LABELLED)
    if names.MIRROR_ANNOTATION in (metadata.annotations or {}):
        return skip(Code.MIRROR_POD)
    if not request.options.inject:
        return skip(Code.OPTED_OUT)
    ours = next((c for c in spec.all_containers() if c.name == names.CONTAINER), None)
    if ours and not request.faults and sidecar.is_ours(ours, spec, request.options, admin):
        dropped = sidecar.lacks_restart_policy(ours, admin)
        return RESTORE if dropped else skip(Code.ALREADY_INJECTED)
    for container in spec.all_containers():
        if _is_daemon(container):
            return skip(Code.HAS_DAEMON, container=quoted(container.name))
    faults = (
        *_impossible(spec),
        *request.faults,
        *_names_taken(spec),
        *_paths_taken(clients, request.options.docker_host),
    )
    return refuse(faults) if faults else INJECT


def _is_daemon(container: Container) -> bool:
    context = container.security_context
    if context is None or not context.privileged:
        return False
    return image.is_daemon(container.image or "") or any(
        normal(mount.mount_path) == names.GRAPH_DIR for mount in container.volume_mounts or ()
    )


def _impossible(spec: PodSpec) -> Iterator[Fault]:
    """Yield why no daemon can work, or may work, in such a pod."""
    if spec.host_network:
        yield fault(Code.HOST_NETWORK)
    if spec.host_pid:
        yield fault(Code.HOST_PID)
    if spec.host_users is False:
        yield fault(Code.USER_NAMESPACE)
    systems = [spec.os.name] if spec.os is not None else []
    systems += [(spec.node_selector or {}).get(label, "") for label in OS_LABELS]
    for system in systems:
        if system not in {"", "linux"}:
            yield fault(Code.NOT_LINUX, system=quoted(system))
            return


def _names_taken(spec: PodSpec) -> Iterator[Fault]:
    for container in spec.all_containers():
        if container.name == names.CONTAINER:
            yield fault(Code.NAME_TAKEN, part="container", name=quoted(container.name))
    for volume in spec.volumes or ():
        if volume.name in names.VOLUMES:
            yield fault(Code.NAME_TAKEN, part="volume", name=quoted(volume.name))


def _paths_taken(clients: tuple[Client, ...], docker_host: DockerHost) -> Iterator[Fault]:
    if docker_host is not DockerHost.UNIX:
        return
    for client in clients:
        container = client.container
        places = [(mount.name, mount.mount_path) for mount in container.volume_mounts or ()]
        places += [(device.name, device.device_path) for device in container.volume_devices or ()]
        for volume, path in places:
            # Most paths are not even like it, and a pod may have very many.
            if _SOCKET_NAME in path and normal(path) == names.SOCKET_DIR:
                yield fault(
                    Code.PATH_TAKEN,
                    container=quoted(container.name),
                    volume=quoted(volume),
                    path=quoted(path),
                )
