"""What only the cluster's ConfigMap may say: the bounds, and what a company's network needs.

One table again, as in ``webhook.options``: key, reader, and what would be right.
"""

import ipaddress
import re
import ssl
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from webhook import names
from webhook.options import OPTIONS, Key, parse_flag, parse_size_mib


class Sidecar(StrEnum):
    """How the daemon's container stands in the pod.

    ``NATIVE`` is an init container with ``restartPolicy: Always`` (Kubernetes 1.29 and later),
    ``CONTAINER`` an ordinary one.
    """

    NATIVE = "native"
    CONTAINER = "container"


class Admin(msgspec.Struct, frozen=True):
    """What the cluster's ConfigMap says beside the options.

    Attributes:
        max_storage_size_mib: no graph storage may be larger; None for no bound.
        allowed_images: glob patterns, one of which the daemon's image must match; empty for any.
        enforce: names of options that neither a pod nor a namespace may change.
        sidecar: how the daemon's container stands in the pod.
        slab_resource: whether a pod asks the scheduler for room on the node.
        registry_mirrors: URLs.
        insecure_registries: hosts, with port where needed, or CIDR networks.
        registry_ca: certificates in PEM, to be trusted for every registry.
        daemon_env: names and values, proxies for one.
        daemon_args: further arguments of dockerd.
        image_pull_secrets: names of Secrets for the daemon's image.
        min_api_version: the oldest Docker API that the daemon speaks; empty for its own default.
    """

    max_storage_size_mib: int | None = None
    allowed_images: tuple[str, ...] = ()
    enforce: frozenset[str] = frozenset()
    sidecar: Sidecar = Sidecar.NATIVE
    slab_resource: bool = False
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    registry_ca: str = ""
    daemon_env: tuple[tuple[str, str], ...] = ()
    daemon_args: tuple[str, ...] = ()
    image_pull_secrets: tuple[str, ...] = ()
    min_api_version: str = ""


MAX_VARIABLE_KIB = 120
"""Of what reaches the daemon as one variable.

Linux starts no program with one over 128 KiB, its name included (``MAX_ARG_STRLEN``, execve(2)).
"""

_Value = TypeVar("_Value")


