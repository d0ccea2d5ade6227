"""The agent as a process: its rounds, its signals, its pages, and what the cluster sees of it."""

import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from flexvol.contract import SlabOptions, warm_label
from tests.agent.make import CALL, slab
from tests.agent.running import Node, agent, agent_of, start
from tests.cluster.apiserver import ApiServer, status
from tests.waiting import PATIENCE_SECONDS, eventually

NODE = "/api/v1/nodes/node-1"
ERROR = {"pool": None, "error": {"cause": "pool", "message": "a disk is missing"}}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node whose pool is in order, and empty."""
    return Node(tmp_path)


@pytest.fixture
def server(api_server: ApiServer) -> ApiServer:
    """An API server that knows the node."""
    api_server.put_node("node-1")
    return api_server


def seen(server: ApiServer) -> tuple[dict[str, str], str | None]:
    """Return the node's labels and its capacity, as the API server knows them."""
    node: Any = server.get(NODE)
    labels = dict(node["metadata"]["labels"])
    labels.pop("zone")
    return labels, node["status"]["capacity"].get("dind/slab-mib")


def test_the_node_is_published_as_it_changes(server: ApiServer, node: Node) -> None:
    warm = warm_label("ci", SlabOptions(1024, "", "docker-29"))
    with agent_of(server, node):
        eventually(lambda: seen(server) == ({"dind/driver": "ready"}, "10000"))
        node.has(slab("a"), capacity_mib=20000)
        eventually(lambda: seen(server) == ({"dind/driver": "ready", warm: "true"}, "20000"))
        node.has(slab("a", "in use"), capacity_mib=20000)
        eventually(lambda: seen(server) == ({"dind/driver": "ready"}, "20000"))
    assert seen(server) == ({"dind/driver": "ready"}, "20000"), "an agent's end is no withdrawal"


def test_the_metrics_are_scraped(node: Node) -> None:
    node.has(slab("a"), slab("b", "in use", scope="namespace/ci#go"))
    node.log.info("mounted", slab="b", outcome="warm", took_ms=200, **CALL)
    with agent(node, "--interval=0.2") as one:
        eventually(lambda: one.metric("slabs", state="free", scope="namespace") == 1)
        assert one.metric("slabs", state="in_use", scope="namespace+key") == 1
        assert one.metric("mounts_total", outcome="warm", result="hit") == 1
        node.log.error("failed", cause="no_room", error="no room", **CALL)
        eventually(lambda: one.metric("failures_total", call="mount", cause="no_room") == 1)
        assert one.get("/healthz") == (200, "ok\n")
        assert one.get("/readyz") == (200, "ok\n")
        assert one.get("/")[0] == 404


def test_both_families_of_addresses_are_served(node: Node) -> None:
    with agent(node) as one:
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, one.port), timeout=PATIENCE_SECONDS) as client:
                client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                assert b" 200 " in client.recv(1000)


def test_a_pool_that_fails_once_is_no_news_and_twice_is(server: ApiServer, node: Node) -> None:
    with agent_of(server, node) as one:
        eventually(lambda: seen(server) == ({"dind/driver": "ready"}, "10000"))
        node.has(**ERROR)
        eventually(lambda: one.get("/readyz") == (503, "a disk is missing\n"))
        assert seen(server)[0] == {"dind/driver": "ready"}
        eventually(lambda: seen(server)[0] == {})
        assert seen(server)[1] == "10000"
        eventually(lambda: len(server.under("/namespaces/default/events/")) == 1)
        (event,) = server.under("/events/")
        assert (event["reason"], event["message"]) == ("SlabDriverNotReady", "a disk is missing")
        node.has()
        eventually(lambda: seen(server)[0] == {"dind/driver": "ready"})


