"""What the webhook writes and the driver reads: the one contract between the two programs.

Imports the standard library only: the kubelet starts the driver for every call, and every import
is paid there.
"""

from typing import NamedTuple

DRIVER = "dind/slab"
"""The driver's name in a pod's ``flexVolume.driver``."""

EXTENT_MIB = 4
"""LVM's default physical extent: every slab is a whole number of these."""

SIZE_MB = "size_mb"
CACHE_KEY = "cache_key"
GRAPH_FORMAT = "graph_format"
VOLUME_TYPE = "volume_type"

GRAPH_STORAGE = "docker-graph-storage"
ANONYMOUS = "anonymous"


class SlabOptions(NamedTuple):
    """The flexVolume options of one graph storage.

    Attributes:
        size_mib: size of the slab in MiB, a multiple of ``EXTENT_MIB``.
        cache_key: a cache of its own within the namespace; empty for the namespace's common one.
        graph_format: which daemons understand the graph, ``docker-29`` for one.
        volume_type: ``GRAPH_STORAGE`` (kept and reused) or ``ANONYMOUS`` (deleted on unmount).
    """

    size_mib: int
    cache_key: str = ""
    graph_format: str = ""
    volume_type: str = GRAPH_STORAGE

    def as_options(self) -> dict[str, str]:
        """Return the options as a pod's ``flexVolume.options``: strings only, defaults left out."""
        options = {SIZE_MB: str(self.size_mib)}
        if self.cache_key:
            options[CACHE_KEY] = self.cache_key
        if self.graph_format:
            options[GRAPH_FORMAT] = self.graph_format
        if self.volume_type != GRAPH_STORAGE:
            options[VOLUME_TYPE] = self.volume_type
        return options
