"""What the webhook writes and the node reads, and the other way round: the one contract of the two.

The webhook writes a volume's options, which the driver reads. The node's agent writes what its node
has to offer, which the webhook has the scheduler look for. Imports nothing that is slow to import:
the kubelet starts the driver for every call.
"""

from flexvol.record import Record

DRIVER = "dind/slab"
"""The driver's name in a pod's ``flexVolume.driver``."""

EXTENT_MIB = 4
"""LVM's default physical extent: every slab is a whole number of these."""

MIN_STORAGE_MIB = 256
"""The smallest slab that the webhook asks for. A graph storage under this holds no image worth
keeping, and ext4's own structures fill it."""

SLAB_RESOURCE = "dind/slab-mib"
"""The extended resource of a node, in MiB of slabs."""

DRIVER_LABEL = "dind/driver"
DRIVER_READY = "ready"
"""The label of a node whose driver and pool are in order, and its value."""

WARM_PREFIX = "dind.warm/"
WARM = "true"
"""Labels of a node, one for each kind of slab that lies there free and warm: see ``warm_label``."""

SIZE_MB = "size_mb"
CACHE_KEY = "cache_key"
CACHE = "cache"
GRAPH_FORMAT = "graph_format"
VOLUME_TYPE = "volume_type"

GRAPH_STORAGE = "docker-graph-storage"
ANONYMOUS = "anonymous"

READ_WRITE = "read-write"
READ_ONLY = "read-only"

_OLD_VOLUME_TYPE = "ax_vol_type"
_OLD_VOLUME_TYPES = {"ax-docker-graph-storage": GRAPH_STORAGE, "ax-anonymous": ANONYMOUS}
"""The 2017 plugin's names, for pods written for it."""

_LETTERS_AND_DIGITS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_CACHE_KEY_CHARACTERS = _LETTERS_AND_DIGITS | frozenset("._/-")
_GRAPH_FORMAT_CHARACTERS = _LETTERS_AND_DIGITS | frozenset("._/-:+@")
_MAX_CACHE_KEY = 128
_MAX_GRAPH_FORMAT = 200
_MAX_SIZE_MIB = 1 << 40


class OptionError(ValueError):
    """An option is wrong; the message names it, its value and what would be right."""


class SlabOptions(Record):
    """The flexVolume options of one graph storage.

    Attributes:
        size_mib: size of the slab in MiB, a multiple of ``EXTENT_MIB``.
        cache_key: a cache of its own within the namespace; empty for the namespace's common one.
        graph_format: which daemons understand the graph, ``docker-29`` for one.
        volume_type: ``GRAPH_STORAGE`` (kept and reused) or ``ANONYMOUS`` (deleted on unmount).
        cache: ``READ_WRITE``, or ``READ_ONLY``: what the pod leaves reaches no other pod.
    """

    size_mib: int
    cache_key: str = ""
    graph_format: str = ""
    volume_type: str = GRAPH_STORAGE
    cache: str = READ_WRITE

    def as_options(self) -> "dict[str, str]":
        """Return the options as a pod's ``flexVolume.options``: strings only, defaults left out."""
        options = {SIZE_MB: str(self.size_mib)}
        if self.cache_key:
            options[CACHE_KEY] = self.cache_key
        if self.cache != READ_WRITE:
            options[CACHE] = self.cache
        if self.graph_format:
            options[GRAPH_FORMAT] = self.graph_format
        if self.volume_type != GRAPH_STORAGE:
            options[VOLUME_TYPE] = self.volume_type
        return options


