"""The layers of defaults: built-in, the cluster's ConfigMap, the namespace's ConfigMap.

``parse_cluster`` and ``parse_namespace`` read the ``data`` of a ConfigMap ``dind-defaults``,
``resolve`` lays the layers over each other. What a pod's annotations change is decided in
``webhook.request``, within the bounds that stand here.
"""

from collections.abc import Mapping

import msgspec

from flexvol.contract import MIN_STORAGE_MIB
from webhook.admin import ADMIN_KEYS, Admin
from webhook.errors import KeyFault, SettingsError
from webhook.options import OPTIONS, Key, Options, SizeTooSmallError, nearest

Given = tuple[tuple[str, object], ...]
"""The options that a layer names, each with its value."""


class ClusterDefaults(msgspec.Struct, frozen=True):
    """The cluster's layer: the options it names, and what only it may say."""

    given: Given = ()
    admin: Admin = Admin()


class NamespaceDefaults(msgspec.Struct, frozen=True):
    """A namespace's layer: the options it names."""

    given: Given = ()


class Settings(msgspec.Struct, frozen=True):
    """What holds for the pods of one namespace, before their annotations.

    Attributes:
        options: the default of every option.
        admin: the bounds and the admin's own settings.
        from_namespace: names of the options that the namespace's ConfigMap decided.
        forbidden_by: the Pod Security level of the namespace, where that refuses privileged pods.
    """

    options: Options = Options()
    admin: Admin = Admin()
    from_namespace: frozenset[str] = frozenset()
    forbidden_by: str = ""


def parse_cluster(data: Mapping[str, str]) -> ClusterDefaults:
    """Read the ``data`` of the cluster's ConfigMap.

    Raises:
        SettingsError: with every key that cannot be understood.
    """
    faults: list[KeyFault] = []
    given = _read_options(data, faults, other=tuple(ADMIN_KEYS))
    values = {}
    for key, row in ADMIN_KEYS.items():
        if key in data:
            values[row.field] = _read(key, data[key], row, faults)
    admin = Admin() if faults else msgspec.convert(values, Admin)
    size_mib = dict(given).get("storage-size")
    bound_mib = admin.max_storage_size_mib
    if bound_mib is not None and isinstance(size_mib, int) and size_mib > bound_mib:
        right = f"write at most the max-storage-size, {data['max-storage-size'].strip()}"
        faults.append(KeyFault("storage-size", data["storage-size"], right))
    if faults:
        raise SettingsError(tuple(faults))
    return ClusterDefaults(given, admin)


def parse_namespace(data: Mapping[str, str]) -> NamespaceDefaults:
    """Read the ``data`` of a namespace's ConfigMap.

    Raises:
        SettingsError: with every key that cannot be understood, or is the cluster's alone.
    """
    faults: list[KeyFault] = []
    for key in data:
        if key in ADMIN_KEYS:
            right = "only the ConfigMap in the webhook's own namespace may say this"
            faults.append(KeyFault(key, data[key], right))
    given = _read_options(data, faults, other=tuple(ADMIN_KEYS))
    if faults:
        raise SettingsError(tuple(faults))
    return NamespaceDefaults(given)


def resolve(
    cluster: ClusterDefaults = ClusterDefaults(),  # noqa: B008 - frozen
    namespace: NamespaceDefaults = NamespaceDefaults(),  # noqa: B008 - frozen
) -> Settings:
    """Lay built-in defaults, the cluster's and the namespace's over each other.

    What the cluster enforces, a namespace cannot change. A built-in size over the cluster's bound
    becomes the bound; an image that the cluster names itself is always allowed.
    """
    admin = cluster.admin
    theirs = tuple((name, value) for name, value in namespace.given if name not in admin.enforce)
    values = {OPTIONS[name].field: value for name, value in (*cluster.given, *theirs)}
    options = msgspec.structs.replace(Options(), **values)
    if admin.max_storage_size_mib is not None and "storage_size_mib" not in values:
        size_mib = min(options.storage_size_mib, admin.max_storage_size_mib)
        options = msgspec.structs.replace(options, storage_size_mib=size_mib)
    image = dict(cluster.given).get("image")
    if admin.allowed_images and isinstance(image, str):
        patterns = (*admin.allowed_images, image)
        admin = msgspec.structs.replace(admin, allowed_images=patterns)
    return Settings(options, admin, frozenset(name for name, _ in theirs))


def _read_options(
    data: Mapping[str, str], faults: list[KeyFault], *, other: tuple[str, ...]
) -> Given:
    given = []
    for key, text in data.items():
        option = OPTIONS.get(key)
        if option is not None:
            value = _read(key, text, option, faults)
            if value is not None:
                given.append((key, value))
        elif key not in other:
            meant = nearest(key, (*OPTIONS, *other))
            right = f"there is no such key; {meant} is meant, perhaps" if meant else "remove it"
            faults.append(KeyFault(key, text, right))
    return tuple(sorted(given))


def _read(key: str, text: str, row: Key, faults: list[KeyFault]) -> object:
    """Return the value of ``text``, or note a fault and return None."""
    try:
        return row.parse(text.strip())
    except SizeTooSmallError:
        right = f"write {MIN_STORAGE_MIB}Mi or more"
    except ValueError:
        right = row.right
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    faults.append(KeyFault(key, shown, right))
    return None
