"""The options a person may set: one table, from which annotations and ConfigMaps are both read.

An option named ``cpu`` is the annotation ``dind/cpu`` of a pod and the key ``cpu`` of a ConfigMap
``dind-defaults``. Its text is read by one parser, and what is right is said in one sentence.
"""

import re
from collections.abc import Callable
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import msgspec

from flexvol.contract import EXTENT_MIB, MIN_STORAGE_MIB, READ_ONLY, READ_WRITE
from webhook import quantity


class Storage(StrEnum):
    """Where the graph lives."""

    SLAB = "slab"
    EMPTY_DIR = "emptyDir"


class Cache(StrEnum):
    """What becomes of what a pod leaves in its graph."""

    READ_WRITE = READ_WRITE
    READ_ONLY = READ_ONLY


class DockerHost(StrEnum):
    """How the containers reach the daemon."""

    UNIX = "unix"
    TCP = "tcp"


class Options(msgspec.Struct, frozen=True):
    """The options of one pod; the values given here are the built-in defaults.

    Attributes:
        inject: whether a labelled pod gets a daemon at all.
        storage: where the graph lives.
        storage_size_mib: its size in MiB, a multiple of the extent.
        cache_key: a cache of its own within the namespace; empty for the namespace's common one.
        cache: whether what the pod leaves reaches later pods.
        image: the daemon's image.
        cpu: the daemon's request, a quantity as written.
        memory: likewise.
        cpu_limit: the daemon's limit, a quantity as written; None for no limit.
        memory_limit: likewise.
        docker_host: how the containers reach the daemon.
        containers: the only containers that get Docker; empty for all.
        share_volumes: whether the daemon sees the containers' volumes at the same paths.
    """

    inject: bool = True
    storage: Storage = Storage.SLAB
    storage_size_mib: int = 10240
    cache_key: str = ""
    cache: Cache = Cache.READ_WRITE
    image: str = "docker:29-dind"
    cpu: str = "100m"
    memory: str = "512Mi"
    cpu_limit: str | None = None
    memory_limit: str | None = None
    docker_host: DockerHost = DockerHost.UNIX
    containers: tuple[str, ...] = ()
    share_volumes: bool = True


class Key(NamedTuple):
    """One row of the table: what a name means and how its text is read.

    Attributes:
        field: the attribute that holds the value.
        parse: from the text to the value; raises ValueError where the text is wrong.
        right: what would be right, to end the sentence that says what is wrong.
    """

    field: str
    parse: Callable[[str], object]
    right: str


def parse_flag(text: str) -> bool:
    """Return whether ``text`` is ``true`` rather than ``false``.

    Raises:
        ValueError: it is neither.
    """
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


class SizeTooSmallError(ValueError):
    """A quantity, but too small for a graph storage."""


@lru_cache(maxsize=1024)
def parse_size_mib(text: str) -> int:
    """Return a size in MiB, rounded up to whole extents, as the driver makes its slabs.

    Raises:
        SizeTooSmallError: it is under ``MIN_STORAGE_MIB``.
        ValueError: ``text`` is no quantity.
    """
    size = quantity.parse(text)
    if size < MIN_STORAGE_MIB * quantity.MIB:
        raise SizeTooSmallError(text)
    return quantity.mib(size, multiple=EXTENT_MIB)


# The grammar of github.com/distribution/reference, with its limit of the whole.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?=.{{1,255}}$)(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{{1,5}})?/)?"
    rf"{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_CACHE_KEY = re.compile(r"(?!.*\.\.)[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(text)
        return text

    return parse


def _parse_containers(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(map(_DNS_LABEL.fullmatch, names)):
        raise ValueError(text)
    return tuple(dict.fromkeys(names))


def _parse_amount(steps: int) -> Callable[[str], str]:
    """Return a parser of an amount above nothing, in whole parts of ``steps`` to the unit."""

    def parse(text: str) -> str:
        amount = quantity.parse(text)
        if not amount or amount * steps % 1:
            raise ValueError(text)
        return text

    return parse


_parse_cpu = _parse_amount(1000)
_parse_memory = _parse_amount(1)

_FLAG = 'write "true" or "false"'
_CPU = 'write processors as a quantity, such as "500m" or "2"'
_MEMORY = 'write whole bytes as a quantity, such as "512Mi" or "4Gi"'

OPTIONS = {
    "inject": Key("inject", parse_flag, _FLAG),
    "storage": Key("storage", Storage, 'write "slab" or "emptyDir"'),
    "storage-size": Key(
        "storage_size_mib",
        parse_size_mib,
        'write a size as a quantity, such as "10Gi", "500M" or "10240Mi"',
    ),
    "cache-key": Key(
        "cache_key",
        _matching(_CACHE_KEY),
        "write 1 to 128 letters, digits and . _ / - that begin and end with a letter or digit "
        "and hold no ..",
    ),
    "cache": Key("cache", Cache, 'write "read-write" or "read-only"'),
    "image": Key("image", _matching(_IMAGE), 'write an image, such as "docker:29-dind"'),
    "cpu": Key("cpu", _parse_cpu, _CPU),
    "memory": Key("memory", _parse_memory, _MEMORY),
    "cpu-limit": Key("cpu_limit", _parse_cpu, _CPU),
    "memory-limit": Key("memory_limit", _parse_memory, _MEMORY),
    "docker-host": Key("docker_host", DockerHost, 'write "unix" or "tcp"'),
    "containers": Key(
        "containers", _parse_containers, 'write names of containers, such as "build,test"'
    ),
    "share-volumes": Key("share_volumes", parse_flag, _FLAG),
}
"""By name, as it stands after ``dind/`` and in a ConfigMap."""


def nearest(name: str, known: tuple[str, ...]) -> str | None:
    """Return the one of ``known`` that ``name`` was probably meant to be, if any."""
    lowered = name.lower().replace("_", "-")
    return next(iter(get_close_matches(lowered, known, n=1, cutoff=0.6)), None)
