"""What a pod finds of the one before it, whose daemon was killed in the middle of its work."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.node.images import busybox_tar
from tests.node.pod import BUSYBOX, DASH, Container, Pod, Slab, run
from tests.waiting import PATIENCE_SECONDS, eventually
from webhook import names

BUILD = b"FROM box:1\nRUN echo built >/made\n"
UNFINISHED = b"FROM built:1\nRUN echo half >/half; sleep 4321\n"

FIRST_ANSWER = r"""
import http.client, json, time
def get(path):
    connection = http.client.HTTPConnection("127.0.0.1", 2375, timeout=240)
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())
refused = 0
while True:
    try:
        first = get("/containers/json?all=1")
    except OSError:
        refused += 1
        time.sleep(0.1)
        continue
    print(json.dumps({"refused": refused, "containers": first, "volumes": get("/volumes"),
        "networks": get("/networks"), "info": get("/info")}))
    break
"""


@dataclass(frozen=True)
class Handover:
    """Two pods, one after the other on the same slab; the second's daemon is ready."""

    slab: Slab
    before: Pod
    after: Pod
    container: Container
    first_answer: dict[str, Any]


@pytest.fixture(scope="module")
def handover() -> Iterator[Handover]:
    place = Path("/mnt/leftovers")
    slab = Slab(place / "slab")
    before = Pod(place / "before", slab.path, number=1)
    with before.start({names.ENV_SIZE_MIB: "1024"}, BUSYBOX) as container:
        container.wait_ready()
        building = leave_things(before)
    building.wait(PATIENCE_SECONDS)
    after = Pod(place / "after", slab.path, number=2)
    environment = {
        names.ENV_DOCKER_HOST: "tcp",
        names.ENV_SIZE_MIB: "1024",
        names.ENV_SHUTDOWN_SECONDS: "6",
    }
    asker = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{after.network}", sys.executable, "-ISc", FIRST_ANSWER],
        stdout=subprocess.PIPE,
        text=True,
    )
    with after.start(environment, DASH, cgroup_namespace="own") as container:
        container.wait_ready()
        answer, _ = asker.communicate(timeout=PATIENCE_SECONDS)
        yield Handover(slab, before, after, container, json.loads(answer))


def leave_things(pod: Pod) -> "subprocess.Popen[bytes]":
    """Leave in the graph whatever a pod may leave; return the client of an unfinished build."""
    pod.docker("import", "-", "box:1", stdin=busybox_tar())
    pod.docker("build", "--tag=built:1", "-", stdin=BUILD)
    pod.docker("network", "create", "left-network")
    pod.docker(
        "run", "--detach", "--name=always", "--restart=always",
        "--volume=/run/dind:/pod", "--volume=left-volume:/v", "box:1",
        "sh", "-c", "echo always >>/pod/ran; sleep 600",  # the sockets' folder is the pod's own
    )  # fmt: skip
    pod.docker("swarm", "init", "--advertise-addr=127.0.0.1")
    building = subprocess.Popen(
        ["/usr/bin/docker", "build", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"DOCKER_HOST": f"unix://{pod.socket}", "DOCKER_BUILDKIT": "1"},
    )
    assert building.stdin
    building.stdin.write(UNFINISHED)
    building.stdin.close()
    eventually(lambda: run("pgrep", "-fx", "sleep 4321", check=False) != "")
    eventually(lambda: ran_in(pod) == {"always"})
    return building


def ran_in(pod: Pod) -> set[str]:
    """Return whose marks there are in a pod."""
    marks = pod.sockets / "ran"
    return set(marks.read_text().split()) if marks.exists() else set()


def test_the_port_opens_only_when_all_of_it_is_gone(handover: Handover) -> None:
    first = handover.first_answer
    assert first["refused"] > 0
    assert first["containers"] == []
    assert first["volumes"]["Volumes"] == []
    assert {network["Name"] for network in first["networks"]} == {"bridge", "host", "none"}
    assert first["info"]["Swarm"]["LocalNodeState"] == "inactive"


def test_none_of_it_ever_ran_again(handover: Handover) -> None:
    assert ran_in(handover.before) == {"always"}
    assert ran_in(handover.after) == set()


def test_images_and_the_build_cache_are_whole_after_a_kill_in_a_build(handover: Handover) -> None:
    again = handover.after.docker("build", "--tag=again:1", "-", stdin=BUILD)
    assert "CACHED" in again
    shown = handover.after.docker("run", "--rm", "built:1", "cat", "/made")
    assert shown == "built\n"
    assert handover.after.docker("image", "inspect", "--format={{.Id}}", "built:1", "again:1")


def test_the_port_is_open_within_the_pod_only(handover: Handover) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((handover.after.address, 2375), timeout=5)


def test_sigterm_ends_containers_and_daemon_in_order_and_in_time(handover: Handover) -> None:
    pod = handover.after
    pod.docker(
        "run", "--detach", "--restart=always", "--volume=/run/dind:/pod", "box:1",
        "sh", "-c", "trap 'echo told >>/pod/ran; exit 0' TERM; while :; do sleep 0.1; done",
    )  # fmt: skip
    # Would have ten minutes, were it for the daemon alone.
    pod.docker("run", "--detach", "--stop-timeout=600", "box:1", "sleep", "4321")
    assert handover.container.terminate(timeout_seconds=60) == 0
    assert ran_in(pod) == {"told"}
    assert handover.slab.state == "clean\n"
    assert not handover.slab.locked()
