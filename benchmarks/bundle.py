"""What starting the bundle costs on this very machine: its shortest call, ``init``.

``python -m benchmarks.bundle`` builds a bundle and times its entry, as the kubelet would call it,
beside the bundle's own interpreter that runs nothing, and beside a shell that does as little as the
kernel lets a process do. Times are medians, in turn.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from flexvol.bundle.build import build
from flexvol.bundle.layout import FLAGS, PYTHON
from flexvol.install.store import ENTRY, Store

ROUNDS = 101


def milliseconds(*command: str) -> float:
    """Return how long a command takes, which must succeed."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (1, 2)]
    start = time.perf_counter()
    child = os.posix_spawn(command[0], command, {}, file_actions=quiet)
    status = os.waitpid(child, 0)[1]
    took = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{command} ended with {status}")
    return took * 1000


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "build"
        build(source)
        bundle = Store(Path(folder) / "store").put(source)
        commands = {
            "init": (str(bundle / ENTRY), "init"),
            "interpreter": (str(bundle / PYTHON), FLAGS, "-c", ""),
            "sh": ("/bin/sh", "-c", ":"),
        }
        samples = [
            {name: milliseconds(*command) for name, command in commands.items()}
            for _ in range(ROUNDS)
        ]
    median = {name: statistics.median(one[name] for one in samples) for name in commands}
    ratio = statistics.median(one["init"] / one["interpreter"] for one in samples)
    print(  # noqa: T201 - a command's own output
        f"init from the bundle: {median['init']:.1f} ms, its interpreter alone "
        f"{median['interpreter']:.1f} ms, ratio {ratio:.2f}; sh {median['sh']:.1f} ms"
    )


if __name__ == "__main__":
    main()
