"""The daemon's container and its volumes, and whether those in a pod are the ones we would add."""

import re
from functools import lru_cache
from pathlib import Path

from webhook import names, quantity
from webhook.admin import Admin, Sidecar
from webhook.options import DockerHost, Options
from webhook.pod import (
    Container,
    EmptyDir,
    EnvVar,
    ExecAction,
    PodSecurityContext,
    PodSpec,
    Probe,
    Profile,
    Resources,
    SecurityContext,
    Volume,
    VolumeMount,
)
from webhook.resources import NO_RESOURCES, DaemonResources
from webhook.sharing import NOTHING_SHARED, Shared
from webhook.storage import graph_volume

DEFAULT_GRACE_SECONDS = 30
"""Kubernetes' default of ``terminationGracePeriodSeconds``."""

_SPARE_SECONDS = 3
"""Of the grace period: what is left once the daemon has stopped."""


def escaped(text: str) -> str:
    """Return ``text`` so that Kubernetes makes the same text of it again.

    Kubernetes replaces ``$(NAME)`` and ``$$`` in commands, arguments and variables
    (``k8s.io/kubernetes/third_party/forked/golang/expansion``).
    """
    return re.sub(r"\$(?=[$(])", "$$", text)


def _script() -> str:
    """Return ``daemon.sh`` without the lines that are comments: every pod carries it."""
    lines = Path(__file__).with_name("daemon.sh").read_text().splitlines()
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("#")) + "\n"


COMMAND = ["sh", "-c", escaped(_script())]

PROBE = Probe(
    exec=ExecAction(command=["test", "-S", names.SOCKET]),
    period_seconds=1,
    timeout_seconds=5,
    failure_threshold=300,
)

SOCKET_MOUNT = VolumeMount(name=names.SOCKET_VOLUME, mount_path=names.SOCKET_DIR)

_TELLING = frozenset({names.ENV_DOCKER_HOST, names.ENV_SIZE_MIB, names.ENV_DAEMON_ARGS})
"""Variables by which our container is known again."""

_GRAPH_MOUNT = VolumeMount(name=names.STORAGE_VOLUME, mount_path=names.GRAPH_DIR)
_NO_TOKEN_MOUNT = VolumeMount(name=names.TOKEN_VOLUME, mount_path=names.TOKEN_DIR, read_only=True)
_OWN_MOUNTS = {
    DockerHost.UNIX: (_GRAPH_MOUNT, SOCKET_MOUNT, _NO_TOKEN_MOUNT),
    DockerHost.TCP: (_GRAPH_MOUNT, _NO_TOKEN_MOUNT),
}


def daemon_container(
    spec: PodSpec,
    options: Options,
    admin: Admin,
    resources: DaemonResources = NO_RESOURCES,
    shared: Shared = NOTHING_SHARED,
) -> Container:
    """Return the daemon's container.

    ``resources`` and ``shared`` depend on the pod's other containers, all else does not.
    """
    return Container(
        name=names.CONTAINER,
        image=options.image,
        command=COMMAND,
        restart_policy="Always" if admin.sidecar is Sidecar.NATIVE else None,
        env=[*environment(spec, options, admin), *shared.env],
        resources=Resources(resources.requests or None, resources.limits or None),
        security_context=_security_context(spec.security_context),
        startup_probe=PROBE,
        termination_message_policy="FallbackToLogsOnError",
        volume_mounts=[*_OWN_MOUNTS[options.docker_host], *shared.mounts],
    )


def daemon_volumes(options: Options) -> list[Volume]:
    """Return the volumes that the daemon's container mounts, the containers' own left out."""
    volumes = {names.STORAGE_VOLUME: graph_volume(options)}
    return [
        volumes.get(mount.name) or Volume(name=mount.name, empty_dir=EmptyDir())
        for mount in _OWN_MOUNTS[options.docker_host]
    ]


def environment(spec: PodSpec, options: Options, admin: Admin) -> tuple[EnvVar, ...]:
    """Return what the daemon's script is told, but for what shared volumes bring along."""
    grace_seconds = spec.termination_grace_period_seconds
    if grace_seconds is None:
        grace_seconds = DEFAULT_GRACE_SECONDS
    return _environment(options.docker_host, options.storage_size_mib, grace_seconds, admin)


