"""One effect of the driver, named, and announced to whoever watches.

Nobody does in production. Tests do, to end the driver before or after any one step, or to have it
fail.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Watcher = Callable[[str, str], None]
    """Told ``("before", step)`` and, if the step succeeded, ``("after", step)``."""


def unwatched(moment: str, step: str) -> None:
    """Watch nothing."""


class Step:
    """The context in which one effect happens."""

    def __init__(self, watcher: "Watcher", name: str) -> None:
        self._watcher = watcher
        self._name = name

    def __enter__(self) -> None:
        self._watcher("before", self._name)

    def __exit__(self, kind: "type[BaseException] | None", *_: object) -> None:
        if kind is None:
            self._watcher("after", self._name)
