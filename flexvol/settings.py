"""The node's settings: one JSON file, every key optional.

A key that is unknown or a value that cannot be right is an error that names it, on every call: a
setting that is silently ignored is found out only when a disk is full.
"""

from flexvol.contract import EXTENT_MIB
from flexvol.errors import SettingsError
from flexvol.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATH = "/etc/dind/slab.json"
PATH_VARIABLE = "DIND_SLAB_SETTINGS"
"""The environment variable that names another settings file."""

SCOPES = ("namespace", "serviceaccount", "cluster")
FILE_SYSTEMS = ("ext4", "xfs")
LINEAR, THIN = "linear", "thin"

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-")


class Settings(Record):
    """The node's settings; the attributes' defaults are what holds without a file.

    Attributes:
        volume_group: LVM's volume group that holds the slabs; it may hold the admin's volumes too.
        devices: block devices the volume group is made of where there is none; taken only if blank.
        file: a file to make it of instead, through a loop device.
        file_size_mib: the size of that file in MiB.
        sparse: do not allocate the file in full. When the node's disk fills up, every slab breaks.
        scope: whose pods share slabs: a namespace's, a service account's, or all of the cluster.
        file_system: for pods that name none.
        max_size_mib: the largest slab a pod may ask for; None for as large as the disk allows.
        full_percent: a slab with more of its blocks or inodes used is deleted on unmount.
        provisioning: ``LINEAR``: one slab is lent to one pod at a time. ``THIN``: each pod gets a
            clone of the newest generation of its scope.
        overcommit: thin: how many times over the pool may be promised.
        generations: thin: how many are kept of each kind.
        ready_clones: thin: of how many generations the agent keeps a clone ready.
        replace_newer: thin: whether the clone of an older generation replaces a newer one.
        wait_seconds: how long a mount waits for room.
        spares: (size in MiB, how many) of blank formatted slabs to keep ready.
        kubelet_root: the kubelet's root directory; empty accepts whichever the kubelet names.
        run_dir: locks and other things that a reboot may forget.
        log_file: the driver's log, bounded.
    """

    volume_group: str = "dind"
    devices: tuple[str, ...] = ()
    file: str = ""
    file_size_mib: int = 0
    sparse: bool = False
    scope: str = "namespace"
    file_system: str = "ext4"
    max_size_mib: "int | None" = None
    full_percent: int = 50
    provisioning: str = LINEAR
    overcommit: float = 1.0
    generations: int = 2
    ready_clones: int = 4
    replace_newer: bool = True
    wait_seconds: int = 60
    spares: tuple[tuple[int, int], ...] = ()
    kubelet_root: str = ""
    run_dir: str = "/run/dind-slab"
    log_file: str = "/var/log/dind-slab.log"


def load(environ: "Mapping[str, str]") -> Settings:
    """Read the settings file.

    Args:
        environ: the environment, which may name another file than ``PATH``.

    Raises:
        SettingsError: the file cannot be read or understood, or is named and absent.
    """
    from flexvol import jsontext

    path = environ.get(PATH_VARIABLE, PATH)
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        if PATH_VARIABLE not in environ:
            return Settings()
        raise SettingsError(f"settings {path}, named by {PATH_VARIABLE}, do not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings {path} cannot be read: {error}") from error
    try:
        return parse(jsontext.loads(text))
    except (ValueError, SettingsError) as error:
        raise SettingsError(f"settings {path}: {error}") from error


def load_anyway(environ: "Mapping[str, str]") -> "tuple[Settings, SettingsError | None]":
    """Return the settings; the built-in ones and the error, where the file is broken.

    Pods must be able to end whatever is in the file.
    """
    try:
        return load(environ), None
    except SettingsError as error:
        return Settings(), error


def parse(document: object) -> Settings:
    """Return the settings that a JSON document holds.

    Raises:
        SettingsError: a key is unknown, a value is wrong, or two keys contradict each other.
    """
    if not isinstance(document, dict):
        raise SettingsError("must be one JSON object")
    fields: dict[str, object] = {}
    for key, value in document.items():
        if key not in _KEYS:
            raise SettingsError(f"{key!r} is not a setting; settings are {', '.join(_KEYS)}")
        field, read = _KEYS[key]
        try:
            fields[field] = read(value)
        except ValueError as error:
            raise SettingsError(f"{key} is {value!r}; it must be {error}") from None
    settings = Settings().replace(**fields)
    if settings.devices and settings.file:
        raise SettingsError("device and file exclude each other: give one of them")
    if bool(settings.file) != bool(settings.file_size_mib):
        raise SettingsError('file and size go together, as in "file": "/var/dind", "size": "100Gi"')
    return settings


