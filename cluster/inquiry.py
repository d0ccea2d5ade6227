"""What ``doctor`` asks a cluster, with an administrator's own rights: no manifest grants them.

Read only: the one pod that it "creates" is a dry run, which the API server admits and forgets.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from cluster.client import Client
from cluster.objects import ConfigMap, Namespace, Node, ObjectMeta, Secret

T = TypeVar("T")


class Version(msgspec.Struct, frozen=True, rename="camel"):
    """The API server's version; cloud providers write the minor as ``29+``."""

    major: str
    minor: str
    git_version: str


class PodTemplate(msgspec.Struct, frozen=True, rename="camel"):
    """What a workload's pods are made from."""

    metadata: ObjectMeta = ObjectMeta()


class JobSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A Job's spec."""

    template: PodTemplate = PodTemplate()


class JobTemplate(msgspec.Struct, frozen=True, rename="camel"):
    """What a CronJob's Jobs are made from."""

    spec: JobSpec = JobSpec()


class WorkloadSpec(msgspec.Struct, frozen=True, rename="camel"):
    """The spec of whatever makes pods."""

    replicas: int = 1
    template: PodTemplate = PodTemplate()
    job_template: JobTemplate | None = None


class WorkloadStatus(msgspec.Struct, frozen=True, rename="camel"):
    """How many pods are there: a Deployment's, and a DaemonSet's."""

    ready_replicas: int = 0
    desired_number_scheduled: int = 0
    number_ready: int = 0


class OwnerReference(msgspec.Struct, frozen=True, rename="camel"):
    """Who made an object."""

    kind: str = ""
    name: str = ""


class OwnedMeta(ObjectMeta, frozen=True, rename="camel"):
    """``metadata``, with who made the object."""

    owner_references: tuple[OwnerReference, ...] = ()


class Workload(msgspec.Struct, frozen=True, rename="camel"):
    """A Deployment, DaemonSet, StatefulSet, ReplicaSet, Job or CronJob."""

    metadata: OwnedMeta = OwnedMeta()
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()

    @property
    def pod_labels(self) -> Mapping[str, str]:
        """The labels of its pods."""
        job = self.spec.job_template
        template = job.spec.template if job else self.spec.template
        return template.metadata.labels


class Container(msgspec.Struct, frozen=True, rename="camel"):
    """One container of a pod."""

    name: str


class State(msgspec.Struct, frozen=True, rename="camel"):
    """Why a container waits, or ended."""

    reason: str = ""
    message: str = ""


class ContainerState(msgspec.Struct, frozen=True, rename="camel"):
    """In which of its states a container is."""

    waiting: State | None = None
    terminated: State | None = None


class ContainerStatus(msgspec.Struct, frozen=True, rename="camel"):
    """How a container does."""

    name: str
    ready: bool = False
    state: ContainerState = ContainerState()


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A pod's spec."""

    node_name: str = ""
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()


class PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    """A pod's status."""

    phase: str = ""
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(msgspec.Struct, frozen=True, rename="camel"):
    """A pod."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class Conditions(msgspec.Struct, frozen=True, rename="camel"):
    """Whether an endpoint takes connections; unknown counts as yes, as for kube-proxy."""

    ready: bool | None = None


class Endpoint(msgspec.Struct, frozen=True, rename="camel"):
    """One address behind a Service."""

    conditions: Conditions = Conditions()


class EndpointSlice(msgspec.Struct, frozen=True, rename="camel"):
    """Addresses behind a Service."""

    metadata: ObjectMeta = ObjectMeta()
    endpoints: tuple[Endpoint, ...] = ()


class _Items(msgspec.Struct, frozen=True):
    items: tuple[msgspec.Raw, ...] | None = None


class _Allowed(msgspec.Struct, frozen=True):
    allowed: bool = False


class _Review(msgspec.Struct, frozen=True):
    status: _Allowed = _Allowed()


WORKLOADS = {
    "Deployment": "/apis/apps/v1/deployments",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "StatefulSet": "/apis/apps/v1/statefulsets",
    "ReplicaSet": "/apis/apps/v1/replicasets",
    "Job": "/apis/batch/v1/jobs",
    "CronJob": "/apis/batch/v1/cronjobs",
}
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class Inquiry:
    """The questions; each raises a ``ClusterError``, as ``Client.request`` does."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def version(self) -> Version:
        """Return the API server's version."""
        return self._get("/version", Version)

    def deployment(self, namespace: str, name: str) -> Workload:
        """Return a Deployment."""
        return self._get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}", Workload)

    def daemon_set(self, namespace: str, name: str) -> Workload:
        """Return a DaemonSet."""
        return self._get(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}", Workload)

    def endpoint_slices(self, namespace: str, service: str) -> tuple[EndpointSlice, ...]:
        """Return the EndpointSlices of a Service."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        return self._list(path, EndpointSlice, labels=f"kubernetes.io/service-name={service}")

    def webhook_configuration(self, name: str) -> Mapping[str, Any]:
        """Return a MutatingWebhookConfiguration, all of it."""
        return self._get(f"{_CONFIGURATIONS}/{name}", dict[str, Any])

    def secret(self, namespace: str, name: str) -> Secret:
        """Return a Secret."""
        return self._get(f"/api/v1/namespaces/{namespace}/secrets/{name}", Secret)

    def config_maps(self, name: str) -> tuple[ConfigMap, ...]:
        """Return the ConfigMaps of this name in all namespaces."""
        return self._list("/api/v1/configmaps", ConfigMap, fields=f"metadata.name={name}")

    def nodes(self) -> tuple[Node, ...]:
        """Return all nodes."""
        return self._list("/api/v1/nodes", Node)

    def namespaces(self) -> tuple[Namespace, ...]:
        """Return all namespaces."""
        return self._list("/api/v1/namespaces", Namespace)

    def pods(self, labels: str, namespace: str = "") -> tuple[Pod, ...]:
        """Return the pods with these labels, of one namespace or of all."""
        place = f"/namespaces/{namespace}" if namespace else ""
        return self._list(f"/api/v1{place}/pods", Pod, labels=labels)

    def workloads(self, kind: str) -> tuple[Workload, ...]:
        """Return all of one kind of ``WORKLOADS``."""
        return self._list(WORKLOADS[kind], Workload)

    def dry_run_pod(self, namespace: str, pod: Mapping[str, Any]) -> Pod:
        """Return a pod as it would be created."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        answer = self._client.request("POST", path, body=pod, query={"dryRun": "All"})
        return msgspec.json.decode(answer, type=Pod)

    def may(self, user: str, attributes: Mapping[str, str]) -> bool:
        """Tell whether a user may do something: a SubjectAccessReview."""
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }
        answer = self._client.request("POST", path, body=body)
        return msgspec.json.decode(answer, type=_Review).status.allowed

    def _get(self, path: str, kind: type[T]) -> T:
        return msgspec.json.decode(self._client.request("GET", path), type=kind)

    def _list(
        self, path: str, kind: type[T], *, labels: str = "", fields: str = ""
    ) -> tuple[T, ...]:
        query = {"labelSelector": labels, "fieldSelector": fields}
        answer = self._client.request(
            "GET", path, query={key: value for key, value in query.items() if value}
        )
        items = msgspec.json.decode(answer, type=_Items).items or ()
        return tuple(msgspec.json.decode(raw, type=kind) for raw in items)
