"""The kubelet's calls, each answered with one reply, whatever happens."""

import time

from flexvol.callout import (
    CAPABILITIES,
    FAILURE,
    NOT_SUPPORTED,
    SUCCESS,
    UNSUPPORTED,
    Reply,
    VolumeDirectory,
    read_directory,
    read_pod,
)
from flexvol.errors import SettingsError, SlabError
from flexvol.log import Log
from flexvol.settings import Settings, load_anyway
from flexvol.step import unwatched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexvol.step import Watcher

USAGE = {"mount": "mount DIR JSON", "unmount": "unmount DIR"}


def answer(
    arguments: "list[str]", environ: "Mapping[str, str]", watcher: "Watcher" = unwatched
) -> Reply:
    """Answer one call of the kubelet's.

    Args:
        arguments: the call and what goes with it.
        environ: the environment, which may name the settings file.
        watcher: told of every step; for tests.
    """
    call, *rest = arguments or [""]
    if call == "init":
        return Reply(SUCCESS, capabilities=CAPABILITIES)
    if call in UNSUPPORTED:
        return Reply(NOT_SUPPORTED, f"{call} is not needed: slabs are local to the node")
    if call not in USAGE:
        return Reply(NOT_SUPPORTED, f"{call!r} is not a call of the kubelet's")
    if len(rest) < len(USAGE[call].split()) - 1:
        return Reply(FAILURE, f"too few arguments: {USAGE[call]}")
    return _act(call, rest, environ, watcher)


def _act(call: str, rest: "list[str]", environ: "Mapping[str, str]", watcher: "Watcher") -> Reply:
    """Carry out a mount or an unmount and turn every error into a reply."""
    started = time.monotonic()
    settings, broken = load_anyway(environ)
    log = Log(settings.log_file, call=call)
    try:
        directory = read_directory(rest[0], settings.kubelet_root)
        log = log.with_fields(pod_uid=directory.pod_uid, volume=directory.volume)
        if call == "mount":
            namespace, pod = read_pod(rest[1])
            log = log.with_fields(pod=pod, namespace=namespace)
        if call == "unmount":
            _unmount(directory, settings, log, watcher)
        else:
            _mount(rest, broken or settings, log, watcher, started)
    except SlabError as error:
        log.error("failed", cause=error.cause, error=str(error), took_ms=_since(started))
        return Reply(FAILURE, str(error))
    except Exception as error:  # the kubelet must get its one line of JSON
        import traceback

        log.error("failed", cause="internal", error="".join(traceback.format_exception(error)))
        return Reply(
            FAILURE,
            f"{type(error).__name__}: {error} (the driver's log has more: {settings.log_file})",
        )
    return Reply(SUCCESS)


def _mount(
    rest: "list[str]",
    settings: "Settings | SettingsError",
    log: Log,
    watcher: "Watcher",
    started: float,
) -> None:
    from flexvol.callout import read_mount
    from flexvol.mounting import Mounting
    from flexvol.node import Node

    if isinstance(settings, SettingsError):
        raise settings
    request = read_mount(rest[0], rest[1], settings)
    node = Node(settings, watcher)
    with node.volume_lock(request.directory) as lock:
        slab, outcome = Mounting(node, request, log).run()
        lock.remove()
    log.info(
        "mounted",
        slab=slab,
        outcome=outcome,
        scope=request.scope,
        size_mib=request.size_mib,
        took_ms=_since(started),
    )


def _unmount(directory: VolumeDirectory, settings: Settings, log: Log, watcher: "Watcher") -> None:
    from flexvol.node import Node
    from flexvol.unmounting import unmount

    node = Node(settings, watcher)
    with node.volume_lock(directory) as lock:
        unmount(node, directory, log)
        lock.remove()


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
