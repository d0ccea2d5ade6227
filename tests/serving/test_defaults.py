"""The defaults that are in force: what each change makes of them, from a cluster and from files."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import pytest

from cluster.api import Cluster, config_maps
from cluster.client import Timeouts
from cluster.errors import UnreachableError
from cluster.follow import Change, Follower, Listed, Lost, Put, Removed
from cluster.objects import ConfigMap, ObjectMeta
from tests.cluster.apiserver import ApiServer, hang, serving, status
from tests.waiting import eventually
from webhook.defaults import Defaults, Fault
from webhook.errors import DefaultsUnknownError, WebhookError
from webhook.names import DEFAULTS_CONFIGMAP
from webhook.sources import DefaultsFiles, follow_cluster, post_event

HOME = "dind"
BUILT_IN, BAD = "docker:29-dind", {"image": "Not An Image"}


def config(namespace: str, version: int, /, **data: str) -> ConfigMap:
    meta = ObjectMeta(DEFAULTS_CONFIGMAP, namespace, f"uid-{namespace}", str(version))
    return ConfigMap(meta, data)


def image(name: str) -> str:
    return f"registry.example/{name}:29-dind"


def image_for(defaults: Defaults, namespace: str) -> str | None:
    try:
        return defaults.settings_for(namespace).options.image
    except DefaultsUnknownError:
        return None


@pytest.mark.parametrize(
    ("changes", "ci", "other", "faults"),
    [
        ([], None, None, 0),
        ([Lost(UnreachableError("gone"), 1)], None, None, 0),
        ([Listed(())], BUILT_IN, BUILT_IN, 0),
        ([Listed((config(HOME, 1, image=image("a")),))], image("a"), image("a"), 0),
        (
            [Listed((config(HOME, 1, image=image("a")), config("ci", 1, image=image("b"))))],
            image("b"),
            image("a"),
            0,
        ),
        # A bad cluster ConfigMap at the start: nothing is in force, until it is mended.
        ([Listed((config(HOME, 1, **BAD),))], None, None, 1),
        ([Listed((config(HOME, 1, **BAD), config("ci", 1, image=image("b"))))], None, None, 1),
        (
            [Listed((config(HOME, 1, **BAD),)), Put(config(HOME, 2, image=image("a")))],
            image("a"),
            image("a"),
            1,
        ),
        # A bad one in place of a good one: the good one stays.
        (
            [Listed((config(HOME, 1, image=image("a")),)), Put(config(HOME, 2, **BAD))],
            image("a"),
            image("a"),
            1,
        ),
        (
            [
                Listed((config("ci", 1, image=image("b")),)),
                Put(config("ci", 2, **BAD)),
            ],
            image("b"),
            BUILT_IN,
            1,
        ),
        # A bad one of a namespace that had none: the cluster's hold there.
        ([Listed((config("ci", 1, **BAD),))], BUILT_IN, BUILT_IN, 1),
        # The same bad one, seen again in a new list, is told once; a newer one again.
        (
            [
                Listed((config(HOME, 1, image=image("a")),)),
                Put(config(HOME, 2, **BAD)),
                Listed((config(HOME, 2, **BAD),)),
            ],
            image("a"),
            image("a"),
            1,
        ),
        (
            [Listed((config("ci", 1, **BAD),)), Put(config("ci", 2, **BAD))],
            BUILT_IN,
            BUILT_IN,
            2,
        ),
        # What is gone no longer holds, whether it was seen to go or not.
        (
            [Listed((config(HOME, 1, image=image("a")),)), Removed(config(HOME, 2))],
            BUILT_IN,
            BUILT_IN,
            0,
        ),
        (
            [Listed((config("ci", 1, image=image("b")),)), Removed(config("ci", 2))],
            BUILT_IN,
            BUILT_IN,
            0,
        ),
        (
            [
                Listed((config(HOME, 1, image=image("a")), config("ci", 1, image=image("b")))),
                Listed(()),
            ],
            BUILT_IN,
            BUILT_IN,
            0,
        ),
        ([Listed((config(HOME, 1, **BAD),)), Removed(config(HOME, 2))], BUILT_IN, BUILT_IN, 1),
        # A lost connection changes nothing.
        (
            [
                Listed((config("ci", 1, image=image("b")),)),
                Lost(UnreachableError("gone"), 1),
            ],
            image("b"),
            BUILT_IN,
            0,
        ),
        # A namespace cannot change what only the cluster may say.
        ([Listed((config("ci", 1, enforce="image"),))], BUILT_IN, BUILT_IN, 1),
        (
            [
                Listed((config("ci", 1, image=image("b")),)),
                Put(config(HOME, 2, image=image("a"), enforce="image")),
            ],
            image("a"),
            image("a"),
            0,
        ),
    ],
)
def test_what_is_in_force(
    changes: list[Change[ConfigMap]], ci: str | None, other: str | None, faults: int
) -> None:
    defaults = Defaults(HOME)
    told = [fault for change in changes for fault in defaults.take(change)]
    assert (image_for(defaults, "ci"), image_for(defaults, "other")) == (ci, other)
    assert len(told) == faults
    assert bool(defaults.unready()) == (ci is None)


def test_the_generation_counts_changes_that_were_taken_up() -> None:
    defaults = Defaults(HOME)
    steps: list[tuple[Change[ConfigMap], int, int]] = [
        (Listed(()), 1, 0),
        (Listed(()), 1, 0),
        (Put(config("ci", 1, image=image("a"))), 2, 0),
        (Put(config("ci", 2, image=image("a"))), 2, 0),
        (Put(config("ci", 3, **BAD)), 2, 1),
        (Put(config("ci", 4, image=image("b"))), 3, 0),
    ]
    for change, generation, faulty in steps:
        defaults.take(change)
        in_force = defaults.in_force
        assert (in_force.generation, len(in_force.faulty)) == (generation, faulty)


def test_an_empty_config_map_is_a_good_one() -> None:
    defaults = Defaults(HOME)
    defaults.take(Listed((ConfigMap(ObjectMeta(DEFAULTS_CONFIGMAP, HOME), None),)))
    assert image_for(defaults, "ci") == BUILT_IN


class Watching:
    """Defaults that follow an API server, and the faults they met."""

    def __init__(self) -> None:
        self.defaults = Defaults(HOME)
        self.faults: list[Fault] = []
        self.lost: list[Lost] = []

    def sees(self, namespace: str, expected: str | None) -> bool:
        """Whether this is the image in force in a namespace."""
        return image_for(self.defaults, namespace) == expected


@contextmanager
def watching(server: ApiServer) -> Iterator[Watching]:
    client = server.client(Timeouts(read=2, watch=60))
    follower = Follower(client, config_maps(DEFAULTS_CONFIGMAP), random=Random(0))  # noqa: S311
    state = Watching()
    run = partial(follow_cluster, follower, state.defaults, state.faults.append, state.lost.append)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield state
    finally:
        follower.stop()
        thread.join(5)
        client.close()


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    """An API server with nothing in it."""
    with serving(ApiServer()) as server:
        yield server


def timed(holds: Callable[[], bool]) -> float:
    began = time.monotonic()
    eventually(holds)
    return time.monotonic() - began


def test_a_change_counts_in_under_a_second(api_server: ApiServer) -> None:
    with watching(api_server) as state:
        eventually(lambda: state.sees("ci", BUILT_IN))
        for name in ("a", "b", "c"):
            api_server.put_config_map("ci", {"image": image(name)})
            assert timed(partial(state.sees, "ci", image(name))) < 1
        api_server.put_config_map(HOME, {"image": image("home")})
        assert timed(partial(state.sees, "other", image("home"))) < 1
        assert state.sees("ci", image("c"))
        api_server.remove(f"/api/v1/namespaces/ci/configmaps/{DEFAULTS_CONFIGMAP}")
        assert timed(partial(state.sees, "ci", image("home"))) < 1


def test_a_change_counts_in_under_a_second_though_the_connection_broke(
    api_server: ApiServer,
) -> None:
    with watching(api_server) as state:
        eventually(lambda: state.sees("ci", BUILT_IN))
        for name in ("a", "b", "c"):
            with api_server.lock:
                api_server.drop_watches()
                api_server.put_config_map("ci", {"image": image(name)})
            assert timed(partial(state.sees, "ci", image(name))) < 1


def test_an_api_server_that_is_silent_at_first_is_waited_for(api_server: ApiServer) -> None:
    api_server.put_config_map(HOME, {"image": image("a")})
    api_server.plan(hang)
    api_server.plan(status(500))
    with watching(api_server) as state:
        time.sleep(0.3)
        assert state.sees("ci", None)
        eventually(lambda: state.sees("ci", image("a")))
    assert len(state.lost) == 2


def test_a_fault_is_one_event_on_the_config_map_whoever_tells_it(api_server: ApiServer) -> None:
    cluster = Cluster(api_server.client())
    with watching(api_server) as one, watching(api_server) as two:
        eventually(lambda: one.sees("ci", BUILT_IN) and two.sees("ci", BUILT_IN))
        stored = api_server.put_config_map("ci", {"image": "Not An Image", "sise": "1"})
        eventually(lambda: bool(one.faults and two.faults))
    for fault in (*one.faults, *two.faults):
        post_event(cluster, fault)
    (event,) = api_server.under("/namespaces/ci/events/")
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": DEFAULTS_CONFIGMAP,
        "namespace": "ci",
        "uid": stored["metadata"]["uid"],
        "resourceVersion": stored["metadata"]["resourceVersion"],
    }
    assert event["reason"] == "BadDefaults"
    assert "image: 'Not An Image' is wrong" in event["message"]
    assert "sise: '1' is wrong" in event["message"]


def test_an_event_that_cannot_be_made_harms_nobody(api_server: ApiServer) -> None:
    api_server.plan(status(403), method="POST", path="/events")
    post_event(Cluster(api_server.client()), Fault(ObjectMeta("x", "ci"), "bad"))
    assert api_server.under("/events/") == []


def files(tmp_path: Path, **texts: str) -> dict[str, Path]:
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: tmp_path / name for name in texts}


def test_files_do_the_same(tmp_path: Path) -> None:
    defaults, faults = Defaults(HOME), list[Fault]()
    paths = files(tmp_path, dind=f"image: {image('a')}\n", ci=f"image: {image('b')}\n")
    followed = DefaultsFiles(paths, defaults, faults.append)
    followed.load()
    assert (image_for(defaults, "ci"), image_for(defaults, "other")) == (image("b"), image("a"))

    paths["ci"].write_text(f"kind: ConfigMap\ndata: {{image: '{image('c')}'}}\n")
    followed.check()
    assert image_for(defaults, "ci") == image("c")

    for bad in ("image: Not An Image\n", "image: [\n", "image: 1\n", "- list\n"):
        paths["ci"].write_text(bad)
        followed.check()
        followed.check()
        assert image_for(defaults, "ci") == image("c")
    assert len(faults) == 4

    paths["ci"].unlink()
    followed.check()
    followed.check()
    assert image_for(defaults, "ci") == image("c")
    assert len(faults) == 5

    paths["ci"].write_text(f"image: {image('d')}\n")
    followed.check()
    assert image_for(defaults, "ci") == image("d")


def unexpected(fault: Fault) -> None:
    pytest.fail(fault.message)


def test_without_files_the_built_in_defaults_hold() -> None:
    defaults = Defaults(HOME)
    DefaultsFiles({}, defaults, unexpected).load()
    assert image_for(defaults, "ci") == BUILT_IN


@pytest.mark.parametrize("text", ["image: Not An Image", "image: [", None])
def test_a_file_that_is_bad_at_the_start_is_an_error_that_names_it(
    tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "defaults.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(WebhookError, match=r"defaults\.yaml"):
        DefaultsFiles({HOME: path}, Defaults(HOME), unexpected).load()
