"""What all else stands on: the cluster's version, and what our programs may do in it."""

import re
from collections.abc import Iterator

from webhook.admin import Sidecar
from webhook.doctor.facts import Facts, Found, Unknown
from webhook.doctor.finding import Verdict, error, fine, unknown, warning
from webhook.doctor.tenants import cluster_layer

NATIVE_SIDECARS_SINCE = 29
"""The minor version from which a sidecar among the init containers is on by default.
https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/"""


def version(facts: Facts) -> Iterator[Verdict]:
    """Yield whether the cluster knows native sidecars, where pods are to get one."""
    if not isinstance(facts.version, Found):
        yield unknown("the cluster's version", "it was not found")
        return
    found = facts.version.value
    digits = re.match(r"\d+", found.minor)
    minor = int(digits[0]) if digits else 0
    if found.major == "1" and minor < NATIVE_SIDECARS_SINCE:
        if cluster_layer(facts).admin.sidecar is Sidecar.NATIVE:
            yield error(
                f"Kubernetes {found.git_version} has no native sidecars; 1.29 brought them",
                f"upgrade, or set sidecar: container in ConfigMap dind-defaults of namespace "
                f"{facts.names.namespace}",
            )
            return
        yield warning(
            f"Kubernetes {found.git_version} has no native sidecars, and pods get an ordinary one",
            "upgrade to 1.29 or later: pods that are to end need their daemon to end first",
        )
        return
    yield fine(f"Kubernetes {found.git_version}")


def may(facts: Facts) -> Iterator[Verdict]:
    """Yield what our programs lack the right to."""
    lacking, unanswered = [], ""
    for right, answer in facts.rights.items():
        if isinstance(answer, Unknown):
            unanswered = answer.why
        elif answer != Found(value=True):
            name = f" {right.name}" if right.name else ""
            lacking.append(f"{right.account} may not {right.verb} {right.resource}{name}")
    if lacking:
        yield error("; ".join(lacking), "apply the manifests again: they hold every rule")
    if unanswered:
        yield unknown("what our programs may do", unanswered)
    elif not lacking:
        yield fine("webhook and agent may do all that they do")
