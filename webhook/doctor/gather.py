"""Asks the cluster. A question that fails does not end the asking: it says why it has no answer."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TypeVar

import msgspec

from cluster.errors import ClusterError, NotFoundError, StatusError, UnreachableError
from cluster.inquiry import WORKLOADS, Inquiry, Pod
from webhook import names as pod_names
from webhook.doctor.facts import Answer, Facts, Found, Missing, Names, Refused, Right, Unknown
from webhook.doctor.rights import rights

T = TypeVar("T")

LABEL = f"{pod_names.LABEL}={pod_names.LABEL_VALUE}"
TRIAL_POD = "dind-doctor"


def gather(inquiry: Inquiry, names: Names, now: datetime) -> Facts:
    """Ask everything.

    Raises:
        ClusterError: the API server cannot be reached at all.
    """
    version = Found(inquiry.version())
    home = names.namespace
    return Facts(
        names=names,
        now=now,
        version=version,
        deployment=_ask(lambda: inquiry.deployment(home, names.webhook)),
        endpoints=_ask(lambda: inquiry.endpoint_slices(home, names.webhook)),
        configuration=_ask(lambda: inquiry.webhook_configuration(names.webhook)),
        secret=_ask(lambda: inquiry.secret(home, names.secret)),
        tried=_ask(lambda: _try(inquiry, names.probe)),
        defaults=_ask(lambda: inquiry.config_maps(pod_names.DEFAULTS_CONFIGMAP)),
        daemon_set=_ask(lambda: inquiry.daemon_set(home, names.node)),
        daemon_pods=_ask(lambda: inquiry.pods(f"app.kubernetes.io/name={names.node}", home)),
        nodes=_ask(inquiry.nodes),
        namespaces=_ask(inquiry.namespaces),
        labelled=_ask(lambda: inquiry.pods(LABEL)),
        workloads={kind: _ask(partial(inquiry.workloads, kind)) for kind in WORKLOADS},
        rights={right: _ask(partial(_may, inquiry, right, home)) for right in rights(names)},
    )


def _ask(question: Callable[[], T]) -> Answer[T]:
    try:
        return Found(question())
    except NotFoundError:
        return Missing()
    except ClusterError as error:
        return Unknown(error.message)
    except msgspec.DecodeError as error:
        return Unknown(f"the answer is not understood: {error}")


def _try(inquiry: Inquiry, namespace: str) -> Pod | Refused:
    """Have the API server admit a labelled pod, and forget it."""
    pod: Mapping[str, object] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": TRIAL_POD, "labels": {pod_names.LABEL: pod_names.LABEL_VALUE}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [{"name": "trial", "image": "trial"}],
        },
    }
    try:
        return inquiry.dry_run_pod(namespace, pod)
    except (NotFoundError, UnreachableError):
        raise
    except StatusError as error:
        return Refused(error.message)


def _may(inquiry: Inquiry, right: Right, home: str) -> bool:
    resource, _, part = right.resource.partition("/")
    attributes = {
        "group": right.group,
        "resource": resource,
        "subresource": part,
        "verb": right.verb,
        "name": right.name,
        "namespace": home if right.home else "",
    }
    return inquiry.may(f"system:serviceaccount:{home}:{right.account}", attributes)
