"""Decides which authorities and which serving certificate the webhook should have now.

Pure: the time, the names and the chance come in, credentials come out. The rules:

- *Authorities overlap.* The next one is made when the present one has lived two thirds of its
  life, and both are trusted until the older one expires.
- *Trusted before used.* A new authority signs nothing until it has been published for ``settle``:
  by then every API server has read it from the webhook configuration.
- *Early.* The serving certificate is renewed when two thirds of its life are over, and never
  outlives the authority that signed it.
- *Clocks differ.* Every certificate is valid from ``backdate`` before it was made. Replicas whose
  clocks are no further apart than that agree on what is due.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from certs.issue import Chance, Issued, issue_authority, issue_serving, names_of


@dataclass(frozen=True)
class Lifetimes:
    """For how long certificates hold.

    Attributes:
        authority: how long an authority is valid.
        serving: how long a serving certificate is valid.
        settle: how long a new authority is only trusted, before it signs.
        backdate: how far the clocks of the cluster may be apart.
    """

    authority: timedelta = timedelta(days=365)
    serving: timedelta = timedelta(days=90)
    settle: timedelta = timedelta(hours=1)
    backdate: timedelta = timedelta(hours=24)


DEFAULT_LIFETIMES = Lifetimes()


@dataclass(frozen=True)
class Credentials:
    """All that the webhook's TLS needs.

    Attributes:
        authorities: the trusted ones, the newest first; never empty.
        serving: what the webhook shows to whoever connects.
    """

    authorities: tuple[Issued, ...]
    serving: Issued


def service_names(service: str, namespace: str) -> tuple[str, ...]:
    """Return the DNS names of a Service; the API server calls a webhook by the third.

    https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#service-reference
    """
    local = f"{service}.{namespace}"
    return (service, local, f"{local}.svc", f"{local}.svc.cluster.local")


def renew(
    held: Credentials | None,
    names: tuple[str, ...],
    now: datetime,
    chance: Chance,
    lifetimes: Lifetimes = DEFAULT_LIFETIMES,
) -> Credentials:
    """Return the credentials that should hold now: ``held`` itself where nothing is due.

    Args:
        held: the credentials so far, if any.
        names: DNS names and IP addresses that the serving certificate is for.
        now: with a time zone.
        chance: makes new keys.
        lifetimes: of what is made.
    """
    known = held.authorities if held else ()
    authorities = tuple(one for one in known if now < one.certificate.not_valid_after_utc)
    if not any(_is_current(one.certificate, now, lifetimes) for one in authorities):
        begin, end = now - lifetimes.backdate, now + lifetimes.authority
        authorities = (issue_authority(begin, end, chance), *authorities)
    wanted = _names_to_issue(held, authorities, names, now, lifetimes)
    if held is not None and not wanted:
        return held if authorities == known else replace(held, authorities=authorities)
    signer = _signer(authorities, now, lifetimes)
    end = min(now + lifetimes.serving, signer.certificate.not_valid_after_utc)
    serving = issue_serving(signer, wanted, now - lifetimes.backdate, end, chance)
    return Credentials(authorities, serving)


def next_renewal(held: Credentials, lifetimes: Lifetimes = DEFAULT_LIFETIMES) -> datetime:
    """Return when ``renew`` will next have something to do."""
    return min(
        _due_at(held.authorities[0].certificate, lifetimes),
        _due_at(held.serving.certificate, lifetimes),
        held.authorities[-1].certificate.not_valid_after_utc,
    )


def _names_to_issue(
    held: Credentials | None,
    authorities: tuple[Issued, ...],
    names: tuple[str, ...],
    now: datetime,
    lifetimes: Lifetimes,
) -> tuple[str, ...]:
    """Return the names of the serving certificate to make, or none where the one held will do."""
    if held is None or not _is_signed(held.serving, authorities):
        return names
    certificate = held.serving.certificate
    if not _is_current(certificate, now, lifetimes):
        return names
    present = names_of(certificate)
    # While a rolling update changes the names, both sides get theirs, and neither undoes the other.
    return () if present.issuperset(names) else tuple(sorted(present.union(names)))


def _due_at(certificate: x509.Certificate, lifetimes: Lifetimes) -> datetime:
    made, end = _made_at(certificate, lifetimes), certificate.not_valid_after_utc
    return made + (end - made) * 2 / 3


def _made_at(certificate: x509.Certificate, lifetimes: Lifetimes) -> datetime:
    return certificate.not_valid_before_utc + lifetimes.backdate


def _is_current(certificate: x509.Certificate, now: datetime, lifetimes: Lifetimes) -> bool:
    """Whether a certificate is valid, and is not to be renewed yet."""
    return certificate.not_valid_before_utc <= now < _due_at(certificate, lifetimes)


def _is_signed(serving: Issued, authorities: tuple[Issued, ...]) -> bool:
    """Whether a serving certificate is of one of these authorities."""
    for one in authorities:
        try:
            serving.certificate.verify_directly_issued_by(one.certificate)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


def _signer(authorities: tuple[Issued, ...], now: datetime, lifetimes: Lifetimes) -> Issued:
    """Return the newest authority that has settled; where none has, the newest that is valid."""
    valid = [one for one in authorities if one.certificate.not_valid_before_utc <= now]
    settled = [
        one for one in valid if _made_at(one.certificate, lifetimes) + lifetimes.settle <= now
    ]
    return (settled or valid)[0]
