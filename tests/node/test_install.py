"""Installing on a real node: what the kubelet sees meanwhile, upgrades under load, removal."""

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flexvol.bundle.build import build
from flexvol.bundle.layout import (
    DESCRIPTION,
    Description,
    contents,
    entry,
    read_description,
    write_description,
)
from flexvol.errors import SlabError
from flexvol.install import entries
from flexvol.install.errors import InstallError
from flexvol.install.host import Host as Namespaces
from flexvol.install.nodesettings import NodeSettings
from flexvol.install.placing import Places, install
from flexvol.install.removing import remove
from flexvol.install.store import GRACE_SECONDS, Store
from flexvol.lock import Locks
from tests.node.host import GROUP, Host, run
from tests.node.kubelet import Answer, Kubelet
from tests.node.plugin_directory import IN_CREATE, IN_MOVED_TO, Watch

TIMES = 100
DRIVERS = ("dind/slab", "ax/vol_plugin")


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two versions of the bundle."""
    old = tmp_path_factory.mktemp("old") / "bundle"
    new = tmp_path_factory.mktemp("new") / "bundle"
    build(old)
    shutil.copytree(old, new)
    (new / "NEWS").write_text("a second version\n")
    facts = read_description(old)
    (new / DESCRIPTION).unlink()
    files = dict(contents(new))
    write_description(new, Description("9.9.9", facts.python, facts.glibc, files))
    return old, new


@pytest.fixture(params=["tmpfs", "ext4"])
def file_system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of each kind that plugin directories lie on."""
    place = tmp_path / "fs"
    place.mkdir()
    if request.param == "tmpfs":
        run("mount", "-t", "tmpfs", "tmpfs", str(place))
    else:
        image = tmp_path / "image"
        with image.open("wb") as stream:
            stream.truncate(64 << 20)
        run("mkfs.ext4", "-q", str(image))
        run("mount", "-o", "loop", str(image), str(place))
    yield place
    run("umount", str(place))


@pytest.fixture
def places() -> Iterator[Places]:
    """The places of a real node, taken away afterwards."""
    places = Places()
    yield places
    for folder in (places.root, places.plugin_directory, places.settings_file.parent):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def wanted(host: Host) -> NodeSettings:
    """The node's settings as its ConfigMap says them."""
    return NodeSettings(json.loads(host.settings_path.read_text()), DRIVERS)


@pytest.fixture
def kubelet(host: Host, places: Places) -> Kubelet:
    """A kubelet that calls what was installed."""
    program = str(places.plugin_directory / "dind~slab" / "slab")
    return Kubelet(host.place / "installed-kubelet", {"PATH": os.environ["PATH"]}, [program])


SELF = Namespaces(None)
"""The tests run where the kubelet would: the host's namespaces are their own."""


def say(event: str, **fields: object) -> None:
    print(event, fields)  # noqa: T201 - pytest shows it with a failure


def succeeded(answer: Answer) -> None:
    assert answer.status == "Success", answer.message


def test_the_kubelet_never_sees_half_a_driver(file_system: Path) -> None:
    plugins, root = file_system / "plugins", file_system / "opt"
    plugins.mkdir()
    label = None
    if _labels_can_be_had(plugins):
        label = b"system_u:object_r:bin_t:s0\0"
    texts = [entry(root / version) for version in ("1", "2")]
    with Watch(plugins, set(texts), label) as watch:
        for number in range(TIMES):
            for driver in DRIVERS:
                path = entries.entry_path(plugins, driver)
                assert entries.put(path, texts[number % 2], root)
                assert not entries.put(path, texts[number % 2], root)
    assert watch.faults == []
    assert watch.looks > TIMES / 10
    # One event for a new folder, and one for each change: nothing for what is already right.
    folders = [event for event in watch.events if "/" not in event[1]]
    assert sorted(folders) == [(IN_MOVED_TO, "ax~vol_plugin"), (IN_MOVED_TO, "dind~slab")]
    files = [event for event in watch.events if "/" in event[1]]
    # (The first few may come before the watch that is added when the folder is seen.)
    assert TIMES < len(files) <= (TIMES - 1) * len(DRIVERS)
    assert {mask for mask, _ in files} == {IN_MOVED_TO}
    assert not [mask for mask, _ in watch.events if mask & IN_CREATE]


