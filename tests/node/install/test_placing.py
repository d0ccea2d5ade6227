"""Installing on a real node: what the kubelet sees meanwhile, and upgrades under load."""

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flexvol.bundle.layout import (
    Description,
    contents,
    entry,
    read_description,
    write_description,
)
from flexvol.errors import SlabError
from flexvol.install import entries
from flexvol.install.errors import InstallError
from flexvol.install.nodesettings import NodeSettings
from flexvol.install.placing import Places, install
from flexvol.install.store import GRACE_SECONDS, Store
from flexvol.lock import Locks
from tests.node.host import GROUP, run
from tests.node.install.conftest import DRIVERS
from tests.node.install.plugin_directory import IN_CREATE, IN_MOVED_TO, Watch
from tests.node.install.steps import SELF, say, succeeded
from tests.node.kubelet import Answer, Kubelet

TIMES = 100


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


def test_a_node_without_lvm_is_told_what_to_install(
    versions: tuple[Path, Path], places: Places, wanted: NodeSettings
) -> None:
    lvm = Path(str(shutil.which("lvm")))
    lvm.rename(lvm.with_name("lvm.away"))
    try:
        with pytest.raises(SlabError, match="install lvm2"):
            install(versions[0], places, wanted, SELF, say)
    finally:
        lvm.with_name("lvm.away").rename(lvm)
    # The kubelet has the driver all the same: pods are told the same sentence in their events.
    assert os.access(places.plugin_directory / "dind~slab" / "slab", os.X_OK)


def test_a_bundle_that_cannot_run_here_is_not_shown_to_the_kubelet(
    versions: tuple[Path, Path], places: Places, wanted: NodeSettings, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(versions[0], broken)
    (broken / "bin" / "python3").write_text("#!/no/such/interpreter\n")
    facts = read_description(broken)
    write_description(broken, Description("8.8.8", facts.python, "9.99", dict(contents(broken))))
    install(versions[0], places, wanted, SELF, say)
    entry_before = (places.plugin_directory / "dind~slab" / "slab").read_text()
    with pytest.raises(
        InstallError, match=r"does not run on this node.*needs glibc 9\.99 or newer"
    ):
        install(broken, places, wanted, SELF, say)
    assert (places.plugin_directory / "dind~slab" / "slab").read_text() == entry_before
    assert Store(places.root).current() == places.root / facts.name
