"""``python -m flexvol.bundle FOLDER``: builds the driver's bundle with this very interpreter."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from flexvol.bundle.build import build
from flexvol.errors import SlabError


def main(arguments: Sequence[str]) -> int:
    """Build a bundle, say what it is, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m flexvol.bundle", description=__doc__)
    parser.add_argument("folder", type=Path, help="where it goes; what is there is replaced")
    folder = parser.parse_args(arguments).folder.absolute()
    try:
        made = build(folder)
    except (SlabError, OSError) as error:
        sys.stderr.write(f"bundle: it could not be built: {error}\n")
        return 1
    size_kib = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) >> 10
    sys.stdout.write(
        f"bundle: {folder}: driver {made.version}, Python {made.python}, {len(made.files)} files, "
        f"{size_kib} KiB; runs with glibc {made.glibc} or newer\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
