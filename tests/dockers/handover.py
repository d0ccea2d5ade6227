"""Two pods, one after the other on one slab, with the Docker in the root that is given.

Runs in the guest, as ``python -m tests.dockers.handover ROOT [ARGUMENT…]``; the arguments go to
dockerd. Fails with an AssertionError.
"""

import sys
import time
from pathlib import Path

from tests.node.images import busybox_tar
from tests.node.pod import BUSYBOX, DASH, MTU, Pod, Slab
from webhook import names

BUILD = b"FROM box:1\nRUN echo built >/made\n"
MARK = "cat /sys/class/net/eth0/mtu /sys/fs/cgroup/memory.max >>/pod/ran; sleep 600"
TRAP = "trap 'echo told >>/pod/ran; exit 0' TERM; while :; do sleep 0.1; done"
OUT = "--volume=/run/dind:/pod"
"""The sockets' folder, which is each pod's own."""


def main(root: Path, arguments: list[str]) -> None:
    """Play both pods; say what Docker it was."""
    slab = Slab(Path("/mnt/handover/slab"))
    environment = {
        names.ENV_SIZE_MIB: str(slab.size_mib),
        names.ENV_DAEMON_ARGS: "\n".join(arguments),
    }
    before = Pod(Path("/mnt/handover/before"), slab.path, number=1)
    with before.start(environment, DASH, root=root) as container:
        container.wait_ready(120)
        info = before.api("/info")
        print("Docker", info["ServerVersion"], "storage driver", info["Driver"])  # noqa: T201 - its answer
        before.docker("import", "-", "box:1", stdin=busybox_tar())
        before.docker("build", "--tag=built:1", "-", stdin=BUILD)
        before.docker("network", "create", "left-network")
        before.docker(
            "run", "--detach", "--restart=always", "--memory=64m", "--network=left-network",
            "--volume=left-volume:/v", OUT, "box:1", "sh", "-c", MARK,
        )  # fmt: skip
        before.docker("swarm", "init", "--advertise-addr=127.0.0.1")
        while not (before.sockets / "ran").exists():
            time.sleep(0.1)
        time.sleep(1)
        assert (before.sockets / "ran").read_text().split() == [str(MTU), str(64 << 20)]
        assert list((container.cgroup / "dind").glob("[0-9a-f]*/cgroup.procs"))

    after = Pod(Path("/mnt/handover/after"), slab.path, number=2)
    environment[names.ENV_DOCKER_HOST] = "tcp"
    with after.start(environment, BUSYBOX, root=root, cgroup_namespace="own") as container:
        container.wait_ready(120)
        assert after.api("/containers/json?all=1") == []
        assert not after.api("/volumes")["Volumes"]
        assert {n["Name"] for n in after.api("/networks")} == {"bridge", "host", "none"}
        assert after.api("/info")["Swarm"]["LocalNodeState"] == "inactive"
        assert not (after.sockets / "ran").exists()
        assert "CACHED" in after.docker("build", "--tag=built:2", "-", stdin=BUILD)
        assert after.docker("run", "--rm", "built:1", "cat", "/made") == "built\n"
        after.docker("run", "--detach", OUT, "box:1", "sh", "-c", TRAP)
        assert container.terminate() == 0, container.log
    assert (after.sockets / "ran").read_text() == "told\n"
    assert slab.state == "clean\n"
    assert not slab.locked()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
