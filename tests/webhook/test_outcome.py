"""Codes, sentences and warnings."""

from string import Formatter

import pytest

from webhook import outcome
from webhook.outcome import MAX_WARNING, SENTENCES, Code


def test_every_code_has_a_sentence_and_no_two_have_the_same() -> None:
    assert set(SENTENCES) == set(Code)
    assert len(set(SENTENCES.values())) == len(Code)


@pytest.mark.parametrize("code", Code)
def test_a_sentence_says_what_it_is_given_as_plain_text(code: Code) -> None:
    fields = [name for _, name, _, _ in Formatter().parse(SENTENCES[code]) if name]
    said = outcome.sentence(code, **dict.fromkeys(fields, "{0}"))
    assert said.count("{0}") == len(fields)


def test_a_warning_is_cut_to_what_kubernetes_passes_on() -> None:
    assert outcome.as_warning("short") == "dind: short"
    assert len(outcome.as_warning("x" * 1000)) == MAX_WARNING
    assert outcome.as_warning("x" * 1000).endswith("...")


def test_a_list_stays_readable() -> None:
    assert outcome.listed("abc") == "a, b, c"
    assert outcome.listed("abcdefgh") == "a, b, c, d, e and 3 more"
