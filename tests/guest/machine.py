"""Starts a guest and tells how it ended.

The host's side of the guest: it lays out the shared folder, starts the kernel, and reads back what
the job left there. A guest has no exit status of its own, so no status file means that it died.
"""

import contextlib
import os
import random
import shlex
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

PROJECT = Path(__file__).parent.parent.parent
ROOT = PROJECT / ".guest" / "root"
INIT = Path(__file__).parent / "init.sh"
SHARE_INSIDE = Path("/mnt/share")
"""Where the guest finds the folder that it shares with the host."""

_SHM = Path("/dev/shm")  # noqa: S108 - only asked how much room it has


class GuestError(Exception):
    """The guest did not carry its job to an end; the message holds its last output."""


def fetch() -> None:
    """Fetch and unpack what the guest runs, where that is not done yet.

    Raises:
        subprocess.CalledProcessError: a package could not be had; apt's output says which.
    """
    subprocess.run([Path(__file__).parent / "fetch.sh", ROOT], check=True)


def cpus() -> list[int]:
    """Return the CPUs that a guest may run on."""
    return sorted(os.sched_getaffinity(0))


class Guest:
    """One boot of the guest, running one shell job.

    Args:
        share: the one folder of the host that the guest writes to; made if absent.
        job: shell text, run as root in the guest with the project as its working directory.
        memory_mib: the guest's memory; the host gives it as it is used.
        disk: a file that the guest sees as ``/dev/ubda``, for what must outlive a power cut.
        cpu: which of the machine's it runs on, chosen by chance where it is not said. The kernel
            and the programs it runs are processes that wait for each other at every system call:
            on one CPU the guest is two to four times as fast as on two.
    """

    def __init__(
        self,
        share: Path,
        job: str,
        *,
        memory_mib: int = 2048,
        disk: Path | None = None,
        cpu: int | None = None,
    ) -> None:
        if cpu is None:
            cpu = random.choice(cpus())  # noqa: S311 - nothing secret
        self.share = share
        share.mkdir(parents=True, exist_ok=True)
        for leftover in ("booted", "status", "output", "console"):
            (share / leftover).unlink(missing_ok=True)
        (share / "job").write_text(f"cd {shlex.quote(str(PROJECT))}\n{job}\n")
        with (share / "console").open("wb") as console:
            self._process = subprocess.Popen(
                _kernel_command(share, memory_mib, disk, cpu),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(_memory_folder(memory_mib))},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.power_cut()

    def running(self) -> bool:
        """Tell whether the guest still runs."""
        return self._process.poll() is None

    def pause(self, seconds: float) -> None:
        """Wait until the guest ends, but no longer than ``seconds``."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def wait(self, timeout_seconds: float) -> int:
        """Wait for the job's end and return its exit status.

        Raises:
            GuestError: the guest died, or ran longer than ``timeout_seconds`` and was stopped.
        """
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.power_cut()
            raise GuestError(
                f"the guest ran longer than {timeout_seconds:.0f} s\n{self.last_output()}"
            ) from None
        status = self.share / "status"
        if not status.exists():
            raise GuestError(f"the guest died\n{self.last_output()}")
        return int(status.read_text())

    def power_cut(self) -> None:
        """Stop the guest at once: what it has not written to its disk file is lost."""
        if self.running():
            os.killpg(self._process.pid, 9)
        self._process.wait()

    def last_output(self, lines: int = 60) -> str:
        """Return the end of what the job and the kernel printed."""
        texts = []
        for name in ("output", "console"):
            path = self.share / name
            if path.exists():
                tail = path.read_text(errors="replace").splitlines()[-lines:]
                texts.append(f"--- the guest's {name}\n" + "\n".join(tail))
        return "\n".join(texts)


def _kernel_command(share: Path, memory_mib: int, disk: Path | None, cpu: int) -> list[str]:
    # fmt: off
    command = [
        "taskset", "--cpu-list", str(cpu),
        str(ROOT / "usr/bin/linux.uml"), f"mem={memory_mib}M", f"uml_dir={share}",
        "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={INIT}",
        f"guest_root={ROOT}", f"guest_share={share}", "con=null", "con0=null,fd:1", "quiet",
    ]
    # fmt: on
    return command + ([f"ubda={disk}"] if disk else [])


def _memory_folder(memory_mib: int) -> Path:
    """Where the kernel keeps the guest's memory: /dev/shm where it is large enough."""
    if _SHM.is_dir() and shutil.disk_usage(_SHM).free > 2 * memory_mib * 2**20:
        return _SHM
    return Path("/var/tmp")  # noqa: S108 - the kernel unlinks its file at once
