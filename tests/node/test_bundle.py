"""The bundle in a root file system that has nothing but glibc, LVM and file system tools."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.bare import BareRoot, executables
from tests.node.host import Host, run
from tests.node.kubelet import Answer, Kubelet, environment

PROGRAMS = ("lvm", "mkfs.ext4", "e2fsck")


def succeeded(answer: Answer) -> None:
    assert answer.status == "Success", answer.message


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareRoot]:
    path = tmp_path_factory.mktemp("root")
    # A file system of its own: what a walk finds in it is what was installed.
    place = Path("/mnt") / path.name
    place.mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", str(place))
    root = BareRoot(place, *PROGRAMS)
    yield root
    root.close()


@pytest.fixture
def kubelet(root: BareRoot, host: Host) -> Kubelet:
    """A kubelet that calls the bundle's entry in that root; disks and settings are the host's."""
    return Kubelet(host.place / "bare" / "kubelet", environment(host.settings_path), root.command)


def test_the_root_has_no_python_and_no_shell(root: BareRoot) -> None:
    found = executables(root.path)
    assert "/usr/sbin/lvm" in found
    assert not [path for path in found if path.endswith(("/sh", "/bash", "/dash", "/busybox"))]
    python = [path for path in found if "python" in path.rsplit("/", 1)[-1]]
    assert python
    assert all(path.startswith(f"{root.bundle}/") for path in python)


def test_a_pod_has_its_slab_and_the_next_one_finds_it(
    root: BareRoot, kubelet: Kubelet, host: Host
) -> None:
    succeeded(kubelet.call("init"))
    succeeded(kubelet.mount("one"))
    run("cp", "/etc/hostname", str(root.inside(kubelet.directory("one")) / "image"))
    succeeded(kubelet.end("one"))
    succeeded(kubelet.mount("two"))
    assert (root.inside(kubelet.directory("two")) / "image").exists()
    succeeded(kubelet.end("two"))
    assert host.slab().uses == 2
    table = run(*root.command, "status")
    assert host.slab().name in table


@pytest.mark.parametrize(
    ("program", "fs_type", "package"),
    [
        ("lvm", "ext4", "lvm2"),
        ("mkfs.ext4", "ext4", "e2fsprogs"),
        ("mkfs.xfs", "xfs", "xfsprogs"),
    ],
)
def test_a_missing_program_is_named_with_its_package(
    root: BareRoot, kubelet: Kubelet, program: str, fs_type: str, package: str
) -> None:
    root.remove(program)
    answer = kubelet.mount("pod", fs_type=fs_type)
    assert answer.status == "Failure"
    assert program in answer.message
    assert f"install {package}" in answer.message
    if program in PROGRAMS:
        root.add(Path("/usr/sbin") / program)
