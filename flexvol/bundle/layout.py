"""Where things lie in a bundle, and what it says of itself.

The builder writes what the installer reads; imports nothing of either.

    bin/python3         the interpreter
    lib/                libraries it needs that are not glibc's
    lib/python3.X/      the driver and the part of the standard library that it uses, compiled
    slab, install       run the driver and its installer from wherever the folder lies; for people
    bundle.json         what it is, and a digest of every file
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from flexvol.errors import SlabError

PYTHON = "bin/python3"
LIBRARIES = "lib"
DESCRIPTION = "bundle.json"

FLAGS = "-ISB"
"""Isolated from the environment, without ``site``, writing no bytecode. One word: a script's first
line can hand its interpreter one argument and no more (execve(2))."""

PROGRAM = """\
import os
import sys

from {module} import start

start(sys.argv[1:], os.environ)
"""
DRIVER = "flexvol.__main__"
INSTALLER = "flexvol.install.__main__"
LAUNCHERS = {"slab": DRIVER, "install": INSTALLER}


class BundleError(SlabError):
    """A bundle cannot be built or read."""

    cause = "bundle"


@dataclass(frozen=True)
class Description:
    """What a bundle says of itself.

    Attributes:
        version: of the driver.
        python: of the interpreter.
        glibc: the oldest that has every symbol the bundle asks for.
        files: the SHA-256 of each file, by its path in the bundle.
    """

    version: str
    python: str
    glibc: str
    files: Mapping[str, str]

    @property
    def name(self) -> str:
        """A folder name that no other content has."""
        digest = hashlib.sha256(json.dumps(sorted(self.files.items())).encode()).hexdigest()
        return f"{self.version}-{digest[:12]}"


def entry(bundle: Path) -> str:
    """Return the text of an executable that runs the driver of the bundle lying at ``bundle``.

    The kernel starts the interpreter itself: no shell, no further process.

    Raises:
        BundleError: the path cannot stand in a script's first line.
    """
    first = f"#!{bundle / PYTHON} {FLAGS}\n"
    if any(char.isspace() for char in str(bundle)) or not bundle.is_absolute():
        raise BundleError(f"{bundle} cannot hold a bundle: give an absolute path without spaces")
    if len(first.encode()) > 127:
        raise BundleError(
            f"{bundle} cannot hold a bundle: before Linux 5.1 a script's first line has 127 bytes "
            f"at most, and this makes {len(first.encode())}"
        )
    return first + PROGRAM.format(module=DRIVER)


def contents(bundle: Path) -> Iterator[tuple[str, str]]:
    """Yield path and SHA-256 of every file in a bundle but its description, ordered by path."""
    for path in sorted(bundle.rglob("*")):
        name = str(path.relative_to(bundle))
        if path.is_file() and name != DESCRIPTION:
            yield name, hashlib.sha256(path.read_bytes()).hexdigest()


def write_description(bundle: Path, description: Description) -> None:
    """Write ``bundle.json``."""
    (bundle / DESCRIPTION).write_text(json.dumps(asdict(description), indent=1) + "\n")


def read_description(bundle: Path) -> Description:
    """Return what the bundle at ``bundle`` says of itself.

    Raises:
        BundleError: there is none.
    """
    try:
        return Description(**json.loads((bundle / DESCRIPTION).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise BundleError(f"{bundle} is not a bundle: {DESCRIPTION}: {error}") from error
