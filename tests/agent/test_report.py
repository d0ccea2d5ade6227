"""What the driver says of the node, or does not."""

import pytest

from flexvol.agent.report import parse
from tests.agent.make import document, slab


def test_a_report_is_read_whatever_a_newer_driver_adds() -> None:
    report = parse(document(slab("a"), slab("b", "in use")))
    assert report.error is None
    assert [(one.name, one.state) for one in report.slabs] == [("a", "free"), ("b", "in use")]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"pool": {"size_bytes": "much"}}', "Traceback"])
def test_what_is_no_report_is_an_error_and_not_an_empty_pool(text: str) -> None:
    report = parse(text)
    assert report.pool is None
    assert report.error is not None
    assert report.error.cause == "driver"


def test_an_error_of_the_drivers_is_passed_on() -> None:
    report = parse('{"version": "1", "error": {"cause": "pool", "message": "gone"}}')
    assert report.error is not None
    assert (report.error.cause, report.error.message) == ("pool", "gone")
