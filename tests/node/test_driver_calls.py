"""The calls themselves: one line of JSON whatever happens, nothing outside the pods' folders."""

import json
import subprocess

import pytest

from flexvol.callout import UNSUPPORTED
from tests.node.host import Host, run
from tests.node.kubelet import PROJECT


def test_init_tells_the_capabilities_and_touches_no_disk(host: Host) -> None:
    answer = host.kubelet.call("init")
    assert answer.status == "Success"
    assert answer.capabilities == {
        "attach": False,
        "fsGroup": False,
        "selinuxRelabel": False,
        "supportsMetrics": True,
        "requiresFSResize": False,
    }
    assert run("vgs", "--noheadings") == ""
    assert not host.run_dir.exists()


def test_init_works_with_broken_settings(host: Host) -> None:
    host.settings_path.write_text("[]")
    assert host.kubelet.call("init").status == "Success"


@pytest.mark.parametrize("call", [*UNSUPPORTED, "unheard-of", ""])
def test_every_other_call_is_not_supported(host: Host, call: str) -> None:
    assert host.kubelet.call(call, "/some/dir", "{}").status == "Not supported"


def test_no_call_at_all_is_answered_too(host: Host) -> None:
    assert host.kubelet.call().status == "Not supported"


@pytest.mark.parametrize("arguments", [("mount",), ("mount", "/dir"), ("unmount",)])
def test_arguments_that_lack_are_named(host: Host, arguments: tuple[str, ...]) -> None:
    answer = host.kubelet.call(*arguments)
    assert answer.status == "Failure"
    assert "DIR" in answer.message


def test_version_prints_the_version(host: Host) -> None:
    assert host.admin("version").stdout == "0.1.0\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{ not JSON", "not JSON"),
        ('{"devise": "/dev/sdb"}', "'devise' is not a setting"),
        ('{"full_percent": 101}', "full_percent is 101"),
        ('{"device": "/dev/sdb", "file": "/f", "size": "1Gi"}', "exclude each other"),
        ("\xff", "cannot be read"),
    ],
)
def test_broken_settings_fail_a_mount_and_are_named(host: Host, text: str, named: str) -> None:
    host.settings_path.write_bytes(text.encode("latin-1"))
    answer = host.kubelet.mount("a")
    assert answer.status == "Failure"
    assert named in answer.message
    assert str(host.settings_path) in answer.message


def test_settings_that_are_named_and_absent_fail_a_mount(host: Host) -> None:
    host.settings_path.unlink()
    answer = host.kubelet.mount("a")
    assert answer.status == "Failure"
    assert "do not exist" in answer.message


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size_mb": "ten"}, "size_mb 'ten'"),
        ({"size_mb": "0"}, "size_mb '0'"),
        ({"size_mb": "-5"}, "size_mb '-5'"),
        ({"cache_key": "../up"}, "cache_key '../up'"),
        ({"cache_key": "a,b@c"}, "cache_key"),
        ({"graph_format": "a b"}, "graph_format 'a b'"),
        ({"volume_type": "fast"}, "volume_type 'fast'"),
        ({"cache": "none"}, "cache 'none'"),
        ({"fs_type": "btrfs"}, "fsType 'btrfs'"),
        ({"cachekey": "x"}, "option 'cachekey' is not known"),
        ({"namespace": ""}, "pod.namespace"),
        ({"namespace": "a/b"}, "pod.namespace"),
    ],
)
def test_a_wrong_option_is_named_and_makes_nothing(
    host: Host, options: dict[str, str], named: str
) -> None:
    answer = host.kubelet.mount("a", **options)
    assert answer.status == "Failure"
    assert named in answer.message
    assert run("vgs", "--noheadings") == ""


def test_more_than_the_nodes_limit_is_refused(host: Host) -> None:
    host.configure(max_size_mb=100)
    answer = host.kubelet.mount("a", "104")
    assert answer.status == "Failure"
    assert "limit of 100" in answer.message


def test_the_options_of_another_pod_are_refused(host: Host) -> None:
    directory = host.directory("a")
    directory.mkdir(parents=True)
    answer = host.kubelet.call("mount", str(directory), host.kubelet.options("b"))
    assert answer.status == "Failure"
    assert "pod" in answer.message


