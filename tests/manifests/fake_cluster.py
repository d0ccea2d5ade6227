"""A cluster that is not there: `kubectl`, `docker` and `buildah` that note how they are called.

What needs no cluster the real kubectl does: rendering what is applied, and patching what was.
"""

import os
import stat
import subprocess
from pathlib import Path

from tests.guest.machine import PROJECT
from tests.manifests.rendering import KUBECTL

NODE_LABELS = '{"dind/driver":"ready","dind.warm/abc":"true","kubernetes.io/os":"linux"}'

FAKE_KUBECTL = """\
#!/bin/sh
printf '%s\\n' "kubectl $*" >>"$CALLS"
for refused in $REFUSE; do case "$*" in *"$refused"*) exit 1 ;; esac; done
case "$*" in
  "apply -k "*) exec "$REAL_KUBECTL" kustomize "$3" >"$PLACE/applied.yaml" ;;
  "delete -k "*) exec "$REAL_KUBECTL" kustomize "$3" >"$PLACE/deleted.yaml" ;;
  "--namespace dind patch daemonset dind-node --patch "*)
    exec "$REAL_KUBECTL" patch --local -f "$PLACE/daemonset.yaml" --output yaml --patch "$7" \\
      >"$PLACE/patched.yaml" ;;
  *"jsonpath={.spec.template.spec.containers[0].image}") echo registry/dind-slab:1 ;;
  "get nodes --output name") printf 'node/one\\nnode/two\\n' ;;
  *"jsonpath={.metadata.labels}") echo '@LABELS@' ;;
  *"jsonpath={.status.capacity."*) case "$*" in *node/one*) echo 40960 ;; esac ;;
esac
"""
FAKE_BUILDER = """\
#!/bin/sh
printf '%s\\n' "$(basename "$0") $*" >>"$CALLS"
case "$1 $2" in
  "info ") [ -n "$DOCKER_RUNS" ] ;;
  "push --quiet") [ "$3" != --digestfile ] || printf 'sha256:%064d' 7 >"$4" ;;
  "image inspect") printf 'registry/dind-slab@sha256:%064d\\n' 8 ;;
esac
"""


class FakeCluster:
    """What the scripts see, and what they did.

    Args:
        place: an empty folder.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._calls = place / "calls"
        self._calls.touch()
        self._programs = place / "programs"
        self._programs.mkdir()
        self.add("kubectl", FAKE_KUBECTL.replace("@LABELS@", NODE_LABELS))
        for name in ("docker", "buildah"):
            self.add(name, FAKE_BUILDER)

    def add(self, name: str, text: str) -> None:
        """Put a program in the scripts' path."""
        program = self._programs / name
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts."""
        return subprocess.run(
            [PROJECT / "scripts" / script],
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": f"{self._programs}:{os.environ['PATH']}",
                "CALLS": str(self._calls),
                "PLACE": str(self.place),
                "REAL_KUBECTL": str(KUBECTL),
                "REFUSE": "",
                "DOCKER_RUNS": "",
                **variables,
            },
        )

    def calls(self) -> list[str]:
        """Return every call so far, one a line."""
        lines = self._calls.read_text().splitlines()
        return [line for line in lines if line.split()[0] in ("kubectl", "docker", "buildah")]

    def file(self, name: str) -> str:
        """Return what a call wrote."""
        return (self.place / name).read_text()
