"""A program of the node's that goes wrong."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.node.host import run

SHIM = """#!/bin/sh
if [ ! -e {went_wrong} ] && echo "$*" | grep -q -- '{pattern}'; then
  touch {note}
  {deed}
fi
exec {real} "$@"
"""


@contextmanager
def going_wrong(
    place: Path, program: str, pattern: str, deed: str, *, always: bool = False
) -> Iterator[Path]:
    """Have a program do something else than it should, where its arguments match.

    Args:
        place: a folder for the real program and for a note.
        program: its name. Not to be called by another one meanwhile, which some programs have.
        pattern: of its arguments, for ``grep``.
        deed: what it does then: shell text, with ``$real`` for the real program.
        always: every time, not only the first.

    Yields:
        A file that is there once it went wrong.
    """
    found = shutil.which(program)
    assert found is not None
    folder = place / f"going-wrong-{program}"
    folder.mkdir()
    real, shim, note = folder / program, folder / "shim", folder / "note"
    shutil.copy2(found, real)
    text = SHIM.format(
        went_wrong=folder / "never" if always else note,
        note=note,
        pattern=pattern,
        deed=deed.replace("$real", str(real)),
        real=real,
    )
    shim.write_text(text)
    shim.chmod(0o755)
    run("mount", "--bind", str(shim), found)
    try:
        yield note
    finally:
        run("umount", found)
        shutil.rmtree(folder)
