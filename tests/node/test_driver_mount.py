"""Which slab a mount hands out, on real LVM."""

import json

import pytest

from tests.node.host import Host, run


def test_a_first_mount_makes_the_volume_group_and_a_slab(host: Host) -> None:
    assert host.kubelet.mount("a", "100", namespace="team").status == "Success"
    slab = host.slab()
    assert (slab.phase, slab.size_mib, slab.extents) == ("held", 100, 25)
    assert (slab.scope, slab.holder) == ("namespace/team", str(host.directory("a")))
    assert host.mounted_slab("a") == slab.name


def test_the_next_pod_of_the_namespace_gets_what_the_last_one_left(host: Host) -> None:
    host.kubelet.mount("a")
    (host.directory("a") / "layer").write_text("kept")
    host.kubelet.end("a")
    assert host.kubelet.mount("b").status == "Success"
    assert (host.directory("b") / "layer").read_text() == "kept"
    assert host.events("mounted")[-1]["outcome"] == "warm"
    assert host.slab().uses == 2


def test_a_pod_of_another_namespace_gets_a_slab_of_its_own(host: Host) -> None:
    host.kubelet.mount("a", namespace="one")
    (host.directory("a") / "secret").write_text("of one")
    host.kubelet.end("a")
    host.kubelet.mount("b", namespace="two")
    assert not (host.directory("b") / "secret").exists()
    assert {slab.scope for slab in host.slabs()} == {"namespace/one", "namespace/two"}


@pytest.mark.parametrize(
    "difference",
    [
        {"cache_key": "other"},
        {"graph_format": "docker-28"},
        {"size_mb": "128"},
        {"fs_type": "xfs", "size_mb": "320"},
    ],
    ids=lambda difference: next(iter(difference)),
)
def test_a_slab_is_reused_only_for_the_same(host: Host, difference: dict[str, str]) -> None:
    same = {"size_mb": "320"} if "fs_type" in difference else {}
    host.kubelet.mount("a", **same)
    host.kubelet.end("a")
    assert host.kubelet.mount("b", **difference).status == "Success"
    assert len(host.slabs()) == 2


def test_pods_at_the_same_time_never_share_a_slab(host: Host) -> None:
    for pod in "abc":
        assert host.kubelet.mount(pod).status == "Success"
    assert len({host.mounted_slab(pod) for pod in "abc"}) == 3


def test_the_slab_released_last_is_handed_out_first(host: Host) -> None:
    for pod in "abc":
        host.kubelet.mount(pod)
        (host.directory(pod) / "of").write_text(pod)
    for pod in "bca":
        host.kubelet.end(pod)
    host.kubelet.mount("d")
    assert (host.directory("d") / "of").read_text() == "a"


def test_mount_again_for_a_mounted_directory_is_a_success_and_changes_nothing(host: Host) -> None:
    host.kubelet.mount("a")
    before = host.slabs()
    assert host.kubelet.mount("a").status == "Success"
    assert host.slabs() == before
    assert len(host.mounts()) == 1


def test_after_a_reboot_a_pod_gets_its_own_slab_back(host: Host) -> None:
    host.kubelet.mount("a")
    (host.directory("a") / "work").write_text("of a")
    host.reboot()
    assert host.kubelet.mount("b").status == "Success"
    assert not (host.directory("b") / "work").exists()
    assert host.kubelet.mount("a").status == "Success"
    assert (host.directory("a") / "work").read_text() == "of a"
    assert host.events("mounted")[-1]["outcome"] == "resumed"


def test_only_as_many_slabs_are_removed_as_it_takes_and_the_oldest_first(host: Host) -> None:
    for number, pod in enumerate("abcd"):
        host.kubelet.mount(pod, "220", namespace=f"team-{number}")
    for pod in "abcd":
        host.kubelet.end(pod)
    assert host.kubelet.mount("e", "400", namespace="new").status == "Success"
    assert [slab.scope for slab in sorted(host.slabs(), key=lambda slab: slab.release)] == [
        "namespace/new",
        "namespace/team-2",
        "namespace/team-3",
    ]


