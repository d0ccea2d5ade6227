"""The node's settings, read strictly."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexvol.errors import SettingsError
from flexvol.settings import Settings, load, parse


def test_without_a_file_the_promised_defaults_hold() -> None:
    assert parse({}) == Settings(
        volume_group="dind",
        devices=(),
        file="",
        file_size_mib=0,
        sparse=False,
        scope="namespace",
        file_system="ext4",
        max_size_mib=None,
        full_percent=50,
        provisioning="linear",
        overcommit=1.0,
        generations=2,
        ready_clones=4,
        replace_newer=True,
        wait_seconds=60,
        spares=(),
        kubelet_root="",
        run_dir="/run/dind-slab",
        log_file="/var/log/dind-slab.log",
    )


def test_every_key_is_read() -> None:
    document = {
        "volume_group": "cache",
        "device": "/dev/sdb",
        "scope": "serviceaccount",
        "file_system": "xfs",
        "max_size_mb": 20480,
        "full_percent": 70,
        "provisioning": "thin",
        "overcommit": 2,
        "generations": 3,
        "ready_clones": 0,
        "replace_newer": False,
        "wait_seconds": 5,
        "spares": {"10240": 2, "10": 1},
        "kubelet_root": "/srv/kubelet/",
        "run_dir": "/run/x",
        "log_file": "/var/log/x.log",
    }
    assert parse(document) == Settings(
        volume_group="cache",
        devices=("/dev/sdb",),
        scope="serviceaccount",
        file_system="xfs",
        max_size_mib=20480,
        full_percent=70,
        provisioning="thin",
        overcommit=2.0,
        generations=3,
        ready_clones=0,
        replace_newer=False,
        wait_seconds=5,
        spares=((12, 1), (10240, 2)),
        kubelet_root="/srv/kubelet",
        run_dir="/run/x",
        log_file="/var/log/x.log",
    )


def test_several_devices_are_read() -> None:
    assert parse({"device": ["/dev/sdb", "/dev/sdc"]}).devices == ("/dev/sdb", "/dev/sdc")


@pytest.mark.parametrize(
    ("size", "size_mib"),
    [("100Gi", 102400), ("1G", 953), ("512Mi", 512), ("10485760", 10), ("8192Ki", 8)],
)
def test_sizes_are_read_as_kubernetes_writes_them(size: str, size_mib: int) -> None:
    assert parse({"file": "/f", "size": size, "sparse": True}).file_size_mib == size_mib


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "one JSON object"),
        ({"devices": "/dev/sdb"}, "'devices' is not a setting"),
        ({"device": "sdb"}, "device is 'sdb'"),
        ({"device": []}, "device is []"),
        ({"device": ["/dev/sdb", "/dev/sdb"]}, "different"),
        ({"device": 5}, "device is 5"),
        ({"provisioning": "thick"}, "one of linear, thin"),
        ({"overcommit": 0.5}, "a number from 1 to 100"),
        ({"overcommit": True}, "a number from 1 to 100"),
        ({"generations": 0}, "a whole number from 1 to 100"),
        ({"file": "/f"}, "file and size go together"),
        ({"size": "1Gi"}, "file and size go together"),
        ({"file": "/f", "size": "ten"}, "size is 'ten'"),
        ({"file": "/f", "size": 10}, "size is 10"),
        ({"file": "/f", "size": "1Ki"}, "size is '1Ki'"),
        ({"file": "/f", "size": "1Gi", "device": "/dev/sdb"}, "exclude each other"),
        ({"scope": "node"}, "namespace, serviceaccount, cluster"),
        ({"file_system": "btrfs"}, "ext4, xfs"),
        ({"full_percent": True}, "full_percent is True"),
        ({"full_percent": 101}, "0 to 100"),
        ({"wait_seconds": -1}, "wait_seconds is -1"),
        ({"max_size_mb": "10"}, "max_size_mb is '10'"),
        ({"sparse": "yes"}, "true or false"),
        ({"spares": [1]}, "spares is [1]"),
        ({"spares": {"10": "2"}}, "sizes in MiB"),
        ({"spares": {"ten": 2}}, "sizes in MiB"),
        ({"volume_group": "-x"}, "volume_group is '-x'"),
        ({"volume_group": "a/b"}, "volume_group is 'a/b'"),
        ({"run_dir": "run"}, "absolute path"),
    ],
)
def test_a_wrong_setting_is_named(document: object, named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(document)
    assert named in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(
    ["volume_group", "device", "file", "size", "sparse", "scope", "spares", "max_size_mb"]
)


@given(st.dictionaries(keys, json_values))
def test_whatever_the_values_are_settings_or_a_clear_error_come_of_it(document: object) -> None:
    with contextlib.suppress(SettingsError):
        assert isinstance(parse(document), Settings)


def test_an_absent_file_at_its_usual_place_means_the_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("flexvol.settings.PATH", str(tmp_path / "absent"))
    assert load({}) == Settings()


def test_an_absent_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="do not exist"):
        load({"DIND_SLAB_SETTINGS": str(tmp_path / "absent")})


def test_the_file_that_is_named_is_read_and_its_name_told_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"full_percent": 60}))
    assert load({"DIND_SLAB_SETTINGS": str(path)}).full_percent == 60
    path.write_text("{")
    with pytest.raises(SettingsError, match=str(path)):
        load({"DIND_SLAB_SETTINGS": str(path)})
