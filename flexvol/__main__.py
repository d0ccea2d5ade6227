"""The executable: one line of JSON on stdout, nothing on stderr, and an exit status.

Run it as ``python3 -I -S``: isolated from the environment, without ``site``. It ends without
tearing the interpreter down, which would only take time.
"""

import os
import sys

from flexvol.callout import FAILURE, Reply
from flexvol.command import PATH
from flexvol.driver import answer
from flexvol.step import unwatched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from flexvol.step import Watcher


ADMIN = ("setup", "reconcile", "status", "prune", "version", "--version", "help", "--help", "-h")
"""The calls that are for people, and may print what people read."""


def start(
    arguments: "list[str]", environ: "Mapping[str, str]", watcher: "Watcher" = unwatched
) -> "NoReturn":
    """Serve the kubelet's calls and an admin's, or be the node's agent.

    Args:
        arguments: the call and what goes with it.
        environ: the environment.
        watcher: told of every step; only tests pass one.
    """
    if arguments[:1] == ["agent"]:
        try:
            from flexvol.agent.main import main as agent
        except ModuleNotFoundError as error:
            sys.exit(f"slab agent: the image has the agent, a bundle has not: {error}")
        sys.exit(agent(arguments[1:], environ))
    if arguments[:1] and arguments[0] in ADMIN:
        from flexvol.admin import main as admin

        sys.exit(admin(arguments, environ, watcher))
    main(arguments, environ, watcher)


def main(
    arguments: "list[str]", environ: "Mapping[str, str]", watcher: "Watcher" = unwatched
) -> "NoReturn":
    """Answer one call of the kubelet's and exit; the arguments are those of ``start``."""
    out = _private_stdout()
    os.environ["PATH"] = PATH
    os.umask(0o022)
    try:
        reply = answer(arguments, environ, watcher)
    except BaseException as error:  # the kubelet must get its one line of JSON
        reply = Reply(FAILURE, f"{type(error).__name__}: {error}")
    try:
        os.write(out, reply.text().encode() + b"\n")
    except OSError:
        os._exit(1)
    os._exit(reply.exit_status)


def _private_stdout() -> int:
    """Return stdout for the reply alone; whatever else is written to it or to stderr goes nowhere.

    The kubelet reads both as one text: a single warning would break the call.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        out = os.dup(1)
    except OSError:
        out = nowhere
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream, inheritable=True)
    return out


if __name__ == "__main__":
    start(sys.argv[1:], os.environ)