def _told(read: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """Return ``read`` for a text that one variable of the daemon's can hold."""

    def read_short(text: str) -> _Value:
        if len(text.encode()) > MAX_VARIABLE_KIB * 1024:
            raise ValueError(text)
        return read(text)

    return read_short


def _each(check: Callable[[str], bool]) -> Callable[[str], tuple[str, ...]]:
    """Return a reader of words, each of which passes ``check``."""

    def read(text: str) -> tuple[str, ...]:
        words = tuple(text.split())
        if not all(map(check, words)):
            raise ValueError(text)
        return words

    return read


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _is_mirror(url: str) -> bool:
    """Say whether dockerd takes ``url`` as a mirror: scheme and host, nothing more."""
    parts = urlsplit(url)
    return (
        parts.scheme in {"http", "https"}
        and _is_host(parts.netloc)
        and parts.path in {"", "/"}
        and not parts.query
        and not parts.fragment
    )


def _is_registry(text: str) -> bool:
    return _is_network(text) if "/" in text else _is_host(text)


_HOST = re.compile(
    r"(?P<name>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[(?P<v6>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?"
)


def _is_host(text: str) -> bool:
    """Say whether ``text`` is a host with or without a port: a name, or an address."""
    host = _HOST.fullmatch(text)
    if host is None or not 0 < int(host["port"] or 1) < 2**16:
        return False
    if host["v6"] is not None:
        return _is_network(host["v6"])
    labels = host["name"].split(".")
    return not any(label.startswith("-") or label.endswith("-") for label in labels)


def _is_network(text: str) -> bool:
    """Say whether ``text`` is an address with or without the length of its prefix (CIDR)."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" not in text or text.rpartition("/")[2].isdigit()


def _is_secret_name(text: str) -> bool:
    label = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
    return len(text) <= 253 and re.fullmatch(rf"{label}(\.{label})*", text) is not None


def _read_enforce(text: str) -> frozenset[str]:
    words = frozenset(text.replace(",", " ").split())
    if not words <= OPTIONS.keys():
        raise ValueError(text)
    return words


def _read_certificates(text: str) -> str:
    if not text.strip():
        return ""
    if not text.isascii() or "PRIVATE KEY" in text:
        raise ValueError("not certificates alone")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except ssl.SSLError as error:
        raise ValueError(text) from error
    return text.strip() + "\n"


OWN_ENVIRONMENT = frozenset(
    {"PATH", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_CERTDIR", names.ENV_MIN_API_VERSION}
)
"""Variables that the daemon's script or another key of the ConfigMap sets."""


def _read_environment(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for line in _lines(text):
        name, separator, value = line.partition("=")
        if (
            not separator
            or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
            or name.startswith(names.ENV_PREFIX)
            or name in OWN_ENVIRONMENT
            or len(line.encode()) > MAX_VARIABLE_KIB * 1024
        ):
            raise ValueError(line)
        pairs.append((name, value))
    return tuple(dict(pairs).items())


OWN_ARGUMENTS = frozenset(
    {"--host", "--data-root", "--exec-root", "--pidfile", "--group", "--containerd"}
    | {"--config-file", "--shutdown-timeout", "--tls", "--tlsverify"}
    | {"--tlscacert", "--tlscert", "--tlskey", "--userns-remap", "--cgroup-parent", "--graph"}
    | {"--validate", "--version", "--help"}
)
"""Flags of dockerd that the daemon's script sets itself, or that would undo what it promises."""

_ARGUMENT = re.compile(r"--[a-z][a-z0-9-]+(=\S.*)?")


def _read_arguments(text: str) -> tuple[str, ...]:
    arguments = _lines(text)
    for argument in arguments:
        if argument.partition("=")[0] in OWN_ARGUMENTS or not _ARGUMENT.fullmatch(argument):
            raise ValueError(argument)
    return arguments


def _read_api_version(text: str) -> str:
    if not re.fullmatch(r"1\.[0-9]{1,3}", text):
        raise ValueError(text)
    return text


ADMIN_KEYS = {
    "max-storage-size": Key(
        "max_storage_size_mib",
        parse_size_mib,
        'write a size as a quantity, such as "100Gi"',
    ),
    "allowed-images": Key(
        "allowed_images",
        _lines,
        "write a glob pattern a line",
    ),
    "enforce": Key(
        "enforce",
        _read_enforce,
        f"write names of options: {', '.join(OPTIONS)}",
    ),
    "sidecar": Key("sidecar", Sidecar, 'write "native" or "container"'),
    "slab-resource": Key("slab_resource", parse_flag, 'write "true" or "false"'),
    "registry-mirrors": Key(
        "registry_mirrors",
        _told(_each(_is_mirror)),
        "write URLs of scheme and host, such as https://mirror.example.com",
    ),
    "insecure-registries": Key(
        "insecure_registries",
        _told(_each(_is_registry)),
        "write hosts with their port, such as registry.example.com:5000, or CIDR networks",
    ),
    "registry-ca": Key(
        "registry_ca",
        _told(_read_certificates),
        f"write certificates in PEM, at most {MAX_VARIABLE_KIB} KiB, and nothing else",
    ),
    "daemon-env": Key(
        "daemon_env",
        _read_environment,
        "write NAME=value a line, such as HTTPS_PROXY=http://proxy.example.com:3128; "
        f"names that begin with {names.ENV_PREFIX} and {', '.join(sorted(OWN_ENVIRONMENT))} "
        "are the daemon's own",
    ),
    "daemon-args": Key(
        "daemon_args",
        _told(_read_arguments),
        "write a long argument of dockerd a line, its value after =, such as --log-level=warn; "
        f"{' '.join(sorted(OWN_ARGUMENTS))} cannot be set",
    ),
    "image-pull-secrets": Key(
        "image_pull_secrets",
        _each(_is_secret_name),
        "write names of Secrets, separated by spaces",
    ),
    "min-api-version": Key(
        "min_api_version",
        _read_api_version,
        'write a version of the Docker API, such as "1.24"',
    ),
}
"""By key of the cluster's ConfigMap; ``field`` is the attribute of ``Admin``."""
