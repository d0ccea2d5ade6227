"""Every combination of the manifests is what Kubernetes takes, and says no name twice."""

from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped] # it ships no types
import pytest

from tests.manifests.rendering import KUBELETS, MANIFESTS, OVERLAYS, combined, rendered

OLDEST, NEWEST = "1.29", "1.37"


@pytest.mark.parametrize("kubelet", [None, *KUBELETS])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_takes_them(tmp_path: Path, overlay: str, kubelet: str | None) -> None:
    objects = combined(tmp_path / "all", overlay, kubelet)
    assert len(objects) >= 19
    for manifest in objects:
        kubernetes_validate.validate(manifest, NEWEST, strict=True)
    names = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
    assert len(set(names)) == len(names)


def test_the_oldest_kubernetes_with_native_sidecars_takes_them() -> None:
    for manifest in rendered(MANIFESTS):
        kubernetes_validate.validate(manifest, OLDEST, strict=True)


def test_the_plain_folder_is_the_overlay_that_runs_anywhere() -> None:
    assert rendered(MANIFESTS) == rendered(MANIFESTS / "overlays" / "file")


def test_all_lie_in_one_namespace_or_in_none() -> None:
    cluster_wide = {
        "ClusterRole",
        "ClusterRoleBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
    }
    for manifest in rendered(MANIFESTS):
        namespace = manifest["metadata"].get("namespace")
        assert namespace == (None if manifest["kind"] in cluster_wide else "dind")
