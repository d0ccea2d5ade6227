"""The kubelet's side of a call: the directories and JSON it sends, the replies it reads.

The directory and the keys ``kubernetes.io/…`` come from the kubelet; every other key is the pod
author's. Nothing here touches the disk. Source: the kubelet's FlexVolume call-out, as recorded on
Kubernetes 1.36 (docs/flexvolume.md).
"""

from flexvol import jsontext
from flexvol.contract import ANONYMOUS, READ_ONLY, OptionError, SlabOptions, read_options
from flexvol.errors import BadCallError
from flexvol.model import fits_a_tag
from flexvol.record import Record
from flexvol.settings import FILE_SYSTEMS, THIN, Settings

CAPABILITIES = {
    "attach": False,
    "fsGroup": False,
    "selinuxRelabel": False,
    "supportsMetrics": True,
    "requiresFSResize": False,
}
"""What is left out counts as true; ``fsGroup: true`` would have the kubelet chown every file of
every image layer on each mount."""

UNSUPPORTED = (
    "getvolumename", "waitforattach", "attach", "detach", "isattached",
    "mountdevice", "unmountdevice", "expandvolume", "expandfs",
)  # fmt: skip

_KUBELET_KEY = "kubernetes.io/"
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")
_UID_CHARACTERS = _NAME_CHARACTERS | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_MAX_JSON = 1 << 20


class VolumeDirectory(Record):
    """Where a volume is mounted: ``<kubelet root>/pods/<UID>/volumes/<vendor~driver>/<name>``.

    Attributes:
        path: all of it.
        root: the kubelet's root directory.
        pod_uid: the pod.
        volume: the volume's name in the pod, or the name of its PersistentVolume.
    """

    path: str
    root: str
    pod_uid: str
    volume: str

    @property
    def pod_directory(self) -> str:
        """The pod's own directory, which the kubelet removes last of all."""
        return f"{self.root}/pods/{self.pod_uid}"


class Request(Record):
    """What a mount asks for, checked."""

    directory: VolumeDirectory
    scope: str
    size_mib: int
    file_system: str
    graph_format: str = ""
    anonymous: bool = False
    cache_read_only: bool = False
    read_only: bool = False
    thin: bool = False


class Reply(Record):
    """The one answer of a call."""

    status: str
    message: str = ""
    capabilities: "dict[str, bool] | None" = None

    def text(self) -> str:
        """Return the line that the kubelet parses."""
        fields: dict[str, object] = {"status": self.status}
        if self.message:
            fields["message"] = self.message
        if self.capabilities is not None:
            fields["capabilities"] = self.capabilities
        return jsontext.dumps(fields)

    @property
    def exit_status(self) -> int:
        """The status to exit with: the kubelet wants a failure to look like one."""
        return 1 if self.status == FAILURE else 0


SUCCESS = "Success"
FAILURE = "Failure"
NOT_SUPPORTED = "Not supported"


def read_directory(path: str, kubelet_root: str = "") -> VolumeDirectory:
    """Return the parts of a volume's directory.

    Args:
        path: what the kubelet sent.
        kubelet_root: the only root to accept; empty for any.

    Raises:
        BadCallError: it is not a directory the kubelet would mount a volume at.
    """
    parts = path.split("/")
    right = "the kubelet sends <its root>/pods/<UID>/volumes/<vendor~driver>/<name>"
    if len(parts) < 6 or not path.startswith("/") or not fits_a_tag(path):
        raise BadCallError(f"{path[:300]!r} is not a volume directory", right)
    root = "/".join(parts[:-5])
    pods, uid, volumes, driver, name = parts[-5:]
    vendor, tilde, plugin = driver.partition("~")
    if (
        (pods, volumes, tilde) != ("pods", "volumes", "~")
        or not (vendor and plugin and "~" not in plugin)
        or not (uid and _UID_CHARACTERS.issuperset(uid))
        or not (name and _UID_CHARACTERS.issuperset(name))
        or any(part in ("", ".", "..") for part in parts[1:])
        or "\0" in path
    ):
        raise BadCallError(f"{path[:300]!r} is not a volume directory", right)
    if kubelet_root and root != kubelet_root:
        raise BadCallError(f"{path!r} does not lie under the kubelet's root {kubelet_root}")
    return VolumeDirectory(path, root, uid, name)


