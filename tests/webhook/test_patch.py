"""Additions to JSON, as RFC 6901 and RFC 6902 have them."""

import copy
import json
from typing import Any

import jsonpatch
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.patch import Operation, appended, pointer, prepended

Lists = dict[str, list[str] | None]


def applied(document: Any, *operations: Operation) -> Any:  # noqa: ANN401 - JSON
    patch = json.loads(msgspec.json.encode(operations))
    return jsonpatch.apply_patch(copy.deepcopy(document), patch)


@given(st.text(), st.text())
def test_a_pointer_leads_to_its_key_whatever_the_key(outer: str, inner: str) -> None:
    made = applied({outer: {}}, Operation(pointer(outer, inner), 1))
    assert made == {outer: {inner: 1}}


@pytest.mark.parametrize(
    ("existing", "after"),
    [
        ({}, ["x", "y"]),
        ({"l": None}, ["x", "y"]),
        ({"l": []}, ["x", "y"]),
        ({"l": ["a"]}, ["a", "x", "y"]),
    ],
)
def test_values_come_to_the_end_of_a_list_absent_or_not(existing: Lists, after: list[str]) -> None:
    operations = appended("/l", existing.get("l"), ["x", "y"])
    assert applied(existing, *operations) == {"l": after}


@pytest.mark.parametrize("existing", [{}, {"l": None}, {"l": []}, {"l": ["a"]}])
def test_nothing_to_append_is_no_operation(existing: Lists) -> None:
    assert appended("/l", existing.get("l"), []) == []


@pytest.mark.parametrize(
    ("existing", "after"),
    [({}, ["x"]), ({"l": None}, ["x"]), ({"l": []}, ["x"]), ({"l": ["a"]}, ["x", "a"])],
)
def test_a_value_comes_first_in_a_list_absent_or_not(existing: Lists, after: list[str]) -> None:
    assert applied(existing, prepended("/l", existing.get("l"), "x")) == {"l": after}
