"""The API server, as a fixture."""

from collections.abc import Iterator

import pytest

from tests.cluster.apiserver import ApiServer, serving


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    """A running API server with nothing in it."""
    with serving(ApiServer()) as server:
        yield server
