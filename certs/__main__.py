"""``python -m certs``: an authority and a certificate for the webhook, offline, into a folder."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from certs.authority import next_renewal, service_names
from certs.errors import CertificateError
from certs.folder import renew_folder
from certs.issue import system_chance
from certs.pem import NAMES


def main(arguments: Sequence[str]) -> int:
    """Make or renew the certificates, say what is where, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m certs",
        description="Make an authority and a serving certificate in a folder, or renew what is due "
        "there. Serve them with: python -m webhook serve --cert-dir FOLDER",
    )
    parser.add_argument("folder", type=Path, help="where ca.crt, ca.key, tls.crt and tls.key go")
    parser.add_argument(
        "--service", default="dind-webhook", help="the webhook's Service (default: %(default)s)"
    )
    parser.add_argument("--namespace", default="dind", help="its namespace (default: %(default)s)")
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="NAME",
        help="one more DNS name or IP address by which the webhook is called; may be repeated",
    )
    given = parser.parse_args(arguments)
    names = (*service_names(given.service, given.namespace), *given.name)
    try:
        made = renew_folder(given.folder, names, datetime.now(UTC), system_chance())
    except CertificateError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for name in NAMES:
        sys.stdout.write(f"{given.folder / name}\n")
    expires = made.serving.certificate.not_valid_after_utc
    sys.stdout.write(f"expires {expires:%Y-%m-%d}, renew from {next_renewal(made):%Y-%m-%d} on\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
