"""A bundle's names and its description."""

from pathlib import Path

import pytest

from flexvol.bundle.layout import (
    BundleError,
    Description,
    entry,
    read_description,
    write_description,
)


def test_an_entry_names_the_interpreter_itself() -> None:
    first = entry(Path("/opt/dind/0.1.0-abc")).splitlines()[0]
    assert first == "#!/opt/dind/0.1.0-abc/bin/python3 -ISB"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/opt/a folder", "without spaces"),
        ("relative/folder", "absolute"),
        ("/" + "x" * 120, "127 bytes"),
    ],
)
def test_an_entry_that_no_kernel_would_start_is_refused(path: str, reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        entry(Path(path))


def test_the_name_changes_with_the_content_alone(tmp_path: Path) -> None:
    one = Description("1.0", "3.11", "2.31", {"a": "1", "b": "2"})
    assert one.name == Description("1.0", "3.12", "2.36", {"b": "2", "a": "1"}).name
    assert one.name != Description("1.0", "3.11", "2.31", {"a": "1", "b": "3"}).name
    assert one.name.startswith("1.0-")
    write_description(tmp_path, one)
    assert read_description(tmp_path) == one


def test_a_folder_without_a_description_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a bundle"):
        read_description(tmp_path)
    (tmp_path / "bundle.json").write_text('{"version": "1"}')
    with pytest.raises(BundleError, match="missing 3 required"):
        read_description(tmp_path)
