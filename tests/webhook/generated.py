"""Pods that an API server would accept, generated: shapes that nobody thought of."""

from typing import Any

from hypothesis import strategies as st

from tests.webhook.pods import Json

VOLUMES: tuple[Json, ...] = (
    {"emptyDir": {}},
    {"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
    {"persistentVolumeClaim": {"claimName": "claim"}},
    {"configMap": {"name": "settings"}},
    {"secret": {"secretName": "token"}},
    {"hostPath": {"path": "/var/run/docker.sock"}},
    {"projected": {"sources": []}},
    {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
)
PATHS = (
    *("/src", "/src/", "/builds", "/cache", "/home/jenkins/agent", "/workspace/a/b", "relative"),
    *("/var/lib/docker", "/etc", "/etc/app", "/", "/usr/local/bin", "/run", "/var/run/argo"),
    *("/tmp", "/tmp/x", "/dev/shm"),  # noqa: S108 - a pod's paths, not this machine's
    *("/var/run/docker.sock", "/var/run/secrets/kubernetes.io/serviceaccount"),
)
NAMES = (
    *("build", "test", "helper", "jnlp", "step-build", "main", "wait", "istio-proxy", "runner"),
    *("vault-agent", "registry", "watcher"),
)
AMOUNTS = ("1", "500m", "2", "1Gi", "1024Mi", "100M", "0")
ANNOTATIONS: dict[str, tuple[str, ...]] = {
    "dind/storage-size": ("20Gi", "500M", "256Mi", "10737418241"),
    "dind/storage": ("slab", "emptyDir"),
    "dind/cache-key": ("team/app", "a", "x.y_z-1"),
    "dind/cache": ("read-write", "read-only"),
    "dind/image": ("docker:28-dind", "example.com:5000/ci/docker:29", "docker:dind"),
    "dind/cpu": ("1", "250m"),
    "dind/memory": ("1Gi", "1024Mi", "2G"),
    "dind/cpu-limit": ("1", "1000m", "8"),
    "dind/memory-limit": ("2G", "16Gi"),
    "dind/docker-host": ("unix", "tcp"),
    "dind/share-volumes": ("true", "false"),
    "dind/inject": ("true",),
    "dind/status": ("forged",),
    "dind/cash-key": ("typo",),
    "other.example.com/note~1": ("a/b~c", ""),
}
CLUSTER: dict[str, tuple[str, ...]] = {
    "storage-size": ("5Gi",),
    "docker-host": ("tcp",),
    "cpu-limit": ("4",),
    "sidecar": ("native", "container"),
    "slab-resource": ("true", "false"),
    "registry-mirrors": ("https://mirror.example.com",),
    "daemon-env": ("A=1\nHTTPS_PROXY=http://$(A)$$",),
    "image-pull-secrets": ("pull",),
    "share-volumes": ("false",),
}


def chosen(choices: dict[str, tuple[Any, ...]]) -> st.SearchStrategy[Json]:
    """Generate some of the keys of ``choices``, each with one of its values."""
    optional = {key: st.sampled_from(values) for key, values in choices.items()}
    return st.fixed_dictionaries({}, optional=optional)


amounts = st.fixed_dictionaries(
    {},
    optional={"cpu": st.sampled_from(AMOUNTS[:3]), "memory": st.sampled_from(AMOUNTS[3:6])},
)
variables = st.lists(
    st.one_of(
        st.builds(
            lambda name, value: {"name": name, "value": value},
            st.sampled_from(["A", "B", "HOME", "PATH", "POD"]),
            st.sampled_from(["", "1", "$(A)-$(POD)", "$$(A)", "a $ b"]),
        ),
        st.just({"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
        st.sampled_from(
            [
                {"name": "DOCKER_HOST", "value": "tcp://farm.example.com:2376"},
                {"name": "DOCKER_HOST", "value": "unix:///run/dind/docker.sock"},
                {"name": "DOCKER_HOST", "value": "tcp://localhost:2375"},
                {"name": "DOCKER_CONTEXT", "value": "farm"},
            ]
        ),
    ),
    max_size=3,
    unique_by=lambda variable: str(variable["name"]),
)


def mounts(volumes: list[Json]) -> st.SearchStrategy[list[Json]]:
    """Generate mounts of some of ``volumes``, each at a path of its own."""
    one = st.builds(
        lambda volume, path, more: {"name": volume["name"], "mountPath": path} | more,
        st.sampled_from(volumes),
        st.sampled_from(PATHS),
        st.sampled_from(
            [
                {},
                {"readOnly": True},
                {"subPath": "a/b"},
                {"subPath": "x.json"},
                {"subPathExpr": "$(A)/$(POD)"},
            ]
        ),
    )
    return st.lists(one, max_size=3, unique_by=lambda mount: mount["mountPath"].rstrip("/"))


@st.composite
def container(draw: st.DrawFn, name: str, volumes: list[Json]) -> Json:
    """Generate a container."""
    made: Json = {"name": name, "image": draw(st.sampled_from(["alpine:3", "docker:29-cli"]))}
    if draw(st.booleans()):
        made["env"] = draw(variables)
    if bool(volumes) and draw(st.booleans()):
        made["volumeMounts"] = draw(mounts(volumes))
    limits = draw(st.none() | amounts)
    if limits is not None:
        made["resources"] = {"limits": limits}
        if draw(st.booleans()):
            made["resources"]["requests"] = draw(st.sampled_from([{}, limits, {"cpu": "1m"}]))
    if draw(st.booleans()):
        made["securityContext"] = draw(
            st.sampled_from(
                [
                    {},
                    {"privileged": True},
                    {"runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}},
                ]
            )
        )
    return made


terms = st.sampled_from(
    [
        {},
        {"matchExpressions": [{"key": "disk", "operator": "Exists"}]},
        {"matchExpressions": [{"key": "dind/driver", "operator": "In", "values": ["ready"]}]},
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]},
    ]
)
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
affinities: st.SearchStrategy[Json] = st.one_of(
    st.sampled_from([{}, {"nodeAffinity": {}}, {"podAffinity": {}}]),
    st.lists(terms, min_size=1, max_size=3).map(
        lambda some: {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": some}}}
    ),
)
contexts = st.fixed_dictionaries(
    {},
    optional={
        "runAsUser": st.just(1000),
        "runAsNonRoot": st.just(True),  # noqa: FBT003 - JSON
        "fsGroup": st.just(123),
        "supplementalGroups": st.lists(st.sampled_from([1, 2375, 4000]), max_size=2, unique=True),
        "seccompProfile": st.just({"type": "RuntimeDefault"}),
        "seLinuxOptions": st.just({"level": "s0:c1"}),
    },
)


@st.composite
def pods(draw: st.DrawFn) -> Json:
    """Generate a labelled pod that may have Docker."""
    sources = draw(st.lists(st.sampled_from(VOLUMES), max_size=4))
    volumes: list[Json] = [{"name": f"v{n}"} | source for n, source in enumerate(sources)]
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    first_init = draw(st.integers(min_value=1, max_value=len(names)))
    containers = [draw(container(name, volumes)) for name in names]
    spec: Json = {"containers": containers[:first_init]}
    if first_init < len(names) or draw(st.booleans()):
        spec["initContainers"] = containers[first_init:]
        for init in spec["initContainers"]:
            if draw(st.booleans()):
                init["restartPolicy"] = "Always"
    if bool(volumes) or draw(st.booleans()):
        spec["volumes"] = volumes
    for key, values in (
        ("securityContext", contexts),
        ("affinity", affinities),
        ("imagePullSecrets", st.sampled_from([[], [{"name": "theirs"}], [{"name": "pull"}]])),
        ("restartPolicy", st.sampled_from(["Always", "Never", "OnFailure"])),
        ("terminationGracePeriodSeconds", st.sampled_from([0, 1, 30, 3600])),
        ("nodeSelector", st.just({"kubernetes.io/os": "linux"})),
        ("shareProcessNamespace", st.booleans()),
    ):
        if draw(st.booleans()):
            spec[key] = draw(values)
    metadata: Json = {"name": "pod", "labels": {"dind": "true", "app.kubernetes.io/name": "x"}}
    annotations = draw(st.none() | chosen(ANNOTATIONS))
    if annotations is not None:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
