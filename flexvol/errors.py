"""What can go wrong on the node: one small tree.

Each error says what happened; its hint says what to do; its cause is a stable code that the log and
the metrics count by.
"""


class SlabError(Exception):
    """A call cannot be carried out.

    Attributes:
        cause: a stable code, for logs and metrics.
        hint: what the reader can do about it; empty where nothing is to be done.
    """

    cause = "internal"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message} ({self.hint})" if self.hint else message


class BadCallError(SlabError):
    """The arguments of a call are not what the kubelet sends, or an option is wrong."""

    cause = "bad_call"


class SettingsError(SlabError):
    """The node's settings cannot be understood."""

    cause = "settings"


class NoRoomError(SlabError):
    """There is no room for the slab, and deleting all that may be deleted would not make it."""

    cause = "no_room"


class PoolError(SlabError):
    """The volume group is missing or incomplete, or its disk may not be taken."""

    cause = "pool"


class BusyError(SlabError):
    """Something is in use, or another call still works on it."""

    cause = "busy"


class FileSystemError(SlabError):
    """A file system could not be made, checked or mounted."""

    cause = "file_system"


class CommandError(SlabError):
    """A command failed.

    Attributes:
        argv: the command.
        status: its exit status; negative for the signal that ended it, None if it never ended.
        stderr: what it said, in the C locale; for people only, nothing is decided by it.
    """

    cause = "command"

    def __init__(
        self, argv: "list[str]", status: "int | None", stderr: str, hint: str = ""
    ) -> None:
        self.argv = argv
        self.status = status
        self.stderr = stderr.strip()
        said = (
            "; ".join(line.strip() for line in self.stderr.splitlines()[-3:]) or "it said nothing"
        )
        ended = "did not end in time" if status is None else f"ended with {status}"
        super().__init__(f"{' '.join(argv[:2])} {ended}: {said}", hint)
