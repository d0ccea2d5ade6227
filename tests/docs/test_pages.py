"""Links lead somewhere; tables name every setting; quoted messages are ones that the code says."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flexvol import contract, settings
from flexvol.install import nodesettings
from tests.guest.machine import PROJECT
from webhook import names

DOCS = PROJECT / "docs"
PAGES = (PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted(DOCS.glob("*.md")))
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
OTHERS = (
    "failed calling webhook",
    "violates PodSecurity",
    "exceeded quota",
    "Cannot connect to the Docker daemon at tcp://docker:2375",
    "permission denied while trying to connect",
    "Insufficient dind/slab-mib",
    "didn't match Pod's node affinity/selector",
    "no volume plugin matched",
)
"""What Kubernetes and Docker say, and not we."""


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the forges make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_readme_leads_to_every_page() -> None:
    linked = set(LINK.findall((PROJECT / "README.md").read_text()))
    pages = {f"docs/{page.name}" for page in DOCS.glob("*.md")}
    assert pages - {link.partition("#")[0] for link in linked} == set()


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """Return the table under a heading, by its first column."""
    text = (DOCS / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip("| `"): row[1:] for row in cells}


def test_every_setting_of_a_node_is_documented_with_its_default() -> None:
    documented = rows("settings.md", "The nodes' settings")
    assert list(documented) == list(settings._KEYS)  # noqa: SLF001 - there is no other list
    built_in = settings.Settings()
    for key, (field, read) in settings._KEYS.items():  # noqa: SLF001 - likewise
        default = documented[key][1].strip("`")
        value = getattr(built_in, field)
        if default in ("none", "any"):
            assert not value
        else:
            plain: Any = YAML(typ="safe").load(default)
            assert read(plain) == value
    assert nodesettings.DRIVERS in (DOCS / "settings.md").read_text()


def test_every_option_of_a_flexvolume_is_documented() -> None:
    documented = rows("settings.md", "The options of a flexVolume")
    full = contract.SlabOptions(
        size_mib=4, cache_key="a", graph_format="b", volume_type="anonymous", cache="read-only"
    )
    assert set(documented) == set(full.as_options())


def spoken() -> str:
    """Return every text in our code, with the places that are filled in left open."""
    text = ""
    for folder in ("webhook", "flexvol", "certs", "cluster"):
        for path in sorted((PROJECT / folder).rglob("*")):
            if path.suffix in (".py", ".sh"):
                text += path.read_text()
    # Long sentences stand in pieces: one ends a line, the next begins one.
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_what_troubleshooting_quotes_is_what_we_say() -> None:
    said = spoken()
    page = (DOCS / "troubleshooting.md").read_text()
    quoted = [
        piece
        for line in page.splitlines()
        if line.startswith("| ")
        for piece in re.findall(r"`([^`]*)`", line.split(" | ")[0])
    ]
    assert len(quoted) > 25
    assert set(OTHERS) <= set(quoted)
    ours = [piece for piece in quoted if piece not in OTHERS]
    unsaid = [piece for piece in ours if piece not in said and not _is_named(piece)]
    assert unsaid == []


def _is_named(piece: str) -> bool:
    """Tell whether a quotation is a name of ours and no sentence, or made of two."""
    known = {names.CONTAINER, names.STATUS_ANNOTATION, "slab status", "is", "install lvm2"}
    return piece in known


@pytest.mark.parametrize("name", ["yaml", "toml"])
def test_recipes_in_the_ci_page_label_the_pod(name: str) -> None:
    found = [text for kind, text in FENCE.findall((DOCS / "ci.md").read_text()) if kind == name]
    assert found
    for text in found:
        if name == "yaml":
            document: Any = YAML(typ="safe").load(text)
        else:
            document = tomllib.loads(text)
        assert '"dind": "true"' in repr(document).replace("'", '"')


def test_the_ci_page_tells_of_every_system_that_has_an_example() -> None:
    page = (DOCS / "ci.md").read_text()
    plain = {"pod.yaml", "job.yaml", "deployment.yaml"}
    for example in (PROJECT / "examples").glob("*.yaml"):
        assert example.name in plain or f"../examples/{example.name}" in page
