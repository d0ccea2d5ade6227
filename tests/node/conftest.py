"""A node for each test: a disk, a volume group, a kubelet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.host import Host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A node with one blank disk of 1 GiB that its settings name."""
    with Host(tmp_path) as host:
        host.add_disk(1024)
        host.configure()
        yield host
