"""The agent in a process of its own, on a node whose driver is played by a script."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from flexvol.log import Log
from tests.agent.make import document
from tests.cluster.apiserver import ApiServer
from tests.guest.machine import PROJECT
from tests.waiting import eventually

SCRIPT = """\
#!/bin/sh
echo "$1" >>{place}/calls
[ "$1" != status ] || exec cat {place}/status
[ ! -e {place}/stuck ] || sleep 2
"""


class Node:
    """What the agent finds on its node.

    Args:
        place: an empty folder.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.log = Log(str(place / "slab.log"))
        self.kubeconfig = place / "kubeconfig"
        driver = place / "slab"
        driver.write_text(SCRIPT.format(place=place))
        driver.chmod(0o755)
        self.has()

    def has(self, *slabs: dict[str, Any], **fields: Any) -> None:  # noqa: ANN401 - JSON
        """Have the driver say this of the node."""
        fields |= {"log_file": str(self.place / "slab.log"), "run_dir": str(self.place)}
        draft = self.place / "status.new"
        draft.write_text(document(*slabs, **fields))
        draft.replace(self.place / "status")

    def calls(self, call: str) -> int:
        """Return how often the driver was called so."""
        path = self.place / "calls"
        return path.read_text().splitlines().count(call) if path.exists() else 0

    def knows(self, url: str) -> None:
        """Write a kubeconfig for an API server."""
        cluster = {"name": "here", "cluster": {"server": url}}
        user = {"name": "me", "user": {"token": "sesame"}}
        context = {"name": "here", "context": {"cluster": "here", "user": "me"}}
        config = {"clusters": [cluster], "users": [user], "contexts": [context]}
        text = json.dumps({"kind": "Config", "current-context": "here", **config})
        self.kubeconfig.write_text(text)


class Agent:
    """A running agent.

    Args:
        node: where.
        flags: further ones.
    """

    def __init__(self, node: Node, *flags: str) -> None:
        self.output = (node.place / "output").open("w+b")
        self.process = start(node, *flags, stdout=self.output)
        eventually(lambda: bool(self.said("running")))
        self.port = self.said("running")[0]["port"]

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of its log of one kind."""
        assert self.process.poll() is None or event != "running", "the agent has ended"
        lines = Path(self.output.name).read_text().splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        return [line for line in whole if line["event"] == event]

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text of a page."""
        try:
            with urllib.request.urlopen(f"http://localhost:{self.port}{path}", timeout=20) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float | None:
        """Return the value of a metric, None if there is none."""
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                if sample.name == f"dind_node_{name}" and sample.labels == labels:
                    return sample.value
        return None

    def end(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def start(node: Node, *flags: str, **streams: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 - as Popen
    """Start an agent and do not wait for it to run."""
    command = [sys.executable, "-m", "flexvol", "agent", "--port=0", f"--root={node.place}", *flags]
    return subprocess.Popen(command, cwd=PROJECT, env=dict(os.environ), **streams)


@contextmanager
def agent(node: Node, *flags: str) -> Iterator[Agent]:
    """Run an agent, and end it."""
    one = Agent(node, *flags)
    try:
        yield one
    finally:
        status = one.end() if one.process.poll() is None else one.process.returncode
        one.output.close()
    assert status == 0, Path(one.output.name).read_text()


@contextmanager
def agent_of(server: ApiServer, node: Node, *flags: str) -> Iterator[Agent]:
    """Run an agent that tells an API server of ``node-1``, in quick rounds."""
    node.knows(server.url)
    ours = ("--node=node-1", f"--kubeconfig={node.kubeconfig}", "--interval=0.2")
    with agent(node, *ours, *flags) as one:
        yield one