def warm_label(namespace: str, options: SlabOptions) -> str:
    """Return the name of a node's label that promises a warm slab.

    A hash of all that decides whether a slab fits a pod, as far as both sides know it: a label's
    name is short, and a scope need not be.

    Args:
        namespace: the pod's.
        options: what the pod asks for.
    """
    import hashlib  # the driver has no use for it

    parts = (namespace, options.cache_key, str(options.size_mib), options.graph_format)
    return WARM_PREFIX + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def read_options(options: "dict[str, str]") -> SlabOptions:
    """Return the pod author's own options, checked; sizes are rounded up to whole extents.

    Args:
        options: the flexVolume's options without the kubelet's own (``kubernetes.io/…``).

    Raises:
        OptionError: an option is missing, unknown or wrong.
    """
    known = (SIZE_MB, CACHE_KEY, CACHE, GRAPH_FORMAT, VOLUME_TYPE, _OLD_VOLUME_TYPE)
    for name, value in options.items():
        if name not in known:
            raise OptionError(f"option {name!r} is not known; known are {', '.join(known[:-1])}")
        if not isinstance(value, str):
            raise OptionError(f"option {name} is {value!r}; it must be a string")
    return SlabOptions(
        size_mib=_size_mib(options.get(SIZE_MB)),
        cache_key=check_cache_key(options.get(CACHE_KEY, "")),
        cache=_cache(options.get(CACHE, READ_WRITE)),
        graph_format=_graph_format(options.get(GRAPH_FORMAT, "")),
        volume_type=_volume_type(options),
    )


def check_cache_key(key: str) -> str:
    """Return ``key`` if it may name a cache (or is empty, for the common one).

    Raises:
        OptionError: it may not.
    """
    fine = (
        len(key) <= _MAX_CACHE_KEY
        and _CACHE_KEY_CHARACTERS.issuperset(key)
        and _LETTERS_AND_DIGITS.issuperset(key[:1] + key[-1:])
        and ".." not in key
    )
    if not fine:
        raise OptionError(
            f"{CACHE_KEY} {key[:200]!r} is not a cache key: at most {_MAX_CACHE_KEY} letters, "
            "digits and . _ / -, beginning and ending with a letter or digit, without .."
        )
    return key


def _size_mib(text: "str | None") -> int:
    if text is None:
        raise OptionError(f'{SIZE_MB} is missing; give the size in MiB, as in {SIZE_MB}: "10240"')
    digits = text.isascii() and text.isdigit() and len(text) < 16
    size = int(text) if digits else 0
    if not 0 < size <= _MAX_SIZE_MIB:
        raise OptionError(
            f'{SIZE_MB} {text[:200]!r} is not a size; give MiB as digits, as in {SIZE_MB}: "10240"'
        )
    return -(-size // EXTENT_MIB) * EXTENT_MIB


def _cache(text: str) -> str:
    if text not in (READ_WRITE, READ_ONLY):
        raise OptionError(
            f"{CACHE} {text[:200]!r} is not known; known are {READ_WRITE} and {READ_ONLY}"
        )
    return text


def _graph_format(text: str) -> str:
    if len(text) > _MAX_GRAPH_FORMAT or not _GRAPH_FORMAT_CHARACTERS.issuperset(text):
        raise OptionError(
            f"{GRAPH_FORMAT} {text[:200]!r} is not a graph format: at most {_MAX_GRAPH_FORMAT} "
            "letters, digits and . _ / - : + @"
        )
    return text


def _volume_type(options: "dict[str, str]") -> str:
    named = options.get(VOLUME_TYPE)
    if named is None and _OLD_VOLUME_TYPE in options:
        old = options[_OLD_VOLUME_TYPE]
        if old not in _OLD_VOLUME_TYPES:
            raise OptionError(
                f"{_OLD_VOLUME_TYPE} {old[:200]!r} is not known; "
                f"known are {' and '.join(_OLD_VOLUME_TYPES)}"
            )
        return _OLD_VOLUME_TYPES[old]
    if named not in (None, GRAPH_STORAGE, ANONYMOUS):
        raise OptionError(
            f"{VOLUME_TYPE} {named[:200]!r} is not known; known are {GRAPH_STORAGE} and {ANONYMOUS}"
        )
    return named or GRAPH_STORAGE