@pytest.mark.parametrize(
    "path",
    [
        "/etc",
        "/",
        "relative/pods/a/volumes/dind~slab/graph",
        "/kubelet/pods/a/volumes/dind~slab/../graph",
        "/kubelet/pods/../volumes/dind~slab/graph",
        "/kubelet/pods/a/volumes/dindslab/graph",
        "/kubelet/pods/a/volumes/dind~slab/",
        "/kubelet/pods/a/plugins/dind~slab/graph",
        "/kubelet/pods/a/volumes/dind~slab/gra\nph",
        "/kubelet" * 200 + "/pods/a/volumes/dind~slab/graph",
    ],
)
@pytest.mark.parametrize("call", ["mount", "unmount"])
def test_only_a_pods_volume_directory_is_accepted(host: Host, call: str, path: str) -> None:
    answer = host.kubelet.call(call, path, host.kubelet.options("a"))
    assert answer.status == "Failure"
    assert "volume directory" in answer.message


def test_only_the_kubelets_own_root_is_accepted_where_the_settings_name_it(host: Host) -> None:
    host.configure(kubelet_root="/var/lib/kubelet")
    answer = host.kubelet.mount("a")
    assert answer.status == "Failure"
    assert "/var/lib/kubelet" in answer.message


@pytest.mark.parametrize("level", ["graph", "dind~slab", "volumes", "a"])
def test_nothing_is_mounted_through_a_link(host: Host, level: str) -> None:
    assert host.admin("setup").returncode == 0
    elsewhere = host.place / "elsewhere"
    elsewhere.mkdir()
    path = host.directory("a")
    while path.name != level:
        path = path.parent
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(elsewhere)
    answer = host.kubelet.call("mount", str(host.directory("a")), host.kubelet.options("a"))
    assert answer.status == "Failure"
    assert "symbolic link" in answer.message
    assert host.mounts() == []
    assert list(elsewhere.iterdir()) == []
    assert host.slabs() == []


def test_a_log_that_cannot_be_written_fails_nothing(host: Host) -> None:
    host.configure(log_file="/proc/nothing/slab.log")
    assert host.kubelet.mount("a").status == "Success"


def test_the_log_is_bounded(host: Host) -> None:
    host.log_path.write_bytes(b"x" * (4 << 20))
    host.kubelet.mount("a")
    old = host.log_path.with_suffix(".log.1")
    assert old.stat().st_size > 4 << 20
    host.kubelet.mount("a")
    assert host.log_path.stat().st_size < 4096


def test_a_run_directory_that_cannot_be_made_is_a_clear_failure(host: Host) -> None:
    host.configure(run_dir="/proc/dind")
    answer = host.kubelet.mount("a")
    assert answer.status == "Failure"
    assert "/proc/dind" in answer.message


def test_missing_lvm_is_a_clear_failure(host: Host) -> None:
    nowhere = host.place / "nowhere"
    nowhere.mkdir()
    program = (
        "import os, sys; sys.path.insert(0, sys.argv.pop(1)); import flexvol.command as command; "
        "command.PATH = command.ENVIRONMENT['PATH'] = sys.argv.pop(1); "
        "from flexvol.__main__ import main; main(sys.argv[1:], os.environ)"
    )
    host.kubelet.command = ("/usr/bin/python3", "-ISc", program, str(PROJECT), str(nowhere))
    answer = host.kubelet.mount("a")
    assert answer.status == "Failure"
    assert "install lvm2" in answer.message


def test_a_closed_stdout_breaks_nothing(host: Host) -> None:
    host.directory("a").mkdir(parents=True)
    done = subprocess.run(
        [
            *("sh", "-c", 'exec "$@" >&-', "sh", *host.kubelet.command),
            *("mount", str(host.directory("a")), host.kubelet.options("a")),
        ],
        env=host.kubelet.environ,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert done.stderr == b""
    assert host.kubelet.mount("a").status == "Success"
    assert len(host.mounts()) == 1


def test_huge_options_are_refused(host: Host) -> None:
    directory = host.directory("a")
    directory.mkdir(parents=True)
    options = json.loads(host.kubelet.options("a"))
    options["size_mb"] = "9" * 100_000
    answer = host.kubelet.call("mount", str(directory), json.dumps(options))
    assert answer.status == "Failure"
    assert len(answer.message) < 1000


def test_no_memory_is_a_failure_in_json(host: Host) -> None:
    program = (
        "import os, resource, sys; sys.path.insert(0, sys.argv.pop(1)); "
        "import flexvol.__main__ as m; import flexvol.driver as d; "
        "d.load_anyway = lambda environ: (_ for _ in ()).throw(MemoryError()); "
        "m.main(sys.argv[1:], os.environ)"
    )
    host.kubelet.command = ("/usr/bin/python3", "-ISc", program, str(PROJECT))
    assert host.kubelet.mount("a").status == "Failure"
