"""What is renewed when, told by a clock that the test moves."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from certs.authority import Credentials, Lifetimes, next_renewal, renew, service_names
from certs.issue import Chance, names_of, system_chance

NAMES = service_names("dind-webhook", "dind")
START = datetime(2026, 1, 31, 12, tzinfo=UTC)
LIFETIMES = Lifetimes()
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def chance() -> Chance:
    return system_chance()


def serving_of(credentials: Credentials) -> x509.Certificate:
    return credentials.serving.certificate


def subject_keys(credentials: Credentials) -> list[x509.Name]:
    return [one.certificate.subject for one in credentials.authorities]


def test_the_first_time_an_authority_and_a_certificate_are_made(chance: Chance) -> None:
    made = renew(None, NAMES, START, chance)
    assert len(made.authorities) == 1
    serving_of(made).verify_directly_issued_by(made.authorities[0].certificate)
    assert names_of(serving_of(made)) == set(NAMES)


def test_ip_addresses_are_addresses_and_names_are_names(chance: Chance) -> None:
    made = renew(None, ("localhost", "127.0.0.1", "::1"), START, chance)
    extension = serving_of(made).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert extension.value.get_values_for_type(x509.DNSName) == ["localhost"]
    assert list(map(str, extension.value.get_values_for_type(x509.IPAddress))) == [
        "127.0.0.1",
        "::1",
    ]


def test_nothing_is_renewed_before_its_time(chance: Chance) -> None:
    made = renew(None, NAMES, START, chance)
    due = next_renewal(made)
    assert due - START == LIFETIMES.serving * 2 / 3
    assert renew(made, NAMES, due - timedelta(seconds=1), chance) is made
    assert renew(made, NAMES, due, chance) is not made


def test_a_certificate_is_renewed_under_the_same_authority(chance: Chance) -> None:
    made = renew(None, NAMES, START, chance)
    renewed = renew(made, NAMES, START + 61 * DAY, chance)
    assert renewed.authorities == made.authorities
    assert serving_of(renewed).not_valid_after_utc > serving_of(made).not_valid_after_utc
    assert renewed.serving.key is not made.serving.key


def test_a_new_authority_is_trusted_before_it_signs(chance: Chance) -> None:
    made = renew(None, NAMES, START, chance)
    made = renew(made, NAMES, START + 240 * DAY, chance)  # a fresh serving certificate
    overlapping = renew(made, NAMES, START + 244 * DAY, chance)
    assert overlapping.authorities[1:] == made.authorities
    assert overlapping.serving == made.serving
    at_once = renew(overlapping, (*NAMES, "more"), START + 244 * DAY, chance)
    serving_of(at_once).verify_directly_issued_by(made.authorities[0].certificate)
    settled = START + 244 * DAY + LIFETIMES.settle
    later = renew(overlapping, (*NAMES, "more"), settled, chance)
    serving_of(later).verify_directly_issued_by(overlapping.authorities[0].certificate)


def test_over_years_no_client_ever_meets_what_it_does_not_trust(chance: Chance) -> None:
    """Each day's certificate is good for a client that read the bundle ``settle`` before."""
    held = renew(None, NAMES, START, chance)
    trusted = held.authorities
    now, signers = START, set()
    while now < START + 5 * 365 * DAY:
        now += DAY / 2
        held = renew(held, NAMES, now, chance)
        serving = serving_of(held)
        assert serving.not_valid_before_utc <= now
        assert serving.not_valid_after_utc - now > timedelta(days=29)
        signer = next(one for one in trusted if one.certificate.subject == serving.issuer)
        assert signer.certificate.not_valid_after_utc >= serving.not_valid_after_utc
        assert len(held.authorities) <= 2
        signers.add(signer.certificate.subject)
        trusted = held.authorities
    assert len(signers) >= 5


def test_after_a_long_sleep_all_is_made_anew(chance: Chance) -> None:
    made = renew(None, NAMES, START, chance)
    awake = renew(made, NAMES, START + 400 * DAY, chance)
    assert len(awake.authorities) == 1
    assert subject_keys(awake) != subject_keys(made)
    serving_of(awake).verify_directly_issued_by(awake.authorities[0].certificate)


def test_a_certificate_of_another_authority_is_replaced(chance: Chance) -> None:
    ours, theirs = renew(None, NAMES, START, chance), renew(None, NAMES, START, chance)
    mixed = Credentials(ours.authorities, theirs.serving)
    mended = renew(mixed, NAMES, START, chance)
    serving_of(mended).verify_directly_issued_by(ours.authorities[0].certificate)


def test_two_versions_with_other_names_do_not_undo_each_other(chance: Chance) -> None:
    old, new = service_names("old", "dind"), service_names("new", "dind")
    made = renew(None, old, START, chance)
    both = renew(made, new, START, chance)
    assert names_of(serving_of(both)) == {*old, *new}
    assert renew(both, old, START, chance) is both
    later = renew(both, new, START + 61 * DAY, chance)
    assert names_of(serving_of(later)) == set(new)


@given(st.floats(-1, 1), st.floats(0, 3 * 365))
def test_replicas_with_clocks_apart_agree(skew: float, day: float) -> None:
    """What one has just renewed, another whose clock is up to a day off leaves as it is."""
    chance = system_chance()
    now = START + day * DAY
    held = renew(None, NAMES, START, chance)
    first = renew(held, NAMES, now, chance)
    other = now + skew * LIFETIMES.backdate
    assert renew(first, NAMES, other, chance) is first
    assert serving_of(first).not_valid_before_utc <= other


def test_a_certificate_from_the_far_future_is_replaced(chance: Chance) -> None:
    """A replica whose clock is wrong by weeks made what no other can use yet."""
    wrong = renew(None, NAMES, START + 30 * DAY, chance)
    mended = renew(wrong, NAMES, START, chance)
    assert serving_of(mended).not_valid_before_utc <= START
    assert mended.authorities[1:] == wrong.authorities
    assert renew(mended, NAMES, START + DAY, chance) is mended
