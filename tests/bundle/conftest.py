"""One bundle, built by this very interpreter, for all tests here."""

from pathlib import Path

import pytest

from flexvol.bundle.build import build


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    build(folder)
    return folder
