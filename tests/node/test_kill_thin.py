"""A sample of the disturbances of a node with a thin pool: ``make soak`` has them all."""

from collections.abc import Iterator

import pytest

from tests.node.host import Host
from tests.node.matrix import AGAIN, NEVER, Point, a_node, failures, interruptions, kills
from tests.node.thin_plans import THIN_PLANS
from tests.seed import dice


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with a_node(tmp_path_factory.mktemp("node"), 8 << 10, thin=True) as host:
        yield host


def test_a_call_on_a_thin_pool_is_disturbed(node: Host) -> None:
    fate = dice("thin")
    points = [
        Point(plan, disturbance, aftermath)
        for plan in THIN_PLANS
        if plan.only_room_for is None
        for kind in (kills, failures, interruptions)
        for disturbance in kind(plan, fate)
        for aftermath in (AGAIN, NEVER)
    ]
    for take, point in enumerate(fate.sample(points, 3)):
        point.meet(node, take, "ext4")
