"""What a call imports, for every import is paid on every call."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent
HEAVY = {
    "argparse", "collections", "contextlib", "dataclasses", "enum", "functools", "inspect", "json",
    "logging", "pathlib", "re", "shutil", "signal", "socket", "subprocess", "tempfile", "threading",
    "traceback", "typing",
}  # fmt: skip


@pytest.mark.parametrize(
    "module", ["flexvol.__main__", "flexvol.mounting", "flexvol.unmounting", "flexvol.contract"]
)
def test_a_call_imports_nothing_heavy(module: str) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(PROJECT)!r}); import {module}; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert module in loaded
    assert not loaded & HEAVY


def test_only_one_module_starts_processes() -> None:
    words = ("posix_spawn", "subprocess", "os.system", "os.exec", "popen")
    users = {
        path.name
        for path in (PROJECT / "flexvol").glob("*.py")
        if any(
            f"{word}(" in path.read_text() or f"import {word}" in path.read_text() for word in words
        )
        or "posix_spawnp" in path.read_text()
    }
    assert users == {"command.py"}
