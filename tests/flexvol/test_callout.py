"""What the kubelet sends, read strictly; what it is answered."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexvol.callout import (
    CAPABILITIES,
    FAILURE,
    NOT_SUPPORTED,
    SUCCESS,
    Reply,
    Request,
    read_directory,
    read_mount,
    read_pod,
    read_scope,
)
from flexvol.errors import BadCallError, SlabError
from flexvol.settings import SCOPES, Settings

UID = "1f2d95bc-275d-4376-bb96-404215f438d5"
PATH = f"/var/lib/kubelet/pods/{UID}/volumes/dind~slab/g"
RECORDED = {
    "ax_vol_type": "ax-docker-graph-storage",
    "kubernetes.io/fsType": "ext4",
    "kubernetes.io/pod.name": "dind",
    "kubernetes.io/pod.namespace": "default",
    "kubernetes.io/pod.uid": UID,
    "kubernetes.io/pvOrVolumeName": "g",
    "kubernetes.io/readwrite": "rw",
    "kubernetes.io/serviceAccount.name": "builder",
    "size_mb": "10240",
}
"""As Kubernetes 1.36.2 sent it."""


def read(changes: dict[str, str] | None = None, settings: Settings | None = None) -> Request:
    """Read a mount call with some options changed."""
    text = json.dumps({**RECORDED, **(changes or {})})
    return read_mount(PATH, text, settings or Settings())


def test_the_recorded_call_is_read() -> None:
    request = read()
    assert request.directory.pod_uid == UID
    assert request.directory.root == "/var/lib/kubelet"
    assert request.directory.pod_directory == f"/var/lib/kubelet/pods/{UID}"
    assert request.directory.volume == "g"
    assert (request.size_mib, request.file_system) == (10240, "ext4")
    assert request.scope == "namespace/default"
    assert not request.anonymous
    assert not request.read_only


def test_the_pod_is_named_also_where_the_rest_of_the_call_is_wrong() -> None:
    wrong = {**RECORDED, "size_mb": "much"}
    assert read_pod(json.dumps(wrong)) == ("default", "dind")
    assert read_pod("{}") == read_pod("no JSON") == ("", "")


@pytest.mark.parametrize("kind", SCOPES)
@pytest.mark.parametrize("key", ["", "go", "a/b.c"])
def test_a_scope_tells_what_it_was_made_of(kind: str, key: str) -> None:
    changes = {"cache_key": key} if key else {}
    scope = read(changes, Settings(scope=kind)).scope
    assert read_scope(scope) == (kind, "" if kind == "cluster" else "default", key)


def test_without_a_file_system_the_nodes_default_holds() -> None:
    assert read({"kubernetes.io/fsType": ""}).file_system == "ext4"
    settings = Settings(file_system="xfs")
    assert read({"kubernetes.io/fsType": ""}, settings).file_system == "xfs"


def test_an_fs_group_changes_nothing() -> None:
    assert read({"kubernetes.io/mounterArgs.FsGroup": "1000"}) == read()


@pytest.mark.parametrize(
    ("scope", "key", "expected"),
    [
        ("namespace", "", "namespace/default"),
        ("namespace", "team/x", "namespace/default#team/x"),
        ("serviceaccount", "", "serviceaccount/default/builder"),
        ("serviceaccount", "k", "serviceaccount/default/builder#k"),
        ("cluster", "", "cluster"),
        ("cluster", "k", "cluster#k"),
    ],
)
def test_the_scope_comes_from_the_kubelet_and_the_cache_key(
    scope: str, key: str, expected: str
) -> None:
    options = {"cache_key": key} if key else {}
    assert read(options, Settings(scope=scope)).scope == expected


names = st.text("abc-.", min_size=1, max_size=5)
keys = st.from_regex(r"\A([a-z]([a-z./]{0,4}[a-z])?)?\Z").filter(lambda key: ".." not in key)
kinds = st.sampled_from(["namespace", "serviceaccount"])


@given(st.tuples(kinds, names, names, keys), st.tuples(kinds, names, names, keys))
def test_different_tenants_never_share_a_scope(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    scopes, tenants = [], []
    for kind, namespace, account, key in (one, other):
        changes = {
            "kubernetes.io/pod.namespace": namespace,
            "kubernetes.io/serviceAccount.name": account,
            "cache_key": key,
        }
        scopes.append(read(changes, Settings(scope=kind)).scope)
        tenants.append((kind, namespace, account if kind == "serviceaccount" else "", key))
    assert (scopes[0] == scopes[1]) == (tenants[0] == tenants[1])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"size_mb": ""}, "size_mb ''"),
        ({"size_mb": "1e3"}, "1e3"),
        ({"size_mb": "²"}, "size_mb"),
        ({"size_mb": "9" * 30}, "size_mb"),
        ({"cache_key": "a..b"}, "cache_key"),
        ({"cache_key": "-a"}, "cache_key"),
        ({"cache_key": "a" * 129}, "cache_key"),
        ({"cache_key": "a\n"}, "cache_key"),
        ({"graph_format": "@{}"}, "graph_format"),
        ({"volume_type": "other"}, "volume_type 'other'"),
        ({"cache": "write-only"}, "cache 'write-only'"),
        ({"cache": ""}, "read-write and read-only"),
        ({"ax_vol_type": "other"}, "ax_vol_type 'other'"),
        ({"size": "10"}, "'size' is not known"),
        ({"kubernetes.io/fsType": "ntfs"}, "ntfs"),
        ({"kubernetes.io/pod.uid": "other"}, "pod"),
        ({"kubernetes.io/pod.namespace": "a#b"}, "a#b"),
    ],
)
def test_a_wrong_option_is_named(changes: dict[str, str], named: str) -> None:
    with pytest.raises(BadCallError) as caught:
        read(changes)
    assert named in str(caught.value)


@pytest.mark.parametrize("value", [7, True, None, {"a": "b"}, ["x"]])
def test_an_option_that_is_no_string_is_named(value: object) -> None:
    text = json.dumps({**RECORDED, "cache_key": value})
    with pytest.raises(BadCallError, match="cache_key"):
        read_mount(PATH, text, Settings())


def test_a_limit_of_the_node_holds_for_handwritten_volumes_too() -> None:
    assert read(settings=Settings(max_size_mib=10240)).size_mib == 10240
    with pytest.raises(BadCallError, match="limit of 10239"):
        read(settings=Settings(max_size_mib=10239))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[]", "one JSON object"),
        ("{} {}", "not JSON"),
        ('"x"', "one JSON object"),
    ],
)
def test_options_that_are_no_object_are_refused(text: str, said: str) -> None:
    with pytest.raises(BadCallError, match=said):
        read_mount(PATH, text, Settings())


def test_options_nested_without_end_are_refused() -> None:
    with pytest.raises(BadCallError, match="nested"):
        read_mount(PATH, "[" * 100_000, Settings())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
hostile_keys = st.sampled_from([*RECORDED, "cache_key", "graph_format", "volume_type"]) | st.text()


@given(st.dictionaries(hostile_keys, json_values | st.text("../@,%\n\0a=~#", max_size=9)))
def test_whatever_the_options_are_the_answer_is_a_request_or_a_clear_error(
    changes: dict[str, object],
) -> None:
    text = json.dumps({**RECORDED, **changes})
    try:
        request = read_mount(PATH, text, Settings())
    except SlabError as error:
        message = str(error)
        assert 0 < len(message) < 2000
    else:
        assert request.directory.path == PATH
        assert request.size_mib % 4 == 0
        assert request.scope.split("#")[0].startswith("namespace/")


@given(st.text())
def test_whatever_the_text_is_the_answer_is_a_request_or_a_clear_error(text: str) -> None:
    with pytest.raises(SlabError):
        read_mount(PATH, text, Settings())


@given(st.text("/.~ap\0\n", max_size=40) | st.text())
def test_no_other_path_passes_for_a_volume_directory(path: str) -> None:
    try:
        directory = read_directory(path)
    except BadCallError:
        return
    parts = path.split("/")
    assert parts[-5] == "pods"
    assert parts[-3] == "volumes"
    assert not {"", ".", ".."} & set(parts[1:])
    assert directory.path == path


def test_a_directory_outside_the_given_root_is_refused() -> None:
    assert read_directory(PATH, "/var/lib/kubelet").pod_uid == UID
    with pytest.raises(BadCallError, match="/other"):
        read_directory(PATH, "/other")


@pytest.mark.parametrize(
    ("reply", "document", "status"),
    [
        (Reply(SUCCESS), {"status": "Success"}, 0),
        (Reply(FAILURE, 'why\n"so"'), {"status": "Failure", "message": 'why\n"so"'}, 1),
        (Reply(NOT_SUPPORTED, "x"), {"status": "Not supported", "message": "x"}, 0),
        (
            Reply(SUCCESS, capabilities=CAPABILITIES),
            {"status": "Success", "capabilities": CAPABILITIES},
            0,
        ),
    ],
)
def test_a_reply_is_one_line_of_json(
    reply: Reply, document: dict[str, object], status: int
) -> None:
    assert "\n" not in reply.text()
    assert json.loads(reply.text()) == document
    assert reply.exit_status == status


@given(st.text())
def test_any_message_makes_one_line(message: str) -> None:
    text = Reply(FAILURE, message).text()
    assert text.isascii()
    assert len(text.splitlines()) == 1
    assert json.loads(text).get("message", "") == message
