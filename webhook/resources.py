"""What the daemon requests and where it is limited, so that the pod's quality of service stays.

A pod is Guaranteed while each of its containers has limits for cpu and memory and requests equal
to them (https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/).
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from flexvol.contract import SLAB_RESOURCE
from webhook import names, quantity
from webhook.admin import Admin
from webhook.options import Options, Storage
from webhook.pod import Amounts, PodSpec

_QUALITY = ("cpu", "memory")
"""The resources that decide a pod's quality of service."""


class DaemonResources(NamedTuple):
    """The daemon's requests and limits by resource, as quantities, and what to warn of."""

    requests: Amounts
    limits: Amounts
    warnings: tuple[str, ...] = ()


NO_RESOURCES = DaemonResources({}, {})


def daemon_resources(
    spec: PodSpec, options: Options, asked: frozenset[str], admin: Admin
) -> DaemonResources:
    """Return what the daemon in the pod requests.

    Args:
        spec: the pod's.
        options: the options in force.
        asked: names of the options that the pod's own annotations decide.
        admin: says whether the slab counts as a resource of the node.
    """
    requests: Amounts = {"cpu": options.cpu, "memory": options.memory}
    given = {"cpu": options.cpu_limit, "memory": options.memory_limit}
    limits: Amounts = {resource: limit for resource, limit in given.items() if limit is not None}
    warnings: tuple[str, ...] = ()
    if _has_pod_level(spec):
        needless = asked & {"cpu", "memory", "cpu-limit", "memory-limit"}
        if needless:
            which = ", ".join(f"{names.PREFIX}{name}" for name in sorted(needless))
            warnings = (f"{which}: no effect, since the pod has resources for all its containers",)
        requests, limits = {}, {}
    elif is_guaranteed(spec):
        # What is enforced stays what it is: then the limit is the one that gives way.
        limits = {name: limit for name, limit in limits.items() if name not in admin.enforce}
        warnings = tuple(_guaranteed_warnings(limits, requests, asked, admin.enforce))
        requests |= limits
        limits = dict(requests)
    if admin.slab_resource and options.storage is Storage.SLAB:
        slab: Amounts = {SLAB_RESOURCE: str(options.storage_size_mib)}
        requests, limits = requests | slab, limits | slab
    return DaemonResources(requests, limits, warnings)


def is_guaranteed(spec: PodSpec) -> bool:
    """Say whether a pod without pod-level resources is of the quality Guaranteed."""
    return bool(spec.containers) and all(
        container.resources is not None
        and _limited_to_requests(container.resources.requests or {}, container.resources.limits)
        for container in (*(spec.init_containers or ()), *(spec.containers or ()))
    )


def _limited_to_requests(requests: Amounts, limits: Amounts | None) -> bool:
    if limits is None or not all(map(limits.__contains__, _QUALITY)):
        return False
    for resource in _QUALITY:
        limit = _value(limits[resource])
        request = _value(requests.get(resource, limits[resource]))
        if not limit or request != limit:
            return False
    return True


def _value(amount: str | float) -> Fraction | None:
    """Return what another wrote as an amount; None for what is no quantity."""
    try:
        return quantity.parse(str(amount))
    except ValueError:
        return None


def _has_pod_level(spec: PodSpec) -> bool:
    return spec.resources is not None and bool(spec.resources.requests or spec.resources.limits)


def _guaranteed_warnings(
    limits: Amounts, requests: Amounts, asked: frozenset[str], enforced: frozenset[str]
) -> Iterator[str]:
    raised = [
        resource
        for resource in sorted(asked.intersection(limits))
        if _value(requests[resource]) != _value(limits[resource])
    ]
    if raised:
        shown = " and ".join(f"{limits[resource]} {resource}" for resource in raised)
        yield f"the pod is Guaranteed, so its daemon requests its limits: {shown}"
    unasked = [resource for resource in _QUALITY if resource not in limits]
    if unasked:
        shown = " and ".join(f"{requests[resource]} {resource}" for resource in unasked)
        free = [resource for resource in unasked if resource not in enforced]
        more = " and ".join(f"{names.PREFIX}{resource}-limit" for resource in free)
        hint = f"; set {more} for more" if more else ""
        yield f"the pod is Guaranteed, so its daemon is limited to {shown}{hint}"
