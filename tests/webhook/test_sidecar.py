"""The daemon's container, and how it is known again."""

import copy
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import webhook
from tests.webhook.pods import (
    BUILT_IN,
    Json,
    as_stored,
    daemon_of,
    env_of,
    injected,
    injection,
    labelled,
    settings,
)
from webhook.sidecar import COMMAND, escaped

SCRIPT = Path(webhook.__file__).with_name("daemon.sh").read_text()
COMPANY = settings(
    {
        "registry-mirrors": "https://mirror.example.com http://other.example.com:5000",
        "insecure-registries": "registry.example.com:5000 10.0.0.0/8",
        "daemon-env": "HTTPS_PROXY=http://a:$(b)@proxy\nno_proxy=.example.com",
        "daemon-args": "--debug\n--log-format=json",
        "min-api-version": "1.24",
        "image-pull-secrets": "pull",
    }
)


def expanded(text: str, variables: dict[str, str]) -> str:
    """Return what Kubernetes makes of ``text``: its own expansion, written a second way."""
    made, rest = "", text
    while "$" in rest:
        before, _, rest = rest.partition("$")
        made += before
        if rest.startswith("$"):
            made, rest = f"{made}$", rest[1:]
        elif rest.startswith("(") and ")" in rest:
            name, _, rest = rest[1:].partition(")")
            made += variables.get(name, f"$({name})")
        else:
            made += "$"
    return made + rest


@given(st.text(alphabet="$()aA \n"))
def test_escaped_text_reaches_the_container_as_it_was(text: str) -> None:
    assert expanded(escaped(text), {"a": "!", "A": "!", "": "!", "aA": "!"}) == text


def test_the_script_reaches_the_container_whole_but_for_comments() -> None:
    shell, flag, script = COMMAND
    assert (shell, flag) == ("sh", "-c")
    lines = [line for line in SCRIPT.splitlines() if line and not re.match(r"\s*#", line)]
    assert expanded(script, {}) == "\n".join(lines) + "\n"


