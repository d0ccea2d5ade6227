"""What our programs ask of the API server, to be compared with what they may ask.

The manifests' rules are the same list; ``tests/manifests`` says so.
"""

from webhook.doctor.facts import Names, Right
from webhook.names import DEFAULTS_CONFIGMAP

_READ = ("get", "list", "watch")


def rights(names: Names) -> tuple[Right, ...]:
    """Return every right that an installation needs."""
    configurations = ("admissionregistration.k8s.io", "mutatingwebhookconfigurations")
    rows: tuple[tuple[str, str, str, tuple[str, ...], str, bool], ...] = (
        (names.webhook, "", "configmaps", ("list", "watch"), DEFAULTS_CONFIGMAP, False),
        (names.webhook, "", "namespaces", ("list", "watch"), "", False),
        (names.webhook, *configurations, (*_READ, "patch"), names.webhook, False),
        (names.webhook, "", "events", ("create",), "", False),
        (names.webhook, "", "secrets", (*_READ, "patch"), names.secret, True),
        (names.webhook, "", "secrets", ("create",), "", True),
        (names.node, "", "nodes", (*_READ, "patch"), "", False),
        (names.node, "", "nodes/status", ("patch",), "", False),
        (names.node, "", "events", ("create",), "", False),
    )
    return tuple(
        Right(account, group, resource, verb, name, home)
        for account, group, resource, verbs, name, home in rows
        for verb in verbs
    )
