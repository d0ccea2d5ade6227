"""Image references: which daemon an image holds, and which patterns it matches.

The normal form of a reference is that of ``github.com/distribution/reference``:
``docker:29-dind`` is ``docker.io/library/docker:29-dind``.
"""

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

_HUB = "docker.io/"
_OFFICIAL = "library/"
_MAX_FORMAT = 128


class Image(NamedTuple):
    """A reference in its parts.

    Attributes:
        repository: in the short form: without Docker Hub's host and ``library/``.
        tag: empty where there is none.
        digest: likewise.
    """

    repository: str
    tag: str
    digest: str


def parse(reference: str) -> Image:
    """Return the parts of ``reference``; any text has some, a valid one has the right ones."""
    name, _, digest = reference.partition("@")
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    repository = f"{head}{slash}{last}"
    for needless in (f"index.{_HUB}", _HUB, _OFFICIAL):
        repository = repository.removeprefix(needless)
    return Image(repository, tag, digest)


def is_daemon(reference: str) -> bool:
    """Say whether an image is one of a Docker daemon, by its name or its tag."""
    image = parse(reference)
    return image.repository.endswith("dind") or "dind" in image.tag


@lru_cache(maxsize=1024)
def is_allowed(reference: str, patterns: tuple[str, ...]) -> bool:
    """Say whether a glob of ``patterns`` matches the image as written, short or in full."""
    image = parse(reference)
    rest = (f":{image.tag}" if image.tag else "") + (f"@{image.digest}" if image.digest else "")
    short = f"{image.repository}{rest}"
    host = image.repository.partition("/")[0]
    if "." in host or ":" in host or host == "localhost":
        spellings = {reference, short}
    elif "/" in image.repository:
        spellings = {reference, short, f"{_HUB}{short}"}
    else:
        spellings = {reference, short, f"{_HUB}{_OFFICIAL}{short}"}
    return any(_matches(spelling, pattern) for spelling in spellings for pattern in patterns)


def _matches(spelling: str, pattern: str) -> bool:
    """Say whether a glob matches; behind its last colon stands a tag or digest, never a path.

    Else ``docker:*`` would take ``docker:5000/x``, an image of the registry ``docker:5000``.
    """
    name, colon, tag = pattern.rpartition(":")
    if not colon or "/" in tag:
        return fnmatchcase(spelling, pattern)
    after_path = spelling.rfind("/") + 1
    colons = (n for n in range(after_path, len(spelling)) if spelling[n] == ":")
    return any(fnmatchcase(spelling[n + 1 :], tag) and _matches(spelling[:n], name) for n in colons)


@lru_cache(maxsize=1024)
def graph_format(reference: str) -> str:
    """Return which graphs the daemon of this image understands, ``docker-29`` for one.

    That is the repository and the major version, or the digest, or the whole tag: daemons of one
    major version share graphs, a 28 and a 29 hide each other's images. At most 128 of
    ``A-Za-z0-9._/-``, beginning and ending with a letter or digit: what an LVM tag takes.

    >>> graph_format("docker:29.1-dind"), graph_format("example.com:5000/ci/docker:v27")
    ('docker-29', 'example.com-5000/ci/docker-27')
    """
    image = parse(reference)
    major = re.match(r"v?([0-9]+)(?![0-9a-z_])", image.tag)
    if major:
        version = major[1]
    elif image.digest:
        version = image.digest.removeprefix("sha256:")[:16]
    else:
        version = image.tag or "latest"
    text = re.sub(r"[^A-Za-z0-9._/-]|\.(?=\.)", "-", f"{image.repository}-{version}")
    if len(text) <= _MAX_FORMAT and re.fullmatch(r"[A-Za-z0-9].*[A-Za-z0-9]", text):
        return text
    return f"image-{sha256(reference.encode()).hexdigest()[:32]}"
