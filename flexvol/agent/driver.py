"""The installed driver, called as a person on the node would call it."""

from pathlib import Path

from flexvol.agent.report import Report, failed, parse
from flexvol.errors import CommandError
from flexvol.install.host import Host


class Driver:
    """The driver.

    Args:
        host: the node.
        executable: its path there.
    """

    def __init__(self, host: Host, executable: Path) -> None:
        self._host = host
        self._executable = executable

    def setup(self) -> list[str]:
        """Make the pool, or extend it by what the settings name; return what was done.

        Raises:
            CommandError: it could not be done.
        """
        return self._host.run(self._executable, "setup").splitlines()

    def reconcile(self) -> list[str]:
        """Put right what can be; return what was done.

        Raises:
            CommandError: some of it could not be done.
        """
        return self._host.run(self._executable, "reconcile").splitlines()

    def report(self) -> Report:
        """Return what the node has; where that cannot be told, a report that says so."""
        try:
            return parse(self._host.run(self._executable, "status", "--json"))
        except CommandError as error:
            return failed(str(error))
