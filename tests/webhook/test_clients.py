"""Which containers get Docker."""

import pytest

from tests.webhook.pods import BUILT_IN, Json, env_of, injected, injection, labelled, settings
from webhook.clients import AGENTS
from webhook.settings import Settings

CONTAINER_MODE = settings({"sidecar": "container"})
UNIX = "unix:///run/dind/docker.sock"


def served(pod: Json, under: Settings = BUILT_IN) -> set[str]:
    """Return the names of the containers that mount our socket."""
    spec = injected(pod, under)["spec"]
    return {
        each["name"]
        for each in (*spec.get("initContainers", ()), *spec["containers"])
        if each["name"] != "dind"
        and {"name": "dind-socket", "mountPath": "/run/dind"} in each.get("volumeMounts", ())
    }


def pod(*containers: Json, init: list[Json] | None = None, **annotations: str) -> Json:
    given = {f"dind/{key.replace('_', '-')}": value for key, value in annotations.items()}
    filled = [{"name": f"c{n}", "image": "a"} | each for n, each in enumerate(containers)]
    return labelled(given, containers=filled, initContainers=init or [])


def test_every_container_gets_docker_init_containers_too() -> None:
    assert served(pod({}, {}, init=[{"name": "i", "image": "a"}])) == {"c0", "c1", "i"}


def test_only_the_containers_that_are_named_get_it() -> None:
    init = [{"name": "i", "image": "a"}, {"name": "j", "image": "a"}]
    assert served(pod({}, {}, init=init, containers="c1, j")) == {"c1", "j"}


@pytest.mark.parametrize("agent", sorted(AGENTS))
def test_agents_get_nothing_and_are_not_touched(agent: str) -> None:
    given = pod({}, {"name": agent})
    assert served(given) == {"c0"}
    assert injected(given)["spec"]["containers"][1] == given["spec"]["containers"][1]
    assert injection(given).warnings == ()


def test_an_agent_that_is_named_gets_docker() -> None:
    assert served(pod({}, {"name": "daprd"}, containers="daprd")) == {"daprd"}


def test_a_container_named_wait_is_argos_by_its_image_only() -> None:
    argo = {"name": "wait", "image": "quay.io/argoproj/argoexec:v3.7.3"}
    assert served(pod({}, argo)) == {"c0"}
    assert served(pod({}, {"name": "wait"})) == {"c0", "wait"}


@pytest.mark.parametrize(
    ("container", "what"),
    [
        ({"env": [{"name": "DOCKER_HOST", "value": "tcp://farm:2376"}]}, "DOCKER_HOST"),
        ({"env": [{"name": "DOCKER_HOST", "value": ""}]}, "DOCKER_HOST"),
        ({"env": [{"name": "DOCKER_HOST", "valueFrom": {}}]}, "DOCKER_HOST"),
        ({"env": [{"name": "DOCKER_HOST", "value": "tcp://localhost:2375"}]}, "DOCKER_HOST"),
        ({"env": [{"name": "DOCKER_CONTEXT", "value": "farm"}]}, "DOCKER_CONTEXT"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/var/run/docker.sock"}]}, "docker.sock"),
        ({"volumeMounts": [{"name": "node", "mountPath": "/node.sock"}]}, "docker.sock"),
    ],
)
def test_a_container_with_a_docker_of_its_own_keeps_it(container: Json, what: str) -> None:
    given = pod({}, container)
    given["spec"]["volumes"] = [{"name": "node", "hostPath": {"path": "/var/run/docker.sock"}}]
    assert served(given) == {"c0"}
    assert injected(given)["spec"]["containers"][1] == given["spec"]["containers"][1]
    (warning,) = injection(given).warnings
    assert warning == f"dind: c1 ({what}) keeps its own Docker and will not use the pod's daemon"


def test_many_of_them_make_one_warning_that_kubernetes_does_not_cut() -> None:
    own = {"env": [{"name": "DOCKER_HOST", "value": "x"}]}
    warnings = injection(pod({}, *[own] * 200)).warnings
    assert len(warnings) == 1
    assert len(warnings[0]) <= 256


def test_a_container_that_names_our_socket_itself_gets_it_as_it_asks() -> None:
    given = pod({"env": [{"name": "DOCKER_HOST", "value": UNIX}]})
    assert served(given) == {"c0"}
    container = injected(given)["spec"]["containers"][0]
    assert container["env"] == given["spec"]["containers"][0]["env"]
    assert injection(given).warnings == ()


@pytest.mark.parametrize("host", ["tcp://localhost:2375", "tcp://127.0.0.1:2375"])
def test_a_container_that_names_our_port_itself_is_served(host: str) -> None:
    given = pod({"env": [{"name": "DOCKER_HOST", "value": host}]}, {}, docker_host="tcp")
    containers = injected(given)["spec"]["containers"]
    assert containers[0] == given["spec"]["containers"][0]
    assert env_of(containers[1])["DOCKER_HOST"] == "tcp://localhost:2375"
    assert injection(given).warnings == ()


def test_in_tcp_mode_no_container_mounts_anything_and_no_group_is_added() -> None:
    result = injected(pod({}, docker_host="tcp"))
    assert "volumeMounts" not in result["spec"]["containers"][0]
    assert "securityContext" not in result["spec"]


def test_in_container_mode_init_containers_get_nothing() -> None:
    init = [{"name": "i", "image": "a"}]
    assert served(pod({}, init=init), CONTAINER_MODE) == {"c0"}


def test_in_container_mode_an_init_container_cannot_be_named() -> None:
    given = pod({}, init=[{"name": "i", "image": "a"}], containers="i")
    decision = injection(given, CONTAINER_MODE).decision
    assert decision.sentence.endswith("the pod has no container i; it has c0")


def test_a_daemon_for_nobody_is_warned_of() -> None:
    given = pod({"env": [{"name": "DOCKER_HOST", "value": "x"}]})
    assert injection(given).warnings[-1] == (
        "dind: no container of the pod gets Docker: the daemon runs for nobody"
    )
