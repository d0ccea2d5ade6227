"""``slab status``: what the node has, as a table for people, as JSON for programs."""

import os

from flexvol import __version__
from flexvol.errors import SlabError
from flexvol.node import Node
from flexvol.settings import load, load_anyway
from flexvol.survey import Survey, document, survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COLUMNS = ("SLAB", "STATE", "MIB", "USES", "SCOPE", "GRAPH", "HELD AT")


def table(environ: "Mapping[str, str]") -> "Iterator[str]":
    """Yield the lines of the table.

    Raises:
        SlabError: the settings or the volume group cannot be read.
    """
    found = survey(Node(load(environ)))
    rows = [_COLUMNS, *_rows(found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
    facts: dict[str, int] = document(found)["pool"]  # type: ignore[assignment] # JSON
    sizes = (facts[f"{name}_bytes"] >> 20 for name in ("size", "free", "reclaimable"))
    yield "volume group {}: {} MiB for slabs, {} free, {} reclaimable".format(
        found.inventory.group.name, *sizes
    )


def _rows(found: Survey) -> "Iterator[tuple[str, ...]]":
    for slab, state in zip(found.inventory.slabs, found.states, strict=True):
        size, uses = str(slab.size_mib), str(slab.uses)
        yield slab.name, state, size, uses, slab.scope, slab.graph_format, slab.holder


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
        answer |= document(survey(Node(settings)))
    except SlabError as error:
        answer["error"] = {"cause": error.cause, "message": str(error)}
    return answer
