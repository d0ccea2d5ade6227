"""The driver's JSON is the JSON that everyone reads and writes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexvol import jsontext

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 60), 1 << 60) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_what_is_written_is_read_back_by_the_standard_module(value: object) -> None:
    assert json.loads(jsontext.dumps(value)) == value


@given(values, st.sampled_from([None, 0, 3]))
def test_what_the_standard_module_writes_is_read(value: object, indent: int | None) -> None:
    assert jsontext.loads(json.dumps(value, indent=indent) + "\n") == value


@given(st.text())
def test_both_agree_on_what_is_json(text: str) -> None:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        expected = json.loads(text, parse_constant=refuse)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            jsontext.loads(text)
    else:
        assert jsontext.loads(text) == expected


@pytest.mark.parametrize("text", ["", "{", '{"a": }', "nul", '"\n"', "{} x", "NaN", "[1,]"])
def test_what_is_not_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON"):
        jsontext.loads(text)


def test_endless_nesting_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="nested"):
        jsontext.loads('{"a":' * 200_000)
