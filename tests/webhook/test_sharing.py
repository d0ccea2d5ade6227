"""Which of the containers' volumes the daemon sees."""

from typing import Any

import pytest

from tests.webhook.pods import Json, daemon_of, env_of, injected, injection, labelled, settings
from tests.webhook.tables import rows
from webhook.paths import is_needed, normal

OWN = {"/var/lib/docker", "/run/dind", "/var/run/secrets/kubernetes.io/serviceaccount"}


def pod(*mounts: Json, more: list[Json] | None = None, **container: Any) -> Json:  # noqa: ANN401 - JSON
    first = {"name": "c", "image": "a", "volumeMounts": list(mounts)} | container
    return labelled(
        containers=[first, *(more or [])],
        volumes=[
            {"name": "empty", "emptyDir": {}},
            {"name": "other", "emptyDir": {"medium": "Memory"}},
            {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}},
            {"name": "generic", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {"name": "secret", "secret": {"secretName": "s"}},
            {"name": "config", "configMap": {"name": "c"}},
            {"name": "projected", "projected": {"sources": []}},
            {"name": "downward", "downwardAPI": {"items": []}},
            {"name": "host", "hostPath": {"path": "/srv"}},
            {"name": "nfs", "nfs": {"server": "s", "path": "/"}},
        ],
    )


def mount(name: str, path: str, **more: object) -> Json:
    return {"name": name, "mountPath": path} | more


def shared_by(given: Json) -> list[Json]:
    return [m for m in daemon_of(injected(given))["volumeMounts"] if m["mountPath"] not in OWN]


@pytest.mark.parametrize(("path", "needed"), rows(is_needed))
def test_the_daemon_needs_the_paths_of_the_table(path: str, needed: str) -> None:
    assert is_needed(path) is (needed == "yes")


@pytest.mark.parametrize(
    ("path", "as_taken"),
    [
        ("/src", "/src"),
        ("/src/", "/src"),
        ("//src/./a/..", "/src"),
        ("src", "/src"),
        ("/", "/"),
        ("/var/run/docker", "/run/docker"),
        ("/var/run", "/run"),
        ("/var/runner", "/var/runner"),
    ],
)
def test_a_path_is_taken_as_the_kubelet_takes_it(path: str, as_taken: str) -> None:
    assert normal(path) == as_taken


@pytest.mark.parametrize("name", ["empty", "other", "claim", "generic"])
def test_volumes_with_files_of_the_build_are_shared_at_the_same_path(name: str) -> None:
    wanted = mount(name, "/data", subPath="a/b", readOnly=True)
    assert shared_by(pod(wanted)) == [wanted]


@pytest.mark.parametrize("name", ["secret", "config", "projected", "downward", "host", "nfs"])
def test_other_volumes_never_are_and_nobody_is_warned(name: str) -> None:
    given = pod(mount(name, "/data"))
    assert shared_by(given) == []
    assert injection(given).warnings == ()


@pytest.mark.parametrize(
    "path", ["/", "/usr/local", "/etc/", "/var/lib/docker", "/var/run", "/usr"]
)
def test_what_the_daemon_needs_is_not_shared_but_warned_of(path: str) -> None:
    given = pod(mount("empty", path), mount("empty", "/src"))
    assert shared_by(given) == [mount("empty", "/src")]
    (warning,) = injection(given).warnings
    assert warning == f'dind: the daemon does not see "{path}": it needs these paths itself'


def test_nothing_is_shared_where_nobody_wants_it() -> None:
    given = pod(mount("empty", "/src"))
    given["metadata"]["annotations"]["dind/share-volumes"] = "false"
    assert shared_by(given) == []


def test_only_containers_that_get_docker_share() -> None:
    without = {
        "name": "own",
        "image": "a",
        "env": [{"name": "DOCKER_HOST", "value": "ssh://x"}],
        "volumeMounts": [mount("other", "/other")],
    }
    agent = {"name": "istio-proxy", "image": "a", "volumeMounts": [mount("other", "/istio")]}
    given = pod(mount("empty", "/src"), more=[without, agent])
    assert shared_by(given) == [mount("empty", "/src")]


def test_of_two_different_things_at_one_path_the_first_is_shared() -> None:
    second = {"name": "d", "image": "a", "volumeMounts": [mount("other", "/src/")]}
    given = pod(mount("empty", "/src"), more=[second])
    assert shared_by(given) == [mount("empty", "/src")]
    (warning,) = injection(given).warnings
    assert warning == (
        'dind: containers mount different things at "/src/": the daemon sees the first'
    )


