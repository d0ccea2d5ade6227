"""Counts processes as the kernel does: acct(2) writes a record for each one that ends."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RECORD_BYTES = 64
_FLAG_AT, _COMMAND_AT, _COMMAND_BYTES = 0, 36, 17
_FORKED_ONLY = 0x01
"""acct(5), AFORK: it never executed a program; the kernel's own threads, above all."""


@contextmanager
def accounting(file: Path) -> Iterator[list[str]]:
    """Collect the names of the programs that are executed and end meanwhile."""
    programs: list[str] = []
    file.write_bytes(b"")
    _acct(str(file).encode())
    try:
        yield programs
    finally:
        _acct(None)
    content = file.read_bytes()[:-RECORD_BYTES]  # the last record is of who turned it off
    for start in range(0, len(content), RECORD_BYTES):
        record = content[start : start + RECORD_BYTES]
        name = record[_COMMAND_AT : _COMMAND_AT + _COMMAND_BYTES].split(b"\0")[0].decode()
        if not record[_FLAG_AT] & _FORKED_ONLY or name in ("slab", "python3"):
            programs.append(name)


def _acct(file: bytes | None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.acct(file) != 0:
        raise OSError(ctypes.get_errno(), "acct")
