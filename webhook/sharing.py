"""The containers' volumes in the daemon, at the same paths.

``docker run -v $PWD:/src`` names a path of the daemon's own file system: the files are there only
if the daemon mounts what the container mounts.
"""

import re
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

from webhook.outcome import listed, quoted
from webhook.paths import is_needed, normal
from webhook.pod import Container, EnvVar, PodSpec, VolumeMount

_RESERVED_VARIABLE = re.compile(
    r"PATH|HOME|IFS|ENV|LD_\w+|DOCKER\w*|DIND_\w+|MOBY_\w+|BUILDKIT_\w+|\w+_(?i:proxy)"
)
"""Variables that would change how the daemon works."""
_MAX_VARIABLES = 16
"""More than that stand behind no honest path; following them all would take its time."""


class Shared(NamedTuple):
    """What the daemon mounts of the containers'.

    Attributes:
        mounts: one for each path, in the order of the containers.
        env: the variables that the mounts' ``subPathExpr`` refer to.
        warnings: what cannot be shared, and why.
    """

    mounts: tuple[VolumeMount, ...] = ()
    env: tuple[EnvVar, ...] = ()
    warnings: tuple[str, ...] = ()


NOTHING_SHARED = Shared()


def shared_volumes(
    spec: PodSpec, users: Iterable[Container], taken_variables: frozenset[str]
) -> Shared:
    """Return what the daemon mounts, so that it sees the volumes of ``users``.

    Args:
        spec: the pod's.
        users: the containers that get Docker.
        taken_variables: names of the daemon's own environment.
    """
    shareable = {
        volume.name
        for volume in spec.volumes or ()
        if volume.empty_dir is not None
        or volume.persistent_volume_claim is not None
        or volume.ephemeral is not None
    }
    if not shareable:
        return NOTHING_SHARED
    return _Collection(spec, taken_variables).gather(users, shareable)


class _Collection:
    """The mounts gathered so far, by path."""

    def __init__(self, spec: PodSpec, taken_variables: frozenset[str]) -> None:
        self._taken = taken_variables
        self._mounts: dict[str, VolumeMount] = {}
        self._env: dict[str, EnvVar] = {}
        self._places_in_init = _places(spec.init_containers or ())
        self._needed: dict[str, None] = {}
        self._conflicts: dict[str, None] = {}
        self._unexpanded: dict[str, None] = {}
        self._prepared: dict[str, None] = {}

    def gather(self, users: Iterable[Container], shareable: set[str]) -> Shared:
        for container in users:
            variables: dict[str, tuple[int, EnvVar]] | None = None
            for mount in container.volume_mounts or ():
                if mount.name not in shareable:
                    continue
                if variables is None and mount.sub_path_expr:
                    variables = {v.name: (n, v) for n, v in enumerate(container.env or ())}
                self._add(mount, variables or {})
        return Shared(
            tuple(self._mounts.values()), tuple(self._env.values()), tuple(self._warnings())
        )

    def _add(self, mount: VolumeMount, variables: dict[str, tuple[int, EnvVar]]) -> None:
        path = normal(mount.mount_path)
        first = self._mounts.get(path)
        if is_needed(path):
            self._needed[quoted(mount.mount_path)] = None
        elif first is not None and not _same_thing(first, mount):
            self._conflicts[quoted(mount.mount_path)] = None
        elif mount.sub_path_expr and not self._expand(mount.sub_path_expr, variables):
            self._unexpanded[quoted(mount.mount_path)] = None
        elif _place(mount) and self._may_be_made_first(mount):
            self._prepared[quoted(mount.mount_path)] = None
        elif first is None or (first.read_only and not mount.read_only):
            self._mounts[path] = VolumeMount(
                name=mount.name,
                mount_path=mount.mount_path,
                sub_path=mount.sub_path or None,
                sub_path_expr=mount.sub_path_expr or None,
                read_only=mount.read_only or None,
            )

    def _expand(self, expression: str, variables: dict[str, tuple[int, EnvVar]]) -> bool:
        """Bring along the variables of ``expression``; say whether that can be done."""
        wanted = _with_references(expression, variables)
        if wanted is None or any(
            variable.name in self._taken
            or _RESERVED_VARIABLE.fullmatch(variable.name)
            or self._env.get(variable.name, variable) != variable
            for variable in wanted
        ):
            return False
        self._env |= {variable.name: variable for variable in wanted}
        return True

    def _may_be_made_first(self, mount: VolumeMount) -> bool:
        """Say whether an init container may be about to make what this sub-path names.

        The daemon starts before it, and the kubelet would have made an empty directory of that
        name: a file could not be written there, and ``cp -r`` would copy into it.
        """
        return not self._places_in_init.get(mount.name, set()) <= {_place(mount)}

    def _warnings(self) -> Iterator[str]:
        if self._needed:
            yield f"the daemon does not see {listed(self._needed)}: it needs these paths itself"
        if self._conflicts:
            yield (
                f"containers mount different things at {listed(self._conflicts)}: "
                "the daemon sees the first"
            )
        if self._unexpanded:
            yield (
                f"the daemon does not see {listed(self._unexpanded)}: "
                "it cannot have the variables of the subPathExpr"
            )
        if self._prepared:
            yield (
                f"the daemon does not see {listed(self._prepared)}: "
                "an init container may be what makes it"
            )


def _place(mount: VolumeMount) -> str:
    """Return where in its volume a mount begins; empty for the whole of it."""
    return mount.sub_path or mount.sub_path_expr or ""


def _places(containers: Iterable[Container]) -> dict[str, set[str]]:
    """Return where in each volume, by its name, ``containers`` mount it."""
    found: dict[str, set[str]] = {}
    for container in containers:
        for mount in container.volume_mounts or ():
            found.setdefault(mount.name, set()).add(_place(mount))
    return found


def _same_thing(one: VolumeMount, other: VolumeMount) -> bool:
    return (one.name, one.sub_path or "", one.sub_path_expr or "") == (
        other.name,
        other.sub_path or "",
        other.sub_path_expr or "",
    )


def _with_references(text: str, variables: dict[str, tuple[int, EnvVar]]) -> list[EnvVar] | None:
    """Return the variables that ``text`` refers to and those that their values refer to.

    In their order, since a value sees what stands before it. None where ``text`` refers to a
    variable that is not among ``variables``: it comes from elsewhere, and the daemon lacks it.
    """
    queue = list(_references(text))
    if not variables.keys() >= set(queue):
        return None
    wanted: dict[str, tuple[int, EnvVar]] = {}
    while queue:
        name = queue.pop()
        if name in variables and name not in wanted:
            wanted[name] = variables[name]
            queue.extend(_references(variables[name][1].value or ""))
        if len(wanted) > _MAX_VARIABLES:
            return None
    return [variable for _, variable in sorted(wanted.values(), key=itemgetter(0))]


def _references(text: str) -> Iterator[str]:
    """Yield the names in ``$(NAME)``, as Kubernetes finds them; ``$$`` is an escaped dollar."""
    start = text.find("$")
    while start != -1:
        following = text[start + 1 : start + 2]
        end = start + 2 if following == "$" else start + 1
        if following == "(":
            end = text.find(")", start)
            if end == -1:
                return
            yield text[start + 2 : end]
        start = text.find("$", end)