def test_the_script_is_one_that_a_shell_understands() -> None:
    script = expanded(COMMAND[2], {})
    done = subprocess.run(["/bin/sh", "-n"], input=script, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_script_takes_no_variable_that_nobody_gives() -> None:
    told = {"DIND_REGISTRY_CA"} | set(env_of(daemon_of(injected(labelled(), COMPANY))))
    asked = set(re.findall(r"DIND_[A-Z_]+", SCRIPT))
    assert asked <= told
    assert {name for name in told if name.startswith("DIND_")} <= asked


def test_the_daemon_is_a_native_sidecar_first_among_the_init_containers() -> None:
    init = [{"name": "i", "image": "a"}]
    containers = injected(labelled(initContainers=init))["spec"]["initContainers"]
    assert [each["name"] for each in containers] == ["dind", "i"]
    daemon = containers[0]
    assert daemon["restartPolicy"] == "Always"
    assert daemon["securityContext"] == {
        "privileged": True,
        "runAsUser": 0,
        "runAsGroup": 0,
        "runAsNonRoot": False,
    }
    assert daemon["startupProbe"] == {
        "exec": {"command": ["test", "-S", "/run/dind/docker.sock"]},
        "periodSeconds": 1,
        "failureThreshold": 300,
        "timeoutSeconds": 5,
    }
    assert daemon["volumeMounts"] == [
        {"name": "dind-storage", "mountPath": "/var/lib/docker"},
        {"name": "dind-socket", "mountPath": "/run/dind"},
        {
            "name": "dind-no-token",
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
            "readOnly": True,
        },
    ]


def test_in_container_mode_it_is_an_ordinary_container_and_the_last() -> None:
    result = injected(labelled(), settings({"sidecar": "container"}))
    assert "initContainers" not in result["spec"]
    daemon = result["spec"]["containers"][-1]
    assert daemon["name"] == "dind"
    assert "restartPolicy" not in daemon
    assert daemon["startupProbe"]["failureThreshold"] == 300


@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
def test_in_container_mode_a_pod_that_should_end_is_warned(policy: str) -> None:
    under = settings({"sidecar": "container"})
    (warning,) = injection(labelled(restartPolicy=policy), under).warnings
    assert f"restartPolicy {policy} and will not end by itself" in warning
    assert injection(labelled(restartPolicy="Always"), under).warnings == ()
    assert injection(labelled(restartPolicy=policy)).warnings == ()


@pytest.mark.parametrize(
    ("grace", "shutdown"), [(None, "27"), (0, "1"), (1, "1"), (4, "1"), (5, "2"), (120, "117")]
)
def test_the_daemon_stops_within_the_grace_period(grace: int | None, shutdown: str) -> None:
    pod = labelled()
    if grace is not None:
        pod["spec"]["terminationGracePeriodSeconds"] = grace
    env = env_of(daemon_of(injected(pod)))
    assert env["DIND_SHUTDOWN_SECONDS"] == shutdown


def test_the_script_is_told_what_is_set_and_nothing_else() -> None:
    assert env_of(daemon_of(injected(labelled({"dind/docker-host": "tcp"})))) == {
        "DIND_DOCKER_HOST": "tcp",
        "DIND_SIZE_MIB": "10240",
        "DIND_SHUTDOWN_SECONDS": "27",
    }


def test_what_the_network_needs_reaches_the_daemon() -> None:
    result = injected(labelled(), COMPANY)
    assert env_of(daemon_of(result)) == {
        "DIND_DOCKER_HOST": "unix",
        "DIND_SIZE_MIB": "10240",
        "DIND_SHUTDOWN_SECONDS": "27",
        "DIND_REGISTRY_MIRRORS": "https://mirror.example.com http://other.example.com:5000",
        "DIND_INSECURE_REGISTRIES": "registry.example.com:5000 10.0.0.0/8",
        "DIND_DAEMON_ARGS": "--debug\n--log-format=json",
        "DOCKER_MIN_API_VERSION": "1.24",
        "HTTPS_PROXY": "http://a:$$(b)@proxy",
        "no_proxy": ".example.com",
    }
    assert result["spec"]["imagePullSecrets"] == [{"name": "pull"}]


def test_a_pod_that_says_who_its_containers_are_does_not_bind_the_daemon() -> None:
    context = {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
        "appArmorProfile": {"type": "RuntimeDefault"},
        "seLinuxOptions": {"level": "s0:c1", "type": "container_t"},
    }
    result = injected(labelled(securityContext=context))
    assert result["spec"]["securityContext"] == context | {"supplementalGroups": [2375]}
    assert daemon_of(result)["securityContext"] == {
        "privileged": True,
        "runAsUser": 0,
        "runAsGroup": 0,
        "runAsNonRoot": False,
        "seccompProfile": {"type": "Unconfined"},
        "appArmorProfile": {"type": "Unconfined"},
        "seLinuxOptions": {"level": "s0:c1", "type": "spc_t"},
    }


@pytest.mark.parametrize(
    ("groups", "after"), [(None, [2375]), ([], [2375]), ([1], [1, 2375]), ([2375], [2375])]
)
def test_the_group_of_the_socket_is_added_once(groups: list[int] | None, after: list[int]) -> None:
    context = {} if groups is None else {"supplementalGroups": groups}
    result = injected(labelled(securityContext=context))
    assert result["spec"]["securityContext"]["supplementalGroups"] == after


UNDER = [BUILT_IN, COMPANY, settings({"sidecar": "container", "slab-resource": "true"})]
ASKED = [
    {},
    {"dind/docker-host": "tcp"},
    {"dind/storage": "emptyDir", "dind/storage-size": "10240Mi"},
    {"dind/memory": "1024Mi", "dind/cpu": "1000m", "dind/cache-key": "a/b"},
]


@pytest.mark.parametrize("under", UNDER)
@pytest.mark.parametrize("annotations", ASKED)
def test_our_container_is_known_again_as_the_api_server_stores_it(
    annotations: dict[str, str],
    under: Any,  # noqa: ANN401 - Settings
) -> None:
    stored = as_stored(injected(labelled(annotations), under))
    again = injection(stored, under)
    assert (again.decision.code, again.warnings, again.operations) == ("already_injected", (), ())


def changed(path: str, value: object) -> Json:
    """Return an injected pod with one thing changed; ``None`` takes it away."""
    pod = as_stored(injected(labelled()))
    node: Any = {"daemon": daemon_of(pod), "spec": pod["spec"], "pod": pod}
    *parents, last = path.split(".")
    for key in parents:
        node = node[int(key) if isinstance(node, list) else key]
    if value is None:
        del node[int(last) if isinstance(node, list) else last]
    elif isinstance(node, list):
        node.insert(int(last), value)
    else:
        node[last] = value
    return pod


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("daemon.imagePullPolicy", "Always"),
        ("daemon.image", "mirror.example.com/docker:29-dind"),
        ("daemon.securityContext.seccompProfile", {"type": "Unconfined"}),
        ("daemon.env.0", {"name": "HTTPS_PROXY", "value": "http://proxy.example.com"}),
        ("spec.terminationGracePeriodSeconds", 120),
        ("daemon.resources", {"limits": {"cpu": "4"}}),
        ("daemon.resources.requests.memory", "8Gi"),
        ("daemon.lifecycle", {"preStop": {"exec": {"command": ["true"]}}}),
        ("daemon.startupProbe.successThreshold", 1),
        ("daemon.env.0", {"name": "KUBERNETES_CLUSTER", "value": "a"}),
        ("daemon.volumeMounts.0", {"name": "extra", "mountPath": "/extra"}),
        ("spec.volumes.0", {"name": "extra", "emptyDir": {}}),
        ("spec.initContainers.0", {"name": "mesh", "image": "a"}),
        ("spec.containers.0", {"name": "late", "image": "a"}),
        ("pod.metadata.annotations.dind/status", "forged"),
        ("pod.metadata.labels.more", "1"),
    ],
)
def test_what_others_add_does_not_hide_our_container(path: str, value: object) -> None:
    assert injection(changed(path, value)).decision.code == "already_injected"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("daemon.command", ["sh"]),
        ("daemon.command.3", "more"),
        ("daemon.args", ["--host=tcp://0.0.0.0:2375"]),
        ("daemon.restartPolicy", "OnFailure"),
        ("daemon.securityContext.runAsUser", 1000),
        ("daemon.startupProbe", None),
        ("daemon.env.0", None),
        ("daemon.env.9", {"name": "DIND_SIZE_MIB", "value": "1"}),
        ("daemon.volumeMounts.0", None),
        ("daemon.volumeMounts.0.subPath", "theirs"),
        ("spec.volumes.0.flexVolume.options.size_mb", "1048576"),
        ("spec.volumes.1", None),
        ("pod.metadata.annotations.dind/storage-size", "50Gi"),
    ],
)
def test_a_changed_daemon_is_not_ours_but_a_daemon_to_be_left_alone(
    path: str, value: object
) -> None:
    assert injection(changed(path, value)).decision.code == "has_daemon"


def test_without_its_privileges_it_is_no_daemon_and_its_name_is_taken() -> None:
    pod = changed("daemon.securityContext.privileged", False)  # noqa: FBT003 - JSON
    assert injection(pod).decision.code == "name_taken"


def test_a_restart_policy_that_another_webhook_dropped_is_given_back() -> None:
    pod = changed("daemon.restartPolicy", None)
    result = injection(pod)
    assert result.decision.code == "restored"
    assert injected(pod) == changed("daemon.restartPolicy", "Always")


def test_a_forged_status_alone_is_nothing() -> None:
    pod = labelled({"dind/status": '{"version":"0.1.0"}'})
    before = copy.deepcopy(pod)
    after = injected(pod)
    assert daemon_of(after)["image"] == "docker:29-dind"
    assert "size_mb" in after["metadata"]["annotations"]["dind/status"]
    assert pod == before
