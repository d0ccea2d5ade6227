"""What lies in the kubelet's plugin directory, before and after."""

from pathlib import Path

import pytest

from flexvol.install import entries
from flexvol.install.errors import InstallError

ROOT = Path("/opt/dind")
OLD = "#!/opt/dind/1/bin/python3 -ISB\nold\n"
NEW = "#!/opt/dind/2/bin/python3 -ISB\nnew\n"


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_an_entry_lies_where_the_kubelet_looks_for_its_driver(tmp_path: Path) -> None:
    path = entries.entry_path(tmp_path, "ax/vol_plugin")
    assert entries.put(path, OLD, ROOT)
    assert listing(tmp_path) == {"ax~vol_plugin", "ax~vol_plugin/vol_plugin"}
    assert path.stat().st_mode & 0o7777 == 0o755
    assert path.parent.stat().st_mode & 0o7777 == 0o755


def test_the_plugin_directory_is_made_where_there_is_none(tmp_path: Path) -> None:
    path = entries.entry_path(tmp_path / "volume" / "exec", "dind/slab")
    assert entries.put(path, OLD, ROOT)
    assert path.read_text() == OLD


def test_an_entry_that_is_right_is_not_touched(tmp_path: Path) -> None:
    path = entries.entry_path(tmp_path, "dind/slab")
    entries.put(path, OLD, ROOT)
    before = path.stat()
    assert not entries.put(path, OLD, ROOT)
    assert path.stat() == before
    path.chmod(0o644)
    assert entries.put(path, OLD, ROOT)
    assert path.stat().st_mode & 0o777 == 0o755


def test_what_a_killed_installer_left_is_no_hindrance(tmp_path: Path) -> None:
    path = entries.entry_path(tmp_path, "dind/slab")
    (tmp_path / ".dind~slab.new").mkdir()
    (tmp_path / ".dind~slab.new" / "slab").write_text("half")
    assert entries.put(path, OLD, ROOT)
    (path.parent / ".slab.new").write_text("half")
    assert entries.put(path, NEW, ROOT)
    assert listing(tmp_path) == {"dind~slab", "dind~slab/slab"}
    assert path.read_text() == NEW


def test_anothers_driver_of_that_name_is_kept_beside(tmp_path: Path) -> None:
    path = entries.entry_path(tmp_path, "ax/vol_plugin")
    path.parent.mkdir()
    path.write_text("#!/bin/sh\ntheirs\n")
    assert entries.put(path, OLD, ROOT)
    assert entries.put(path, NEW, ROOT)
    assert (path.parent / ".vol_plugin.before-dind").read_text() == "#!/bin/sh\ntheirs\n"


def test_only_our_own_entries_are_found(tmp_path: Path) -> None:
    for driver in ("dind/slab", "ax/vol_plugin"):
        entries.put(entries.entry_path(tmp_path, driver), OLD, ROOT)
    for driver, text in (("k8s/nfs", "#!/bin/sh\n"), ("k8s/binary", "\x7fELF")):
        other = entries.entry_path(tmp_path, driver)
        other.parent.mkdir()
        other.write_text(text)
    (tmp_path / "empty~folder").mkdir()
    found = entries.ours(tmp_path, ROOT)
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "ax~vol_plugin/vol_plugin",
        "dind~slab/slab",
    ]


def test_a_folder_that_holds_something_else_stays(tmp_path: Path) -> None:
    path = entries.entry_path(tmp_path, "dind/slab")
    entries.put(path, OLD, ROOT)
    (path.parent / "notes").write_text("an admin's")
    entries.remove(path)
    entries.remove_folder(path)
    assert listing(tmp_path) == {"dind~slab", "dind~slab/notes"}
    (path.parent / "notes").unlink()
    entries.remove_folder(path)
    assert listing(tmp_path) == set()


@pytest.mark.parametrize("driver", ["slab", "a/b/c", "/slab", "dind/", "../x", "a/..", "a b/c", ""])
def test_a_name_that_could_lead_elsewhere_is_refused(driver: str) -> None:
    with pytest.raises(InstallError, match="not a driver's name"):
        entries.entry_path(Path("/plugins"), driver)
