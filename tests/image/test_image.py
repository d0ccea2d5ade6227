"""The image, really built: what it holds, and both programs started from it."""

import base64
import json
import os
import re
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import jsonpatch

from flexvol.bundle.layout import read_description
from flexvol.install.__main__ import BUNDLE
from tests.guest.machine import PROJECT
from tests.image.conftest import Container

PORT = 18443
SECONDS = 60


def test_it_runs_as_nobody_in_particular(container: Container) -> None:
    assert container.config["User"] == "65532:65532"
    writable = subprocess.run(
        [
            "find",
            container.root / "opt",
            container.root / "usr",
            "-perm",
            "-o+w",
            "!",
            "-type",
            "l",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert writable == ""


def test_it_holds_no_package_installer(container: Container) -> None:
    assert not list((container.root / "opt/venv").rglob("pip"))


def test_the_webhook_answers_over_tls(container: Container) -> None:
    words = [*container.config["Entrypoint"], *container.config["Cmd"]]
    webhook = container.start(*words, f"--port={PORT}", "--self-signed=/tmp/certs")
    try:
        authority = container.root / "tmp/certs/ca.crt"
        wait_for(authority, webhook)
        assert ask(authority, "/healthz") == "ok"
        review = (PROJECT / "tests/admission/jenkins-agent.create.json").read_text()
        answer = json.loads(ask(authority, "/mutate", review))["response"]
        assert answer["allowed"]
        pod = json.loads(review)["request"]["object"]
        patched = jsonpatch.apply_patch(pod, decoded(answer["patch"]))
        assert patched["spec"]["initContainers"][0]["name"] == "dind"
        (process,) = processes(container.root, f"--port={PORT}")
        assert process_user(process) == 65532
    finally:
        for process in processes(container.root, f"--port={PORT}"):
            os.kill(process, 15)
        stdout, stderr = webhook.communicate(timeout=SECONDS)
    assert webhook.returncode == 0, stderr
    assert json.loads(stdout.splitlines()[-1])["event"] == "stopped"


def test_every_module_of_ours_finds_what_it_imports(container: Container) -> None:
    program = (
        "import importlib, pkgutil, webhook, flexvol, certs, cluster\n"
        "for package in (webhook, flexvol, certs, cluster):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        builds = module.name.startswith('flexvol.bundle.')\n"
        "        if not builds and not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
    )
    done = container.start("python", "-c", program)
    _, stderr = done.communicate(timeout=SECONDS)
    assert done.returncode == 0, stderr


def test_the_driver_answers_from_its_bundle_without_the_images_python(container: Container) -> None:
    slab = container.root / str(BUNDLE / "slab").lstrip("/")
    # On this machine, where the rest of the image is not the root: as on a node.
    answer = subprocess.run([slab, "init"], capture_output=True, text=True, check=True, env={})
    assert json.loads(answer.stdout)["status"] == "Success"
    assert answer.stderr == ""
    version = subprocess.run([slab, "version"], capture_output=True, text=True, check=True, env={})
    description = read_description(slab.parent)
    assert version.stdout.strip() == description.version
    assert re.fullmatch(r"2\.\d+", description.glibc)


def test_the_installer_finds_the_bundle_and_the_hosts_tools(container: Container) -> None:
    done = container.start("python", "-m", "flexvol.install", "install", "--help", user="0")
    stdout, stderr = done.communicate(timeout=SECONDS)
    assert done.returncode == 0, stderr
    assert str(BUNDLE) in stdout
    assert (container.root / "usr/bin/nsenter").exists()


def wait_for(path: Path, program: subprocess.Popen[str]) -> None:
    end = time.monotonic() + SECONDS
    while not path.exists():
        assert program.poll() is None, program.communicate()
        assert time.monotonic() < end, f"no {path}"
        time.sleep(0.1)


def ask(authority: Path, path: str, body: str | None = None) -> str:
    request = urllib.request.Request(
        f"https://localhost:{PORT}{path}",
        data=body.encode() if body else None,
        headers={"Content-Type": "application/json"},
    )
    context = ssl.create_default_context(cafile=str(authority))
    end = time.monotonic() + SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:  # noqa: S310 - as above
                text: str = answer.read().decode()
                return text.strip()
        except urllib.error.URLError as error:
            # It listens a moment after its certificate is there.
            if time.monotonic() > end or not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.1)


def decoded(patch: str) -> list[dict[str, object]]:
    operations: list[dict[str, object]] = json.loads(base64.b64decode(patch))
    return operations


def processes(root: Path, word: str) -> list[int]:
    """Return the ids of Python processes in this root with this word in their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            inside = (process / "root").samefile(root)
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if inside and words[0].endswith(b"python") and word.encode() in words:
            found.append(int(process.name))
    return found


def process_user(process: int) -> int:
    return Path(f"/proc/{process}").stat().st_uid
