"""The golden pairs ``tests/pods/NAME.yaml`` and ``NAME.injected.yaml``.

An injected file is what the offline command prints, after what it says, as comments. Where there is
a ``defaults/NAME.yaml``, it is the cluster's ConfigMap. The daemon's script, the same in every pod,
is left out.

After a change that is meant, ``python -m tests.webhook.goldens`` writes them anew; read the diff.
"""

from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from webhook.configmap import read_data
from webhook.offline import Manifest, inject_manifest
from webhook.roundtrip import round_trip
from webhook.settings import Settings, parse_cluster, resolve
from webhook.sidecar import COMMAND

FOLDER = Path(__file__).parent.parent / "pods"
SUFFIX = ".injected.yaml"
SCRIPT = "webhook/daemon.sh"


def inputs() -> list[Path]:
    """Return the manifests to inject."""
    return sorted(path for path in FOLDER.glob("*.yaml") if not path.name.endswith(SUFFIX))


def golden_of(manifest: Path) -> Path:
    """Return where the result of a manifest is kept."""
    return manifest.with_name(manifest.stem + SUFFIX)


def settings_of(manifest: Path) -> Settings:
    """Return the settings that a manifest is injected with."""
    defaults = FOLDER / "defaults" / manifest.name
    if not defaults.exists():
        return resolve()
    return resolve(parse_cluster(read_data(defaults.read_text())))


def rendered(manifest: Manifest) -> str:
    """Return what a golden holds: what is said of the pods, then the manifest."""
    said = [f"# {line}\n" for outcome in manifest.outcomes for line in outcome.lines()]
    yaml = round_trip()
    documents = list(yaml.load_all(manifest.text))
    for document in documents:
        _leave_out_script(document)
    written = StringIO()
    for number, document in enumerate(documents):
        written.write("---\n" if number else "")
        yaml.dump(document, written)
    return "".join(said) + "\n" + written.getvalue()


def _leave_out_script(node: Any) -> None:  # noqa: ANN401 - YAML
    if isinstance(node, dict | list):
        for key, child in list(node.items() if isinstance(node, dict) else enumerate(node)):
            if child == COMMAND[2]:
                node[key] = SCRIPT
            else:
                _leave_out_script(child)


def plain_documents(text: str) -> list[Any]:
    """Return the documents of a YAML text in plain types."""
    return [each for each in YAML(typ="safe").load_all(text) if each is not None]


def regenerate() -> None:
    """Write every golden anew and remove those without a manifest."""
    wanted = {golden_of(manifest): manifest for manifest in inputs()}
    for golden in FOLDER.glob(f"*{SUFFIX}"):
        if golden not in wanted:
            golden.unlink()
    for golden, manifest in wanted.items():
        golden.write_text(rendered(inject_manifest(manifest.read_text(), settings_of(manifest))))


if __name__ == "__main__":
    regenerate()
