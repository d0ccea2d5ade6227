"""The image that ``scripts/image-test`` has built; without it, nothing here is collected."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

IMAGE = "DIND_TEST_IMAGE"

collect_ignore_glob = [] if IMAGE in os.environ else ["test_*.py"]


@dataclass(frozen=True)
class Container:
    """A container of the image, not yet running anything.

    Attributes:
        name: buildah's.
        root: where its root file system lies.
        config: what the image says of how to run it.
    """

    name: str
    root: Path
    config: dict[str, Any]

    def start(self, *words: str, user: str = "") -> subprocess.Popen[str]:
        """Start a program in it: as a container runtime would, but on this machine's network."""
        as_user = ["--user", user] if user else []
        return subprocess.Popen(
            ["buildah", "run", *as_user, self.name, "--", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="session")
def container() -> Iterator[Container]:
    image = os.environ[IMAGE]
    name = buildah("from", "--pull-never", image)
    root = Path(buildah("mount", name))
    config = json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["config"]
    yield Container(name, root, config)
    buildah("rm", name)


def buildah(*words: str) -> str:
    """Run buildah and return what it printed."""
    done = subprocess.run(["buildah", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
