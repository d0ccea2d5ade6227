"""The rules the project sets itself hold: import directions, sizes, what the README promises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guest.machine import PROJECT

PACKAGES = ("webhook", "flexvol", "certs", "cluster", "demo")
LINES_AT_MOST = 300


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (PROJECT / package).rglob("*.py"))


def test_imports_flow_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_module_has_one_job_that_fits_its_size(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES_AT_MOST


def test_the_readme_names_only_targets_that_make_knows() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", (PROJECT / "README.md").read_text()))
    assert named
    assert named <= targets


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(p.name for p in (PROJECT / "docs").glob("*.md"))]
)
def test_links_between_the_documents_lead_somewhere(page: str) -> None:
    path = PROJECT / page if page == "README.md" else PROJECT / "docs" / page
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), f"{page} links to {target}"
