"""Following a collection while the API server misbehaves."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random

import pytest

from cluster.api import config_maps
from cluster.client import Timeouts
from cluster.errors import ExpiredError, ForbiddenError, UnavailableError, UnreachableError
from cluster.follow import (
    FIRST_RETRY_SECONDS,
    LONGEST_RETRY_SECONDS,
    Change,
    Follower,
    Listed,
    Lost,
    Put,
    Removed,
    retry_seconds,
)
from cluster.objects import ConfigMap
from tests.cluster.apiserver import CONFIG_MAPS, ApiServer, drop, hang, status, stream
from tests.waiting import eventually

PATH = "/api/v1/namespaces/{}/configmaps/dind-defaults"
LIST, WATCH = f"GET {CONFIG_MAPS}", f"WATCH {CONFIG_MAPS}"


class Following:
    """The changes seen so far, of a follower that runs in a thread."""

    def __init__(self, follower: Follower[ConfigMap]) -> None:
        self.follower = follower
        self.changes: list[Change[ConfigMap]] = []

    def run(self) -> None:
        """Follow until stopped."""
        for change in self.follower.changes():
            self.changes.append(change)

    def images(self) -> dict[str, str]:
        """Return the image of each namespace's ConfigMap, as the changes add up."""
        state: dict[str, str] = {}
        for change in list(self.changes):
            match change:
                case Listed(items):
                    state = {item.metadata.namespace: image(item) for item in items}
                case Put(item):
                    state[item.metadata.namespace] = image(item)
                case Removed(item):
                    del state[item.metadata.namespace]
                case Lost():
                    pass
        return state

    def lost(self) -> list[type[Exception]]:
        """Return the kinds of errors met."""
        return [type(change.error) for change in list(self.changes) if isinstance(change, Lost)]


def image(item: ConfigMap) -> str:
    return (item.data or {}).get("image", "")


def watching(server: ApiServer, count: int = 1) -> None:
    eventually(lambda: server.count(WATCH) >= count)


def shows(seen: Following, expected: str) -> bool:
    return seen.images() == {"ci": expected}


@contextmanager
def following(server: ApiServer, timeouts: Timeouts | None = None) -> Iterator[Following]:
    client = server.client(timeouts or Timeouts(watch=60))
    follower = Follower(client, config_maps("dind-defaults"), random=Random(0))  # noqa: S311 - jitter
    seen = Following(follower)
    thread = threading.Thread(target=seen.run)
    thread.start()
    try:
        yield seen
    finally:
        follower.stop()
        thread.join(5)
        client.close()
        assert not thread.is_alive(), "a stopped follower does not end"


def test_what_is_there_and_what_comes_is_seen(api_server: ApiServer) -> None:
    api_server.put_config_map("ci", {"image": "1"})
    with following(api_server) as seen:
        eventually(lambda: seen.images() == {"ci": "1"})
        api_server.put_config_map("ci", {"image": "2"})
        api_server.put_config_map("qa", {"image": "3"})
        eventually(lambda: seen.images() == {"ci": "2", "qa": "3"})
        api_server.remove(PATH.format("ci"))
        eventually(lambda: seen.images() == {"qa": "3"})
    assert (api_server.count(LIST), api_server.count(WATCH)) == (1, 1)


def test_a_watch_that_ends_is_resumed_without_a_new_list(api_server: ApiServer) -> None:
    with following(api_server, Timeouts(watch=1)) as seen:
        eventually(lambda: api_server.count(WATCH) == 3)
        api_server.put_config_map("ci", {"image": "1"})
        eventually(lambda: seen.images() == {"ci": "1"})
    assert api_server.count(LIST) == 1
    assert seen.lost() == []


def test_a_connection_dropped_in_mid_watch_loses_no_change(api_server: ApiServer) -> None:
    with following(api_server) as seen:
        for number in range(5):
            watching(api_server, number + 1)
            with api_server.lock:
                api_server.drop_watches()
                api_server.put_config_map("ci", {"image": str(number)})
            eventually(partial(shows, seen, str(number)))
    assert api_server.count(LIST) == 1
    assert set(seen.lost()) == {UnreachableError}


def test_half_a_line_and_a_dropped_connection_is_no_event(api_server: ApiServer) -> None:
    api_server.plan(stream(b'{"type": "ADDED", "obj', then=drop), watch=True)
    with following(api_server) as seen:
        watching(api_server)
        api_server.put_config_map("ci", {"image": "1"})
        eventually(lambda: seen.images() == {"ci": "1"})
    assert seen.lost() == [UnreachableError]


