"""The driver killed before and after every step of a mount that begins with what is left."""

from collections.abc import Iterator

import pytest

from tests.node.host import Host
from tests.node.matrix import ALTERNATELY, a_node, kill_at_every_step
from tests.node.plans import RESUMING_MOUNTS, Plan


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with a_node(tmp_path_factory.mktemp("node")) as host:
        yield host


@pytest.mark.parametrize("plan", RESUMING_MOUNTS, ids=str)
def test_what_is_left_is_taken_up_or_replaced_by_a_later_call(node: Host, plan: Plan) -> None:
    kill_at_every_step(node, plan, "ext4", ALTERNATELY)
