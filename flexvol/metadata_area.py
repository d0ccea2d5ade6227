"""Reads the sequence number of a volume group from its disk, without starting a command.

LVM writes its metadata as text into an area of each physical volume and counts every change in
``seqno``. While that number stands where it stood, what LVM reported last is still true, and the
report (a third of what a mount costs) need not be asked for again. Nothing else is read here, and
whatever looks unusual counts as "not known": the caller then asks LVM.

The layout has stood since 2002; GRUB and libblkid read it too. Source: lvm2's
lib/format_text/layout.h: a label in one of the first four sectors, the physical volume's header, a
list of data areas, a list of metadata areas, each with a header that says where in it the current
text begins.
"""

import os

_SECTOR = 512
_LABEL = b"LABELONE"
_LABEL_TYPE = b"LVM2 001"
_AREA_MAGIC = b" LVM2 x[5A%r0N*>"
_IGNORED = 1
_HEAD_BYTES = 512


def read_seqno(device: str) -> "tuple[str, int] | None":
    """Return (volume group's uuid, sequence number) as a physical volume has them, or None."""
    try:
        fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _parse(_current_text(fd))
        finally:
            os.close(fd)
    except (OSError, ValueError, IndexError):
        return None


def _number(block: bytes, offset: int, size: int = 8) -> int:
    if offset + size > len(block):
        raise ValueError("too short")
    return int.from_bytes(block[offset : offset + size], "little")


def _current_text(fd: int) -> bytes:
    """Return the beginning of the current metadata text."""
    start = os.pread(fd, 4 * _SECTOR, 0)
    label = start.find(_LABEL)
    if label % _SECTOR or start[label + 24 : label + 32] != _LABEL_TYPE:
        raise ValueError("another kind of label")
    at = label + _number(start, label + 20, 4) + 40
    while _number(start, at):
        at += 16
    at += 16
    area, area_size = _number(start, at), _number(start, at + 8)
    header = os.pread(fd, _SECTOR, area)
    if header[4:20] != _AREA_MAGIC or _number(header, 60, 4) & _IGNORED:
        raise ValueError("no metadata kept here")
    offset, size = _number(header, 40), _number(header, 48)
    if not size or offset >= area_size:
        raise ValueError("no metadata here")
    return os.pread(fd, min(_HEAD_BYTES, size, area_size - offset), area + offset)


def _parse(text: bytes) -> "tuple[str, int]":
    """Take both values from the text's first lines: ``id = "…"`` and ``seqno = …``."""
    uuid, seqno = "", -1
    for line in text.decode(errors="replace").split("\n")[1:-1]:
        key, _, value = line.strip().partition(" = ")
        if key == "id" and not uuid:
            uuid = value.strip('"')
        elif key == "seqno":
            seqno = int(value)
            break
    if not uuid or seqno < 0:
        raise ValueError("an unusual text")
    return uuid, seqno
