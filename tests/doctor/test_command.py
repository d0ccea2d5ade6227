"""``python -m webhook doctor`` as a person runs it, against an API server that may misbehave."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from certs.authority import renew, service_names
from certs.issue import system_chance
from certs.pem import CA_CERTIFICATE, encode
from tests.cluster.apiserver import (
    CONFIGURATIONS,
    ApiServer,
    Fault,
    drop,
    encoded,
    hang,
    serving,
    status,
)
from tests.guest.machine import PROJECT
from tests.manifests.rendering import MANIFESTS, one, rendered

HOME = "/apis/apps/v1/namespaces/dind"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
PODS = "/api/v1/namespaces/default/pods"
DAEMON = {"name": "dind", "image": "docker:29-dind"}


def injected(pod: dict[str, Any]) -> dict[str, Any]:
    """Answer a dry run as an API server does that asked the webhook."""
    return {**pod, "spec": {**pod["spec"], "initContainers": [DAEMON]}}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ApiServer]:
    """A cluster in which all is installed and well, and its kubeconfig."""
    texts = encode(
        renew(None, service_names("dind-webhook", "dind"), datetime.now(UTC), system_chance())
    )
    objects = rendered(MANIFESTS)
    configuration = one(objects, "MutatingWebhookConfiguration", "dind-webhook")
    bundle = base64.b64encode(texts[CA_CERTIFICATE]).decode()
    configuration["webhooks"][0]["clientConfig"]["caBundle"] = bundle
    deployment = one(objects, "Deployment", "dind-webhook") | {"status": {"readyReplicas": 2}}
    daemon_set = one(objects, "DaemonSet", "dind-node")
    daemon_set["status"] = {"desiredNumberScheduled": 1, "numberReady": 1}
    with serving(ApiServer()) as server:
        server.put(
            "/version", {"metadata": {}, "major": "1", "minor": "36", "gitVersion": "v1.36.2"}
        )
        server.put(f"{HOME}/deployments/dind-webhook", deployment)
        server.put(f"{HOME}/daemonsets/dind-node", daemon_set)
        server.put(f"{CONFIGURATIONS}/dind-webhook", configuration)
        server.put(
            "/apis/discovery.k8s.io/v1/namespaces/dind/endpointslices/dind-webhook-x",
            {
                "metadata": {
                    "name": "dind-webhook-x",
                    "namespace": "dind",
                    "labels": {"kubernetes.io/service-name": "dind-webhook"},
                },
                "endpoints": [{"addresses": ["10.0.0.7"], "conditions": {"ready": True}}],
            },
        )
        server.put(
            "/api/v1/namespaces/dind/secrets/dind-webhook-tls",
            {"metadata": {"name": "dind-webhook-tls", "namespace": "dind"}, "data": encoded(texts)},
        )
        server.put_config_map("dind", {"slab-resource": "true"})
        node = server.put_node("one", **{"dind/slab-mib": "51200"})
        node["metadata"]["labels"]["dind/driver"] = "ready"
        server.put("/api/v1/nodes/one", node)
        for name in ("dind", "default", "ci"):
            server.put(f"/api/v1/namespaces/{name}", {"metadata": {"name": name}})
        server.reviews[REVIEWS] = lambda _: {"status": {"allowed": True}}
        server.reviews[PODS] = injected
        context = {"name": "here", "context": {"cluster": "here", "user": "me"}}
        kubeconfig = {
            "current-context": "here",
            "contexts": [context],
            "clusters": [{"name": "here", "cluster": {"server": server.url}}],
            "users": [{"name": "me", "user": {"token": "sesame"}}],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
        yield server


def doctor(place: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "webhook", "doctor", *flags],
        cwd=PROJECT,
        env={"KUBECONFIG": str(place / "kubeconfig"), "PATH": "/usr/bin:/bin", "HOME": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_cluster_that_is_well(cluster: ApiServer, tmp_path: Path) -> None:
    done = doctor(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    *lines, last = done.stdout.splitlines()
    assert last == "all is well"
    assert lines[0].split() == ["ok", "version:", "Kubernetes", "v1.36.2"]
    assert all(line.startswith("ok ") for line in lines)
    posted = {request for request in cluster.requests if not request.startswith("GET")}
    assert posted == {f"POST {PODS}", f"POST {REVIEWS}"}
    assert cluster.get(f"{PODS}/dind-doctor") is None, "the trial was no dry run"


def test_what_is_wrong_is_printed_with_what_to_do(cluster: ApiServer, tmp_path: Path) -> None:
    cluster.put_config_map("ci", {"storage-size": "ten"})
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.put("/api/v1/namespaces/ci", {"metadata": {"name": "ci", "labels": labels}})
    template = {"template": {"metadata": {"labels": {"dind": "true"}}}}
    metadata = {"name": "build", "namespace": "ci"}
    cluster.put("/apis/batch/v1/namespaces/ci/jobs/build", {"metadata": metadata, "spec": template})
    done = doctor(tmp_path)
    assert done.returncode == 1
    assert "error    defaults: ConfigMap dind-defaults of namespace ci: storage-size: 'ten'" in (
        done.stdout
    )
    assert "→ kubectl label namespace ci pod-security.kubernetes.io/enforce=privileged" in (
        done.stdout
    )
    assert "there Job build asks for one" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 errors"


def test_programs_get_json(cluster: ApiServer, tmp_path: Path) -> None:
    cluster.remove(f"{HOME}/daemonsets/dind-node")
    done = doctor(tmp_path, "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert not document["ok"]
    (found,) = (one for one in document["findings"] if one["level"] == "error")
    assert found["check"] == "driver"
    assert "make deploy" in found["mend"]


@pytest.mark.parametrize("fault", [status(403), status(500), drop], ids=["403", "500", "dropped"])
@pytest.mark.parametrize(
    ("method", "path", "check"),
    [
        ("GET", "/secrets/", "certificate"),
        ("GET", "/configmaps", "defaults"),
        ("GET", "/api/v1/nodes", "capacity"),
        ("GET", "/jobs", "pod security"),
        ("POST", "/subjectaccessreviews", "rights"),
    ],
)
def test_a_question_without_an_answer_is_told_and_no_more(
    cluster: ApiServer,
    tmp_path: Path,
    fault: Fault,
    method: str,
    path: str,
    check: str,
) -> None:
    cluster.plan(fault, method=method, path=path)
    done = doctor(tmp_path, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    levels = {one["check"]: one["level"] for one in json.loads(done.stdout)["findings"]}
    assert levels.pop(check) == "unknown"
    assert set(levels.values()) == {"ok"}


def test_a_webhook_that_does_not_answer_is_what_the_trial_says(
    cluster: ApiServer, tmp_path: Path
) -> None:
    cluster.plan(status(500), method="POST", path=PODS)
    done = doctor(tmp_path)
    assert done.returncode == 1
    assert "error    injection: a labelled pod would be refused" in done.stdout


def test_without_a_cluster_it_says_so(cluster: ApiServer, tmp_path: Path) -> None:
    cluster.plan(drop, path="/version")
    done = doctor(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    (tmp_path / "kubeconfig").unlink()
    done = doctor(tmp_path)
    assert done.returncode == 2
    assert "no cluster to talk to" in done.stderr


def test_an_api_server_that_hangs_is_not_waited_for_forever(
    cluster: ApiServer, tmp_path: Path
) -> None:
    cluster.plan(hang, path="/version")
    done = doctor(tmp_path)
    assert done.returncode == 2
    assert "/version" in done.stderr