def read_mount(path: str, text: str, settings: Settings) -> Request:
    """Return what a mount call asks for.

    Args:
        path: the directory.
        text: the kubelet's JSON.
        settings: the node's.

    Raises:
        BadCallError: a part is missing, wrong, or more than the settings allow.
    """
    directory = read_directory(path, settings.kubelet_root)
    kubelet, own = _options(text)
    uid = kubelet.get("pod.uid", "")
    if uid != directory.pod_uid:
        raise BadCallError(f"the directory is of pod {directory.pod_uid}, the options of {uid!r}")
    try:
        options = read_options(own)
    except OptionError as error:
        raise BadCallError(str(error)) from None
    if settings.max_size_mib is not None and options.size_mib > settings.max_size_mib:
        raise BadCallError(
            f"size_mb {options.size_mib} is over this node's limit of {settings.max_size_mib}",
            "ask for less, or have max_size_mb raised in the node's settings",
        )
    file_system = kubelet.get("fsType") or settings.file_system
    if file_system not in FILE_SYSTEMS:
        raise BadCallError(f"fsType {file_system!r} is not one of {', '.join(FILE_SYSTEMS)}")
    return Request(
        directory=directory,
        scope=_scope(settings.scope, kubelet, options),
        size_mib=options.size_mib,
        file_system=file_system,
        graph_format=options.graph_format,
        anonymous=options.volume_type == ANONYMOUS or options.cache == READ_ONLY,
        cache_read_only=options.cache == READ_ONLY,
        read_only=kubelet.get("readwrite") == "ro",
        thin=settings.provisioning == THIN,
    )


def read_pod(text: str) -> "tuple[str, str]":
    """Return namespace and name of the pod that a mount is for, as far as they can be read.

    For the log, which should name the pod also where the rest of the call is wrong.
    """
    try:
        kubelet, _ = _options(text)
    except BadCallError:
        return "", ""
    return kubelet.get("pod.namespace", ""), kubelet.get("pod.name", "")


def read_scope(scope: str) -> "tuple[str, str, str]":
    """Return (kind, namespace, cache key) of a scope; the latter two are empty where it has none.

    The kinds are those of the setting ``scope``.
    """
    place, _, cache_key = scope.partition("#")
    kind, *names = place.split("/")
    return kind, names[0] if names else "", cache_key


def _options(text: str) -> "tuple[dict[str, str], dict[str, str]]":
    """Return the kubelet's keys, without their prefix, and the pod author's."""
    if len(text) > _MAX_JSON:
        raise BadCallError(f"the options are {len(text)} characters long; {_MAX_JSON} are allowed")
    try:
        document = jsontext.loads(text)
    except ValueError as error:
        raise BadCallError(f"the options are {error}") from None
    if not isinstance(document, dict):
        raise BadCallError("the options must be one JSON object")
    kubelet, own = {}, {}
    for key, value in document.items():
        if not key.startswith(_KUBELET_KEY):
            own[key] = value
        elif isinstance(value, str):
            kubelet[key[len(_KUBELET_KEY) :]] = value
    return kubelet, own


def _scope(kind: str, kubelet: "dict[str, str]", options: SlabOptions) -> str:
    """Return the name of those who share a slab: what the kubelet says, narrowed by the cache key.

    No part but the cache key, the last, can hold ``#`` or ``/``: two scopes never share a name.
    """
    parts = [kind]
    if kind in ("namespace", "serviceaccount"):
        parts.append(_name(kubelet, "pod.namespace"))
    if kind == "serviceaccount":
        parts.append(_name(kubelet, "serviceAccount.name"))
    scope = "/".join(parts)
    return f"{scope}#{options.cache_key}" if options.cache_key else scope


def _name(kubelet: "dict[str, str]", key: str) -> str:
    name = kubelet.get(key, "")
    if not name or not _NAME_CHARACTERS.issuperset(name):
        raise BadCallError(f"{_KUBELET_KEY}{key} is {name!r}: not a name that Kubernetes gives")
    return name
