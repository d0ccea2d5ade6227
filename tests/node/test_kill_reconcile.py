"""The driver killed before and after every step of reconcile."""

from collections.abc import Iterator

import pytest

from tests.node.host import Host
from tests.node.matrix import ALTERNATELY, a_node, kill_at_every_step
from tests.node.plans import RECONCILIATIONS, SPARE, Plan


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with a_node(tmp_path_factory.mktemp("node")) as host:
        yield host


@pytest.mark.parametrize("plan", [*RECONCILIATIONS, SPARE], ids=str)
def test_what_is_not_put_right_is_put_right_later(node: Host, plan: Plan) -> None:
    kill_at_every_step(node, plan, "ext4", ALTERNATELY)
