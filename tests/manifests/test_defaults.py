"""The two ConfigMaps name every key there is, and nothing they say would be refused."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flexvol import settings
from flexvol.errors import SettingsError
from flexvol.install import nodesettings
from tests.manifests.rendering import MANIFESTS, OVERLAYS, one, rendered
from webhook.admin import ADMIN_KEYS
from webhook.names import DEFAULTS_CONFIGMAP
from webhook.options import OPTIONS, Options
from webhook.settings import ClusterDefaults, parse_cluster, resolve

DEFAULTS = MANIFESTS / "base" / "defaults.yaml"
NODE = MANIFESTS / "base" / "node" / "settings.yaml"
CERTIFICATE = "-----BEGIN CERTIFICATE-----"


def commented(path: Path) -> dict[str, str]:
    """Return the data of a ConfigMap with every comment that holds a key taken for one."""
    keep, data = [], False
    for line in path.read_text().splitlines():
        data = data or line == "data:"
        bare = re.fullmatch(r"  # (([a-z_-]+):( .*|)|  .*)", line) if data else None
        keep.append("  " + bare[1] if bare else line)
    document = YAML(typ="safe").load("\n".join(keep))
    found: dict[str, str] = document["data"]
    return found


def node_keys() -> set[str]:
    with pytest.raises(SettingsError) as error:
        settings.parse({"?": 1})
    return set(str(error.value).partition("settings are ")[2].split(", "))


def test_the_defaults_name_every_key_once() -> None:
    keys = re.findall(r"^  (?:# )?([a-z-]+):(?: |$)", DEFAULTS.read_text(), re.MULTILINE)
    data = [key for key in keys if key != "name"]
    assert sorted(data) == sorted([*OPTIONS, *ADMIN_KEYS])


def test_no_default_would_be_refused_if_it_were_not_a_comment() -> None:
    data = commented(DEFAULTS)
    assert data.keys() == {*OPTIONS, *ADMIN_KEYS}
    assert CERTIFICATE in data.pop("registry-ca")
    parse_cluster(data)


def test_what_is_shown_as_built_in_is_so() -> None:
    text = DEFAULTS.read_text()
    examples = {"cache-key", "containers", "cpu-limit", "memory-limit", *ADMIN_KEYS}
    data = {key: value for key, value in commented(DEFAULTS).items() if key not in examples}
    assert data.keys() == OPTIONS.keys() - examples
    assert resolve(parse_cluster(data)).options == Options()
    assert resolve(parse_cluster({"sidecar": "native"})).admin == resolve(ClusterDefaults()).admin
    assert "# sidecar: native" in text


def test_as_applied_they_ask_the_scheduler_and_say_nothing_else() -> None:
    applied = one(rendered(MANIFESTS), "ConfigMap", DEFAULTS_CONFIGMAP)
    assert applied["data"] == {"slab-resource": "true"}
    assert parse_cluster(applied["data"]).admin.slab_resource


def test_the_node_settings_name_every_key_once() -> None:
    keys = re.findall(r"^  # ([a-z_]+):", NODE.read_text(), re.MULTILINE)
    assert sorted(keys) == sorted([*node_keys(), nodesettings.DRIVERS])


def test_the_node_settings_shown_as_built_in_are_so(tmp_path: Path) -> None:
    examples = {"drivers", "device", "file", "size", "max_size_mb", "spares", "kubelet_root"}
    data = commented(NODE)
    for key, text in data.items():
        if key not in examples:
            (tmp_path / key).write_text(text)
    read = nodesettings.read(tmp_path)
    assert read.document.keys() == data.keys() - examples
    assert settings.parse(read.document) == settings.Settings()


@pytest.mark.parametrize("key", ["drivers", "device", "max_size_mb", "spares", "kubelet_root"])
def test_every_example_of_the_node_settings_is_right(tmp_path: Path, key: str) -> None:
    (tmp_path / key).write_text(commented(NODE)[key])
    assert nodesettings.read(tmp_path) != nodesettings.NodeSettings({})


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_names_a_disk(tmp_path: Path, overlay: str) -> None:
    data = one(rendered(MANIFESTS / "overlays" / overlay), "ConfigMap", "dind-node")["data"]
    for key, text in data.items():
        (tmp_path / key).write_text(text)
    read = settings.parse(nodesettings.read(tmp_path).document)
    assert bool(read.devices) == (overlay == "disk")
    assert bool(read.file) == (overlay == "file")
