"""What dockerd is started with, by its version.

Debian's dockerd is the one that the other tests run. For the versions that it is not, a stand-in
that only notes its arguments shows which of them each would get.
"""

import json
from pathlib import Path

import pytest

from tests.node.pod import BUSYBOX, MTU, Pod, Slab
from webhook import names

MTU_OF_NETWORKS = f"--default-network-opt=bridge=com.docker.network.driver.mtu={MTU}"
KEEP = {"defaultKeepStorage": "300MB"}
RESERVE = {"defaultReservedSpace": "300MB", "defaultMaxUsedSpace": "300MB"}


def stand_in(version: str) -> str:
    return f"""#!/bin/sh
if [ "$1" = --version ]; then echo 'Docker version {version}, build 0000000'; exit 0; fi
printf '%s\\n' "$@" >/run/dind/arguments
cp /run/dind-daemon.json /run/dind/configuration
exit 7
"""


@pytest.fixture(scope="module")
def pod() -> Pod:
    place = Path("/mnt/arguments")
    return Pod(place / "pod", Slab(place / "slab", size_mib=64).path)


def started_with(pod: Pod, files: dict[str, str], **environment: str) -> tuple[list[str], str]:
    """Start a container whose dockerd is a stand-in; return its arguments and configuration."""
    with pod.start({names.ENV_SIZE_MIB: "1000", **environment}, BUSYBOX, files=files) as started:
        assert started.wait() == 1
        assert "ended with status 7" in started.log
    arguments = (pod.sockets / "arguments").read_text().splitlines()
    return arguments, (pod.sockets / "configuration").read_text()


@pytest.mark.parametrize(
    ("version", "of_networks", "collection"),
    [
        ("23.0.6", [], KEEP),
        ("24.0.9", [MTU_OF_NETWORKS], KEEP),
        ("27.5.1", [MTU_OF_NETWORKS], KEEP),
        ("28.0.0-rc.1", [MTU_OF_NETWORKS], RESERVE),
        ("29.7.2", [MTU_OF_NETWORKS], RESERVE),
        ("dev", [], KEEP),
    ],
)
def test_flags_follow_the_version(
    pod: Pod, version: str, of_networks: list[str], collection: dict[str, str]
) -> None:
    arguments, configuration = started_with(pod, {"/usr/sbin/dockerd": stand_in(version)})
    assert f"--mtu={MTU}" in arguments
    assert [each for each in arguments if "network-opt" in each] == of_networks
    assert json.loads(configuration) == {"builder": {"gc": {"enabled": True, **collection}}}
    assert [each for each in arguments if "tcp:" in each] == []


def test_the_official_entrypoint_starts_the_daemon_where_there_is_one(pod: Pod) -> None:
    files = {
        "/usr/sbin/dockerd": stand_in("27.5.1"),
        "/usr/bin/dockerd-entrypoint.sh": '#!/bin/sh\ntest "$1" = dockerd && exec "$@" --through\n',
    }
    arguments, _ = started_with(pod, files, **{names.ENV_DOCKER_HOST: "tcp"})
    assert arguments[-3:] == ["--host=tcp://127.0.0.1:2375", "--tls=false", "--through"]


def test_the_official_entrypoint_hides_no_volume_below_tmp(pod: Pod) -> None:
    mounted = "umount /tmp; mkdir /tmp/v; mount -t tmpfs v /tmp/v; touch /tmp/v/file"
    shell = (*BUSYBOX, f'{mounted}; exec busybox sh -c "$0"')
    hack_dind = "mountpoint -q /tmp || mount -t tmpfs none /tmp; ls /tmp/v >/run/dind/seen"
    files = {
        "/usr/sbin/dockerd": stand_in("27.5.1"),
        "/usr/bin/dockerd-entrypoint.sh": f'#!/bin/sh\n{hack_dind}\nexec "$@"\n',
    }
    with pod.start({names.ENV_SIZE_MIB: "1000"}, shell, files=files) as started:
        assert started.wait() == 1
    assert (pod.sockets / "seen").read_text() == "file\n"


def test_an_empty_configuration_of_the_image_is_completed(pod: Pod) -> None:
    files = {
        "/usr/sbin/dockerd": stand_in("27.5.1"),
        "/etc/docker/daemon.json": "{ }\n",
    }
    _, configuration = started_with(pod, files)
    assert json.loads(configuration) == {"builder": {"gc": {"enabled": True, **KEEP}}}


def test_what_the_image_says_of_its_builder_stays(pod: Pod) -> None:
    said = '{"builder": {"gc": {"enabled": false}}, "registry-mirrors": ["https://own.example"]}'
    files = {"/usr/sbin/dockerd": stand_in("27.5.1"), "/etc/docker/daemon.json": said}
    mirrors = {names.ENV_REGISTRY_MIRRORS: "https://mirror.example"}
    arguments, configuration = started_with(pod, files, **mirrors)
    assert configuration == said
    assert [each for each in arguments if "mirror" in each] == []


def test_an_image_that_says_where_it_listens_starts_and_keeps_the_rest(pod: Pod) -> None:
    said = '{"hosts": ["fd://"], "tlsverify": true, "log-level": "info",\n"labels": ["a=b"]}'
    files = {"/usr/sbin/dockerd": stand_in("27.5.1"), "/etc/docker/daemon.json": said}
    admins = {names.ENV_DAEMON_ARGS: "--log-level=debug\n--label=c=d e\n--exec-opt=x=y z"}
    arguments, configuration = started_with(pod, files, **admins)
    kept = {"log-level": "info", "labels": ["a=b"]}
    assert json.loads(configuration) == {"builder": {"gc": {"enabled": True, **KEEP}}, **kept}
    assert [each for each in arguments if "log-level" in each or "label" in each] == []
    assert arguments[-1] == "--exec-opt=x=y z"
