"""Certificates in a folder, by the function and by the command."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certs.__main__ import main
from certs.errors import CertificateError
from certs.folder import renew_folder
from certs.issue import names_of, system_chance
from certs.pem import NAMES, encode, read_certificates

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def texts(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in NAMES}


def test_a_folder_is_made_kept_and_renewed(tmp_path: Path) -> None:
    folder, chance = tmp_path / "new" / "folder", system_chance()
    made = renew_folder(folder, ("localhost",), NOW, chance)
    assert texts(folder) == encode(made)
    renew_folder(folder, ("localhost",), NOW + timedelta(days=1), chance)
    assert texts(folder) == encode(made)
    renew_folder(folder, ("localhost",), NOW + timedelta(days=61), chance)
    assert texts(folder)["ca.crt"] == encode(made)["ca.crt"]
    assert texts(folder)["tls.crt"] != encode(made)["tls.crt"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    renew_folder(tmp_path, ("localhost",), NOW, system_chance())
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in NAMES}
    assert modes["ca.key"] == modes["tls.key"] == 0o600


def test_files_of_someone_else_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tls.crt").write_text("theirs")
    with pytest.raises(CertificateError, match="not made here"):
        renew_folder(tmp_path, ("localhost",), NOW, system_chance())
    assert (tmp_path / "tls.crt").read_text() == "theirs"


def test_the_command_makes_them_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "certs", str(tmp_path), "--name", "127.0.0.1"]
    first = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    made = texts(tmp_path)
    second = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert first.stdout == second.stdout
    assert first.stderr == ""
    assert str(tmp_path / "ca.crt") in first.stdout
    assert texts(tmp_path) == made
    (serving,) = read_certificates(made["tls.crt"])
    assert {"dind-webhook.dind.svc", "127.0.0.1"} <= names_of(serving)


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file")]) == 1
    assert "cannot keep certificates in" in capsys.readouterr().err
