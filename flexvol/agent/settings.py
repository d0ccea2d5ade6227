"""The node's settings as an admin gives them, carried out on the node as they change."""

from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from flexvol.agent.driver import Driver
from flexvol.install import nodesettings, placing
from flexvol.install.host import Host
from flexvol.install.placing import Places

if TYPE_CHECKING:
    from flexvol.install.nodesettings import NodeSettings

log = structlog.get_logger()


class SettingsFolder:
    """A ConfigMap that is mounted as a folder.

    Args:
        folder: the folder.
        places: where the installer puts things.
        host: the node.
    """

    def __init__(self, folder: Path, places: Places, host: Host) -> None:
        self._folder = folder
        self._places = places
        self._host = host
        self._in_force: NodeSettings | None = None

    def carry_out(self, driver: Driver) -> None:
        """Have the node as the settings say; nothing that is right already is touched.

        Done in every round: it also puts back an entry that somebody removed, and sweeps away
        bundles that an upgrade left and that nothing runs from any more.

        Raises:
            SlabError: they are wrong, or could not be carried out; those before them hold.
        """
        wanted = nodesettings.read(self._folder)
        placing.refresh(self._places, wanted, self._host, log.info)
        if wanted != self._in_force:
            for line in driver.setup():
                log.info("pool in place", said=line)
            self._in_force = wanted
