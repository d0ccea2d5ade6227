"""Calls of the driver such as no kubelet makes, made up by hypothesis.

``{root}`` in a path stands for the kubelet's root.
"""

import json
import string

from hypothesis import strategies as st

VICTIM = "victim"
"""A pod whose volumes, a slab and another, none of these calls may touch."""

LINKED = ("link", "to-volumes", "to-driver", "to-graph", "to-elsewhere")
"""Pods whose directories hold links instead of what the kubelet makes."""

RIGHT = "{root}/pods/pod/volumes/dind~slab/graph"
RIGHT_OPTIONS: dict[str, object] = {
    "size_mb": "16",
    "kubernetes.io/fsType": "ext4",
    "kubernetes.io/pod.name": "pod",
    "kubernetes.io/pod.namespace": "default",
    "kubernetes.io/pod.uid": "pod",
    "kubernetes.io/readwrite": "rw",
    "kubernetes.io/serviceAccount.name": "default",
}

odd_text = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="./~\\\0\n\t '\"$;|&<>`{}", max_size=12),
    st.sampled_from(
        ["..", ".", "", "~", "a~b~c", "slab-0123456789ab", "dind", "dind~slab", "-n", "--force"]
    ),
    st.text(alphabet=string.ascii_letters, min_size=250, max_size=5000),
    st.text(alphabet="\ud800\udcff\u202e\x7f\x85", max_size=5),
)
pod_names = st.one_of(st.sampled_from(["pod", VICTIM, *LINKED]), odd_text)


@st.composite
def directories(draw: st.DrawFn) -> str:
    """Return a path much like a volume's directory, or anything at all."""
    if draw(st.integers(0, 3)) == 0:
        return draw(odd_text) + draw(st.sampled_from(["", "/", "{root}", "{root}/pods/"]))
    pod, driver, volume = draw(pod_names), "dind~slab", "graph"
    if draw(st.booleans()):
        driver = draw(st.one_of(odd_text, st.sampled_from(["ax~vol_plugin", "kubernetes.io~csi"])))
    if draw(st.booleans()):
        volume = draw(st.one_of(odd_text, st.sampled_from(["cache", "graph/../cache"])))
    pods = draw(st.sampled_from(["pods", "pods", "pods", "plugins", "pods/../pods", "PODS"]))
    volumes = draw(st.sampled_from(["volumes", "volumes", "volumes", "volume-subpaths", ".."]))
    roots = ["{root}", "{root}", "{root}/", "{root}/..", "", "/proc/self/root{root}"]
    return "/".join([draw(st.sampled_from(roots)), pods, pod, volumes, driver, volume])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3),
    max_leaves=8,
)
odd_values = st.one_of(
    json_values,
    st.sampled_from(["-1", "0", "1e3", "64 ", "٣٢", "9" * 5000, "0x40", "64M", "16", "32"]),
    st.sampled_from(["ext4", "xfs", "ext4,rw", "../ext4", "vfat", "rw", "ro"]),
)
kubelet_keys = st.one_of(
    st.sampled_from(["fsType", "pod.uid", "pod.namespace", "readwrite", "serviceAccount.name"]),
    odd_text,
).map("kubernetes.io/".__add__)
own_keys = st.sampled_from(
    ["size_mb", "cache_key", "cache", "graph_format", "volume_type", "ax_vol_type"]
)


@st.composite
def option_texts(draw: st.DrawFn) -> str:
    """Return the text of a mount's options, wrong here and there, or anything at all."""
    if draw(st.integers(0, 4)) == 0:
        whole = st.one_of(
            odd_text,
            json_values.map(json.dumps),
            st.integers(1, 100_000).map(lambda depth: "[" * depth),
            st.integers(1, 100_000).map(lambda depth: '{"a":' * depth),
            st.sampled_from(['{"size_mb": "16"', '{"size_mb": "16"} x', '{"a": 1, "a": 2}']),
        )
        return draw(whole)
    options = {**RIGHT_OPTIONS, "kubernetes.io/pod.uid": draw(pod_names)}
    keys = st.one_of(odd_text, own_keys, kubelet_keys)
    options |= draw(st.dictionaries(keys, odd_values, max_size=3))
    for key in draw(st.lists(st.sampled_from(sorted(options)), max_size=1)):
        del options[key]
    return json.dumps(options)


calls = st.one_of(
    st.tuples(st.just("mount"), directories(), option_texts()),
    st.tuples(st.just("mount"), directories(), option_texts(), odd_text),
    st.tuples(st.just("unmount"), directories()),
    st.tuples(st.sampled_from(["init", "attach", "expandfs", "mount", "unmount"])),
    st.lists(odd_text, max_size=4).map(tuple),
)

NOT_IN_A_KEY = frozenset(",=#@&% ")
"""What LVM, a tag or a scope's name would make something else of."""

names = st.one_of(
    st.text(alphabet=string.ascii_letters + "._/-", min_size=1, max_size=20),
    st.sampled_from(["a,b", "a=b", "dind.slab=free", "#", "@tag", "&", "..", "%41", "-n x"]),
)
nearly_right_options = st.builds(
    lambda unknown, own: json.dumps({**RIGHT_OPTIONS, **unknown, **own}),
    # As the kubelet of another version may send.
    st.dictionaries(odd_text.map("kubernetes.io/x-".__add__), odd_values, max_size=2),
    st.fixed_dictionaries(
        {},
        optional={
            "cache_key": names,
            "cache": st.sampled_from(["read-write", "read-only", "Read-Only"]),
            "graph_format": names,
            "volume_type": st.sampled_from(["anonymous", "docker-graph-storage", "Anonymous"]),
        },
    ),
)
"""Options most of which are right."""
