"""What every test shares."""

from tests import seed

pytest_plugins = ["tests.guest.plugin"]


def pytest_report_header() -> str:
    """Say how to repeat this run."""
    return f"seed: {seed.choose()} (set {seed.VARIABLE} to repeat a run)"
