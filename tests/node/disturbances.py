"""Calls of the driver that are disturbed on their way."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from flexvol.driver import answer
from flexvol.log import Log
from flexvol.node import Node
from flexvol.reconcile import Deed, reconcile
from flexvol.settings import load
from tests.node.host import Host
from tests.node.kubelet import Answer, Kubelet

DISTURBED = Path(__file__).with_name("disturbed_driver.py")


class Disturbance(NamedTuple):
    """What befalls the driver, and when: see ``disturbed_driver.py``."""

    deed: str
    moment: str = "before"
    number: int = 0
    delay_seconds: float = 0.0

    def __str__(self) -> str:
        delay = f" {self.delay_seconds * 1000:.0f} ms" if self.delay_seconds else ""
        return f"{self.deed}{delay} {self.moment} step {self.number}"


NONE = Disturbance("none")


class Outcome(NamedTuple):
    """How a disturbed call ended.

    Attributes:
        steps: the steps that it began.
        killed: it was.
        answer: what it answered, where it is the kubelet's.
    """

    steps: tuple[str, ...]
    killed: bool
    answer: Answer | None

    @property
    def failed(self) -> bool:
        """Whether it answered that it failed."""
        return self.answer is not None and self.answer.status != "Success"


def disturb(host: Host, disturbance: Disturbance, *call: str) -> Outcome:
    """Make one call of the driver, disturbed; wait until the driver has ended.

    Raises:
        AssertionError: it answered something else than one line of JSON.
    """
    notes = host.place / "steps"
    notes.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-IS", DISTURBED, notes, *map(str, disturbance), *call],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=host.kubelet.environ,
        text=True,
        start_new_session=True,
    )
    process.wait(timeout=200)
    killed = process.returncode == -signal.SIGKILL
    said = None
    if call[0] in ("mount", "unmount") and not killed:
        said = Kubelet.read(process)
    else:
        stdout, stderr = process.communicate()
        assert not killed or stderr == "", stderr
        may_have_spoken = call[0] == "reconcile" or stdout == "" or stdout.endswith("}\n")
        assert not killed or may_have_spoken, stdout
    lines = notes.read_text().splitlines() if notes.exists() else []
    steps = tuple(line.removeprefix("before ") for line in lines if line.startswith("before "))
    return Outcome(steps, killed, said)


class HereKubelet(Kubelet):
    """A kubelet in whose own process the driver runs: what it does is the same, and sooner done."""

    def call(self, *arguments: str) -> Answer:
        """Make one call."""
        reply = answer(list(arguments), self.environ)
        return Answer(reply.status, reply.message, reply.capabilities)


def reconcile_here(host: Host) -> list[Deed]:
    """Reconcile a node from within this process."""
    settings = load(host.kubelet.environ)
    return reconcile(Node(settings), Log(settings.log_file, call="reconcile"))
