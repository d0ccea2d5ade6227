"""The driver's log: one line an event, to a bounded file and to syslog where there is one.

Never to stdout or stderr, which the kubelet reads. What cannot be logged is not: no call fails for
it.
"""

import os
import time

from flexvol.jsontext import dumps

MAX_BYTES = 4 << 20
"""The size at which the file is put aside as ``….1``, in place of the one before."""

_SYSLOG = "/dev/log"
_DAEMON_INFO, _DAEMON_ERROR = 3 * 8 + 6, 3 * 8 + 3


class Log:
    """Where events go.

    Args:
        path: the file.
        call: fields that every line of this call carries.
    """

    def __init__(self, path: str, **call: object) -> None:
        self._path = path
        self._call = call

    def with_fields(self, **fields: object) -> "Log":
        """Return a log whose lines carry these fields too."""
        return Log(self._path, **self._call, **fields)

    def info(self, event: str, **fields: object) -> None:
        """Log what happened."""
        self._write("info", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log what went wrong."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: "dict[str, object]") -> None:
        line = {"level": level, "event": event, **self._call, **fields}
        line = {key: value for key, value in line.items() if value not in ("", None)}
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._to_file(dumps({"time": stamp, **line}))
        _to_syslog(dumps(line), _DAEMON_INFO if level == "info" else _DAEMON_ERROR)

    def _to_file(self, line: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            fd = os.open(self._path, flags, 0o640)
            try:
                os.write(fd, line.encode() + b"\n")
                facts = os.fstat(fd)
                if facts.st_size > MAX_BYTES and facts.st_ino == os.stat(self._path).st_ino:
                    os.replace(self._path, self._path + ".1")
            finally:
                os.close(fd)
        except OSError:
            pass


def _to_syslog(line: str, priority: int) -> None:
    if not os.path.exists(_SYSLOG):
        return
    from _socket import AF_UNIX, SOCK_DGRAM, socket  # importing socket costs 10 ms a call

    try:
        channel = socket(AF_UNIX, SOCK_DGRAM)
        try:
            channel.settimeout(0)
            channel.sendto(f"<{priority}>dind-slab[{os.getpid()}]: {line}".encode(), _SYSLOG)
        finally:
            channel.close()
    except OSError:
        pass
