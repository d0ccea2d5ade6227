"""A sample of the disturbances that are too many for every run: ``make soak`` has them all."""

import itertools
import random
from collections.abc import Callable, Iterator

import pytest

from tests.node.disturbances import Disturbance
from tests.node.host import Host
from tests.node.matrix import AGAIN, NEVER, Point, a_node, failures, interruptions, kills
from tests.node.plans import ALL_PLANS, Plan
from tests.seed import dice

_TAKES = itertools.count()
"""The tests share a node: a pod of one must not find what a pod of another left in its name."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with a_node(tmp_path_factory.mktemp("node"), 16 << 10) as host:
        yield host


def meet(
    node: Host,
    file_system: str,
    count: int,
    disturbances: Callable[[Plan, random.Random], Iterator[Disturbance]],
) -> None:
    """Meet as many points as ``count``, of all there are."""
    fate = dice(f"{disturbances.__name__} {file_system}")
    plans = [plan for plan in ALL_PLANS if plan.only_room_for is None]
    points = [
        Point(plan, disturbance, aftermath)
        for plan in plans
        for disturbance in disturbances(plan, fate)
        for aftermath in (AGAIN, NEVER)
    ]
    for point in fate.sample(points, count):
        point.meet(node, next(_TAKES), file_system)


def test_the_driver_is_killed_on_xfs(node: Host) -> None:
    meet(node, "xfs", 10, kills)


def test_the_driver_or_its_command_too_dies_in_the_middle_of_a_step(node: Host) -> None:
    meet(node, "ext4", 16, interruptions)


def test_a_step_fails(node: Host) -> None:
    meet(node, "ext4", 24, failures)
