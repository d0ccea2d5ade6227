"""Threads beside the loop."""

import threading

from tests.waiting import eventually
from webhook.background import Background


def fail() -> None:
    raise ValueError


def test_a_thread_that_dies_is_told() -> None:
    background = Background()
    background.start("quick", lambda: None)
    background.start("faulty", fail)
    eventually(lambda: background.dead() == ["thread faulty died"])
    background.stop()


def test_all_are_stopped() -> None:
    background, ended = Background(), threading.Event()
    count = 0

    def do() -> None:
        nonlocal count
        count += 1

    def wait() -> None:
        ended.wait()

    background.every("often", 0.01, do)
    background.start("waiting", wait, ended.set)
    eventually(lambda: count > 2)
    background.stop()
    before = count
    assert not [thread for thread in threading.enumerate() if thread.name in {"often", "waiting"}]
    assert count == before
