"""Keeps the webhook's certificate in a cluster: one Secret, one webhook configuration.

``reconcile`` looks at what is there and does what is missing, so it may be called at any time and
by every replica at once:

1. What is due is renewed and written into the Secret. The API server lets one replica win, by the
   Secret's resource version; the others read what the winner wrote. A Secret that was deleted is
   made again from what this replica serves.
2. The authorities are written into the webhook configuration, before
3. the certificate is used.

So no replica ever shows a certificate that the API servers have not been told to trust. Other
authorities of ours that are trusted already stay so until they expire: another replica may serve
under one still.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from certs.authority import DEFAULT_LIFETIMES, Credentials, Lifetimes, next_renewal, renew
from certs.errors import CertificateError
from certs.issue import AUTHORITY_NAME, Chance
from certs.pem import certificates_pem, decode, encode, read_certificates
from cluster.api import Cluster
from cluster.errors import ClusterError, ConflictError, NotFoundError
from cluster.follow import retry_seconds
from cluster.objects import ClientConfig, ObjectMeta, Secret, Webhook, WebhookConfiguration

log = structlog.get_logger()

OWNER_LABEL = {"app.kubernetes.io/managed-by": "dind-webhook"}
SECRET_TYPE = "kubernetes.io/tls"  # noqa: S105 - the name of a type
MOST_TRIES = 10
SHORTEST_WAIT_SECONDS = 0.5
"""Between two looks, so that another program that undoes our writes is no busy loop."""
LONGEST_WAIT_SECONDS = 600.0
"""Even where nothing happens, all is looked at this often: a clock may have been set."""


@dataclass(frozen=True)
class Place:
    """Where the certificate lives.

    Attributes:
        namespace: the webhook's own.
        secret: the Secret's name.
        configuration: the MutatingWebhookConfiguration's name.
        names: DNS names by which the webhook is called.
    """

    namespace: str
    secret: str
    configuration: str
    names: tuple[str, ...]


class Keeper:
    """One replica's part in keeping the certificate."""

    def __init__(
        self,
        cluster: Cluster,
        place: Place,
        use: Callable[[Credentials], None],
        *,
        clock: Callable[[], datetime],
        chance: Chance,
        lifetimes: Lifetimes = DEFAULT_LIFETIMES,
    ) -> None:
        self._cluster = cluster
        self._place = place
        self._use = use
        self._clock = clock
        self._chance = chance
        self._lifetimes = lifetimes
        self._held: Credentials | None = None

    @property
    def published(self) -> bool:
        """Whether a certificate is in use whose authority the API servers trust."""
        return self._held is not None

    def reconcile(self) -> datetime:
        """Do what is missing, and return when something will be due next.

        Raises:
            ClusterError: the API server did not let us; what was in use stays.
            CertificateError: the Secret is not ours to write.
        """
        wanted = self._agree()
        self._publish(wanted)
        certificate = wanted.serving.certificate
        if self._held is None or certificate != self._held.serving.certificate:
            self._use(wanted)
            log.info("certificate in use", expires_at=str(certificate.not_valid_after_utc))
        self._held = wanted
        return next_renewal(wanted, self._lifetimes)

    def run(self, wake: threading.Event, stopped: threading.Event, random: Random) -> None:
        """Reconcile whenever woken or due, until stopped (set both to stop at once)."""
        failures = 0
        while not stopped.is_set():
            wake.clear()
            try:
                due = (self.reconcile() - self._clock()).total_seconds()
                failures, wait = 0, min(max(due, 0.0), LONGEST_WAIT_SECONDS)
                stopped.wait(SHORTEST_WAIT_SECONDS)
            except (ClusterError, CertificateError) as error:
                failures += 1
                wait = retry_seconds(failures, random.random())
                log.warning("certificate not kept", error=error.message, retry_seconds=wait)
            wake.wait(wait)

    def _agree(self) -> Credentials:
        """Return the credentials that the Secret holds, renewed where due."""
        for _ in range(MOST_TRIES):
            secret = self._read_secret()
            stored = self._stored(secret)
            wanted = renew(
                stored or self._held,
                self._place.names,
                self._clock(),
                self._chance,
                self._lifetimes,
            )
            if stored is wanted:
                return wanted
            try:
                self._write_secret(secret, wanted)
            except (ConflictError, NotFoundError):
                continue  # another replica wrote it, or it was deleted: look again
            log.info("certificate written", secret=self._place.secret)
            return wanted
        raise CertificateError(
            f"Secret {self._place.namespace}/{self._place.secret} changed {MOST_TRIES} times "
            "while it was being written",
            hint="Something else writes this Secret; give the webhook one of its own.",
        )

    def _read_secret(self) -> Secret | None:
        try:
            return self._cluster.read_secret(self._place.namespace, self._place.secret)
        except NotFoundError:
            return None

    def _stored(self, secret: Secret | None) -> Credentials | None:
        if secret is None or not secret.data or not any(secret.data.values()):
            return None
        try:
            return decode(secret.data)
        except CertificateError as error:
            where = f"Secret {self._place.namespace}/{self._place.secret}"
            if OWNER_LABEL.items() <= secret.metadata.labels.items():
                log.warning("certificate broken", secret=self._place.secret, error=error.message)
                return None
            raise CertificateError(
                f"{where} holds something that this webhook did not write: {error.message}",
                hint="Give the webhook another Secret with --cert-secret; serve a certificate "
                "of your own with --cert-dir.",
            ) from error

    def _write_secret(self, secret: Secret | None, wanted: Credentials) -> None:
        data = encode(wanted)
        if secret is None:
            meta = ObjectMeta(self._place.secret, self._place.namespace, labels=OWNER_LABEL)
            self._cluster.create_secret(Secret(meta, data, SECRET_TYPE))
        else:
            meta = replace(secret.metadata, labels=OWNER_LABEL)
            self._cluster.patch_secret(Secret(meta, data, secret.type))

    def _publish(self, credentials: Credentials) -> None:
        """Let the API servers trust these authorities."""
        for _ in range(MOST_TRIES):
            found = self._cluster.read_webhook_configuration(self._place.configuration)
            webhooks = tuple(self._trusting(webhook, credentials) for webhook in found.webhooks)
            if webhooks == found.webhooks:
                return
            try:
                self._cluster.patch_ca_bundles(WebhookConfiguration(found.metadata, webhooks))
            except ConflictError:
                continue
            log.info("authorities published", configuration=self._place.configuration)
            return
        raise CertificateError(
            f"MutatingWebhookConfiguration {self._place.configuration} changed {MOST_TRIES} times "
            "while it was being written",
            hint="Something else writes its caBundle (cert-manager's cainjector, for one).",
        )

    def _trusting(self, webhook: Webhook, credentials: Credentials) -> Webhook:
        bundle = trust_bundle(webhook.client_config.ca_bundle, credentials, self._clock())
        return Webhook(webhook.name, ClientConfig(bundle))


def trust_bundle(present: bytes, credentials: Credentials, now: datetime) -> bytes:
    """Return a caBundle: our authorities, then others of our name that are there and still valid.

    The same authorities always make the same bundle, so that no write follows from order alone.
    """
    try:
        there = read_certificates(present) if present else ()
    except ValueError:
        there = ()
    ours = tuple(one.certificate for one in credentials.authorities)
    others = {
        one
        for one in there
        if one not in ours and _is_authority(one) and now < one.not_valid_after_utc
    }
    ordered = sorted(others, key=lambda one: one.fingerprint(hashes.SHA256()))
    return certificates_pem((*ours, *ordered))


def _is_authority(certificate: x509.Certificate) -> bool:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return any(str(name.value).startswith(AUTHORITY_NAME) for name in names)
