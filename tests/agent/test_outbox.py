"""Events that wait: each told once, and never too many."""

from datetime import timedelta

from cluster.objects import ObjectMeta
from flexvol.agent.incidents import Incident, Pod
from flexvol.agent.outbox import BURST, LIFE, SECONDS_EACH, Outbox
from tests.agent.make import NOON

NODE = ObjectMeta(name="node-1", uid="node-uid")
SECOND = timedelta(seconds=1)


def incident(key: str, about: Pod | None = None) -> Incident:
    return Incident(about, "SlabDamaged", f"message of {key}", key)


def drained(outbox: Outbox) -> list[str]:
    messages = []
    while (notice := outbox.next(NODE, NOON)) is not None:
        messages.append(notice.message)
        outbox.done()
    return messages


def test_the_same_is_told_once_an_hour() -> None:
    outbox = Outbox()
    for minute in range(60):
        assert outbox.put(incident("a"), NOON + minute * timedelta(minutes=1))
    assert len(drained(outbox)) == 1
    assert outbox.put(incident("a"), NOON + LIFE)
    assert len(drained(outbox)) == 1


def test_a_flood_is_bounded_and_what_is_dropped_is_known() -> None:
    outbox = Outbox()
    taken = [outbox.put(incident(str(number)), NOON) for number in range(100)]
    assert taken == [True] * BURST + [False] * (100 - BURST)
    assert len(drained(outbox)) == BURST
    later = NOON + 3 * SECONDS_EACH * SECOND
    assert [outbox.put(incident(f"later {n}"), later) for n in range(4)] == [True] * 3 + [False]


def test_what_is_dropped_may_be_told_later() -> None:
    outbox = Outbox()
    for number in range(BURST):
        outbox.put(incident(str(number)), NOON)
    assert not outbox.put(incident("late"), NOON)
    assert outbox.put(incident("late"), NOON + SECONDS_EACH * SECOND)


def test_a_clock_that_jumps_back_stops_nothing() -> None:
    outbox = Outbox()
    outbox.put(incident("a"), NOON)
    assert outbox.put(incident("b"), NOON - 10 * LIFE)


def test_news_that_waited_too_long_is_none() -> None:
    outbox = Outbox()
    outbox.put(incident("a"), NOON)
    assert outbox.next(NODE, NOON + LIFE + SECOND) is None


def test_an_event_is_about_the_node_or_the_pod() -> None:
    outbox = Outbox()
    outbox.put(incident("a"), NOON)
    outbox.put(incident("b", Pod("ci", "build-1", "pod-uid")), NOON)
    on_node = outbox.next(NODE, NOON)
    outbox.done()
    on_pod = outbox.next(NODE, NOON)
    assert on_node is not None
    assert on_pod is not None
    assert (on_node.about_kind, on_node.about.uid) == ("Node", "node-uid")
    assert (on_pod.about_kind, on_pod.about.namespace, on_pod.about.uid) == ("Pod", "ci", "pod-uid")
    assert on_node.name.startswith("node-1.")


def test_another_agents_event_of_the_same_has_the_same_name() -> None:
    names = set()
    for _ in range(2):
        outbox = Outbox()
        outbox.put(incident("a"), NOON)
        notice = outbox.next(NODE, NOON)
        assert notice is not None
        names.add(notice.name)
    assert len(names) == 1
