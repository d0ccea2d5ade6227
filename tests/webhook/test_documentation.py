"""What the documents say of annotations, defaults and outcomes is what the code does."""

import re
import tomllib
from pathlib import Path

import pytest

import webhook
from tests.webhook.goldens import plain_documents
from tests.webhook.pods import settings
from webhook.admin import ADMIN_KEYS, Admin
from webhook.offline import inject_manifest
from webhook.options import OPTIONS, Options, parse_size_mib
from webhook.outcome import Code
from webhook.settings import parse_cluster

PROJECT = Path(webhook.__file__).parent.parent
PAGE = (PROJECT / "docs" / "annotations.md").read_text()
EXAMPLES = sorted((PROJECT / "examples").glob("*.yaml"))


def table(heading: str) -> dict[str, list[str]]:
    """Return the rows of the table with ``heading`` in its first line, by their first cell."""
    _, found, rest = PAGE.partition(f"| {heading} |")
    assert found
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip("|` "): row[1:] for row in rows}


def test_every_annotation_is_documented_with_its_default() -> None:
    documented = table("annotation")
    assert list(documented) == [f"dind/{name}" for name in OPTIONS]
    for name, option in OPTIONS.items():
        default = documented[f"dind/{name}"][1].strip('`"')
        built_in = getattr(Options(), option.field)
        if default in {"none", "all"}:
            assert not built_in
        else:
            assert option.parse(default) == built_in


def test_every_key_of_the_administrator_is_documented_with_its_default() -> None:
    documented = table("key")
    assert list(documented) == list(ADMIN_KEYS)
    for key, row in ADMIN_KEYS.items():
        default = documented[key][1].strip('`"')
        built_in = getattr(Admin(), row.field)
        if default in {"none", "any", "the image's"}:
            assert not built_in
        else:
            assert row.parse(default) == built_in


def test_every_outcome_is_documented() -> None:
    rows = re.findall(r"^\| (inject|skip|refuse|malformed) \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert sorted(code for _, code in rows) == sorted(Code)


def test_the_example_of_a_config_map_is_one() -> None:
    (example,) = plain_documents(PAGE.partition("```yaml\n")[2].partition("```")[0])
    assert settings(example["data"]).options.storage_size_mib == parse_size_mib("20Gi")
    assert parse_cluster(example["data"]).admin.enforce == {"image"}


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert webhook.__version__ == project["version"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ")
    assert re.search(r'"?dind"?( =|:) "true"', text)
    assert plain_documents(text)


@pytest.mark.parametrize("name", ["pod", "job", "deployment", "jenkins-agent"])
def test_the_pods_among_the_examples_get_docker_without_a_warning(name: str) -> None:
    made = inject_manifest((PROJECT / "examples" / f"{name}.yaml").read_text(), settings())
    assert made.outcomes
    for outcome in made.outcomes:
        assert outcome.injection.decision.code is Code.INJECTED
        assert outcome.injection.warnings == ()
