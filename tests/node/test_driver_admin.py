"""What an admin sees with ``slab status``, and throws away with ``slab prune``."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from flexvol.lock import Locks
from tests.node.host import GROUP, Host, run
from tests.node.kubelet import PROJECT

DAY = 86_400


def come_and_go(host: Host, pod: str, namespace: str = "default", **options: str) -> str:
    """Have a pod leave a slab behind; return its name."""
    answer = host.kubelet.mount(pod, namespace=namespace, **options)
    assert answer.status == "Success", answer.message
    name = host.mounted_slab(pod)
    assert host.kubelet.end(pod).status == "Success"
    return name


def prune(host: Host, *arguments: str) -> list[str]:
    """Prune; return what it said."""
    done = host.admin("prune", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def names(host: Host) -> set[str]:
    return {slab.name for slab in host.slabs()}


def status(host: Host) -> dict[str, dict[str, Any]]:
    """Return what ``slab status --json`` says of each slab, by name."""
    done = host.admin("status", "--json")
    assert done.returncode == 0, done.stderr
    return {slab["name"]: slab for slab in json.loads(done.stdout)["slabs"]}


def test_a_scope_is_pruned_with_its_cache_keys_and_nothing_else(host: Host) -> None:
    plain = come_and_go(host, "a", "team")
    keyed = come_and_go(host, "b", "team", cache_key="main")
    other = come_and_go(host, "c", "team-b")
    host.kubelet.mount("d", namespace="team", cache_key="held")
    held = host.mounted_slab("d")
    run("lvcreate", "--yes", "--name", "mine", "--size", "8M", GROUP)

    said = prune(host, "--scope", "namespace/team", "--dry-run")
    assert sorted(line.split(":")[0] for line in said) == sorted([plain, keyed])
    assert all("would be removed: 64 MiB of namespace/team" in line for line in said)
    assert names(host) == {plain, keyed, other, held}

    assert len(prune(host, "--scope", "namespace/team")) == 2
    assert names(host) == {other, held}
    assert "mine" in host.volumes()
    assert [event["slab"] for event in host.events("pruned")][-2:] == sorted([plain, keyed])
    assert prune(host, "--scope", "namespace/team") == []


def test_what_was_unused_for_long_is_pruned(host: Host) -> None:
    old = come_and_go(host, "a", "team-a")
    new = come_and_go(host, "b", "team-b")
    at = next(slab.released_at for slab in host.slabs() if slab.name == old)
    assert abs(at - time.time()) < DAY
    tags = (f"--deltag=dind.at={at}", f"--addtag=dind.at={at - 8 * DAY}")
    run("lvchange", *tags, f"{GROUP}/{old}")
    assert [line.split(":")[0] for line in prune(host, "--unused-for=7d")] == [old]
    assert names(host) == {new}


def test_all_means_what_nobody_holds(host: Host) -> None:
    gone = come_and_go(host, "a", "team-a")
    host.kubelet.mount("b")
    in_use = host.mounted_slab("b")
    host.kubelet.mount("c", namespace="team-c")
    reserved = host.mounted_slab("c")
    run("umount", str(host.directory("c")))
    assert [line.split(":")[0] for line in prune(host, "--all")] == [gone]
    assert names(host) == {in_use, reserved}
    assert host.kubelet.mount("c", namespace="team-c").status == "Success"
    assert host.mounted_slab("c") == reserved


def test_a_slab_that_is_open_or_worked_on_is_left(host: Host) -> None:
    is_open = come_and_go(host, "a", "team-a")
    claimed = come_and_go(host, "b", "team-b")
    claim = Locks(str(host.run_dir)).claim(claimed)
    assert claim is not None
    elsewhere = host.place / "elsewhere"
    elsewhere.mkdir()
    run("mount", host.device(is_open), str(elsewhere))
    with claim:
        (said,) = prune(host, "--all")
        assert said.startswith(f"{is_open}: left")
        assert names(host) == {is_open, claimed}
    run("umount", str(elsewhere))
    assert len(prune(host, "--all")) == 2
    assert names(host) == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "--all is missing"), (("--unused-for", "soon"), "'soon'"), (("now",), "'now'")],
)
def test_a_call_that_is_not_understood_removes_nothing(
    host: Host, arguments: tuple[str, ...], said: str
) -> None:
    come_and_go(host, "a")
    done = host.admin("prune", *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(host.slabs()) == 1


def test_status_tells_how_full_each_slab_is_and_when_it_was_released(host: Host) -> None:
    host.kubelet.mount("a")
    name = host.mounted_slab("a")
    assert status(host)[name]["used_percent"] < 20
    (host.directory("a") / "big").write_bytes(bytes(24 << 20))
    facts = status(host)[name]
    assert (facts["state"], facts["released_at"]) == ("in use", 0)
    assert 35 < facts["used_percent"] < 50
    host.kubelet.end("a")
    left = status(host)[name]
    assert left["state"] == "free"
    assert left["used_percent"] == facts["used_percent"]
    assert abs(left["released_at"] - time.time()) < DAY


def test_the_table_shows_each_slab_and_the_pool(host: Host) -> None:
    free = come_and_go(host, "a", "team-a", graph_format="docker-29")
    host.kubelet.mount("b")
    done = subprocess.run(
        [sys.executable, "-m", "flexvol", "status"],
        cwd=PROJECT,
        env=host.kubelet.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    head, *rows, pool = done.stdout.splitlines()
    assert head.split("  ")[0] == "SLAB"
    assert head.endswith("HOLDER")
    cells = {row.split()[0]: row for row in rows}
    assert set(cells) == names(host)
    at = next(slab.released_at for slab in host.slabs() if slab.name == free)
    assert time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) in cells[free]
    assert "namespace/team-a" in cells[free]
    assert "docker-29" in cells[free]
    assert cells[host.mounted_slab("b")].endswith("pod b, volume graph")
    assert pool.startswith(f"volume group {GROUP}: ")
    assert pool.endswith("64 reclaimable")


def test_without_rich_the_table_says_what_to_do(host: Host) -> None:
    come_and_go(host, "a")
    done = host.admin("status")
    assert done.returncode == 1, "this Python has rich where -S looks: the test needs one without"
    assert "rich" in done.stderr
    assert "--json" in done.stderr
