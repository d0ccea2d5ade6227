"""The node's bundles: whole or absent, and there for as long as anything uses them."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flexvol.bundle.layout import FLAGS, PYTHON, Description, contents, write_description
from flexvol.install.errors import InstallError
from flexvol.install.store import GRACE_SECONDS, Store


def later() -> float:
    """Return a time at which no grace of now still runs."""
    return time.time() + 2 * GRACE_SECONDS


def small_bundle(folder: Path, version: str) -> Path:
    """Make a bundle of this machine's own ``sleep``, which is all that a store looks at."""
    (folder / PYTHON).parent.mkdir(parents=True)
    sleep = shutil.which("sleep")
    assert sleep is not None
    shutil.copy(sleep, folder / PYTHON)
    (folder / "version").write_text(version)
    write_description(folder, Description(version, "3", "2.31", dict(contents(folder))))
    return folder


@contextmanager
def call_running_from(bundle: Path) -> Iterator[None]:
    with subprocess.Popen([bundle / PYTHON, "60"]) as call:
        yield
        call.kill()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return small_bundle(tmp_path / "old", "1.0")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return small_bundle(tmp_path / "new", "2.0")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_bundle_is_copied_whole_with_an_entry_that_names_it(store: Store, old: Path) -> None:
    bundle = store.put(old)
    assert bundle.parent == store.root
    assert bundle.name.startswith("1.0-")
    first = (bundle / "entry").read_text().splitlines()[0]
    assert first == f"#!{bundle}/{PYTHON} {FLAGS}"
    assert os.access(bundle / PYTHON, os.X_OK)
    assert dict(contents(old)).items() <= dict(contents(bundle)).items()


def test_the_same_bundle_is_not_copied_again(store: Store, old: Path) -> None:
    bundle = store.put(old)
    before = bundle.stat()
    assert store.put(old) == bundle
    assert bundle.stat() == before


def test_a_copy_that_was_damaged_is_not_used_again(store: Store, old: Path) -> None:
    damaged = store.put(old)
    (damaged / "version").write_text("9")
    fresh = store.put(old)
    assert fresh != damaged
    assert (fresh / "version").read_text() == "1.0"
    assert store.put(old) == fresh


def test_a_copy_that_was_interrupted_is_begun_anew(store: Store, old: Path) -> None:
    bundle = store.put(old)
    half = store.root / f".{bundle.name}.new"
    bundle.rename(half)
    (half / "version").unlink()
    assert store.put(old) == bundle
    assert (bundle / "version").read_text() == "1.0"
    assert not half.exists()


def test_a_damaged_source_is_refused_by_the_names_of_its_files(store: Store, old: Path) -> None:
    (old / "version").write_text("9")
    with pytest.raises(InstallError, match="damaged: version"):
        store.put(old)
    assert store.bundles() == []


def test_a_superseded_bundle_is_kept_until_its_last_call_has_ended(
    store: Store, old: Path, new: Path
) -> None:
    first = store.put(old)
    store.make_current(first)
    second = store.put(new)
    store.make_current(second)
    with call_running_from(first):
        assert store.runs(first)
        assert store.sweep(later()) == []
        assert store.bundles() == [first, second]
    assert not store.runs(first)
    assert store.sweep(later()) == [first]
    assert store.bundles() == [second]


def test_a_call_that_has_just_begun_is_given_time_to_reach_its_interpreter(
    store: Store, old: Path, new: Path
) -> None:
    for source in (old, new):
        store.make_current(store.put(source))
    assert store.sweep() == []
    assert len(store.sweep(later())) == 1


def test_the_link_leads_to_the_current_entry(store: Store, old: Path, new: Path) -> None:
    assert store.current() is None
    for source in (old, new):
        bundle = store.put(source)
        store.make_current(bundle)
        assert store.current() == bundle
        assert (store.root / "slab").resolve() == bundle / "entry"


def test_the_current_bundle_is_never_swept(store: Store, old: Path) -> None:
    bundle = store.put(old)
    store.make_current(bundle)
    assert store.sweep(later()) == []
    assert json.loads((bundle / "bundle.json").read_text())["version"] == "1.0"
