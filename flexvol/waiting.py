"""Waiting for room, first come first served.

Each waiting call has a ticket: a file in the run directory, named by the time it came, holding what
it asks for, locked for as long as the call lives. A ticket whose lock can be had is a dead call's.
"""

import os
import time

from flexvol import jsontext
from flexvol.callout import Request, read_directory
from flexvol.errors import BadCallError
from flexvol.lock import Lock, Locks, swept

_FOLDER = "waiting"


class Line:
    """The calls that wait for room, in the order they came.

    Args:
        run_dir: the run directory.
        locks: the locks kept in it.
    """

    def __init__(self, run_dir: str, locks: Locks) -> None:
        self._folder = f"{run_dir}/{_FOLDER}"
        self._locks = locks
        self._ticket: Lock | None = None
        self._name = ""

    def join(self, request: Request) -> None:
        """Take a ticket, unless this call has one."""
        if self._ticket is not None:
            return
        # The clock that does not jump, and is the same for all processes.
        self._name = f"{time.monotonic_ns():020d}-{os.getpid()}"
        self._ticket = self._locks.ticket(self._name)
        os.write(self._ticket.fd, _format(request).encode())

    def leave(self) -> None:
        """Give the ticket back, if this call has one."""
        if self._ticket is not None:
            self._ticket.remove()
            self._ticket = None

    def before_me(self) -> list[Request]:
        """Return what the calls ask for that came before this one: all, if it has no ticket."""
        try:
            names = sorted(os.listdir(self._folder))
        except FileNotFoundError:
            return []
        earlier = (name for name in names if not self._name or name < self._name)
        return [request for name in earlier if (request := self._asked(name)) is not None]

    def _asked(self, name: str) -> "Request | None":
        """Return what a ticket's holder asks for, or None where it has none any more."""
        path = f"{self._folder}/{name}"
        if swept(path):
            return None
        try:
            with open(path, encoding="utf-8") as stream:
                return _parse(stream.read())
        except (OSError, ValueError, KeyError, BadCallError):
            return None


_FIELDS = (
    "scope", "size_mib", "file_system", "graph_format", "anonymous", "cache_read_only", "thin",
)  # fmt: skip


def _format(request: Request) -> str:
    fields = {name: getattr(request, name) for name in _FIELDS}
    return jsontext.dumps({"directory": request.directory.path, **fields})


def _parse(text: str) -> Request:
    fields = jsontext.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("not a ticket")  # noqa: TRY004 - as any text that is none
    return Request(
        directory=read_directory(fields["directory"]), **{name: fields[name] for name in _FIELDS}
    )
