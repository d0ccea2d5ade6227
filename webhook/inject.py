"""The heart: a pod and the settings of its namespace in, a decision and a patch out. Pure.

Admission and the offline command both call ``inject``.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec

from flexvol.contract import warm_label
from webhook import __version__, names, scheduling, sidecar
from webhook.admin import Admin, Sidecar
from webhook.clients import Client, candidates, clients, has_our_host
from webhook.decision import RESTORE, Decision, decide
from webhook.options import Cache, DockerHost, Options, Storage
from webhook.outcome import QUIET, Kind, as_warning
from webhook.patch import Operation, appended, pointer, prepended
from webhook.pod import (
    Container,
    EnvVar,
    LocalReference,
    Metadata,
    Pod,
    PodSecurityContext,
    PodSpec,
)
from webhook.request import read
from webhook.resources import daemon_resources
from webhook.settings import Settings
from webhook.sharing import NOTHING_SHARED, shared_volumes
from webhook.storage import slab_options

_STATUS_PATH = pointer("metadata", "annotations", names.STATUS_ANNOTATION)


class Injection(NamedTuple):
    """What becomes of a pod.

    Attributes:
        decision: the outcome.
        warnings: what whoever made the pod should know, each a sentence.
        operations: the patch; empty unless the decision is to inject.
    """

    decision: Decision
    warnings: tuple[str, ...] = ()
    operations: tuple[Operation, ...] = ()


def inject(pod: Pod, settings: Settings) -> Injection:
    """Return what becomes of ``pod`` in a namespace where ``settings`` hold."""
    metadata, spec = pod.metadata or Metadata(), pod.spec
    admin = settings.admin
    possible = candidates(spec, admin)
    request = read(metadata.annotations or {}, possible, settings)
    options = request.options
    users = clients(possible, spec, options)
    decision = decide(pod, request, users.members, admin)
    if decision.kind is Kind.REFUSE:
        return Injection(decision, tuple(map(as_warning, request.warnings)))
    if decision.kind is Kind.SKIP:
        return left_alone(decision)
    if decision is RESTORE:
        return Injection(decision, (), (_restored(spec),))

    shared = NOTHING_SHARED
    if options.share_volumes:
        taken = frozenset(v.name for v in sidecar.environment(spec, options, admin))
        shared = shared_volumes(spec, (each.container for each in users.members), taken)
    resources = daemon_resources(spec, options, request.asked, admin)
    daemon = sidecar.daemon_container(spec, options, admin, resources, shared)
    warnings = (
        *request.warnings,
        *users.warnings,
        *shared.warnings,
        *resources.warnings,
        *_further_warnings(spec, request.asked, options, settings),
    )
    operations = (
        *_for_clients(users.members, options),
        *appended("/spec/volumes", spec.volumes, sidecar.daemon_volumes(options)),
        *_for_pod(metadata, spec, options, admin),
        *_for_daemon(spec, daemon, admin),
        _add_status(metadata, options),
    )
    return Injection(decision, tuple(map(as_warning, warnings)), operations)


def left_alone(decision: Decision) -> Injection:
    """Return the outcome of a skip, with the warning that says so where it could surprise."""
    if decision.code in QUIET:
        return Injection(decision)
    return Injection(decision, (as_warning(f"{decision.code}: {decision.sentence}"),))


def _for_clients(members: tuple[Client, ...], options: Options) -> Iterator[Operation]:
    unix = options.docker_host is DockerHost.UNIX
    host = (EnvVar(names.DOCKER_HOST, names.UNIX_HOST if unix else names.TCP_HOST),)
    socket = (sidecar.SOCKET_MOUNT,)
    for group, index, container in members:
        path = f"/spec/{group}/{index}"
        if not has_our_host(container, options):
            yield from appended(f"{path}/env", container.env, host)
        if unix:
            yield from appended(f"{path}/volumeMounts", container.volume_mounts, socket)


def _for_pod(
    metadata: Metadata, spec: PodSpec, options: Options, admin: Admin
) -> Iterator[Operation]:
    if options.docker_host is DockerHost.UNIX:
        yield from _socket_group(spec.security_context)
    if admin.slab_resource and options.storage is Storage.SLAB:
        warm = ""
        if metadata.namespace:  # a template in a manifest may name none
            warm = warm_label(metadata.namespace, slab_options(options))
        yield from scheduling.toward_slabs(spec.affinity, warm)
    present = {secret.name for secret in spec.image_pull_secrets or ()}
    secrets = [LocalReference(name) for name in admin.image_pull_secrets if name not in present]
    yield from appended("/spec/imagePullSecrets", spec.image_pull_secrets, secrets)


def _socket_group(context: PodSecurityContext | None) -> Iterator[Operation]:
    """Let containers that do not run as root use the socket."""
    if context is None:
        group = PodSecurityContext(supplemental_groups=[names.SOCKET_GROUP])
        yield Operation("/spec/securityContext", group)
    elif names.SOCKET_GROUP not in (context.supplemental_groups or ()):
        yield from appended(
            "/spec/securityContext/supplementalGroups",
            context.supplemental_groups,
            [names.SOCKET_GROUP],
        )


def _for_daemon(spec: PodSpec, daemon: Container, admin: Admin) -> list[Operation]:
    """Add the daemon: first of the init containers, so this comes after all that count them."""
    if admin.sidecar is Sidecar.NATIVE:
        return [prepended("/spec/initContainers", spec.init_containers, daemon)]
    return appended("/spec/containers", spec.containers, [daemon])


def _add_status(metadata: Metadata, options: Options) -> Operation:
    """Say in the pod itself what was done."""
    status = _status(options.storage, options.storage_size_mib, options.cache, options.docker_host)
    if metadata.annotations is None:
        return Operation("/metadata/annotations", {names.STATUS_ANNOTATION: status})
    return Operation(_STATUS_PATH, status)


@lru_cache(maxsize=1024)
def _status(storage: Storage, size_mib: int, cache: Cache, docker_host: DockerHost) -> str:
    status: dict[str, object] = {
        "version": __version__,
        "storage": storage,
        "size_mb": size_mib,
        "docker_host": docker_host,
    }
    if cache is Cache.READ_ONLY:
        status["cache"] = cache
    return msgspec.json.encode(status).decode()


def _restored(spec: PodSpec) -> Operation:
    containers = spec.init_containers or ()
    index = next(i for i, each in enumerate(containers) if each.name == names.CONTAINER)
    return Operation(f"/spec/initContainers/{index}/restartPolicy", "Always")


def _further_warnings(
    spec: PodSpec, asked: frozenset[str], options: Options, settings: Settings
) -> Iterator[str]:
    if settings.forbidden_by:
        yield (
            f"Pod Security {settings.forbidden_by} refuses this pod, since its daemon is "
            f"privileged: the namespace's label {names.POD_SECURITY_LABEL} must be privileged"
        )
    if (
        settings.admin.sidecar is Sidecar.CONTAINER
        and (spec.restart_policy or "Always") != "Always"
    ):
        yield (
            f"the pod has restartPolicy {spec.restart_policy} and will not end by itself: "
            "the daemon goes on when the other containers have ended"
        )
    if options.storage is Storage.EMPTY_DIR:
        for name in sorted(asked & {"cache", "cache-key"}):
            yield f"annotation {names.PREFIX}{name} has no effect: an emptyDir keeps nothing"
