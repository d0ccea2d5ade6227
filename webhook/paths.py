"""Mount paths: what the kubelet takes them for, and which of them the daemon needs itself."""

import posixpath
from collections.abc import Iterator
from pathlib import PurePath

from webhook import names

NEEDED = frozenset(
    {"/", "/etc", "/etc/hostname", "/etc/hosts", "/etc/passwd", "/etc/group", "/etc/resolv.conf"}
    | {"/dev", "/dev/pts", "/dev/mqueue", "/run", "/tmp"}  # noqa: S108 - kept free, not used
)
"""Paths that the daemon needs as they are; what lies below them may be mounted over."""

NEEDED_WHOLE = frozenset(
    {"/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64"}
    | {"/usr/libexec", "/usr/local/bin", "/usr/local/sbin", "/usr/local/lib", "/usr/local/libexec"}
    | {"/etc/docker", "/etc/ssl", "/certs", "/proc", "/sys"}
    | {"/run/docker", "/run/containerd", "/run/xtables.lock", "/run/secrets/kubernetes.io"}
    | {"/var/lib/containerd", names.GRAPH_DIR, names.SOCKET_DIR}
)
"""Paths that the daemon needs with all that lies below them."""

_AT_OR_ABOVE = NEEDED | {str(parent) for path in NEEDED_WHOLE for parent in PurePath(path).parents}
_DEEPEST = max(path.count("/") for path in NEEDED_WHOLE)


def normal(path: str) -> str:
    """Return a mount path as the kubelet takes it, ``/var/run`` as the ``/run`` that it is."""
    path = posixpath.normpath(f"/{path.lstrip('/')}")
    in_run = path == "/var/run" or path.startswith("/var/run/")
    return path.removeprefix("/var") if in_run else path


def is_needed(path: str) -> bool:
    """Say whether the daemon itself needs what is at ``path``, a normal one.

    ========================  ======
    path                      needed
    ========================  ======
    /                         yes
    /etc                      yes
    /etc/app                  no
    /tmp                      yes
    /tmp/build                no
    /usr                      yes
    /usr/local/bin            yes
    /usr/local/bin/tool       yes
    /usr/share/app            no
    /var                      yes
    /var/lib/docker           yes
    /var/lib/docker/volumes   yes
    /var/lib/dockerfiles      no
    /run                      yes
    /run/dind                 yes
    /run/argo                 no
    /proc/1                   yes
    /home/runner/_work        no
    ========================  ======
    """
    return path in _AT_OR_ABOVE or not NEEDED_WHOLE.isdisjoint(_beginnings(path))


def _beginnings(path: str) -> Iterator[str]:
    """Yield the directories that ``path`` begins with and itself, as deep as a needed one lies."""
    end = path.find("/", 1)
    for _ in range(_DEEPEST):
        if end == -1:
            yield path
            return
        yield path[:end]
        end = path.find("/", end + 1)
