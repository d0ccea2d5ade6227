"""What of the driver's log is worth telling people."""

import pytest

from flexvol.agent.incidents import Incident, Incidents, Pod
from flexvol.agent.tail import Line
from tests.agent.make import CALL, UID, line

POD = Pod("ci", "build-1", UID)


def told(*lines: Line) -> list[Incident]:
    incidents = Incidents()
    return [incident for each in lines for incident in incidents.of(each)]


def test_a_damaged_slab_is_told_of_on_the_node() -> None:
    (incident,) = told(line("damaged", call="reconcile", slab="slab-1", scope="namespace/ci"))
    assert (incident.about, incident.reason) == (None, "SlabDamaged")
    assert "slab-1 of namespace/ci" in incident.message


@pytest.mark.parametrize(
    ("outcome", "start"), [("cold", "empty"), ("spare", "empty"), ("warm", "warm")]
)
def test_a_pod_is_told_that_its_slab_was_replaced(outcome: str, start: str) -> None:
    on_node, on_pod = told(
        line("damaged", slab="slab-1", scope="namespace/ci", **CALL),
        line("mounted", slab="slab-2", outcome=outcome, **CALL),
    )
    assert on_node.about is None
    assert (on_pod.about, on_pod.reason) == (POD, "SlabReplaced")
    assert "slab-1 was damaged; slab slab-2 took its place" in on_pod.message
    assert start in on_pod.message


def test_the_damage_of_another_pods_slab_replaces_nothing() -> None:
    other = {**CALL, "pod_uid": "other"}
    incidents = told(
        line("damaged", slab="slab-1", **other), line("mounted", slab="slab-2", **CALL)
    )
    assert [incident.reason for incident in incidents] == ["SlabDamaged"]


def test_a_refusal_is_told_to_the_pod() -> None:
    (incident,) = told(line("failed", cause="no_room", error="no room for it", **CALL))
    assert (incident.about, incident.reason) == (POD, "SlabRefused")
    assert incident.message == "no room for it"


def test_a_refusal_that_is_the_nodes_fault_is_told_on_the_node_too() -> None:
    incidents = told(line("failed", cause="pool", error="a disk is missing", **CALL))
    assert [incident.about for incident in incidents] == [POD, None]


def test_the_same_refusal_again_is_the_same_incident() -> None:
    refusal = line("failed", cause="no_room", error="3 MiB free", **CALL)
    again = line("failed", cause="no_room", error="2 MiB free", **CALL)
    first, second = told(refusal, again)
    assert first.key == second.key


@pytest.mark.parametrize(
    "names",
    [{"pod": ""}, {"namespace": ""}, {"pod": "../x"}, {"namespace": "a/b"}, {"pod": "X" * 9}],
)
def test_what_is_no_name_of_kubernetes_is_no_pods(names: dict[str, str]) -> None:
    assert told(line("failed", cause="no_room", error="no room", **{**CALL, **names})) == []


def test_an_ordinary_day_is_worth_nothing() -> None:
    lines = (
        line("mounted", slab="slab-1", outcome="warm", **CALL),
        line("released", call="unmount", slab="slab-1", pod_uid=UID, volume="g"),
        line("failed", call="unmount", cause="busy", error="still in use", pod_uid=UID),
        line("reconciled", call="reconcile"),
    )
    assert told(*lines) == []


def test_what_is_remembered_is_bounded() -> None:
    incidents = Incidents()
    for number in range(3000):
        call = {**CALL, "pod_uid": f"uid-{number}"}
        assert list(incidents.of(line("damaged", slab="s", **call)))
    forgotten, remembered = ({**CALL, "pod_uid": f"uid-{n}"} for n in (0, 2999))
    assert not list(incidents.of(line("mounted", slab="t", **forgotten)))
    assert list(incidents.of(line("mounted", slab="t", **remembered)))