def test_of_two_sub_paths_at_one_path_the_first_is_shared() -> None:
    second = {"name": "d", "image": "a", "volumeMounts": [mount("empty", "/src", subPath="b")]}
    given = pod(mount("empty", "/src", subPath="a"), more=[second])
    assert shared_by(given) == [mount("empty", "/src", subPath="a")]
    assert len(injection(given).warnings) == 1


def test_the_same_thing_twice_is_mounted_once_and_writable_if_anybody_writes() -> None:
    second = {"name": "d", "image": "a", "volumeMounts": [mount("empty", "/src")]}
    given = pod(mount("empty", "/src", readOnly=True), more=[second])
    assert shared_by(given) == [mount("empty", "/src")]
    assert injection(given).warnings == ()


def test_a_sub_path_of_variables_brings_them_along_in_their_order() -> None:
    given = pod(
        mount("empty", "/logs", subPathExpr="$(RUN)/$$(LITERAL)"),
        env=[
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "UNUSED", "value": "1"},
            {"name": "RUN", "value": "$(POD)-$(MISSING)"},
        ],
    )
    daemon = daemon_of(injected(given))
    assert daemon["volumeMounts"][-1] == mount("empty", "/logs", subPathExpr="$(RUN)/$$(LITERAL)")
    assert daemon["env"][-2:] == [given["spec"]["containers"][0]["env"][i] for i in (0, 2)]
    assert "UNUSED" not in env_of(daemon)
    assert injection(given).warnings == ()


@pytest.mark.parametrize("name", ["PATH", "LD_PRELOAD", "DOCKER_TLS", "DIND_SIZE_MIB", "no_proxy"])
def test_a_variable_that_would_change_the_daemon_is_not_brought_along(name: str) -> None:
    given = pod(
        mount("empty", "/logs", subPathExpr=f"$({name})"), env=[{"name": name, "value": "x"}]
    )
    assert shared_by(given) == []
    assert env_of(daemon_of(injected(given))).get(name) != "x"
    (warning,) = injection(given).warnings
    assert "variables of the subPathExpr" in warning


def test_a_variable_of_the_admin_is_not_changed() -> None:
    given = pod(mount("empty", "/logs", subPathExpr="$(A)"), env=[{"name": "A", "value": "theirs"}])
    under = settings({"daemon-env": "A=ours"})
    daemon = daemon_of(injected(given, under))
    assert env_of(daemon)["A"] == "ours"
    assert all("subPathExpr" not in each for each in daemon["volumeMounts"])


def test_a_variable_from_elsewhere_cannot_be_brought_along() -> None:
    given = pod(
        mount("empty", "/logs", subPathExpr="$(A)"), envFrom=[{"configMapRef": {"name": "x"}}]
    )
    assert shared_by(given) == []


def test_a_path_of_very_many_variables_is_not_followed() -> None:
    chain = [{"name": f"A{n}", "value": f"$(A{n - 1})"} for n in range(100)]
    assert shared_by(pod(mount("empty", "/logs", subPathExpr="$(A99)"), env=chain)) == []
    few = pod(mount("empty", "/logs", subPathExpr="$(A9)"), env=chain)
    assert len(shared_by(few)) == 1


def test_a_path_that_only_looks_like_a_reference_needs_none() -> None:
    for expression in ("$", "$$(A)", "a$(", "$(" * 100_000, "$$$$(A)"):
        assert len(shared_by(pod(mount("empty", "/logs", subPathExpr=expression)))) == 1
    assert shared_by(pod(mount("empty", "/logs", subPathExpr="$$$(A)"))) == []


def test_the_same_variable_with_two_values_is_brought_along_for_the_first() -> None:
    wanted = mount("empty", "/one", subPathExpr="$(A)")
    second = {
        "name": "d",
        "image": "a",
        "env": [{"name": "A", "value": "2"}],
        "volumeMounts": [mount("empty", "/two", subPathExpr="$(A)")],
    }
    given = pod(wanted, more=[second], env=[{"name": "A", "value": "1"}])
    assert shared_by(given) == [wanted]
    assert env_of(daemon_of(injected(given)))["A"] == "1"


def test_what_an_init_container_is_to_make_is_not_made_a_directory_first() -> None:
    given = pod(
        mount("empty", "/app/config.json", subPath="config.json"),
        mount("empty", "/app/conf", subPath="conf"),
        mount("claim", "/data/x.db", subPath="x.db"),
    )
    init = {"name": "i", "image": "a", "volumeMounts": [mount("empty", "/out")]}
    given["spec"]["initContainers"] = [init]
    assert [each["mountPath"] for each in shared_by(given)] == ["/data/x.db", "/out"]
    (warning,) = injection(given).warnings
    assert '"/app/config.json", "/app/conf"' in warning
