"""Never two daemons on one graph, also where the kubelet believes that the first is gone."""

import itertools

from tests.node import invariants
from tests.node.host import Host
from tests.node.images import busybox_tar
from tests.node.pod import Pod
from webhook import names

SIZE_MB = "400"
ENVIRONMENT = {names.ENV_SIZE_MIB: SIZE_MB}

numbers = itertools.count(1)


def pod_of(host: Host, name: str) -> Pod:
    """Mount a pod's graph storage and return the pod."""
    answer = host.kubelet.mount(name, SIZE_MB)
    assert answer.status == "Success", answer.message
    return Pod(host.place / "pods" / name, host.directory(name), next(numbers))


def test_a_daemon_that_outlives_its_unmount_has_its_graph_to_itself(host: Host) -> None:
    """The kubelet unmounts while the container, in a mount namespace of its own, still runs."""
    stuck = pod_of(host, "stuck")
    with stuck.start(ENVIRONMENT) as container:
        container.wait_ready()
        stuck.docker("import", "-", "box:1", stdin=busybox_tar())
        slab = host.mounted_slab("stuck")
        assert host.kubelet.end("stuck").status == "Success"
        assert host.slab().phase == "busy"
        assert host.admin("reconcile").returncode == 0

        pod = pod_of(host, "next")
        assert host.mounted_slab("next") != slab
        invariants.check(host)
        with pod.start(ENVIRONMENT) as other:
            other.wait_ready()
            assert pod.docker("images", "--quiet") == ""
            assert stuck.docker("images", "--quiet") != ""
            assert other.terminate() == 0
        assert host.kubelet.end("next").status == "Success"

    assert host.admin("reconcile").returncode == 0
    invariants.check_at_rest(host)
    assert host.kubelet.mount("latest", SIZE_MB).status == "Success"
    assert host.mounted_slab("latest") == slab, "it was freed last"
    assert (host.directory("latest") / "image" / "overlay2").is_dir(), "its images are lost"
