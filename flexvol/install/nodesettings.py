"""The node's settings, from the keys of a ConfigMap to the driver's one file.

A ConfigMap mounted as a folder shows each key as a file. A value is read as JSON where it is JSON
(numbers, ``true``, lists), and as text otherwise, so that an admin writes ``size: 100Gi``. The key
``drivers`` is the installer's own: the names under which the driver is installed.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from flexvol import settings
from flexvol.contract import DRIVER
from flexvol.errors import SettingsError
from flexvol.install import files
from flexvol.install.entries import entry_path
from flexvol.install.errors import InstallError

DRIVERS = "drivers"


@dataclass(frozen=True)
class NodeSettings:
    """What an admin says of a node.

    Attributes:
        document: what goes into the driver's settings file, checked.
        drivers: names under which the driver is installed; its own is always among them.
    """

    document: dict[str, object]
    drivers: tuple[str, ...] = (DRIVER,)


def read(folder: Path) -> NodeSettings:
    """Return the settings that a folder holds, one key a file.

    Raises:
        InstallError: the folder cannot be read, a key is unknown, or a value is wrong.
    """
    try:
        keys = {
            path.name: path.read_text(encoding="utf-8").strip()
            for path in sorted(folder.iterdir())
            if not path.name.startswith(".") and path.is_file()
        }
    except (OSError, UnicodeDecodeError) as error:
        raise InstallError(f"the node's settings in {folder} cannot be read: {error}") from error
    drivers = (DRIVER, *keys.pop(DRIVERS, "").split())
    for driver in drivers:
        entry_path(Path("/"), driver)
    document = {key: _value(text) for key, text in keys.items()}
    try:
        settings.parse(document)
    except SettingsError as error:
        raise InstallError(f"the node's settings: {error}", "correct the ConfigMap") from error
    return NodeSettings(document, tuple(dict.fromkeys(drivers)))


def write(path: Path, document: dict[str, object]) -> bool:
    """Write the driver's settings file and return whether that changed anything."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    return files.write(path, text, 0o644, files.SETTINGS_TYPE)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
