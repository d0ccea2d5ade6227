"""What annotations ask for, over the defaults and within the bounds."""

import pytest

from tests.webhook.pods import daemon_of, injected, injection, labelled, settings
from webhook.options import OPTIONS
from webhook.outcome import Code

BOUNDED = settings(
    {"max-storage-size": "50Gi", "allowed-images": "docker:*", "enforce": "cpu, memory-limit"},
    {"memory": "1Gi"},
)


def sentence(annotations: dict[str, str], **cluster: str) -> str:
    given = {key.replace("_", "-"): value for key, value in cluster.items()}
    decision = injection(labelled(annotations), settings(given)).decision
    assert decision.kind == "refuse"
    return decision.sentence


@pytest.mark.parametrize("name", OPTIONS)
def test_a_wrong_annotation_is_named_with_its_value_and_what_would_be_right(name: str) -> None:
    said = sentence({f"dind/{name}": "!"})
    assert said == f'annotation dind/{name} is "!": {OPTIONS[name].right}'


def test_all_faults_of_a_pod_are_told_at_once() -> None:
    pod = labelled(
        {
            "dind/storage-size": "51Gi",
            "dind/image": "evil/docker:29",
            "dind/cpu": "8",
            "dind/memory-limit": "8Gi",
            "dind/docker-host": "ssh",
            "dind/containers": "nobody",
        },
        hostNetwork=True,
        hostPID=True,
        hostUsers=False,
        nodeSelector={"kubernetes.io/os": "windows"},
        volumes=[{"name": "dind-storage"}],
    )
    decision = injection(pod, BOUNDED).decision
    assert decision.code is Code.HOST_NETWORK
    for part in (
        "hostNetwork",
        "hostPID",
        "hostUsers",
        '"windows"',
        'dind/storage-size asks for "51Gi", more than the 51200Mi',
        'dind/image names "evil/docker:29", which is none of the images that',
        'dind/cpu is "8", but the cluster\'s administrator has fixed cpu',
        'dind/memory-limit is "8Gi", but',
        'dind/docker-host is "ssh": write "unix" or "tcp"',
        "the pod has no container nobody; it has c",
        'volume named "dind-storage"',
    ):
        assert part in decision.sentence


@pytest.mark.parametrize(
    ("annotation", "meant"),
    [
        ("dind/storagesize", "dind/storage-size"),
        ("dind/storage_size", "dind/storage-size"),
        ("dind/Storage-Size", "dind/storage-size"),
        ("dind/cash-key", "dind/cache-key"),
        ("dind/mem-limit", "dind/memory-limit"),
        ("dind/dockerhost", "dind/docker-host"),
        ("dind/container", "dind/containers"),
        ("dind/share-volume", "dind/share-volumes"),
        ("dind/zzz", None),
    ],
)
def test_an_unknown_annotation_is_warned_of_with_the_nearest_name(
    annotation: str, meant: str | None
) -> None:
    (warning,) = injection(labelled({annotation: "1"})).warnings
    assert f'"{annotation}" is unknown and has no effect' in warning
    assert warning.endswith(f"is {meant} meant?" if meant else "no effect")


def test_unknown_annotations_of_a_refused_pod_are_warned_of_too() -> None:
    result = injection(labelled({"dind/cpu": "fast", "dind/cash-key": "a"}))
    assert len(result.warnings) == 1


def test_annotations_of_others_and_our_own_status_are_no_concern() -> None:
    assert injection(labelled({"other/x": "1", "dind": "1", "dind/status": "?"})).warnings == ()


def test_an_enforced_value_may_be_repeated_in_other_words() -> None:
    under = settings({"memory": "1Gi", "enforce": "memory"})
    assert injection(labelled({"dind/memory": "1024Mi"}), under).decision.kind == "inject"


def test_a_default_over_the_bound_says_where_it_comes_from() -> None:
    under = settings({"max-storage-size": "5Gi"}, {"storage-size": "6Gi"})
    decision = injection(labelled(), under).decision
    assert decision.code is Code.OVER_LIMIT
    assert decision.sentence.startswith(
        "storage-size in the namespace's ConfigMap dind-defaults asks for 6144Mi, more than the"
    )


def test_the_built_in_image_is_not_allowed_where_the_admin_allows_only_others() -> None:
    decision = injection(labelled(), settings({"allowed-images": "example.com/*"})).decision
    assert decision.code is Code.IMAGE_NOT_ALLOWED
    assert decision.sentence.startswith('the default image names "docker:29-dind"')


def test_a_request_over_a_limit_is_refused_where_the_pod_asks_for_it() -> None:
    assert sentence({"dind/cpu": "4"}, cpu_limit="2") == (
        'annotation dind/cpu is "4": the limit is "2"; ask for less, or set dind/cpu-limit'
    )


def test_a_default_request_gives_way_to_a_limit() -> None:
    resources = daemon_of(
        injected(labelled({"dind/cpu-limit": "50m", "dind/memory-limit": "256Mi"}))
    )["resources"]
    assert resources["requests"] == {"cpu": "50m", "memory": "256Mi"}
    assert resources["limits"] == {"cpu": "50m", "memory": "256Mi"}


def test_containers_of_a_default_need_not_be_in_every_pod() -> None:
    result = injection(labelled(), settings({"containers": "build"}))
    assert result.decision.kind == "inject"
    assert result.warnings == (
        "dind: no container of the pod gets Docker: the daemon runs for nobody",
    )


def test_what_people_write_is_shown_in_short_and_without_control_characters() -> None:
    said = sentence({"dind/cpu": "a\n\x1b[31m" + "b" * 1000})
    assert '"a??[31mbbb' in said
    assert len(said) < 200


def test_of_many_unknown_annotations_a_few_are_named() -> None:
    warnings = injection(labelled({f"dind/x{n}": "1" for n in range(8)})).warnings
    assert len(warnings) == 6
    assert warnings[-1] == "dind: 3 more annotations are unknown and have no effect"
