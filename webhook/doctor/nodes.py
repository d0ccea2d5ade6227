"""Whether nodes have the driver and a pool, and say so to the scheduler."""

from collections.abc import Iterator

from cluster.inquiry import ContainerStatus, Pod
from cluster.objects import Node
from flexvol.contract import DRIVER_LABEL, DRIVER_READY, SLAB_RESOURCE
from webhook.doctor.facts import Facts, Found, Missing, Unknown
from webhook.doctor.finding import Verdict, error, fine, unknown, warning
from webhook.doctor.tenants import cluster_layer

_SHOWN = 5


def listed(names: list[str]) -> str:
    """Return names as a person reads them, not more than a few."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(sorted(names)[:_SHOWN]) + more


def driver(facts: Facts) -> Iterator[Verdict]:
    """Yield which nodes lack the driver, or its pool, and why."""
    name, home = facts.names.node, facts.names.namespace
    match facts.daemon_set:
        case Unknown(why):
            yield unknown(f"DaemonSet {name}", why)
            return
        case Missing():
            yield error(
                f"there is no DaemonSet {name} in namespace {home}: no node has the driver",
                "apply the manifests again (make deploy, or kubectl apply -k)",
            )
            return
        case Found(found):
            wanted, ready = found.status.desired_number_scheduled, found.status.number_ready
    if not wanted:
        yield error(
            f"DaemonSet {name} is for no node",
            "see its nodeSelector and tolerations: nodes with taints of your own need one",
        )
    elif ready == wanted:
        yield fine(
            f"driver and pool are in order on all {wanted} nodes that DaemonSet {name} is for"
        )
    else:
        yield error(f"{wanted - ready} of {wanted} nodes have no driver or no pool", _mend(facts))
    if isinstance(facts.daemon_pods, Found):
        for pod in facts.daemon_pods.value:
            why = _why_not(pod)
            if why:
                logs = f"kubectl --namespace {home} logs {pod.metadata.name} --all-containers"
                yield warning(f"node {pod.spec.node_name}: {why}", logs)


def _mend(facts: Facts) -> str:
    home, name = facts.names.namespace, facts.names.node
    return (
        f"kubectl --namespace {home} get pods --selector app.kubernetes.io/name={name} "
        "--output wide; the logs of those that are not ready say what is wrong"
    )


def _why_not(pod: Pod) -> str:
    """Return what keeps a pod of the DaemonSet from being ready, as far as its status says."""
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    for status in statuses:
        said = _said(status)
        if said:
            return f"{status.name}: {said}"
    last = pod.status.container_statuses
    if last and not all(status.ready for status in last):
        return "the agent is not ready: driver or pool are not in order"
    return ""


def _said(status: ContainerStatus) -> str:
    waiting, ended = status.state.waiting, status.state.terminated
    state = waiting or (ended if ended and ended.reason != "Completed" else None)
    if state is None or state.reason == "PodInitializing":
        return ""
    return f"{state.reason}: {state.message}" if state.message else state.reason


def capacity(facts: Facts) -> Iterator[Verdict]:
    """Yield whether the scheduler finds a node for a pod that asks for a slab."""
    match facts.nodes:
        case Unknown(why):
            yield unknown("what nodes offer", why)
            return
        case Missing():
            return
        case Found(nodes):
            pass
    asks = cluster_layer(facts).admin.slab_resource
    ready = [node for node in nodes if _is_ready(node)]
    offering = [node for node in ready if node.status.capacity.get(SLAB_RESOURCE, "0") != "0"]
    if asks and not offering:
        yield error(
            f"no node has the label {DRIVER_LABEL}={DRIVER_READY} and offers {SLAB_RESOURCE}: pods "
            "stay Pending",
            'see the check driver above; without agents set slab-resource: "false" in ConfigMap '
            f"dind-defaults of namespace {facts.names.namespace}",
        )
        return
    stale = [node.metadata.name for node in nodes if _offers_without_driver(node)]
    if stale:
        yield warning(
            f"{listed(stale)}: the node offers {SLAB_RESOURCE}, but its driver is not ready",
            _mend(facts),
        )
    empty = [node.metadata.name for node in ready if node not in offering]
    if empty:
        yield warning(
            f"{listed(empty)}: the driver is ready, but offers no {SLAB_RESOURCE}",
            "/opt/dind/slab status on the node shows its pool",
        )
    if not stale and not empty:
        yield fine(f"{len(offering)} of {len(nodes)} nodes offer {SLAB_RESOURCE}")


def _is_ready(node: Node) -> bool:
    return node.metadata.labels.get(DRIVER_LABEL) == DRIVER_READY


def _offers_without_driver(node: Node) -> bool:
    return not _is_ready(node) and node.status.capacity.get(SLAB_RESOURCE, "0") != "0"
