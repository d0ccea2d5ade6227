"""Files that are there whole or not at all, under the SELinux label their use calls for."""

import contextlib
import os
import shutil
from pathlib import Path

LABEL = "security.selinux"
PROGRAM_TYPE = "bin_t"
LIBRARY_TYPE = "lib_t"
SETTINGS_TYPE = "etc_t"
"""Types of the reference policy: what a program, a library and a settings file carry there."""


def temporary(path: Path) -> Path:
    """Return the path where what is to become ``path`` is made; the kubelet ignores dot-files."""
    return path.with_name(f".{path.name}.new")


def write(path: Path, text: str, mode: int, label_type: str) -> bool:
    """Put a file in place, and return whether that changed anything.

    It is written beside its place, flushed, and renamed; the rename is flushed too. Whoever looks
    sees the old file or the new one, also after a power cut.
    """
    if _is(path, text, mode):
        return False
    new = temporary(path)
    new.unlink(missing_ok=True)
    _make(new, text, mode)
    label(new, label_type)
    new.replace(path)
    flush(path.parent)
    return True


def write_in_new_folder(path: Path, text: str, mode: int, label_type: str) -> None:
    """Put a file in place together with its folder: neither is seen without the other.

    Raises:
        FileExistsError: the folder is there already.
    """
    new = temporary(path.parent)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o755)
    copy_label(new.parent, new)
    _make(new / path.name, text, mode)
    label(new / path.name, label_type)
    flush(new)
    if path.parent.exists():
        raise FileExistsError(path.parent)
    new.rename(path.parent)
    flush(path.parent.parent)


def link(path: Path, target: Path) -> None:
    """Have the symbolic link at ``path`` lead to ``target``, replacing it in one step."""
    if path.is_symlink() and path.readlink() == target:
        return
    new = temporary(path)
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Have a file, or the entries of a folder, on the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def flush_tree(root: Path) -> None:
    """Have everything under a folder on the disk."""
    for path in sorted(root.rglob("*")):
        if not path.is_symlink():
            flush(path)
    flush(root)


def label(path: Path, label_type: str) -> None:
    """Give ``path`` an SELinux label of this type, where its folder has a label at all.

    The policy of the node may forbid it; then the label its folder gave it stays.
    """
    with contextlib.suppress(OSError):
        os.getxattr(path.parent, LABEL)
        os.setxattr(path, LABEL, f"system_u:object_r:{label_type}:s0\0".encode())


def copy_label(source: Path, target: Path) -> None:
    """Give ``target`` the SELinux label of ``source``, where that has one."""
    with contextlib.suppress(OSError):
        os.setxattr(target, LABEL, os.getxattr(source, LABEL))


def _make(path: Path, text: str, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fchmod(fd, mode)
        os.fsync(fd)


def _is(path: Path, text: str, mode: int) -> bool:
    try:
        facts = path.lstat()
        return facts.st_mode == 0o100000 | mode and path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False