def _labels_can_be_had(folder: Path) -> bool:
    """Label a folder as SELinux would, where this kernel's file system keeps labels."""
    try:
        os.setxattr(folder, "security.selinux", b"system_u:object_r:usr_t:s0\0")
    except OSError:
        return False
    return True


def test_labels_are_tried_on_one_file_system_at_least(tmp_path: Path) -> None:
    assert _labels_can_be_had(tmp_path) or _labels_can_be_had(Path("/dev/shm"))  # noqa: S108


def test_installing_makes_settings_entries_and_pool(
    versions: tuple[Path, Path], places: Places, wanted: NodeSettings, kubelet: Kubelet
) -> None:
    install(versions[0], places, wanted, SELF, say)
    assert json.loads(places.settings_file.read_text()) == wanted.document
    for name in ("dind~slab/slab", "ax~vol_plugin/vol_plugin"):
        assert os.access(places.plugin_directory / name, os.X_OK)
    assert GROUP in run("vgs", "--noheadings", "-o", "vg_name")
    succeeded(kubelet.call("init"))
    succeeded(kubelet.mount("pod"))
    succeeded(kubelet.end("pod"))


def test_installing_again_changes_nothing_that_the_kubelet_sees(
    versions: tuple[Path, Path], places: Places, wanted: NodeSettings
) -> None:
    install(versions[0], places, wanted, SELF, say)
    paths = entries.ours(places.plugin_directory, places.root)
    before = [path.stat() for path in paths]
    install(versions[0], places, wanted, SELF, say)
    assert [path.stat() for path in paths] == before
    assert len(Store(places.root).bundles()) == 1


def test_an_upgrade_under_load_fails_no_call(
    versions: tuple[Path, Path], places: Places, wanted: NodeSettings, kubelet: Kubelet
) -> None:
    install(versions[0], places, wanted, SELF, say)
    succeeded(kubelet.mount("mounted"))
    answers: list[Answer] = []
    upgraded = threading.Event()

    def pods_come_and_go() -> None:
        number = 0
        while not upgraded.is_set() or number < 3:
            answers.append(kubelet.mount(f"pod{number}"))
            answers.append(kubelet.end(f"pod{number}"))
            number += 1

    load = threading.Thread(target=pods_come_and_go)
    load.start()
    for source in (versions[1], versions[0], versions[1]):
        install(source, places, wanted, SELF, say)
    upgraded.set()
    load.join()
    assert len(answers) >= 6
    assert {answer.status for answer in answers} == {"Success"}, answers
    assert run(str(places.root / "slab"), "version")
    assert Store(places.root).current() == places.root / read_description(versions[1]).name
    succeeded(kubelet.end("mounted"))


def test_a_call_of_the_old_version_ends_before_its_bundle_goes(
    versions: tuple[Path, Path], places: Places, wanted: NodeSettings, kubelet: Kubelet
) -> None:
    install(versions[0], places, wanted, SELF, say)
    succeeded(kubelet.mount("one"))
    store = Store(places.root)
    old = store.current()
    assert old is not None
    with Locks(str(wanted.document["run_dir"])).decision():
        call = kubelet.start("unmount", str(kubelet.directory("one")))
        while not store.runs(old):
            time.sleep(0.05)
        new = store.put(versions[1])
        for path in entries.ours(places.plugin_directory, places.root):
            entries.put(path, entry(new), places.root)
        store.make_current(new)
        assert store.sweep(time.time() + 2 * GRACE_SECONDS) == []
    succeeded(Kubelet.read(call))
    assert store.sweep(time.time() + 2 * GRACE_SECONDS) == [old]
    succeeded(kubelet.call("init"))


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
