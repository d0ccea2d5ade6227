"""Which daemon an image holds, and which patterns allow it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexvol.contract import SlabOptions
from webhook.image import graph_format, is_allowed, is_daemon, parse

DIGEST = "sha256:" + "1f2d95bc275d4376" * 4


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("docker", ("docker", "", "")),
        ("docker:29-dind", ("docker", "29-dind", "")),
        ("library/docker:29", ("docker", "29", "")),
        ("docker.io/library/docker:29", ("docker", "29", "")),
        ("index.docker.io/library/docker:29", ("docker", "29", "")),
        ("docker.io/team/dind", ("team/dind", "", "")),
        ("index.example.com/docker", ("index.example.com/docker", "", "")),
        ("example.com:5000/a/b:1@" + DIGEST, ("example.com:5000/a/b", "1", DIGEST)),
        ("example.com:5000/b", ("example.com:5000/b", "", "")),
    ],
)
def test_a_reference_has_its_parts(reference: str, parts: tuple[str, str, str]) -> None:
    assert parse(reference) == parts


@pytest.mark.parametrize(
    ("reference", "daemon"),
    [
        ("docker:dind", True),
        ("docker:1.12.6-dind", True),
        ("docker:28-dind-rootless", True),
        ("cruizba/ubuntu-dind:noble", True),
        ("example.com/dind@" + DIGEST, True),
        ("docker:29-cli", False),
        ("docker:1.12.6", False),
        ("example.com/dind/client:1", False),
        ("", False),
    ],
)
def test_a_daemon_is_known_by_name_or_tag(reference: str, daemon: bool) -> None:  # noqa: FBT001 - a table
    assert is_daemon(reference) is daemon


@pytest.mark.parametrize(
    ("reference", "form"),
    [
        ("docker:29-dind", "docker-29"),
        ("docker:29.0.1-dind-alpine3.22", "docker-29"),
        ("docker.io/library/docker:29-dind", "docker-29"),
        ("docker:28-dind", "docker-28"),
        ("docker:v27", "docker-27"),
        ("docker:29-dind@" + DIGEST, "docker-29"),
        ("docker@" + DIGEST, "docker-1f2d95bc275d4376"),
        ("docker:dind@" + DIGEST, "docker-1f2d95bc275d4376"),
        ("docker:dind", "docker-dind"),
        ("docker", "docker-latest"),
        ("docker:1a2b3c", "docker-1a2b3c"),
        ("example.com:5000/ci/docker:29", "example.com-5000/ci/docker-29"),
    ],
)
def test_a_graph_belongs_to_a_repository_and_major_version(reference: str, form: str) -> None:
    assert graph_format(reference) == form


references = st.from_regex(
    r"[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__|-+)[a-z0-9]+)*){0,3}(?::[A-Za-z0-9_][\w.-]{0,127})?",
    fullmatch=True,
)


@given(references)
def test_every_graph_format_is_one_that_the_driver_takes(reference: str) -> None:
    form = graph_format(reference)
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?", form)
    assert ".." not in form
    options = SlabOptions(size_mib=1024, graph_format=form).as_options()
    assert options["graph_format"] == form


@pytest.mark.parametrize(
    ("reference", "pattern", "allowed"),
    [
        ("docker:29-dind", "docker:*", True),
        ("docker:29-dind", "docker:*-dind", True),
        ("docker.io/library/docker:29-dind", "docker:*", True),
        ("docker:29-dind", "docker.io/library/docker:*", True),
        ("team/dind:1", "docker.io/team/*", True),
        ("example.com/ci/docker:29", "example.com/ci/*", True),
        ("example.com:5000/docker:29", "example.com:5000/*", True),
        ("docker:29-cli", "docker:*-dind", False),
        ("evil/docker:29", "docker:*", False),
        ("docker:5000/evil/x:29-dind", "docker:*", False),
        ("docker:5000/ci/docker:29", "docker:5000/ci/*:29", True),
        (f"docker:29@sha256:{'0' * 64}", "docker:*", True),
        (f"docker:29@sha256:{'0' * 64}", "docker:*@sha256:*", True),
        (f"docker:5000/x:29@sha256:{'0' * 64}", "docker:*@sha256:*", False),
        ("evil.example.com/docker:29", "example.com/*", False),
        ("index.evil.com/docker:29", "evil.com/*", False),
        ("localhost/library/docker:29", "docker:*", False),
        ("Docker:29", "docker:*", False),
    ],
)
def test_a_pattern_allows_an_image_in_every_spelling(
    reference: str,
    pattern: str,
    allowed: bool,  # noqa: FBT001 - a table
) -> None:
    assert is_allowed(reference, (pattern,)) is allowed
    assert is_allowed(reference, ("no/*", pattern)) is allowed
