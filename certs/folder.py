"""Credentials in a folder, for a webhook without a cluster: made once, renewed when due."""

import os
from datetime import datetime
from pathlib import Path

from certs.authority import DEFAULT_LIFETIMES, Credentials, Lifetimes, renew
from certs.errors import CertificateError
from certs.issue import Chance
from certs.pem import CA_KEY, KEY, NAMES, decode, encode


def renew_folder(
    folder: Path,
    names: tuple[str, ...],
    now: datetime,
    chance: Chance,
    lifetimes: Lifetimes = DEFAULT_LIFETIMES,
) -> Credentials:
    """Make what is missing or due in a folder, and return what it holds then.

    Each file is replaced as a whole. The four are not replaced as one: who reads them while they
    are written may see a key that is not its certificate's, and has to look again.

    Raises:
        CertificateError: the folder cannot be written, or holds files that are not ours.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = _read(folder)
        wanted = renew(held, names, now, chance, lifetimes)
        if wanted is not held:
            for name, text in encode(wanted).items():
                _replace(folder / name, text, secret=name in {CA_KEY, KEY})
    except OSError as error:
        raise CertificateError(
            f"cannot keep certificates in {folder}: {error}",
            hint="Name a folder that can be written.",
        ) from error
    return wanted


def _read(folder: Path) -> Credentials | None:
    found = {name: (folder / name).read_bytes() for name in NAMES if (folder / name).exists()}
    if not found:
        return None
    try:
        return decode(found)
    except CertificateError as error:
        raise CertificateError(
            f"{folder} holds certificates that were not made here: {error.message}",
            hint="Name an empty folder, or remove the files.",
        ) from error


def _replace(path: Path, text: bytes, *, secret: bool) -> None:
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)
