"""Reads the driver's log as it grows, across its rotations and the agent's own restarts.

The driver writes whole lines, and puts a full file aside as ``….1``; a call that had it open then
may write one line more to it. Where reading stopped is kept in the run directory, which a reboot
empties: without such a bookmark, whatever happened since the boot is news.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec


class Line(msgspec.Struct, frozen=True):
    """One event of the driver's; a field that the event has no use for is empty."""

    time: datetime
    event: str
    call: str = ""
    slab: str = ""
    slabs: str = ""
    scope: str = ""
    outcome: str = ""
    delete: bool = False
    cause: str = ""
    error: str = ""
    took_ms: int | None = None
    pod: str = ""
    namespace: str = ""
    pod_uid: str = ""
    volume: str = ""


@dataclass(frozen=True)
class Entry:
    """A line, and whether it is news or was read by an agent before this one."""

    line: Line
    is_new: bool


class _File:
    """One file of the log, open for reading, and how far it has been read."""

    def __init__(self, stream: BinaryIO, news_from: int | None) -> None:
        self._stream = stream
        self._news_from = news_from
        self.inode = os.fstat(stream.fileno()).st_ino
        self.offset = 0

    def entries(self, since: datetime) -> Iterator[Entry]:
        if os.fstat(self._stream.fileno()).st_size < self.offset:
            self.offset = 0  # somebody emptied it
        self._stream.seek(self.offset)
        for raw in self._stream:
            if not raw.endswith(b"\n"):
                return
            at, self.offset = self.offset, self.offset + len(raw)
            try:
                line = msgspec.json.decode(raw, type=Line)
            except msgspec.DecodeError:
                continue
            is_new = line.time >= since if self._news_from is None else at >= self._news_from
            yield Entry(line, is_new)

    def close(self) -> None:
        self._stream.close()


class Tail:
    """The log.

    Args:
        path: the file that the driver writes to.
        bookmark: the file that keeps how far the log was read.
        since: when the node booted.
    """

    def __init__(self, path: Path, bookmark: Path, since: datetime) -> None:
        self.path = path
        self._bookmark = bookmark
        self._since = since
        self._files: list[_File] = []
        self._open_first()

    def read(self) -> Iterator[Entry]:
        """Yield what has been added; the first time, everything that is there."""
        aside = self._files[:-1]
        self._open_next()
        for file in self._files:
            yield from file.entries(self._since)
        for file in aside:  # read once more after it was put aside: now nobody writes to it
            file.close()
            self._files.remove(file)

    def keep_place(self) -> None:
        """Have the next agent go on from here.

        Raises:
            OSError: it cannot be written down.
        """
        if not self._files:
            return
        last = self._files[-1]
        draft = self._bookmark.with_name(f"{self._bookmark.name}.new")
        draft.write_text(f"{last.inode} {last.offset}\n")
        draft.replace(self._bookmark)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()
        self._files.clear()

    def _open_first(self) -> None:
        streams = [
            *self._streams(self.path.with_name(f"{self.path.name}.1")),
            *self._streams(self.path),
        ]
        inodes = [os.fstat(stream.fileno()).st_ino for stream in streams]
        inode, offset = self._place()
        known = inodes.index(inode) if inode in inodes else None
        for number, stream in enumerate(streams):
            news_from: int | None = None
            if known is not None:
                size = os.fstat(stream.fileno()).st_size
                news_from = size if number < known else offset if number == known else 0
            self._files.append(_File(stream, news_from))

    def _open_next(self) -> None:
        """Open the file that the driver writes to now, if it is another."""
        for stream in self._streams(self.path):
            inode = os.fstat(stream.fileno()).st_ino
            if self._files and self._files[-1].inode == inode:
                stream.close()
            else:
                self._files.append(_File(stream, 0))

    @staticmethod
    def _streams(path: Path) -> Iterator[BinaryIO]:
        try:
            yield path.open("rb")
        except OSError:
            return

    def _place(self) -> tuple[int, int]:
        try:
            inode, offset = self._bookmark.read_text().split()
            return int(inode), int(offset)
        except (OSError, ValueError):
            return 0, 0
