"""The checks, in the order in which one mends what they find: each from facts to findings, pure."""

from collections.abc import Callable, Iterator

from webhook.doctor.admission import answers, certificate, configuration, injects, serves
from webhook.doctor.facts import Facts
from webhook.doctor.finding import Finding, Verdict
from webhook.doctor.nodes import capacity, driver
from webhook.doctor.standing import may, version
from webhook.doctor.tenants import defaults, labels, pod_security

Check = Callable[[Facts], Iterator[Verdict]]

CHECKS: dict[str, Check] = {
    "version": version,
    "webhook": serves,
    "service": answers,
    "rights": may,
    "configuration": configuration,
    "certificate": certificate,
    "injection": injects,
    "defaults": defaults,
    "driver": driver,
    "capacity": capacity,
    "pod security": pod_security,
    "labels": labels,
}


def findings(facts: Facts) -> tuple[Finding, ...]:
    """Return what every check finds."""
    return tuple(
        Finding(name, *verdict) for name, check in CHECKS.items() for verdict in check(facts)
    )
