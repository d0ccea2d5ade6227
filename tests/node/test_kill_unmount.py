"""The driver killed before and after every step of an unmount."""

from collections.abc import Iterator

import pytest

from tests.node.host import Host
from tests.node.matrix import ALTERNATELY, a_node, kill_at_every_step
from tests.node.plans import UNMOUNTS, Plan


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with a_node(tmp_path_factory.mktemp("node")) as host:
        yield host


@pytest.mark.parametrize("plan", UNMOUNTS, ids=str)
def test_a_release_is_finished_by_a_later_call(node: Host, plan: Plan) -> None:
    kill_at_every_step(node, plan, "ext4", ALTERNATELY)
