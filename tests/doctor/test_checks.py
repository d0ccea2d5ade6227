"""What the doctor concludes from what it found, one thing wrong at a time."""

import base64
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from certs.authority import renew, service_names
from certs.issue import system_chance
from certs.pem import CA_CERTIFICATE, encode
from cluster.inquiry import WORKLOADS, EndpointSlice, Pod, Version, Workload
from cluster.objects import ConfigMap, Namespace, Node, ObjectMeta, Secret
from tests.manifests.rendering import MANIFESTS, one, rendered
from webhook.doctor.checks import CHECKS, findings
from webhook.doctor.facts import Answer, Facts, Found, Missing, Names, Refused, Unknown
from webhook.doctor.finding import Finding, Level
from webhook.doctor.rights import rights

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NAMES = Names()
CREDENTIALS = encode(renew(None, service_names("dind-webhook", "dind"), NOW, system_chance()))
LABELLED = {"dind": "true"}
DENIED = Unknown("403: you may not")


def decoded(kind: type[Any], **content: Any) -> Any:  # noqa: ANN401 - JSON
    """Return an object as it comes from the API server."""
    return msgspec.convert(content, kind)


def configuration(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the configuration of the manifests, as a webhook has completed it."""
    applied = one(rendered(MANIFESTS), "MutatingWebhookConfiguration", "dind-webhook")
    hook = applied["webhooks"][0]
    bundle = base64.b64encode(CREDENTIALS[CA_CERTIFICATE]).decode()
    client = {**hook["clientConfig"], "caBundle": bundle}
    return {**applied, "webhooks": [{**hook, "clientConfig": client, **changes}]}


def deployment(ready: int) -> Workload:
    found: Workload = decoded(Workload, spec={"replicas": 2}, status={"readyReplicas": ready})
    return found


def daemon_set(ready: int, wanted: int = 2) -> Workload:
    status = {"desiredNumberScheduled": wanted, "numberReady": ready}
    found: Workload = decoded(Workload, status=status)
    return found


def node(name: str, driver: str = "ready", mib: str = "51200") -> Node:
    labels = {"dind/driver": driver} if driver else {}
    found: Node = decoded(
        Node,
        metadata={"name": name, "labels": labels},
        status={"capacity": {"dind/slab-mib": mib} if mib else {}},
    )
    return found


def workload(name: str, own: dict[str, str], pods: dict[str, str], namespace: str) -> Workload:
    found: Workload = decoded(
        Workload,
        metadata={"name": name, "namespace": namespace, "labels": own},
        spec={"template": {"metadata": {"labels": pods}}},
    )
    return found


def pod(*containers: str, **metadata: Any) -> Pod:  # noqa: ANN401 - JSON
    spec = {"initContainers": [{"name": name} for name in containers]}
    found: Pod = decoded(Pod, metadata=metadata, spec=spec)
    return found


def namespace(name: str, **labels: str) -> Namespace:
    return Namespace(ObjectMeta(name, labels={k.replace("__", "/"): v for k, v in labels.items()}))


WELL = Facts(
    names=NAMES,
    now=NOW,
    version=Found(Version("1", "36+", "v1.36.0")),
    deployment=Found(deployment(2)),
    endpoints=Found((decoded(EndpointSlice, endpoints=[{"conditions": {"ready": True}}]),)),
    configuration=Found(configuration()),
    secret=Found(Secret(ObjectMeta("dind-webhook-tls", "dind"), CREDENTIALS)),
    tried=Found(pod("dind")),
    defaults=Found((ConfigMap(ObjectMeta("dind-defaults", "dind"), {"slab-resource": "true"}),)),
    daemon_set=Found(daemon_set(2)),
    daemon_pods=Found(()),
    nodes=Found((node("one"), node("two"), node("control", "", ""))),
    namespaces=Found((namespace("ci"), namespace("default"))),
    labelled=Found((pod("dind", name="build", namespace="ci"),)),
    workloads={kind: Found(()) for kind in WORKLOADS},
    rights={right: Found(value=True) for right in rights(NAMES)},
)


def wrong(facts: Facts) -> list[Finding]:
    """Return what is not well."""
    return [found for found in findings(facts) if found.level is not Level.OK]


def test_a_cluster_that_is_well_is_found_well_by_every_check() -> None:
    assert wrong(WELL) == []
    assert [found.check for found in findings(WELL)] == list(CHECKS)


ONE_RIGHT = rights(NAMES)[0]
STARTING = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
FAILING = decoded(
    Pod,
    metadata={"name": "dind-node-x"},
    spec={"nodeName": "two"},
    status={"initContainerStatuses": [{"name": "installer", "state": STARTING}]},
)
NIGHTLY: Workload = decoded(
    Workload,
    metadata={"name": "nightly", "namespace": "ci"},
    spec={"jobTemplate": {"spec": {"template": {"metadata": {"labels": LABELLED}}}}},
)
BASELINE = namespace("ci", **{"pod-security.kubernetes.io__enforce": "baseline"})
PSA = 'pods "x" is forbidden: violates PodSecurity "baseline:latest": privileged (container "dind")'


@pytest.mark.parametrize(
    ("change", "check", "level", "said", "mend"),
    [
        ({"version": Found(Version("1", "28", "v1.28.3"))}, "version", "error", "1.28.3",
         "sidecar: container"),
        ({"deployment": Missing()}, "webhook", "error", "no Deployment", "make deploy"),
        ({"deployment": Found(deployment(0))}, "webhook", "error", "0 of 2",
         "logs deployment/dind-webhook"),
        ({"deployment": Found(deployment(1))}, "webhook", "warning", "1 of 2", "logs"),
        ({"deployment": DENIED}, "webhook", "unknown", "you may not", "ask as somebody"),
        ({"endpoints": Found(())}, "service", "error", "leads nowhere", "endpointslices"),
        ({"endpoints": Found((decoded(EndpointSlice, endpoints=[{"conditions": {"ready": False}}]),
                              ))}, "service", "error", "leads nowhere", "endpointslices"),
        ({"rights": {**WELL.rights, ONE_RIGHT: Found(value=False)}}, "rights", "error",
         "dind-webhook may not list configmaps dind-defaults", "apply the manifests"),
        ({"rights": {**WELL.rights, ONE_RIGHT: DENIED}}, "rights", "unknown", "you may not", "ask"),
        ({"configuration": Found(configuration(failurePolicy="Ignore"))}, "configuration",
         "warning", "failurePolicy", "make deploy"),
        ({"configuration": Found(configuration(objectSelector={}))}, "configuration", "warning",
         "pods without the label", "make deploy"),
        ({"configuration": Found(configuration(rules=[]))}, "configuration", "error", "no rule",
         "make deploy"),
        ({"configuration": Found(configuration(timeoutSeconds=30))}, "configuration", "warning",
         "timeoutSeconds is 30", "make deploy"),
        ({"configuration": Found({"webhooks": []})}, "configuration", "error", "0 webhooks",
         "make deploy"),
        ({"secret": Missing()}, "certificate", "warning", "no Secret", "grep certificate"),
        ({"now": NOW + timedelta(days=80)}, "certificate", "warning", "expires on 2026-07-30",
         "grep certificate"),
        ({"now": NOW + timedelta(days=91)}, "certificate", "error", "has expired", "grep"),
        ({"names": replace(NAMES, webhook="other")}, "certificate", "error",
         "not for other.dind.svc", "grep certificate"),
        ({"tried": Found(pod())}, "injection", "error", "without a daemon", "configuration"),
        ({"tried": Found(Refused("failed calling webhook: context deadline exceeded"))},
         "injection", "error", "deadline exceeded", "8443"),
        ({"tried": Found(Refused("denied the request: over the bound"))}, "injection", "error",
         "over the bound", "--try-in"),
        ({"tried": Found(Refused('User "me" cannot create resource "pods"'))}, "injection",
         "unknown", "cannot create", "ask as"),
        ({"tried": Missing()}, "injection", "error", "no namespace default", "--try-in"),
        ({"defaults": Found((ConfigMap(ObjectMeta("dind-defaults", "ci"), {"cpu": "much"}),))},
         "defaults", "error", "namespace ci: cpu: 'much' is wrong", "--namespace ci edit"),
        ({"daemon_set": Missing()}, "driver", "error", "no DaemonSet", "make deploy"),
        ({"daemon_set": Found(daemon_set(0, 0))}, "driver", "error", "for no node", "tolerations"),
        ({"daemon_set": Found(daemon_set(1))}, "driver", "error", "1 of 2 nodes", "get pods"),
        ({"daemon_pods": Found((FAILING,))}, "driver", "warning",
         "node two: installer: CrashLoopBackOff: back-off 40s", "logs dind-node-x"),
        ({"nodes": Found((node("one", "", ""),))}, "capacity", "error", "stay Pending",
         "slab-resource"),
        ({"nodes": Found((node("one"), node("two", "")))}, "capacity", "warning",
         "two: the node offers", "get pods"),
        ({"nodes": Found((node("one"), node("two", mib="0")))}, "capacity", "warning",
         "two: the driver is ready, but", "slab status"),
        ({"namespaces": Found((BASELINE,))}, "pod security", "error",
         "there Pod build asks for one", "kubectl label namespace ci"),
        ({"namespaces": Found((BASELINE,)), "labelled": Found(()),
          "workloads": {**WELL.workloads, "CronJob": Found((NIGHTLY,))}},
         "pod security", "error", "CronJob nightly", "privileged --overwrite"),
        ({"workloads": {**WELL.workloads, "Job": DENIED}}, "pod security", "unknown",
         "you may not", "ask as"),
        ({"workloads": {**WELL.workloads, "Deployment": Found((
            workload("app", LABELLED, {}, "ci"),))}}, "labels", "warning",
         "Deployment app of namespace ci", "spec.template.metadata.labels"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_to_do(
    change: dict[str, Any], check: str, level: str, said: str, mend: str
) -> None:
    found = [one for one in wrong(replace(WELL, **change)) if one.check == check]
    assert len(found) == 1, found
    assert found[0].level == level
    assert said in found[0].message
    assert mend in found[0].mend


QUESTIONS = [field.name for field in fields(Facts) if isinstance(getattr(WELL, field.name), Found)]


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_one_may_not_see_is_never_an_error(question: str) -> None:
    denied: dict[str, Any] = {question: DENIED}
    assert {found.level for found in wrong(replace(WELL, **denied))} <= {Level.UNKNOWN}


def test_a_certificate_that_another_authority_signed_is_not_trusted() -> None:
    other = encode(renew(None, service_names("dind-webhook", "dind"), NOW, system_chance()))
    stranger = Secret(ObjectMeta("dind-webhook-tls", "dind"), other)
    (found,) = wrong(replace(WELL, secret=Found(stranger)))
    assert (found.check, found.level) == ("certificate", Level.ERROR)
    assert "has signed" in found.message


def test_a_configuration_that_is_missing_is_told_once() -> None:
    (found,) = wrong(replace(WELL, configuration=Missing()))
    assert (found.check, found.level) == ("configuration", Level.ERROR)
    assert "no pod gets a daemon" in found.message


def test_an_older_cluster_with_ordinary_sidecars_is_only_warned_of() -> None:
    home = ConfigMap(ObjectMeta("dind-defaults", "dind"), {"sidecar": "container"})
    old = Found(Version("1", "27", "v1.27.1"))
    (found,) = wrong(replace(WELL, version=old, defaults=Found((home,))))
    assert (found.check, found.level) == ("version", Level.WARNING)


def test_pod_security_that_refuses_the_trial_proves_that_the_daemon_was_added() -> None:
    assert wrong(replace(WELL, tried=Found(Refused(f"403: {PSA}")))) == []


def test_a_replica_set_of_a_deployment_is_told_as_the_deployment() -> None:
    owned: Workload = decoded(
        Workload,
        metadata={
            "name": "app-1",
            "namespace": "ci",
            "labels": LABELLED,
            "ownerReferences": [{"kind": "Deployment", "name": "app"}],
        },
    )
    workloads: dict[str, Answer[tuple[Workload, ...]]] = {
        **WELL.workloads,
        "ReplicaSet": Found((owned,)),
    }
    assert wrong(replace(WELL, workloads=workloads)) == []
