"""Watches the kubelet's plugin directory as the kubelet does: inotify, dot-names ignored.

inotify(7). At each event, and all the time in between, what can be seen is looked at.
"""

import ctypes
import os
import select
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

IN_CREATE, IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE = 0x100, 0x2, 0x4, 0x8
IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE = 0x40, 0x80, 0x200
ALL = IN_CREATE | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE
HEAD = struct.Struct("iIII")
libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Watches until the context is left.

    Attributes:
        events: (mask, path below the directory) of every event on a name without a dot before it.
        faults: what was seen that should never be.
        looks: how often the directory was looked at.

    Args:
        directory: the plugin directory.
        whole: every text that an entry may have.
        label: the SELinux label that an entry must have, if any.
    """

    def __init__(self, directory: Path, whole: set[str], label: bytes | None = None) -> None:
        self.events: list[tuple[int, str]] = []
        self.faults: list[str] = []
        self.looks = 0
        self._directory = directory
        self._whole = whole
        self._label = label
        self._fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        assert self._fd >= 0
        self._folders = {self._add(directory): directory}
        for folder in directory.iterdir():
            self._folders[self._add(folder)] = folder
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._listen), threading.Thread(target=self._look)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        os.close(self._fd)

    def _add(self, folder: Path) -> int:
        watch: int = libc.inotify_add_watch(self._fd, str(folder).encode(), ALL)
        assert watch >= 0, folder
        return watch

    def _listen(self) -> None:
        while True:
            ready, _, _ = select.select([self._fd], [], [], 0.2)
            if ready:
                self._read(os.read(self._fd, 1 << 16))
            elif self._stopped.is_set():
                return

    def _read(self, text: bytes) -> None:
        while text:
            watch, mask, _, length = HEAD.unpack_from(text)
            name = text[HEAD.size : HEAD.size + length].rstrip(b"\0").decode()
            text = text[HEAD.size + length :]
            folder = self._folders.get(watch)
            if folder is None or not name or name.startswith("."):
                continue
            path = folder / name
            self.events.append((mask & ALL, str(path.relative_to(self._directory))))
            if path.is_dir():
                self._folders[self._add(path)] = path
            self._check()

    def _look(self) -> None:
        while not self._stopped.is_set():
            self._check()
            self.looks += 1

    def _check(self) -> None:
        for folder in self._directory.iterdir():
            if folder.name.startswith("."):
                continue
            entry = folder / folder.name.partition("~")[2]
            try:
                text, facts = entry.read_text(), entry.stat()
                label = os.getxattr(entry, "security.selinux") if self._label else None
            except OSError as error:
                self.faults.append(f"{entry}: {error}")
                continue
            if text not in self._whole:
                self.faults.append(f"{entry} holds {text!r}")
            if facts.st_mode & 0o7777 != 0o755:
                self.faults.append(f"{entry} has mode {facts.st_mode:o}")
            if label != self._label:
                self.faults.append(f"{entry} is labelled {label!r}")
