"""Which modules the driver uses: found by reading its code, lazy imports included.

What is left out on purpose stands in ``LEFT_OUT``: modules that a library imports for a case that
cannot occur in the driver. Importing one there is an ImportError; the builder imports every module
that is in a bundle once, and so would notice.
"""

import importlib.machinery
import sys
from dataclasses import dataclass
from modulefinder import Module, ModuleFinder
from pathlib import Path

import flexvol
from flexvol.bundle.layout import BundleError

NOT_THE_DRIVERS = (
    "flexvol.agent", "flexvol.bundle.__main__", "flexvol.bundle.build", "flexvol.bundle.closure",
    "flexvol.bundle.elf",
)  # fmt: skip

STARTUP = ("codecs", "encodings.aliases", "encodings.ascii", "encodings.latin_1", "encodings.utf_8")
"""What the interpreter imports before any program runs."""

LEFT_OUT = (
    "IPython", "_hashlib", "_pydecimal", "asyncio", "attr", "bz2", "concurrent", "ctypes.wintypes",
    "doctest", "email", "encodings.mbcs", "http", "importlib.metadata", "importlib.readers",
    "importlib.resources", "ipywidgets", "lzma", "markdown_it", "multiprocessing", "pdb",
    "plistlib", "pydoc", "pygments", "rich.__main__", "rich._win32_console", "rich._windows",
    "rich._windows_renderer", "rich.json", "rich.markdown", "rich.syntax", "rich.traceback", "ssl",
    "tarfile", "tkinter", "unittest", "urllib.request", "webbrowser", "xml", "xmlrpc", "zipfile",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One module.

    Attributes:
        name: as imported.
        path: its file: Python source, or a compiled extension.
        is_package: whether it is a package's ``__init__``.
    """

    name: str
    path: Path
    is_package: bool

    @property
    def is_extension(self) -> bool:
        """Whether it is compiled C and not Python."""
        return self.path.name.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))


def driver_modules() -> list[Source]:
    """Return every module the driver can import and that has a file, ordered by name.

    Raises:
        BundleError: a module's source is not to be had, or the driver itself imports one of
            those that are left out.
    """
    finder = ModuleFinder(path=sys.path, excludes=[*LEFT_OUT, *NOT_THE_DRIVERS])
    roots = [*_driver_packages(), *STARTUP]
    program = compile("\n".join(f"import {name}" for name in roots), "driver", "exec")
    module = finder.add_module("__main__")
    module.__file__ = None  # type: ignore[attr-defined] # typeshed leaves the attributes out
    finder.scan_code(program, module)
    for name, importers in finder.badmodules.items():
        is_module = name in LEFT_OUT or "." not in name  # and not a name in one
        if is_module and any(importer.startswith("flexvol") for importer in importers):
            raise BundleError(f"{name}, which the driver imports, is left out or not to be had")
    found = [_source(module) for name, module in finder.modules.items() if name != "__main__"]
    return sorted((one for one in found if one), key=lambda one: one.name)


def _driver_packages() -> list[str]:
    """Return the driver's own modules: some are imported only by name, by nobody's import."""
    root = Path(flexvol.__path__[0])
    names = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        if not name.startswith(NOT_THE_DRIVERS):
            names.append(name)
    return names


def _source(module: Module) -> Source | None:
    path = module.__file__  # type: ignore[attr-defined] # as above
    if path is None:
        return None
    if path.endswith(".pyc"):
        raise BundleError(f"{module.__name__} is there as bytecode only: {path}")  # type: ignore[attr-defined] # as above
    is_package = module.__path__ is not None  # type: ignore[attr-defined] # as above
    return Source(module.__name__, Path(path), is_package)  # type: ignore[attr-defined] # as above
