"""From a ConfigMap's keys, as the kubelet shows them, to the driver's settings file."""

import json
from pathlib import Path

import pytest

from flexvol.install import nodesettings
from flexvol.install.errors import InstallError
from flexvol.settings import PATH_VARIABLE, load


def config_map(folder: Path, **keys: str) -> Path:
    """Lay out a ConfigMap as the kubelet mounts it: files behind two symbolic links."""
    data = folder / "..2026_11_24"
    data.mkdir(parents=True)
    (folder / "..data").symlink_to(data.name)
    for key, text in keys.items():
        (data / key).write_text(text)
        (folder / key).symlink_to(f"..data/{key}")
    return folder


def test_values_are_numbers_flags_and_lists_where_they_look_like_it(tmp_path: Path) -> None:
    read = nodesettings.read(
        config_map(
            tmp_path / "map",
            file="/var/lib/dind/pool\n",
            size="40Gi",
            sparse="true",
            full_percent="60",
            spares='{"10240": 1}',
        )
    )
    nodesettings.write(tmp_path / "etc" / "slab.json", read.document)
    settings = load({PATH_VARIABLE: str(tmp_path / "etc" / "slab.json")})
    assert settings.file == "/var/lib/dind/pool"
    assert settings.file_size_mib == 40 << 10
    assert settings.sparse
    assert settings.full_percent == 60
    assert settings.spares == ((10240, 1),)


def test_the_drivers_own_name_is_always_installed(tmp_path: Path) -> None:
    assert nodesettings.read(config_map(tmp_path / "none")).drivers == ("dind/slab",)
    read = nodesettings.read(config_map(tmp_path / "two", drivers="ax/vol_plugin\ndind/slab"))
    assert read.drivers == ("dind/slab", "ax/vol_plugin")
    assert read.document == {}


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("devise", "/dev/sdb", "'devise' is not a setting"),
        ("size", "40 gigabytes", "size is '40 gigabytes'"),
        ("device", "sdb", "device is .sdb.; it must be the path of a block device"),
        ("drivers", "../../etc", "'../../etc' is not a driver's name"),
        ("drivers", "slab", "'slab' is not a driver's name"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, key: str, text: str, said: str) -> None:
    with pytest.raises(InstallError, match=said.replace("../", r"\.\./")):
        nodesettings.read(config_map(tmp_path / "map", **{key: text}))


def test_no_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match=r"/map cannot be read"):
        nodesettings.read(tmp_path / "map")


def test_the_same_settings_are_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "slab.json"
    assert nodesettings.write(path, {"scope": "cluster"})
    before = path.stat()
    assert not nodesettings.write(path, {"scope": "cluster"})
    assert path.stat() == before
    assert nodesettings.write(path, {"scope": "namespace"})
    assert json.loads(path.read_text()) == {"scope": "namespace"}
    assert path.stat().st_mode & 0o777 == 0o644