def test_a_line_that_is_no_json_is_a_broken_connection(api_server: ApiServer) -> None:
    api_server.plan(stream(b"<html>gateway</html>\n"), watch=True)
    with following(api_server) as seen:
        watching(api_server)
        api_server.put_config_map("ci", {"image": "1"})
        eventually(lambda: seen.images() == {"ci": "1"})
    assert seen.lost() == [UnreachableError]


@pytest.mark.parametrize(
    "gone",
    [
        status(410),
        stream({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}),
    ],
    ids=["as a status", "in the stream"],
)
def test_after_410_the_collection_is_listed_anew(api_server: ApiServer, gone: object) -> None:
    api_server.plan(gone, watch=True)  # type: ignore[arg-type] # parametrize erases the type
    with following(api_server) as seen:
        eventually(lambda: api_server.count(LIST) == 2)
        api_server.put_config_map("ci", {"image": "1"})
        eventually(lambda: seen.images() == {"ci": "1"})
    assert seen.lost() == [ExpiredError]


def test_what_went_while_the_version_expired_is_gone_in_the_new_list(api_server: ApiServer) -> None:
    api_server.put_config_map("ci", {"image": "1"})
    with following(api_server) as seen:
        eventually(lambda: seen.images() == {"ci": "1"})
        watching(api_server)
        with api_server.lock:
            api_server.drop_watches()
            api_server.remove(PATH.format("ci"))
            api_server.put_config_map("qa", {"image": "2"})
            api_server.forget()
        eventually(lambda: seen.images() == {"qa": "2"})
    assert seen.lost() == [UnreachableError, ExpiredError]


def test_a_bookmark_moves_the_version_to_resume_from(api_server: ApiServer) -> None:
    with following(api_server) as seen:
        watching(api_server)
        api_server.bookmark()
        time.sleep(0.2)  # nothing else tells that a bookmark has arrived
        with api_server.lock:
            api_server.forget()  # the version of the list is too old from here on
            api_server.drop_watches()
            api_server.put_config_map("ci", {"image": "1"})
        eventually(lambda: seen.images() == {"ci": "1"})
    assert seen.lost() == [UnreachableError]
    assert api_server.count(LIST) == 1


def test_an_api_server_that_fails_for_a_while_is_waited_for(api_server: ApiServer) -> None:
    api_server.plan(status(500), times=2)
    api_server.plan(drop, times=1)
    api_server.plan(status(503), watch=True)
    with following(api_server) as seen:
        eventually(lambda: api_server.count(WATCH) >= 2)
        api_server.put_config_map("ci", {"image": "1"})
        eventually(lambda: seen.images() == {"ci": "1"})
    expected = [UnavailableError, UnavailableError, UnreachableError, UnavailableError]
    assert seen.lost() == expected


def test_a_missing_right_is_said_and_asked_for_again(api_server: ApiServer) -> None:
    api_server.plan(status(403), times=2)
    with following(api_server) as seen:
        eventually(lambda: seen.changes[-1:] == [Listed(())])
    assert seen.lost() == [ForbiddenError, ForbiddenError]


def test_a_half_open_connection_is_given_up(api_server: ApiServer) -> None:
    api_server.plan(stream(then=hang), watch=True)
    with following(api_server, Timeouts(read=0.2, watch=1)) as seen:
        watching(api_server, 2)
        api_server.put_config_map("ci", {"image": "1"})
        eventually(lambda: seen.images() == {"ci": "1"})
    assert seen.lost() == [UnreachableError]


def test_a_proxy_that_ends_every_watch_at_once_is_not_hammered(api_server: ApiServer) -> None:
    api_server.plan(stream(), watch=True, times=1000)
    with following(api_server) as seen:
        time.sleep(1)
        assert len(seen.lost()) == api_server.count(WATCH) < 10


def test_a_stop_ends_a_watch_that_is_silent(api_server: ApiServer) -> None:
    with following(api_server):
        watching(api_server)
        began = time.monotonic()
    assert time.monotonic() - began < 2


def test_waits_grow_to_a_bound_and_are_spread() -> None:
    waits = [retry_seconds(failures, 1) for failures in range(1, 40)]
    assert waits[0] == FIRST_RETRY_SECONDS
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_RETRY_SECONDS
    assert retry_seconds(3, 0) == retry_seconds(3, 1) / 2
