"""How large a thin pool is made."""

import pytest

from flexvol.conversion import PoolSize, metadata_extents, pool_size
from flexvol.errors import PoolError
from tests.flexvol.make import inventory


@pytest.mark.parametrize(
    ("group_gib", "overcommit", "metadata_mib"),
    [(1, 1.0, 4), (100, 1.0, 104), (100, 2.0, 204), (1024, 1.0, 1028), (64 << 10, 1.0, 16176)],
)
def test_the_metadata_suffices_for_all_of_the_volume_group(
    group_gib: int, overcommit: float, metadata_mib: int
) -> None:
    group = inventory(free_mib=group_gib << 10).group
    assert metadata_extents(group, overcommit) * 4 == metadata_mib


def test_a_pool_takes_what_is_free_but_its_metadata_twice() -> None:
    assert pool_size(inventory(free_mib=1000).group, 1.0) == PoolSize(data=248, metadata=1)


def test_it_is_told_why_no_pool_can_be_made() -> None:
    with pytest.raises(PoolError, match=r"8 MiB free, too little.*let their pods end"):
        pool_size(inventory(free_mib=8).group, 1.0)
