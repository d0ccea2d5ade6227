"""What the webhook's manifests name is what the webhook's code uses."""

from datetime import UTC, datetime

import pytest

from tests.manifests.rendering import MANIFESTS, Manifest, one, rendered
from tests.serving.running import running
from webhook import __version__, names
from webhook.flags import ENVIRONMENT_PREFIX, Flags, parse_flags

OBJECTS = rendered(MANIFESTS)
DEPLOYMENT = one(OBJECTS, "Deployment", "dind-webhook")
POD = DEPLOYMENT["spec"]["template"]["spec"]
CONTAINER: Manifest = POD["containers"][0]
CONFIGURATION = one(OBJECTS, "MutatingWebhookConfiguration", "dind-webhook")
WEBHOOK: Manifest = CONFIGURATION["webhooks"][0]


def flags() -> Flags:
    """The flags as the process would read them in the container."""
    environ = {}
    for variable in CONTAINER["env"]:
        assert variable["name"].startswith(ENVIRONMENT_PREFIX)
        assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
        environ[variable["name"]] = DEPLOYMENT["metadata"]["namespace"]
    assert CONTAINER["command"] == ["python", "-m", "webhook", "serve"]
    return parse_flags(CONTAINER["args"], environ)


def test_the_process_knows_its_names() -> None:
    read = flags()
    assert read.namespace == DEPLOYMENT["metadata"]["namespace"]
    assert read.service == one(OBJECTS, "Service", "dind-webhook")["metadata"]["name"]
    assert read.webhook_config == CONFIGURATION["metadata"]["name"]
    assert read.watch_defaults
    assert read.cert_secret


def test_the_api_server_reaches_the_port_it_listens_on() -> None:
    called = WEBHOOK["clientConfig"]["service"]
    service = one(OBJECTS, "Service", called["name"])
    assert service["metadata"]["namespace"] == called["namespace"]
    (port,) = service["spec"]["ports"]
    assert port["port"] == called["port"]
    (open_port,) = CONTAINER["ports"]
    assert port["targetPort"] == open_port["name"]
    assert open_port["containerPort"] == flags().port
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= labels
    policy = one(OBJECTS, "NetworkPolicy", "dind-webhook")["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels
    assert policy["ingress"] == [{"ports": [{"port": open_port["name"]}]}]
    budget = one(OBJECTS, "PodDisruptionBudget", "dind-webhook")["spec"]
    assert budget["selector"]["matchLabels"].items() <= labels
    assert budget["maxUnavailable"] < DEPLOYMENT["spec"]["replicas"]


def test_every_path_that_is_called_answers() -> None:
    probes = [CONTAINER[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe")]
    with running() as webhook:
        for probe in (*probes, CONTAINER["readinessProbe"]["httpGet"]):
            assert (probe["scheme"], probe["port"]) == ("HTTPS", CONTAINER["ports"][0]["name"])
            assert webhook.get(probe["path"]).status_code == 200
        path = WEBHOOK["clientConfig"]["service"]["path"]
        assert webhook.get(path).status_code == 405
        assert webhook.get(f"{path}s").status_code == 404


def test_the_certificate_is_for_the_name_that_is_called() -> None:
    from certs.authority import renew, service_names
    from certs.issue import names_of, system_chance

    read = flags()
    wanted = service_names(read.service, read.namespace)
    made = renew(None, wanted, datetime.now(UTC), system_chance())
    called = WEBHOOK["clientConfig"]["service"]
    assert f"{called['name']}.{called['namespace']}.svc" in names_of(made.serving.certificate)


def test_only_labelled_pods_come_and_never_our_own_or_the_systems() -> None:
    assert WEBHOOK["objectSelector"] == {"matchLabels": {names.LABEL: names.LABEL_VALUE}}
    (excluded,) = WEBHOOK["namespaceSelector"]["matchExpressions"]
    assert excluded["operator"] == "NotIn"
    assert set(excluded["values"]) == {flags().namespace, "kube-system"}
    (rule,) = WEBHOOK["rules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE"], ["pods"])


def test_the_configuration_says_what_the_webhook_promises() -> None:
    assert WEBHOOK["admissionReviewVersions"] == ["v1"]
    assert WEBHOOK["sideEffects"] == "None"
    assert WEBHOOK["failurePolicy"] == "Fail"
    assert WEBHOOK["reinvocationPolicy"] == "IfNeeded"
    assert "caBundle" not in WEBHOOK["clientConfig"]
    # A webhook's name has three parts or more.
    assert len(WEBHOOK["name"].split(".")) >= 3


def test_it_drains_before_it_is_killed() -> None:
    assert flags().drain_seconds < POD["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("manifest", OBJECTS, ids=lambda o: f"{o['kind']}-{o['metadata']['name']}")
def test_nothing_is_of_another_version(manifest: Manifest) -> None:
    template = manifest.get("spec", {}).get("template", {}).get("spec", {})
    for container in (*template.get("initContainers", ()), *template.get("containers", ())):
        assert container["image"] == f"dind-slab:{__version__}"
