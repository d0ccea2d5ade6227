"""The RBAC rules are the requests that the programs make: none is missing, none is more."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from cluster import api
from cluster.client import Collection
from cluster.objects import ClientConfig, Notice, ObjectMeta, Secret, Webhook, WebhookConfiguration
from tests.manifests.rendering import MANIFESTS, Manifest, rendered
from webhook.doctor.facts import Names
from webhook.doctor.rights import rights
from webhook.flags import parse_flags
from webhook.names import DEFAULTS_CONFIGMAP

OBJECTS = rendered(MANIFESTS)
NAMESPACE = "dind"
NODE = "node-1"
FLAGS = parse_flags(["--cert-secret=dind-webhook-tls"], {})
SECRET = Secret(ObjectMeta(str(FLAGS.cert_secret), NAMESPACE), {}, "kubernetes.io/tls")
CONFIGURATION = WebhookConfiguration(
    ObjectMeta(FLAGS.webhook_config), (Webhook("any", ClientConfig()),)
)
PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/[^/]+"
    r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?P<part>/[^/]+)?)?"
)
VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


class Right(NamedTuple):
    """One thing that RBAC allows or not."""

    group: str
    resource: str
    verb: str
    namespace: str
    name: str


class Made(Exception):  # noqa: N818 - it is no error
    """Ends a request that was made."""


class Recorder:
    """Stands where the client does, and notes the one request it gets."""

    def __init__(self) -> None:
        self.right: Right | None = None

    def request(self, method: str, path: str, **_: object) -> bytes:
        """Note what right a request needs, and end it."""
        self.right = right(VERBS[method], path)
        raise Made


def right(verb: str, path: str, name: str = "") -> Right:
    parts = PATH.fullmatch(path)
    assert parts, path
    return Right(
        parts["group"] or "",
        parts["resource"] + (parts["part"] or ""),
        verb,
        parts["namespace"] or "",
        parts["name"] or name,
    )


def notice() -> Notice:
    return Notice(
        name="n",
        about=ObjectMeta(DEFAULTS_CONFIGMAP, "team"),
        about_kind="ConfigMap",
        about_api_version="v1",
        reason="r",
        message="m",
        component="c",
        at=datetime.now(UTC),
    )


REQUESTS: dict[str, Callable[[api.Cluster], Any]] = {
    "read_secret": lambda cluster: cluster.read_secret(NAMESPACE, SECRET.metadata.name),
    "create_secret": lambda cluster: cluster.create_secret(SECRET),
    "patch_secret": lambda cluster: cluster.patch_secret(SECRET),
    "read_webhook_configuration": lambda cluster: cluster.read_webhook_configuration(
        CONFIGURATION.metadata.name
    ),
    "patch_ca_bundles": lambda cluster: cluster.patch_ca_bundles(CONFIGURATION),
    "create_event": lambda cluster: cluster.create_event(notice()),
    "read_node": lambda cluster: cluster.read_node(NODE),
    "patch_node_labels": lambda cluster: cluster.patch_node_labels(NODE, {}),
    "patch_node_capacity": lambda cluster: cluster.patch_node_capacity(NODE, {}),
}
ASKED = {
    "dind-webhook": (
        "read_secret",
        "create_secret",
        "patch_secret",
        "read_webhook_configuration",
        "patch_ca_bundles",
        "create_event",
    ),
    "dind-node": ("read_node", "patch_node_labels", "patch_node_capacity", "create_event"),
}
"""The requests that each program makes."""

FOLLOWED: dict[str, tuple[Collection[Any], ...]] = {
    "dind-webhook": (
        api.config_maps(DEFAULTS_CONFIGMAP),
        api.namespaces(),
        api.secrets(NAMESPACE, SECRET.metadata.name),
        api.webhook_configurations(CONFIGURATION.metadata.name),
    ),
    "dind-node": (api.nodes(NODE),),
}


def needed(account: str) -> Iterator[Right]:
    """Yield what a program asks of the API server."""
    for request in map(REQUESTS.__getitem__, ASKED[account]):
        recorder = Recorder()
        with pytest.raises(Made):
            request(api.Cluster(recorder))  # type: ignore[arg-type] # as much of a client as it needs
        assert recorder.right is not None
        yield recorder.right
    for collection in FOLLOWED[account]:
        name = collection.field_selector.removeprefix("metadata.name=")
        yield right("list", collection.path, name)
        yield right("watch", collection.path, name)


def rules(account: str) -> Iterator[tuple[str, Manifest]]:
    """Yield the rules that are bound to a service account, each with the namespace it holds in."""
    by_name = {(o["kind"], o["metadata"]["name"]): o for o in OBJECTS}
    for binding in OBJECTS:
        if binding["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        if account not in [subject["name"] for subject in binding["subjects"]]:
            continue
        assert all(subject["namespace"] == NAMESPACE for subject in binding["subjects"])
        role = by_name[binding["roleRef"]["kind"], binding["roleRef"]["name"]]
        for rule in role["rules"]:
            yield binding["metadata"].get("namespace", ""), rule


def allows(namespace: str, rule: Manifest, wanted: Right) -> bool:
    return (
        wanted.group in rule["apiGroups"]
        and wanted.resource in rule["resources"]
        and wanted.verb in rule["verbs"]
        and namespace in ("", wanted.namespace)
        and ("resourceNames" not in rule or wanted.name in rule["resourceNames"])
    )


@pytest.mark.parametrize("account", ASKED)
def test_a_program_may_make_every_request_it_makes(account: str) -> None:
    held = list(rules(account))
    for wanted in needed(account):
        assert any(allows(namespace, rule, wanted) for namespace, rule in held), wanted


@pytest.mark.parametrize("account", ASKED)
def test_a_program_may_do_nothing_that_it_never_does(account: str) -> None:
    wanted = list(needed(account))
    for namespace, rule in rules(account):
        for verb in rule["verbs"]:
            for resource in rule["resources"]:
                narrow = {**rule, "verbs": [verb], "resources": [resource]}
                used = [right for right in wanted if allows(namespace, narrow, right)]
                assert used, (verb, resource)
                # What could be narrowed to names is: of creating, and of nodes, none can be known.
                known = verb != "create" and resource.split("/")[0] not in ("nodes", "namespaces")
                assert known == ("resourceNames" in rule)


@pytest.mark.parametrize("account", ASKED)
def test_the_doctor_asks_after_every_right_of_a_program(account: str) -> None:
    ours = {each for each in rights(Names()) if each.account == account}
    asked = {
        Right(each.group, each.resource, each.verb, NAMESPACE if each.home else "", each.name)
        for each in ours
    }
    made = {
        each._replace(
            namespace=NAMESPACE if each.resource == "secrets" else "",
            name="" if each.resource.startswith("nodes") else each.name,
        )
        for each in needed(account)
    }
    assert asked == made


def test_every_request_is_somebodys() -> None:
    verbs = {name for name in vars(api.Cluster) if not name.startswith("_")}
    assert verbs == set(REQUESTS) == {name for names in ASKED.values() for name in names}


def test_nothing_is_allowed_by_a_wildcard() -> None:
    for manifest in OBJECTS:
        for rule in manifest.get("rules", ()):
            for part in ("apiGroups", "resources", "verbs", "resourceNames"):
                assert "*" not in rule.get(part, ())