@lru_cache(maxsize=1024)
def _environment(
    docker_host: DockerHost, size_mib: int, grace_seconds: int, admin: Admin
) -> tuple[EnvVar, ...]:
    variables = {
        names.ENV_DOCKER_HOST: docker_host.value,
        names.ENV_SIZE_MIB: str(size_mib),
        names.ENV_SHUTDOWN_SECONDS: str(max(1, grace_seconds - _SPARE_SECONDS)),
        names.ENV_REGISTRY_MIRRORS: " ".join(admin.registry_mirrors),
        names.ENV_INSECURE_REGISTRIES: " ".join(admin.insecure_registries),
        names.ENV_REGISTRY_CA: admin.registry_ca,
        names.ENV_DAEMON_ARGS: "\n".join(admin.daemon_args),
        names.ENV_MIN_API_VERSION: admin.min_api_version,
    }
    told = [(name, value) for name, value in variables.items() if value]
    return tuple(EnvVar(name, escaped(value)) for name, value in (*told, *admin.daemon_env))


def is_ours(found: Container, spec: PodSpec, options: Options, admin: Admin) -> bool:
    """Say whether a container in the pod is the daemon's, as we would add it.

    Between two calls of the webhook the API server sets defaults, its plugins and other webhooks
    change containers: a mirror's name before the image, variables for a proxy, resources (limit
    ranges, autoscalers), further mounts, profiles, the pod's grace period. What is run, on which
    graph, as whom and when it counts as started must be as we wrote it.
    A webhook that knows Kubernetes before 1.28 drops ``restartPolicy``: it may be absent.
    """
    home = spec.init_containers if admin.sidecar is Sidecar.NATIVE else spec.containers
    restart_policy = "Always" if admin.sidecar is Sidecar.NATIVE else None
    ours = environment(spec, options, admin)
    variables = {variable.name: variable.value for variable in found.env or ()}
    mounts = {(m.name, m.mount_path, m.sub_path or "") for m in found.volume_mounts or ()}
    volumes = {volume.name: volume for volume in spec.volumes or ()}
    return (
        found in (home or ())
        and found.command == COMMAND
        and not found.args
        and found.restart_policy in {restart_policy, None}
        and found.security_context is not None
        and found.security_context.privileged is True
        and found.security_context.run_as_user == 0
        and found.startup_probe is not None
        and found.startup_probe.exec == PROBE.exec
        and all(variables.get(v.name) == v.value for v in ours if v.name in _TELLING)
        and all((m.name, m.mount_path, "") in mounts for m in _OWN_MOUNTS[options.docker_host])
        and all(_same_volume(volumes.get(v.name), v) for v in daemon_volumes(options))
    )


def lacks_restart_policy(ours: Container, admin: Admin) -> bool:
    """Say whether our container, found in a pod, lost what makes it a native sidecar."""
    return admin.sidecar is Sidecar.NATIVE and ours.restart_policy is None


def _security_context(pod: PodSecurityContext | None) -> SecurityContext:
    """Return a security context that is privileged and root whatever the pod's own says."""
    labels = None
    if pod is not None and pod.se_linux_options is not None:
        labels = {**pod.se_linux_options, "type": "spc_t"}
    unconfined = Profile(type="Unconfined")
    return SecurityContext(
        privileged=True,
        run_as_user=0,
        run_as_group=0,
        run_as_non_root=False,
        app_armor_profile=unconfined if pod is not None and pod.app_armor_profile else None,
        seccomp_profile=unconfined if pod is not None and pod.seccomp_profile else None,
        se_linux_options=labels,
    )


def _same_volume(found: Volume | None, ours: Volume) -> bool:
    """Say whether ``found`` is our volume; the API server writes ``10240Mi`` as ``10Gi``."""
    if found is None or found.flex_volume != ours.flex_volume:
        return False
    if ours.empty_dir is None or found.empty_dir is None:
        return ours.empty_dir == found.empty_dir
    return _bytes(found.empty_dir.size_limit) == _bytes(ours.empty_dir.size_limit)


def _bytes(size: str | float | None) -> object:
    try:
        return quantity.parse(str(size))
    except ValueError:
        return None
