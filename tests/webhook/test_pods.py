"""The golden pairs: manifests as people and CI systems write them, and what they become."""

from pathlib import Path
from typing import Any

import pytest

from tests.webhook import goldens
from tests.webhook.pods import as_stored, injection
from tests.webhook.schemas import pod_validator, releases
from webhook.offline import POD_PATHS, inject_manifest

NEWER_FIELDS = {
    "non-root.yaml": "1.30",  # AppArmor profiles
    "pod-level-resources.yaml": "1.32",
    "scheduling.yaml": "1.32",
}
"""Manifests with fields that older releases do not know, and since when they exist."""


def by_name(path: Path) -> str:
    return path.stem


def pods_of(document: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - YAML
    if document["kind"] == "List":
        return [pod for item in document["items"] for pod in pods_of(item)]
    group = document["apiVersion"].rpartition("/")[0]
    path = POD_PATHS.get((group, document["kind"]))
    if path is None:
        return []
    for key in path:
        document = document[key]
    return [{"apiVersion": "v1", "kind": "Pod"} | document]


@pytest.mark.parametrize("manifest", goldens.inputs(), ids=by_name)
def test_a_manifest_becomes_its_golden(manifest: Path) -> None:
    made = inject_manifest(manifest.read_text(), goldens.settings_of(manifest))
    assert goldens.rendered(made) == goldens.golden_of(manifest).read_text()


def test_no_golden_is_stale() -> None:
    found = set(goldens.FOLDER.glob(f"*{goldens.SUFFIX}"))
    assert found == set(map(goldens.golden_of, goldens.inputs()))
    defaults = {path.name for path in (goldens.FOLDER / "defaults").iterdir()}
    assert defaults <= {path.name for path in goldens.inputs()}


@pytest.mark.parametrize("manifest", goldens.inputs(), ids=by_name)
def test_injecting_the_result_again_changes_nothing(manifest: Path) -> None:
    settings = goldens.settings_of(manifest)
    once = inject_manifest(manifest.read_text(), settings)
    twice = inject_manifest(once.text, settings)
    assert twice.text == once.text
    for first, second in zip(once.outcomes, twice.outcomes, strict=True):
        if first.injection.decision.kind == "inject":
            assert second.injection.decision.code == "already_injected"
            assert not second.injection.warnings
        else:
            assert second == first


@pytest.mark.parametrize("manifest", goldens.inputs(), ids=by_name)
def test_every_result_is_a_valid_pod(manifest: Path) -> None:
    made = inject_manifest(manifest.read_text(), goldens.settings_of(manifest))
    since = NEWER_FIELDS.get(manifest.name, releases()[0])
    for document in goldens.plain_documents(made.text):
        for pod in pods_of(document):
            for release in releases()[releases().index(since) :]:
                pod_validator(release).validate(pod)


@pytest.mark.parametrize("manifest", goldens.inputs(), ids=by_name)
def test_what_the_api_server_makes_of_a_result_is_known_again(manifest: Path) -> None:
    settings = goldens.settings_of(manifest)
    made = inject_manifest(manifest.read_text(), settings)
    pods = [pod for document in goldens.plain_documents(made.text) for pod in pods_of(document)]
    for pod, outcome in zip(pods, made.outcomes, strict=True):
        if outcome.injection.decision.kind == "inject":
            again = injection(as_stored(pod), settings)
            assert again.decision.code == "already_injected"
            assert again.operations == ()
