"""``slab status``: what the node has, as a table for people, as JSON for programs."""

import os
import sys
import time

from flexvol import __version__
from flexvol.errors import BadCallError, SlabError
from flexvol.generations import refuse_faulty_pool
from flexvol.node import Node
from flexvol.settings import THIN, load, load_anyway
from flexvol.survey import Survey, document, survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COLUMNS = ("SLAB", "STATE", "MIB", "USED", "USES", "LAST RELEASE", "SCOPE", "GRAPH", "HOLDER")
_NUMBERS = ("MIB", "USED", "USES")
_UNLIMITED = 1000
"""The width of a table that no person sees in a terminal: nothing is folded then."""


def show(environ: "Mapping[str, str]") -> None:
    """Print the table.

    Raises:
        SlabError: the settings or the volume group cannot be read.
        BadCallError: the interpreter has no rich. The bundle's has.
    """
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        raise BadCallError(
            "this Python has no package rich, which the table needs",
            "use the bundle's slab, or slab status --json",
        ) from None
    found = survey(Node(load(environ)))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name in _NUMBERS else "left", no_wrap=True)
    for row in _rows(found):
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_UNLIMITED)
    with console.capture() as text:
        console.print(table)
        console.print(summary(found))
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in text.get().splitlines())


def summary(found: Survey) -> str:
    """Return the pool in one line; in two, where it is a thin one."""
    facts: dict[str, int] = document(found)["pool"]  # type: ignore[assignment] # JSON
    sizes = (facts[f"{name}_bytes"] >> 20 for name in ("size", "free", "reclaimable"))
    line = "volume group {}: {} MiB for slabs, {} free, {} reclaimable".format(
        found.inventory.group.name, *sizes
    )
    return "\n".join(filter(None, (_thin_pool(found), line)))


def _thin_pool(found: Survey) -> str:
    pool = found.inventory.pool
    if pool is None:
        return "no thin pool: run slab setup" if found.provisioning == THIN else ""
    if pool.fault:
        return f"the thin pool cannot be written to: {pool.fault}"
    used = f"{found.data_percent or 0:.0f} % of its data"
    return f"thin pool: {used} and {pool.metadata_percent or 0:.0f} % of its metadata in use"


def _rows(found: Survey) -> "Iterator[tuple[str, ...]]":
    slabs = zip(found.inventory.slabs, found.states, found.used_percents, strict=True)
    for slab, state, used in slabs:
        yield (
            slab.name,
            state,
            str(slab.size_mib),
            "" if used is None else f"{used} %",
            str(slab.uses),
            _local_time(slab.released_at),
            slab.scope,
            slab.graph_format,
            _holder(slab.holder),
        )


def _local_time(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else ""


def _holder(directory: str) -> str:
    """Return the pod's UID and its volume's name, of the directory they are mounted at."""
    parts = directory.rsplit("/", 4)
    return f"pod {parts[1]}, volume {parts[4]}" if len(parts) == 5 else directory


def report(environ: "Mapping[str, str]") -> "dict[str, object]":
    """Return the JSON document: always one, with an ``error`` where something is wrong.

    Paths are the real ones: a reader in another mount namespace cannot follow the node's links.
    """
    settings, broken = load_anyway(environ)
    answer: dict[str, object] = {
        "version": __version__,
        "log_file": os.path.realpath(settings.log_file),
        "run_dir": os.path.realpath(settings.run_dir),
    }
    try:
        if broken is not None:
            raise broken
        found = survey(Node(settings))
        answer |= document(found)
        if found.provisioning == THIN:
            refuse_faulty_pool(found.inventory)
    except SlabError as error:
        answer["error"] = {"cause": error.cause, "message": str(error)}
    return answer
