"""Taking the driver away from a real node: in order, and all of it."""

import json
import sys
import threading
from pathlib import Path

import pytest

from flexvol.errors import SlabError
from flexvol.install import entries
from flexvol.install.errors import InstallError
from flexvol.install.nodesettings import NodeSettings
from flexvol.install.placing import Places, install
from flexvol.install.removing import remove
from tests.node.host import GROUP, Host, run
from tests.node.install.steps import SELF, say, succeeded
from tests.node.kubelet import Kubelet


def test_nothing_is_removed_while_a_pod_uses_a_slab(
    versions: tuple[Path, Path], places: Places, wanted: NodeSettings, kubelet: Kubelet
) -> None:
    install(versions[0], places, wanted, SELF, say)
    succeeded(kubelet.mount("pod"))
    with pytest.raises(InstallError, match=r"1 slabs are in use: .*/pods/pod/volumes/dind~slab/"):
        remove(places, SELF, say)
    succeeded(kubelet.end("pod"))


def test_removing_leaves_the_slabs_and_nothing_else(
    versions: tuple[Path, Path], host: Host, places: Places, wanted: NodeSettings, kubelet: Kubelet
) -> None:
    other = entries.entry_path(places.plugin_directory, "k8s/nfs")
    other.parent.mkdir(parents=True)
    other.write_text("#!/bin/sh\n")
    install(versions[0], places, wanted, SELF, say)
    succeeded(kubelet.mount("pod"))
    succeeded(kubelet.end("pod"))
    slab = host.slab()
    remove(places, SELF, say)
    assert not places.root.exists()
    assert not places.settings_file.parent.exists()
    assert list(places.plugin_directory.rglob("*")) == [other.parent, other]
    assert not host.log_path.exists()
    assert not host.run_dir.exists()
    assert host.slab() == slab


def test_pods_that_end_in_time_are_waited_for(
    versions: tuple[Path, Path], places: Places, wanted: NodeSettings, kubelet: Kubelet
) -> None:
    install(versions[0], places, wanted, SELF, say)
    succeeded(kubelet.mount("pod"))
    end = threading.Timer(2, lambda: kubelet.end("pod"))
    end.start()
    remove(places, SELF, say, patience_seconds=60)
    end.join()
    assert not places.root.exists()


def test_purging_gives_the_disk_back_blank_enough_to_install_again(
    versions: tuple[Path, Path], places: Places, wanted: NodeSettings, kubelet: Kubelet
) -> None:
    for _ in range(2):
        install(versions[0], places, wanted, SELF, say)
        succeeded(kubelet.mount("pod"))
        succeeded(kubelet.end("pod"))
        remove(places, SELF, say, purge=True)
        assert run("vgs", "--noheadings") == ""
        assert run("pvs", "--noheadings") == ""


def test_purging_removes_a_pools_file_and_its_loop_device(
    versions: tuple[Path, Path], host: Host, places: Places, kubelet: Kubelet
) -> None:
    file = host.place / "pool"
    host.configure(file=str(file), size="256Mi")
    wanted = NodeSettings(json.loads(host.settings_path.read_text()))
    install(versions[0], places, wanted, SELF, say)
    succeeded(kubelet.mount("pod"))
    succeeded(kubelet.end("pod"))
    remove(places, SELF, say, purge=True)
    assert not file.exists()
    assert str(file) not in run("losetup", "--list", "--noheadings", "-O", "BACK-FILE")


def test_purging_never_removes_a_volume_that_is_not_ours(
    versions: tuple[Path, Path], places: Places, wanted: NodeSettings
) -> None:
    install(versions[0], places, wanted, SELF, say)
    run("lvcreate", "--yes", "-L", "64M", "-n", "precious", GROUP)
    with pytest.raises(SlabError, match=r"volume group dind stays.*volumes that are not slabs"):
        remove(places, SELF, say, purge=True)
    assert "precious" in run("lvs", "--noheadings", "-o", "lv_name", GROUP)


CONTAINER = """
set -e
mkdir -p /host/plugins && mount --bind "$1" /host/plugins
# What a container has of its own: no device of the host's, no LVM configuration, another /run.
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /etc/lvm && mount -t tmpfs tmpfs /dev
mknod -m 666 /dev/null c 1 3
shift
exec "$@"
"""


def in_container(places: Places, *words: str) -> str:
    """Run the installer as the DaemonSet does, in a mount namespace of its own."""
    places.plugin_directory.mkdir(parents=True, exist_ok=True)
    shell = ["unshare", "--mount", "--ipc", "sh", "-c", CONTAINER, "sh"]
    flags = ["--host-pid=1", "--plugin-dir=/host/plugins"]
    installer = [sys.executable, "-m", "flexvol.install", *words, *flags]
    return run(*shell, str(places.plugin_directory), *installer)


def test_a_container_installs_on_its_host_and_removes_again(
    versions: tuple[Path, Path], host: Host, places: Places, kubelet: Kubelet, tmp_path: Path
) -> None:
    folder = tmp_path / "config-map"
    folder.mkdir()
    for key, value in json.loads(host.settings_path.read_text()).items():
        (folder / key).write_text(json.dumps(value) if isinstance(value, list) else str(value))
    said = in_container(places, "install", f"--bundle={versions[0]}", f"--settings-from={folder}")
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert events == ["bundle in place", "settings written", "entry in place", "pool in place"]
    assert GROUP in run("vgs", "--noheadings", "-o", "vg_name")
    succeeded(kubelet.mount("pod"))
    succeeded(kubelet.end("pod"))
    in_container(places, "remove", "--purge")
    assert run("vgs", "--noheadings") == ""
    assert not places.root.exists()
    assert list(places.plugin_directory.iterdir()) == []
