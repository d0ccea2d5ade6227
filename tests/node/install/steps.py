"""What the tests of the installer share."""

from flexvol.install.host import Host as Namespaces
from tests.node.kubelet import Answer

SELF = Namespaces(None)
"""The tests run where the kubelet would: the host's namespaces are their own."""


def say(event: str, **fields: object) -> None:
    print(event, fields)  # noqa: T201 - pytest shows it with a failure


def succeeded(answer: Answer) -> None:
    assert answer.status == "Success", answer.message
