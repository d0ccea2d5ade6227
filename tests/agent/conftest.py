"""The API server, as a fixture."""

from tests.cluster.conftest import api_server

__all__ = ["api_server"]
