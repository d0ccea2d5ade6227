"""Every plan, disturbed at every step in every way, on both file systems, linear and thin."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.node.disturbances import Disturbance
from tests.node.matrix import (
    AGAIN,
    BOTH,
    NEVER,
    Point,
    a_node,
    failures,
    interruptions,
    kill_at_every_step,
)
from tests.node.plans import ALL_PLANS, Plan
from tests.node.thin_plans import THIN_PLANS
from tests.seed import dice

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

ROUNDS = 4
"""How often each step is interrupted, each time somewhere else in it."""


@pytest.mark.parametrize("file_system", ["ext4", "xfs"])
@pytest.mark.parametrize("plan", [*ALL_PLANS, *THIN_PLANS], ids=str)
def test_killed_before_and_after_every_step(tmp_path: Path, plan: Plan, file_system: str) -> None:
    disk_mib, can_discard = plan.disk_mib(file_system), plan.can_discard
    with a_node(tmp_path, disk_mib, can_discard=can_discard, thin=plan.thin) as host:
        kill_at_every_step(host, plan, file_system, BOTH)


@pytest.mark.parametrize("disturbances", [failures, interruptions])
@pytest.mark.parametrize("file_system", ["ext4", "xfs"])
@pytest.mark.parametrize("plan", [*ALL_PLANS, *THIN_PLANS], ids=str)
def test_disturbed_at_every_step(
    tmp_path: Path,
    plan: Plan,
    file_system: str,
    disturbances: Callable[[Plan, random.Random], Iterator[Disturbance]],
) -> None:
    fate = dice(f"{plan} {file_system}")
    rounds = ROUNDS if disturbances is interruptions else 1
    points = [
        Point(plan, disturbance, aftermath)
        for _ in range(rounds)
        for disturbance in disturbances(plan, fate)
        for aftermath in (AGAIN, NEVER)
    ]
    disk_mib, can_discard = plan.disk_mib(file_system), plan.can_discard
    with a_node(tmp_path, disk_mib, can_discard=can_discard, thin=plan.thin) as host:
        for take, point in enumerate(points):
            point.meet(host, take, file_system)
