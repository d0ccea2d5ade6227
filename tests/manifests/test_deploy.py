"""`make deploy` and `make undeploy`: what is called, in which order, and with what."""

import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flexvol.agent.flags import parse_flags
from flexvol.install.__main__ import parser
from tests.guest.machine import PROJECT
from tests.manifests.fake_cluster import FakeCluster
from tests.manifests.rendering import MANIFESTS, Manifest, one, pod_specs, rendered

IMAGE = "registry.example:5000/team/dind-slab:1.2"


@pytest.fixture
def cluster(tmp_path: Path) -> FakeCluster:
    cluster = FakeCluster(tmp_path)
    daemon_set = one(rendered(MANIFESTS), "DaemonSet", "dind-node")
    with (tmp_path / "daemonset.yaml").open("w") as stream:
        YAML(typ="safe").dump(daemon_set, stream)
    return cluster


def applied(cluster: FakeCluster) -> list[Manifest]:
    return list(YAML(typ="safe").load_all(cluster.file("applied.yaml")))


def images(cluster: FakeCluster) -> set[str]:
    specs = [spec for _, spec in pod_specs(applied(cluster))]
    return {
        container["image"]
        for spec in specs
        for container in (*spec.get("initContainers", ()), *spec["containers"])
    }


def succeeded(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr


def test_without_an_image_make_stops_and_says_so() -> None:
    done = subprocess.run(
        ["make", "deploy"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "IMAGE is missing" in done.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"KUBELET": "other"}, "known are aks gke openshift rke2"),
        ({"DEVICE": "/dev/sdb", "SIZE": "10Gi"}, "exclude each other"),
        ({"REFUSE": "/version"}, "reaches no cluster"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_built(
    cluster: FakeCluster, variables: dict[str, str], said: str
) -> None:
    done = cluster.run("deploy", IMAGE=IMAGE, **variables)
    assert done.returncode == 1
    assert said in done.stderr
    assert not [call for call in cluster.calls() if "build" in call or "apply" in call]


def test_it_builds_pushes_applies_and_waits(cluster: FakeCluster) -> None:
    succeeded(cluster.run("deploy", IMAGE=IMAGE, BASE="base"))
    calls = [call for call in cluster.calls() if call != "docker info"]
    build = f"--tag {IMAGE} --build-arg BASE=base --build-arg BUNDLE_BASE=base ."
    assert calls[0] == "kubectl get --raw=/version"
    assert calls[1] == f"buildah build --file Dockerfile {build}"
    assert calls[2].startswith("buildah push --quiet --digestfile")
    assert calls[3] == "kubectl apply -k build/deploy"
    assert [call.split()[5] for call in calls[4:]] == [
        "deployment/dind-webhook",
        "daemonset/dind-node",
    ]
    assert images(cluster) == {f"registry.example:5000/team/dind-slab@sha256:{7:064}"}


def test_docker_is_used_where_it_runs(cluster: FakeCluster) -> None:
    succeeded(cluster.run("deploy", IMAGE=IMAGE, DOCKER_RUNS="yes"))
    assert f"docker push --quiet {IMAGE}" in cluster.calls()
    assert images(cluster) == {f"registry.example:5000/team/dind-slab@sha256:{8:064}"}


@pytest.mark.parametrize(
    ("image", "used"),
    [
        (IMAGE, IMAGE),
        ("dind-slab", "dind-slab:latest"),
        ("registry.example:5000/dind-slab", "registry.example:5000/dind-slab:latest"),
        (f"r/dind-slab@sha256:{9:064}", f"r/dind-slab@sha256:{9:064}"),
    ],
)
def test_an_image_that_is_there_is_used_as_named(
    cluster: FakeCluster, image: str, used: str
) -> None:
    succeeded(cluster.run("deploy", IMAGE=image, BUILD="no"))
    assert images(cluster) == {used}
    assert not [call for call in cluster.calls() if call.split()[0] != "kubectl"]


def test_a_device_or_a_size_reaches_the_nodes_settings(cluster: FakeCluster) -> None:
    succeeded(cluster.run("deploy", IMAGE=IMAGE, BUILD="no", DEVICE="/dev/nvme1n1"))
    data = one(applied(cluster), "ConfigMap", "dind-node")["data"]
    assert data == {"device": "/dev/nvme1n1"}
    succeeded(cluster.run("deploy", IMAGE=IMAGE, BUILD="no", SIZE="80Gi"))
    data = one(applied(cluster), "ConfigMap", "dind-node")["data"]
    assert data == {"file": "/var/lib/dind/pool", "size": "80Gi"}


@pytest.mark.parametrize(
    ("variables", "directory"),
    [
        ({"KUBELET": "rke2"}, "/var/lib/kubelet/volumeplugins"),
        ({"PLUGIN_DIR": "/opt/plugins"}, "/opt/plugins"),
    ],
)
def test_the_kubelets_directory_may_be_another(
    cluster: FakeCluster, variables: dict[str, str], directory: str
) -> None:
    succeeded(cluster.run("deploy", IMAGE=IMAGE, BUILD="no", **variables))
    spec = one(applied(cluster), "DaemonSet", "dind-node")["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["plugins"]["hostPath"]["path"] == directory
    assert len(volumes) == 4


def test_a_node_without_the_driver_is_a_failure_that_shows_why(cluster: FakeCluster) -> None:
    done = cluster.run("deploy", IMAGE=IMAGE, BUILD="no", REFUSE="daemonset/dind-node")
    assert done.returncode == 1
    assert "not all nodes have the driver" in done.stderr
    assert "logs daemonset/dind-node --container installer" in cluster.calls()[-1]


def test_undeploy_goes_in_the_order_that_leaves_no_pod_stuck(cluster: FakeCluster) -> None:
    succeeded(cluster.run("undeploy"))
    calls = cluster.calls()
    steps = [
        "delete mutatingwebhookconfiguration dind-webhook",
        "patch daemonset dind-node",
        "rollout status daemonset/dind-node",
        "label node/one dind/driver- dind.warm/abc-",
        "delete -k manifests/base",
    ]
    at = [next(n for n, call in enumerate(calls) if step in call) for step in steps]
    assert at == sorted(at)
    assert at[-1] == len(calls) - 1


def test_undeploy_has_the_daemon_set_remove_what_it_installed(cluster: FakeCluster) -> None:
    succeeded(cluster.run("undeploy"))
    patched = YAML(typ="safe").load(cluster.file("patched.yaml"))["spec"]["template"]["spec"]
    installed = YAML(typ="safe").load(cluster.file("daemonset.yaml"))["spec"]["template"]["spec"]
    (withdraw, installer), (agent,) = patched["initContainers"], patched["containers"]
    words = [word.replace("$(DIND_ROOT)", "/opt/dind") for word in installer["args"]]
    given = parser().parse_args(words)
    assert words[0] == "remove"
    assert withdraw["command"][:4] == ["python", "-m", "flexvol", "agent"]
    assert parse_flags(withdraw["command"][4:], {"NODE_NAME": "one"}).withdraw
    assert withdraw["env"] == [one_of(installer["env"], "NODE_NAME")]
    assert withdraw["image"] == "registry/dind-slab:1"
    assert not given.purge
    assert (str(given.root), given.host_pid) == ("/opt/dind", 1)
    for same in ("command", "volumeMounts", "securityContext", "image", "env"):
        assert installer[same] == installed["initContainers"][0][same]
    assert patched["volumes"] == installed["volumes"]
    # A container whose folders are removed before it starts could not start.
    assert not {"args", "volumeMounts", "startupProbe", "livenessProbe", "readinessProbe"} & set(
        agent
    )
    assert agent["command"] == ["python", "-c", "import signal; signal.pause()"]


def one_of(items: list[Manifest], name: str) -> Manifest:
    (found,) = (item for item in items if item["name"] == name)
    return found


def test_undeploy_purges_only_when_told_to(cluster: FakeCluster) -> None:
    done = cluster.run("undeploy", PURGE="1")
    succeeded(done)
    patched = YAML(typ="safe").load(cluster.file("patched.yaml"))["spec"]["template"]["spec"]
    assert "--purge" in one_of(patched["initContainers"], "installer")["args"]
    assert "still there" not in done.stdout


def test_undeploy_stops_while_pods_use_slabs_and_can_be_run_again(cluster: FakeCluster) -> None:
    done = cluster.run("undeploy", REFUSE="rollout")
    assert done.returncode == 1
    assert "run this again" in done.stderr
    assert not [call for call in cluster.calls() if "delete -k" in call or "label" in call[15:30]]
    succeeded(cluster.run("undeploy"))


def test_undeploy_takes_the_resource_only_from_nodes_that_have_it(cluster: FakeCluster) -> None:
    succeeded(cluster.run("undeploy"))
    patches = [call for call in cluster.calls() if "--subresource=status" in call]
    assert len(patches) == 1
    assert "node/one" in patches[0]
    assert "/status/capacity/dind~1slab-mib" in patches[0]


def test_undeploy_deletes_everything_that_deploy_applies(cluster: FakeCluster) -> None:
    succeeded(cluster.run("deploy", IMAGE=IMAGE, BUILD="no"))
    succeeded(cluster.run("undeploy"))
    deleted = list(YAML(typ="safe").load_all(cluster.file("deleted.yaml")))

    def names(objects: list[Manifest]) -> set[tuple[str, str]]:
        return {(o["kind"], o["metadata"]["name"]) for o in objects}

    assert names(applied(cluster)) == names(deleted)
