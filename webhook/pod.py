"""The parts of a pod that decide, typed; all else in it is passed over unread.

The API server sends every field in the types of ``k8s.io/api/core/v1``; a field that is absent or
null is None here, and what is None here is absent from what we write. The same types serve for
what we add.
"""

from collections.abc import Iterator
from typing import Any

import msgspec


class Part(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """A part of a pod, with Kubernetes' names for its fields."""


class EnvVar(Part, frozen=True):
    """An entry of ``env``."""

    name: str = ""
    value: str | None = None
    value_from: dict[str, Any] | None = None


class VolumeMount(Part, frozen=True):
    """An entry of ``volumeMounts``."""

    name: str = ""
    mount_path: str = ""
    sub_path: str | None = None
    sub_path_expr: str | None = None
    read_only: bool | None = None


Amounts = dict[str, str | int | float]
"""Quantities by resource; the API server writes strings, people numbers too."""


class Resources(Part, frozen=True):
    """Requests and limits, of a container or of the whole pod."""

    requests: Amounts | None = None
    limits: Amounts | None = None


class Profile(Part, frozen=True):
    """A seccomp or AppArmor profile."""

    type: str = ""


class SecurityContext(Part, frozen=True):
    """What a container may do and who it is."""

    privileged: bool | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    app_armor_profile: Profile | None = None
    seccomp_profile: Profile | None = None
    se_linux_options: dict[str, str] | None = None


class VolumeDevice(Part, frozen=True):
    """A volume that a container sees as a block device."""

    name: str = ""
    device_path: str = ""


class ExecAction(Part, frozen=True):
    """A command of a probe."""

    command: list[str] | None = None


class Probe(Part, frozen=True):
    """A command that must succeed before the containers after it start."""

    exec: ExecAction | None = None
    period_seconds: int | None = None
    timeout_seconds: int | None = None
    failure_threshold: int | None = None


class Container(Part, frozen=True):
    """A container, of whatever list of the pod."""

    name: str = ""
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    restart_policy: str | None = None
    env: list[EnvVar] | None = None
    resources: Resources | None = None
    security_context: SecurityContext | None = None
    startup_probe: Probe | None = None
    termination_message_policy: str | None = None
    volume_mounts: list[VolumeMount] | None = None
    volume_devices: list[VolumeDevice] | None = None


class Present(Part, frozen=True):
    """A part whose content does not matter."""


class EmptyDir(Part, frozen=True):
    """An empty directory that lives as long as the pod."""

    medium: str | None = None
    size_limit: str | int | float | None = None


class HostPath(Part, frozen=True):
    """A path of the node."""

    path: str = ""


class FlexVolume(Part, frozen=True):
    """A volume of a FlexVolume driver."""

    driver: str = ""
    fs_type: str | None = None
    options: dict[str, str] | None = None


class Volume(Part, frozen=True):
    """A volume; those kinds of it that decide something."""

    name: str = ""
    empty_dir: EmptyDir | None = None
    host_path: HostPath | None = None
    persistent_volume_claim: Present | None = None
    ephemeral: Present | None = None
    flex_volume: FlexVolume | None = None


class PodSecurityContext(Part, frozen=True):
    """What holds for every container that does not say otherwise."""

    supplemental_groups: list[int] | None = None
    app_armor_profile: Profile | None = None
    seccomp_profile: Profile | None = None
    se_linux_options: dict[str, str] | None = None


class MatchExpression(Part, frozen=True):
    """One requirement on a node's labels."""

    key: str = ""
    operator: str = ""
    values: list[str] | None = None


class NodeSelectorTerm(Part, frozen=True):
    """Requirements that hold together; the terms of a selector are alternatives."""

    match_expressions: list[MatchExpression] | None = None
    match_fields: list[Present] | None = None


class NodeSelector(Part, frozen=True):
    """Alternatives, one of which a node must meet."""

    node_selector_terms: list[NodeSelectorTerm] | None = None


class PreferredTerm(Part, frozen=True):
    """Requirements that a node had better meet; the weights of those that hold add up."""

    weight: int = 0
    preference: NodeSelectorTerm | None = None


class NodeAffinity(Part, frozen=True):
    """Which nodes a pod needs, and which it prefers."""

    required: NodeSelector | None = msgspec.field(
        name="requiredDuringSchedulingIgnoredDuringExecution", default=None
    )
    preferred: list[PreferredTerm] | None = msgspec.field(
        name="preferredDuringSchedulingIgnoredDuringExecution", default=None
    )


class Affinity(Part, frozen=True):
    """What a pod wants to be near to."""

    node_affinity: NodeAffinity | None = None


class Os(Part, frozen=True):
    """The operating system a pod is for."""

    name: str = ""


class LocalReference(Part, frozen=True):
    """An object of the pod's namespace."""

    name: str | None = None


class PodSpec(Part, frozen=True):
    """What a pod is to be."""

    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    restart_policy: str | None = None
    termination_grace_period_seconds: int | None = None
    host_network: bool | None = None
    host_pid: bool | None = msgspec.field(name="hostPID", default=None)
    host_users: bool | None = None
    os: Os | None = None
    node_selector: dict[str, str] | None = None
    security_context: PodSecurityContext | None = None
    resources: Resources | None = None
    affinity: Affinity | None = None
    image_pull_secrets: list[LocalReference] | None = None

    def all_containers(self) -> Iterator[Container]:
        """Yield the init containers, the containers and the ephemeral ones, in that order."""
        yield from self.init_containers or ()
        yield from self.containers or ()
        yield from self.ephemeral_containers or ()


class Metadata(Part, frozen=True):
    """A pod's names, labels and annotations."""

    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Pod(Part, frozen=True):
    """A pod, or the template of one."""

    spec: PodSpec
    metadata: Metadata | None = None
