"""The command: flags, the cluster, the findings, an exit status."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from cluster.connect import connect, default_kubeconfig
from cluster.errors import ClusterError
from cluster.inquiry import Inquiry
from webhook.doctor.checks import findings
from webhook.doctor.facts import Names
from webhook.doctor.gather import gather
from webhook.doctor.report import counted, document, has_errors, show

OK, FAULTY, UNANSWERED = 0, 1, 2

DESCRIPTION = """\
Asks the cluster what is wrong with its Docker in pods, and says how to mend it. Changes nothing:
the one pod it creates is a dry run.
Exit status: 0 nothing is wrong, but perhaps something is to be warned of; 1 something does not
work; 2 there is no cluster to ask."""


def main(argv: Sequence[str]) -> int:
    """Examine the cluster; return the exit status."""
    given = _parser().parse_args(argv)
    names = Names(namespace=given.namespace, probe=given.try_in)
    try:
        client = connect(given.kubeconfig or default_kubeconfig())
        try:
            found = findings(gather(Inquiry(client), names, datetime.now(UTC)))
        finally:
            client.close()
    except ClusterError as problem:
        sys.stderr.write(f"error: {problem.message}\n")
        if problem.hint:
            sys.stderr.write(f"hint: {problem.hint}\n")
        return UNANSWERED
    if given.json:
        sys.stdout.write(f"{document(found)}\n")
    else:
        show(found, Console(highlight=False))
        sys.stdout.write(f"{counted(found)}\n")
    return FAULTY if has_errors(one.level for one in found) else OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m webhook doctor",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    names = Names()
    add = parser.add_argument
    # fmt: off
    add("--kubeconfig", type=Path, metavar="FILE",
        help="how to reach the cluster (default: $KUBECONFIG, ~/.kube/config, or the pod's own "
        "service account)")
    add("--namespace", default=names.namespace, metavar="NAMESPACE",
        help="where it is installed (default: %(default)s)")
    add("--try-in", default=names.probe, metavar="NAMESPACE",
        help="where the creation of a labelled pod is tried (default: %(default)s)")
    add("--json", action="store_true", help="print one JSON document")
    # fmt: on
    return parser
