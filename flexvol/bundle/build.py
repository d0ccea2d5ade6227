"""Puts a bundle together: interpreter, libraries, compiled modules, description."""

import os
import py_compile
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from flexvol import __version__
from flexvol.bundle import elf
from flexvol.bundle.closure import Source, driver_modules
from flexvol.bundle.layout import (
    FLAGS,
    LAUNCHERS,
    LIBRARIES,
    PROGRAM,
    PYTHON,
    Description,
    contents,
    write_description,
)
from flexvol.command import run

STDLIB = f"{sys.platlibdir}/python{sys.version_info.major}.{sys.version_info.minor}"
EXTENSIONS = f"{STDLIB}/lib-dynload"
NO_DOCSTRINGS = 2
"""The level of optimization that leaves them out: they are a quarter of what a call loads."""

LAUNCHER_TEXT = """\
#!/bin/sh
# Runs from wherever this folder lies. (The kubelet's own entries start the interpreter themselves.)
here=$(dirname "$(readlink -f "$0")")
exec "$here/{python}" {flags} -c '{program}' "$@"
"""


def build(target: Path) -> Description:
    """Build the bundle at ``target``, in place of what is there, and return its description.

    Raises:
        BundleError: something it needs is not on this machine.
        CommandError: a tool failed, or the bundle lacks a module.
    """
    work = target.with_name(f".{target.name}.building")
    shutil.rmtree(work, ignore_errors=True)
    (work / EXTENSIONS).mkdir(parents=True)
    modules = driver_modules()
    for source in modules:
        _add_module(work, source)
    _add(Path(sys._base_executable).resolve(), work / PYTHON)  # type: ignore[attr-defined]  # noqa: SLF001 - the only name of it in a virtual environment
    _add_libraries(work)
    for name, module in LAUNCHERS.items():
        _add_launcher(work / name, module)
    versions = set[tuple[int, ...]]().union(*map(elf.glibc_versions, _compiled(work)))
    _import_all(work, modules)
    description = Description(
        version=__version__,
        python=sys.version.split()[0],
        glibc=elf.newest(versions),
        files=dict(contents(work)),
    )
    write_description(work, description)
    shutil.rmtree(target, ignore_errors=True)
    work.rename(target)
    return description


def _add_module(work: Path, source: Source) -> None:
    if source.is_extension:
        _add(source.path, work / EXTENSIONS / source.path.name)
        return
    path = work / STDLIB / source.name.replace(".", "/")
    path = path / "__init__.pyc" if source.is_package else path.with_suffix(".pyc")
    path.parent.mkdir(parents=True, exist_ok=True)
    py_compile.compile(
        str(source.path),
        cfile=str(path),
        dfile=str(path.relative_to(work / STDLIB).with_suffix(".py")),
        doraise=True,
        optimize=NO_DOCSTRINGS,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _add(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)


def _add_libraries(work: Path) -> None:
    """Bring the libraries along that are not glibc's, and have everything look for them there."""
    found: dict[str, Path] = {}
    for path in _compiled(work):
        found |= elf.libraries(path)
    for name, source in found.items():
        _add(source.resolve(), work / LIBRARIES / name)
    for path in _compiled(work):
        elf.search_beside(path, os.path.relpath(work / LIBRARIES, path.parent))


def _compiled(work: Path) -> Iterator[Path]:
    """Yield every compiled file: the interpreter, libraries and extensions."""
    yield work / PYTHON
    yield from sorted(work.rglob("*.so*"))


def _import_all(work: Path, modules: Iterable[Source]) -> None:
    """Import every module with the bundle's own interpreter, so that none lacks another.

    Raises:
        CommandError: one does.
    """
    lines = [f"import {source.name}" for source in modules]
    run([str(work / PYTHON), FLAGS, "-c", "\n".join(lines)])


def _add_launcher(path: Path, module: str) -> None:
    program = PROGRAM.format(module=module)
    path.write_text(LAUNCHER_TEXT.format(python=PYTHON, flags=FLAGS, program=program))
    path.chmod(0o755)
