"""What every test shares."""

pytest_plugins = ["tests.guest.plugin"]
