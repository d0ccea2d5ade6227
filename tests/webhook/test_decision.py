"""Which pods get a daemon, which are left alone, which are refused."""

from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

from tests.webhook.tables import rows
from webhook.decision import decide
from webhook.inject import inject
from webhook.pod import Pod
from webhook.settings import parse_cluster, resolve

SETTINGS = resolve(
    parse_cluster({"max-storage-size": "50Gi", "allowed-images": "docker:*", "enforce": "cpu"})
)


def pod_of_row(text: str) -> Pod:
    change: dict[str, Any] = YAML(typ="safe").load(text)
    containers = [{"name": "c", "image": "alpine:3"} | change.pop("c", {})]
    if "p" in change:
        privileged = {"name": "p", "image": "a", "securityContext": {"privileged": True}}
        containers.append(privileged | change.pop("p"))
    metadata = {
        "labels": change.pop("labels", {"dind": "true"}),
        "annotations": change.pop("annotations", {}),
    }
    spec = {"containers": containers} | change.pop("spec", {})
    assert not change, f"the row says something that no test reads: {change}"
    return msgspec.convert({"metadata": metadata, "spec": spec}, Pod)


@pytest.mark.parametrize(("text", "outcome"), rows(decide))
def test_outcome_of_a_pod_is_that_of_the_table(text: str, outcome: str) -> None:
    decision = inject(pod_of_row(text), SETTINGS).decision
    assert f"{decision.kind} {decision.code}" == outcome