def _one_of(*choices: str) -> "Callable[[object], str]":
    def read(value: object) -> str:
        if value not in choices:
            raise ValueError("one of " + ", ".join(choices))
        return str(value)

    return read


def _whole_number(lowest: int, highest: int) -> "Callable[[object], int]":
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError(f"a whole number from {lowest} to {highest}")
        return value

    return read


def _factor(lowest: float, highest: float) -> "Callable[[object], float]":
    def read(value: object) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not lowest <= value <= highest:  # type: ignore[operator] # it is a number
            raise ValueError(f"a number from {lowest:g} to {highest:g}")
        return float(value)  # type: ignore[arg-type] # it is a number

    return read


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - one kind of error for a wrong value
    return value


def _path(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError("an absolute path")
    return value.rstrip("/") or "/"


def _devices(value: object) -> tuple[str, ...]:
    paths = value if isinstance(value, list) else [value]
    try:
        devices = tuple(_path(path) for path in paths)
    except ValueError:
        devices = ()
    if not devices or len(set(devices)) < len(devices):
        raise ValueError("the path of a block device, or a list of different ones")
    return devices


def _quantity_mib(value: object) -> int:
    text = value if isinstance(value, str) else ""
    digits = text.rstrip("".join(set("".join(_UNITS))))
    unit = text[len(digits) :]
    if not (digits.isascii() and digits.isdigit() and unit in _UNITS and len(digits) < 16):
        raise ValueError('a size, as in "100Gi"')
    size_mib = int(digits) * _UNITS[unit] >> 20
    if size_mib < EXTENT_MIB:
        raise ValueError('a size, as in "100Gi"')
    return size_mib


def _volume_group(value: object) -> str:
    fine = isinstance(value, str) and value and _NAME_CHARACTERS.issuperset(value)
    if not fine or str(value)[0] in "-." or len(str(value)) > 100:
        raise ValueError("a name of letters, digits and _ . + -, not beginning with - or .")
    return str(value)


def _spares(value: object) -> tuple[tuple[int, int], ...]:
    right = 'sizes in MiB and how many of each, as in {"10240": 2}'
    if not isinstance(value, dict):
        raise ValueError(right)  # noqa: TRY004 - one kind of error for a wrong value
    spares = []
    for size, count in value.items():
        if not (size.isascii() and size.isdigit() and 0 < int(size) < 1 << 40):
            raise ValueError(right)
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= 100:
            raise ValueError(right)
        spares.append((-(-int(size) // EXTENT_MIB) * EXTENT_MIB, count))
    return tuple(sorted(spares))


_KEYS: "dict[str, tuple[str, Callable[[object], object]]]" = {
    "volume_group": ("volume_group", _volume_group),
    "device": ("devices", _devices),
    "file": ("file", _path),
    "size": ("file_size_mib", _quantity_mib),
    "sparse": ("sparse", _flag),
    "scope": ("scope", _one_of(*SCOPES)),
    "file_system": ("file_system", _one_of(*FILE_SYSTEMS)),
    "max_size_mb": ("max_size_mib", _whole_number(1, 1 << 40)),
    "full_percent": ("full_percent", _whole_number(0, 100)),
    "provisioning": ("provisioning", _one_of(LINEAR, THIN)),
    "overcommit": ("overcommit", _factor(1, 100)),
    "generations": ("generations", _whole_number(1, 100)),
    "ready_clones": ("ready_clones", _whole_number(0, 100)),
    "replace_newer": ("replace_newer", _flag),
    "wait_seconds": ("wait_seconds", _whole_number(0, 3600)),
    "spares": ("spares", _spares),
    "kubelet_root": ("kubelet_root", _path),
    "run_dir": ("run_dir", _path),
    "log_file": ("log_file", _path),
}
"""Each key of the file: the attribute it sets, and what reads its value."""