def test_a_restart_neither_repeats_nor_forgets_what_was_told(server: ApiServer, node: Node) -> None:
    with agent_of(server, node):
        node.log.error("damaged", slab="slab-1", scope="namespace/ci", call="reconcile")
        eventually(lambda: len(server.under("/events/")) == 1)
    node.log.error("failed", cause="no_room", error="no room for it", **CALL)
    with agent_of(server, node) as one:
        eventually(lambda: len(server.under("/events/")) == 2)
        assert one.metric("damaged_slabs_total") == 0
    (on_pod,) = server.under("/namespaces/ci/events/")
    assert (on_pod["reason"], on_pod["message"]) == ("SlabRefused", "no room for it")


def test_the_nodes_work_goes_on_without_an_api_server(node: Node) -> None:
    node.knows("http://127.0.0.1:1")
    flags = ("--node=node-1", f"--kubeconfig={node.kubeconfig}", "--interval=0.2")
    with agent(node, *flags) as one:
        eventually(lambda: (one.metric("cluster_errors_total", purpose="watch") or 0) >= 3)
        before = node.calls("reconcile")
        eventually(lambda: node.calls("reconcile") > before + 3)
        assert one.metric("ready") == 1
        assert one.get("/readyz")[0] == 200


def test_the_cluster_is_told_once_it_can_be(server: ApiServer, node: Node) -> None:
    server.plan(status(503), times=3)
    server.plan(status(500), method="PATCH", times=3)
    with agent_of(server, node):
        eventually(lambda: seen(server) == ({"dind/driver": "ready"}, "10000"))


def test_sighup_begins_a_round_at_once(node: Node) -> None:
    with agent(node, "--interval=3600") as one:
        eventually(lambda: node.calls("status") == 1)
        one.process.send_signal(signal.SIGHUP)
        eventually(lambda: node.calls("status") == 2)


def test_sigterm_lets_a_round_end_and_no_other_begin(node: Node) -> None:
    (node.place / "stuck").touch()
    with agent(node, "--interval=0.2") as one:
        eventually(lambda: node.calls("reconcile") == 1)
        assert one.end() == 0
        assert (node.calls("reconcile"), node.calls("status")) == (1, 1)


def test_a_client_that_says_nothing_keeps_nobody_from_the_metrics(node: Node) -> None:
    with agent(node) as one, socket.create_connection(("127.0.0.1", one.port)):
        began = time.monotonic()
        assert one.get("/healthz")[0] == 200
        assert time.monotonic() - began < 5


def test_wrong_settings_are_said_and_stop_nothing(node: Node) -> None:
    folder = node.place / "settings"
    folder.mkdir()
    (folder / "full-percent").write_text("50")
    with agent(node, "--interval=0.2", f"--settings-from={folder}") as one:
        eventually(lambda: one.metric("settings_faulty") == 1)
        assert "'full-percent' is not a setting" in one.said("settings not carried out")[0]["error"]
        eventually(lambda: one.metric("ready") == 1)


def test_withdrawing_takes_away_all_that_is_ours(server: ApiServer, node: Node) -> None:
    with agent_of(server, node):
        node.has(slab("a"))
        eventually(lambda: len(seen(server)[0]) == 2)
    done = start(node, "withdraw", "--node=node-1", f"--kubeconfig={node.kubeconfig}")
    assert done.wait(60) == 0
    assert seen(server) == ({}, None)
    again = start(node, "withdraw", "--node=gone", f"--kubeconfig={node.kubeconfig}")
    assert again.wait(60) == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--port=99999"], "99999 is no port"),
        (["--interval=0"], "0 is wrong"),
        (["withdraw", "--node="], "--node is missing"),
        (["--node=node-1"], "no cluster to talk to"),
        (["--frobnicate"], "frobnicate"),
    ],
)
def test_what_cannot_be_started_says_why(node: Node, flags: list[str], said: str) -> None:
    process = start(node, *flags, stderr=subprocess.PIPE)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said in stderr.decode()


def test_a_port_that_is_taken_is_named(node: Node) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(node, f"--port={port}", stderr=subprocess.PIPE)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"port {port} cannot be listened on" in stderr.decode()