def test_nothing_is_removed_for_a_size_that_could_never_fit(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.end("a")
    answer = host.kubelet.mount("b", "5000")
    assert answer.status == "Failure"
    assert "5000 MiB" in answer.message
    assert "can never" in answer.message
    assert host.slab().phase == "free"


def test_nothing_is_removed_where_it_would_not_suffice(host: Host) -> None:
    host.kubelet.mount("a", "600")
    host.kubelet.mount("b", "200")
    host.kubelet.end("b")
    answer = host.kubelet.mount("c", "500")
    assert answer.status == "Failure"
    assert "600 MiB in use by other pods" in answer.message
    assert {slab.phase for slab in host.slabs()} == {"held", "free"}


def test_an_anonymous_slab_is_gone_after_unmount(host: Host) -> None:
    host.kubelet.mount("a")
    host.kubelet.end("a")
    host.kubelet.mount("b", volume_type="anonymous")
    assert len(host.slabs()) == 2
    host.kubelet.end("b")
    assert [slab.anonymous for slab in host.slabs()] == [False]


def test_what_a_pod_with_a_read_only_cache_leaves_reaches_no_other(host: Host) -> None:
    host.kubelet.mount("a")
    (host.directory("a") / "layer").write_text("of a")
    host.kubelet.end("a")
    assert host.kubelet.mount("stranger", cache="read-only").status == "Success"
    assert not (host.directory("stranger") / "layer").exists(), "a's slab is not for writing to"
    (host.directory("stranger") / "layer").write_text("poisoned")
    strange = host.mounted_slab("stranger")
    host.reboot()
    assert host.kubelet.mount("stranger", cache="read-only").status == "Success"
    assert host.mounted_slab("stranger") == strange
    host.kubelet.end("stranger")
    assert strange not in {slab.name for slab in host.slabs()}
    host.kubelet.mount("b")
    assert (host.directory("b") / "layer").read_text() == "of a"


def test_a_pod_written_for_the_2017_plugin_is_served(host: Host) -> None:
    directory = host.kubelet.directory("a", driver="ax~vol_plugin")
    directory.mkdir(parents=True)
    options = host.kubelet.options("a", ax_vol_type="ax-anonymous")
    assert host.kubelet.call("mount", str(directory), options).status == "Success"
    assert host.slab().anonymous
    assert host.kubelet.call("unmount", str(directory)).status == "Success"
    assert host.slabs() == []


@pytest.mark.parametrize("fs_type", ["ext4", "xfs"])
def test_a_slab_has_the_file_system_asked_for(host: Host, fs_type: str) -> None:
    assert host.kubelet.mount("a", "320", fs_type=fs_type).status == "Success"
    found = run("findmnt", "--noheadings", "--output", "FSTYPE", str(host.directory("a")))
    assert found.strip() == fs_type
    host.kubelet.end("a")
    assert host.kubelet.mount("b", "320", fs_type=fs_type).status == "Success"
    assert host.events("mounted")[-1]["outcome"] == "warm"


def test_xfs_records_file_types_in_its_directories(host: Host) -> None:
    host.kubelet.mount("a", "320", fs_type="xfs")
    assert "ftype=1" in run("xfs_info", str(host.directory("a")))


def test_ext4_is_made_for_many_small_files(host: Host) -> None:
    host.kubelet.mount("a", "100")
    facts = run("tune2fs", "-l", host.device(host.slab().name))
    values = dict(line.split(":", 1) for line in facts.splitlines()[1:])
    assert int(values["Inode count"]) > 0.9 * (100 << 20) / 8192
    assert int(values["Reserved block count"]) == 0


def test_a_volume_is_mounted_read_only_where_the_pod_says_so(host: Host) -> None:
    directory = host.directory("a")
    directory.mkdir(parents=True)
    options = json.loads(host.kubelet.options("a"))
    options["kubernetes.io/readwrite"] = "ro"
    assert host.kubelet.call("mount", str(directory), json.dumps(options)).status == "Success"
    with pytest.raises(OSError, match="Read-only"):
        (directory / "file").write_text("")


def test_the_admins_own_volumes_are_neither_counted_nor_touched(host: Host) -> None:
    run("vgcreate", "dind", *host.disks)
    run("lvcreate", "--name", "slab-of-the-admin", "--size", "500M", "dind")
    run("mkfs.ext4", "-q", host.device("slab-of-the-admin"))
    assert host.kubelet.mount("a", "600").status == "Failure"
    assert host.kubelet.mount("a", "400").status == "Success"
    host.kubelet.end("a")
    assert host.kubelet.mount("b", "500").status == "Success"
    run("e2fsck", "-fn", host.device("slab-of-the-admin"))


def test_a_kubelet_whose_root_is_a_link_is_served(host: Host) -> None:
    link = host.place / "link"
    link.symlink_to(host.kubelet.root)
    host.directory("a").mkdir(parents=True)
    directory = str(host.directory("a")).replace(str(host.kubelet.root), str(link))
    options = host.kubelet.options("a")
    assert host.kubelet.call("mount", directory, options).status == "Success"
    assert host.kubelet.call("mount", directory, options).status == "Success"
    assert len(host.mounts()) == 1
    assert host.kubelet.call("unmount", directory).status == "Success"
    assert host.mounts() == []
