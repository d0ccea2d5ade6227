"""``python -m webhook``: ``serve`` in a cluster; ``inject`` and ``doctor`` on a command line."""

import argparse
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from webhook.configmap import read_data
from webhook.errors import ManifestError, WebhookError
from webhook.offline import Manifest, inject_manifest
from webhook.outcome import Kind
from webhook.settings import Settings, parse_cluster, parse_namespace, resolve

OK, REFUSED, UNREADABLE = 0, 1, 2
STDIN = "-"
SUFFIXES = {".yaml", ".yml", ".json"}

INJECT_HELP = """\
Prints the manifests as the webhook would let them run. What becomes of each pod is said on
stderr, a line each: FILE: KIND/NAME: inject, skip or refuse, CODE: SENTENCE.
Exit status: 0 all pods are injected or left alone; 1 a pod is refused; 2 something cannot be read.
Unless the status is 0, nothing is printed."""


def main(argv: list[str]) -> int:
    """Run a command and return its exit status."""
    if argv[:1] == ["serve"]:
        from webhook.serve import main as serve  # the offline command does without a server

        return serve(argv[1:])
    if argv[:1] == ["doctor"]:
        from webhook.doctor.__main__ import main as doctor  # nor does it need a cluster

        return doctor(argv[1:])
    options = _parser().parse_args(argv)
    try:
        return _inject(options)
    except WebhookError as error:
        print(f"error: {error.message}", file=sys.stderr)  # noqa: T201 - a command's own output
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)  # noqa: T201 - likewise
        return UNREADABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m webhook", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve admission over TLS", add_help=False)
    commands.add_parser("doctor", help="ask a cluster what is wrong", add_help=False)
    inject = commands.add_parser(
        "inject",
        help="inject manifests offline",
        description=INJECT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inject.add_argument(
        "-f",
        "--filename",
        action="append",
        required=True,
        metavar="FILE",
        help=f"a manifest, a folder of them ({', '.join(sorted(SUFFIXES))}), or {STDIN} for stdin",
    )
    inject.add_argument("-R", "--recursive", action="store_true", help="folders with their folders")
    inject.add_argument(
        "--defaults", type=Path, metavar="FILE", help="the cluster's ConfigMap dind-defaults"
    )
    inject.add_argument(
        "--namespace-defaults", type=Path, metavar="FILE", help="the namespace's ConfigMap"
    )
    return parser


def _inject(options: argparse.Namespace) -> int:
    settings = _settings(options.defaults, options.namespace_defaults)
    manifests = []
    for source in _sources(options.filename, recursive=options.recursive):
        manifests.append(manifest := _injected(source, settings))
        for outcome in manifest.outcomes:
            for line in outcome.lines():
                print(f"{source}: {line}", file=sys.stderr)  # noqa: T201 - a command's own output
    outcomes = [outcome for manifest in manifests for outcome in manifest.outcomes]
    if any(each.injection.decision.kind is Kind.REFUSE for each in outcomes):
        return REFUSED
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends the command in silence
    sys.stdout.write("---\n".join(manifest.text for manifest in manifests if manifest.text))
    return OK


def _settings(cluster: Path | None, namespace: Path | None) -> Settings:
    cluster_data = read_data(_read(cluster)) if cluster else {}
    namespace_data = read_data(_read(namespace)) if namespace else {}
    return resolve(parse_cluster(cluster_data), parse_namespace(namespace_data))


def _sources(filenames: list[str], *, recursive: bool) -> Iterator[str]:
    """Yield the files to read, those of folders in order."""
    for filename in filenames:
        path = Path(filename)
        if filename == STDIN or not path.is_dir():
            yield filename
            continue
        found = path.rglob("*") if recursive else path.iterdir()
        files = sorted(str(file) for file in found if file.suffix in SUFFIXES and file.is_file())
        if not files:
            raise ManifestError(f"the folder {filename} holds no manifest")
        yield from files


def _injected(source: str, settings: Settings) -> Manifest:
    try:
        text = sys.stdin.read() if source == STDIN else _read(Path(source))
        return inject_manifest(text, settings)
    except ManifestError as error:
        raise ManifestError(f"{source}: {error.message}", hint=error.hint) from error


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read: {error}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
