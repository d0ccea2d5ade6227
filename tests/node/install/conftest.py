"""A node to install on: two versions of the bundle, the real places, a kubelet that calls them."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flexvol.bundle.build import build
from flexvol.bundle.layout import (
    DESCRIPTION,
    Description,
    contents,
    read_description,
    write_description,
)
from flexvol.install.nodesettings import NodeSettings
from flexvol.install.placing import Places
from tests.node.host import Host
from tests.node.kubelet import Kubelet

DRIVERS = ("dind/slab", "ax/vol_plugin")


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two versions of the bundle."""
    old = tmp_path_factory.mktemp("old") / "bundle"
    new = tmp_path_factory.mktemp("new") / "bundle"
    build(old)
    shutil.copytree(old, new)
    (new / "NEWS").write_text("a second version\n")
    facts = read_description(old)
    (new / DESCRIPTION).unlink()
    files = dict(contents(new))
    write_description(new, Description("9.9.9", facts.python, facts.glibc, files))
    return old, new


@pytest.fixture
def places() -> Iterator[Places]:
    """The places of a real node, taken away afterwards."""
    places = Places()
    yield places
    for folder in (places.root, places.plugin_directory, places.settings_file.parent):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def wanted(host: Host) -> NodeSettings:
    """The node's settings as its ConfigMap says them."""
    return NodeSettings(json.loads(host.settings_path.read_text()), DRIVERS)


@pytest.fixture
def kubelet(host: Host, places: Places) -> Kubelet:
    """A kubelet that calls what was installed."""
    program = str(places.plugin_directory / "dind~slab" / "slab")
    return Kubelet(host.place / "installed-kubelet", {"PATH": os.environ["PATH"]}, [program])
