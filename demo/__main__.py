"""``python -m demo``: shows the main job from end to end; exits 1 if any of it does not hold."""

import copy
import difflib
import json
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path

from rich.console import Console
from ruamel.yaml import YAML

from demo.admission import Injection, Manifest, running_webhook
from demo.events import Check, from_line
from demo.terminal import Terminal
from tests.guest import machine
from tests.guest.machine import PROJECT, SHARE_INSIDE, Guest, GuestError

EXAMPLE = PROJECT / "examples" / "pod.yaml"
DISK_MIB = 40 * 1024
TIMEOUT_SECONDS = 900


def main() -> int:
    """Run the demonstration and return the exit status."""
    terminal = Terminal(Console())
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dind-demo-") as name:
        folder = Path(name)
        pod = YAML(typ="safe").load(EXAMPLE)
        injection = _admit(pod, folder, terminal)
        try:
            _play(injection.pod, folder / "share", terminal)
        except GuestError as error:
            terminal.error(str(error))
            return 1
    terminal.table()
    Console().print(f"{time.monotonic() - start:.0f} s in all")
    return 1 if terminal.failed else 0


def _admit(pod: Manifest, folder: Path, terminal: Terminal) -> Injection:
    terminal.chapter("An ordinary CI pod meets the webhook")
    with running_webhook(folder) as webhook:
        injection = webhook.inject(pod)
    before, after = (_yaml(_readable(shown)).splitlines() for shown in (pod, injection.pod))
    diff = difflib.unified_diff(before, after, EXAMPLE.name, "as it runs", n=2, lineterm="")
    terminal.diff("\n".join(diff))
    only_adds = all(operation["op"] == "add" for operation in injection.operations)
    told = f"{len(injection.operations)} additions in {injection.seconds * 1000:.0f} ms over TLS"
    terminal.show(Check(f"{told}; nothing of the pod's own changed", only_adds))
    return injection


def _yaml(manifest: Manifest) -> str:
    stream = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 1000
    yaml.dump(manifest, stream)
    return stream.getvalue()


def _readable(pod: Manifest) -> Manifest:
    """Return the pod for a person to read: the daemon's script told by its name."""
    readable = copy.deepcopy(pod)
    for spec in readable["spec"].get("initContainers", []):
        *words, script = spec["command"]
        spec["command"] = [*words, f"(webhook/daemon.sh, {len(script.splitlines())} lines)"]
    return readable


def _play(pod: Manifest, share: Path, terminal: Terminal) -> None:
    share.mkdir()
    (share / "pod.json").write_text(json.dumps(pod))
    disk = share / "disk"
    with disk.open("wb") as file:
        file.truncate(DISK_MIB * 2**20)
    machine.fetch()
    job = f"exec {sys.executable} -m demo.story {SHARE_INSIDE / 'pod.json'} >/dev/console"
    with Guest(share, job, disk=disk) as guest:
        with (share / "console").open() as console:
            while guest.running():
                guest.pause(0.1)
                for line in console:
                    event = from_line(line)
                    if event is not None:
                        terminal.show(event)
        if guest.wait(TIMEOUT_SECONDS) != 0:
            raise GuestError(guest.last_output())


if __name__ == "__main__":
    sys.exit(main())
