"""The layers of defaults, and what is said of a ConfigMap that cannot be understood."""

from pathlib import Path

import pytest

from tests.webhook.pods import settings
from webhook.admin import ADMIN_KEYS, Admin
from webhook.configmap import read_data
from webhook.errors import ManifestError, SettingsError
from webhook.options import OPTIONS, Cache, DockerHost, Options, Storage
from webhook.settings import parse_cluster, parse_namespace

COMPANY = Path(__file__).parent.parent / "pods" / "defaults" / "company.yaml"
CERTIFICATE = read_data(COMPANY.read_text())["registry-ca"]


def faults_of(error: pytest.ExceptionInfo[SettingsError]) -> dict[str, str]:
    return {fault.key: fault.right for fault in error.value.faults}


def test_built_in_defaults_are_those_promised() -> None:
    assert settings().options == Options(
        inject=True,
        storage=Storage.SLAB,
        storage_size_mib=10240,
        cache_key="",
        cache=Cache.READ_WRITE,
        image="docker:29-dind",
        cpu="100m",
        memory="512Mi",
        cpu_limit=None,
        memory_limit=None,
        docker_host=DockerHost.UNIX,
        containers=(),
        share_volumes=True,
    )
    assert settings().admin == Admin()


def test_a_namespace_overrides_the_cluster_and_the_cluster_the_built_in() -> None:
    both = settings(
        {"storage-size": "20Gi", "cpu": "1", "docker-host": "tcp"},
        {"cpu": "2", "storage": "emptyDir"},
    )
    assert both.options.storage_size_mib == 20480
    assert both.options.cpu == "2"
    assert both.options.docker_host is DockerHost.TCP
    assert both.options.storage is Storage.EMPTY_DIR
    assert both.options.memory == "512Mi"


def test_every_option_can_be_a_default() -> None:
    data = {
        "inject": "false",
        "storage": "emptyDir",
        "storage-size": "500M",
        "cache-key": "team/app",
        "cache": "read-only",
        "image": "example.com/docker:28",
        "cpu": "250m",
        "memory": "1Gi",
        "cpu-limit": "2",
        "memory-limit": "2Gi",
        "docker-host": "tcp",
        "containers": "build,test",
        "share-volumes": "false",
    }
    assert data.keys() == OPTIONS.keys()
    options = settings({}, data).options
    assert options == Options(
        inject=False,
        storage=Storage.EMPTY_DIR,
        storage_size_mib=480,
        cache_key="team/app",
        cache=Cache.READ_ONLY,
        image="example.com/docker:28",
        cpu="250m",
        memory="1Gi",
        cpu_limit="2",
        memory_limit="2Gi",
        docker_host=DockerHost.TCP,
        containers=("build", "test"),
        share_volumes=False,
    )
    assert settings(data).options == options


def test_values_may_end_in_a_new_line_as_block_scalars_do() -> None:
    assert settings({"storage-size": "20Gi\n"}).options.storage_size_mib == 20480


def test_what_is_enforced_stops_at_the_cluster() -> None:
    both = settings(
        {"cpu": "1", "enforce": "cpu, memory"}, {"cpu": "2", "memory": "8Gi", "cache-key": "a"}
    )
    assert both.options.cpu == "1"
    assert both.options.memory == "512Mi"
    assert both.from_namespace == {"cache-key"}


def test_a_built_in_size_over_the_bound_becomes_the_bound() -> None:
    assert settings({"max-storage-size": "5Gi"}).options.storage_size_mib == 5120


def test_a_size_of_the_admin_over_his_own_bound_is_a_fault() -> None:
    with pytest.raises(SettingsError) as error:
        parse_cluster({"max-storage-size": "5Gi", "storage-size": "6Gi"})
    assert faults_of(error) == {"storage-size": "write at most the max-storage-size, 5Gi"}


def test_the_images_that_the_admin_names_are_allowed() -> None:
    admin = settings({"image": "example.com/d:1", "allowed-images": "docker:*"}).admin
    assert admin.allowed_images == ("docker:*", "example.com/d:1")


def test_the_admins_own_keys_are_read() -> None:
    admin = settings(read_data(COMPANY.read_text())).admin
    assert admin.registry_mirrors == (
        "https://mirror.example.com",
        "http://mirror.example.com:5000/",
    )
    assert admin.insecure_registries == ("registry.example.com:5000", "10.0.0.0/8")
    assert admin.registry_ca.startswith("-----BEGIN CERTIFICATE-----\n")
    assert admin.daemon_env == (
        ("HTTPS_PROXY", "http://user:pa$$word$(x)@proxy.example.com:3128"),
        ("NO_PROXY", ".example.com,10.0.0.0/8"),
    )
    assert admin.daemon_args == (
        "--log-level=info",
        "--default-address-pool=base=10.200.0.0/16,size=24",
    )
    assert admin.image_pull_secrets == ("registry", "mirror")
    assert admin.min_api_version == "1.24"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("inject", "yes"),
        ("storage", "disk"),
        ("storage-size", "10 gigs"),
        ("storage-size", "255Mi"),
        ("cache-key", "a..b"),
        ("cache-key", "/a"),
        ("cache-key", "a" * 129),
        ("image", "docker:29 dind"),
        ("image", "docker:" + "x" * 129),
        ("cpu", "0"),
        ("cpu", "0.0001"),
        ("memory", "100m"),
        ("cpu-limit", "none"),
        ("memory-limit", ""),
        ("docker-host", "tls"),
        ("containers", "a b"),
        ("share-volumes", "True"),
        ("max-storage-size", "much"),
        ("max-storage-size", "1Mi"),
        ("enforce", "everything"),
        ("sidecar", "init"),
        ("slab-resource", "1"),
        ("registry-mirrors", "mirror.example.com"),
        ("registry-mirrors", "https://mirror.example.com/path"),
        ("registry-mirrors", "https://user:pw@mirror.example.com"),
        ("registry-mirrors", "https://[::1"),
        ("registry-mirrors", "http://---"),
        ("registry-mirrors", "https://mirror.example.com:70000"),
        ("insecure-registries", "http://registry.example.com"),
        ("insecure-registries", "registry.example.com/24"),
        ("insecure-registries", "10.0.0.0/99"),
        ("insecure-registries", "-:::--"),
        ("registry-ca", CERTIFICATE * 400),
        ("registry-ca", "not a certificate"),
        ("registry-ca", "kein Zertifikat für uns"),
        (
            "registry-ca",
            f"{CERTIFICATE}-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----",
        ),
        ("registry-ca", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("daemon-env", "HTTPS_PROXY"),
        ("daemon-env", "1A=b"),
        ("daemon-env", "DIND_SIZE_MIB=1"),
        ("daemon-env", "DOCKER_HOST=tcp://0.0.0.0:2375"),
        ("daemon-args", "debug"),
        ("daemon-args", "--host=tcp://0.0.0.0:2375"),
        ("daemon-args", "-H=tcp://0.0.0.0:2375"),
        ("daemon-args", "-Htcp://0.0.0.0:2375"),
        ("daemon-args", "--data-root\n/tmp"),
        ("daemon-args", "--log-level warn"),
        ("daemon-args", "--"),
        ("daemon-args", "--userns-remap=default"),
        ("daemon-args", "--cgroup-parent=/"),
        ("daemon-args", f"--label={'x' * 130_000}"),
        ("daemon-env", "DOCKER_MIN_API_VERSION=1.24"),
        ("daemon-env", f"A={'x' * 130_000}"),
        ("image-pull-secrets", "Not_A_Name"),
        ("min-api-version", "latest"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(key: str, value: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_cluster({key: value})
    (fault,) = error.value.faults
    assert fault.key == key
    assert fault.right
    assert f"{key}: {value[:30]!r}"[:-1] in str(error.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        parse_cluster({"cpu": "fast", "sidecar": "x", "strorage-size": "1Gi", "zzz": ""})
    assert faults_of(error) == {
        "cpu": OPTIONS["cpu"].right,
        "sidecar": ADMIN_KEYS["sidecar"].right,
        "strorage-size": "there is no such key; storage-size is meant, perhaps",
        "zzz": "remove it",
    }


@pytest.mark.parametrize("key", ADMIN_KEYS)
def test_a_namespace_may_not_say_what_is_the_admins(key: str) -> None:
    with pytest.raises(SettingsError, match="only the ConfigMap in the webhook's own namespace"):
        parse_namespace({key: "true"})


def test_a_long_value_is_shown_in_short() -> None:
    with pytest.raises(SettingsError) as error:
        parse_cluster({"registry-ca": "x" * 5000})
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", {}),
        ("storage-size: 20Gi", {"storage-size": "20Gi"}),
        ("kind: ConfigMap\ndata: {cpu: '1'}", {"cpu": "1"}),
        ("kind: ConfigMap", {}),
    ],
)
def test_a_file_may_be_a_config_map_or_its_data(text: str, data: dict[str, str]) -> None:
    assert read_data(text) == data


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Secret\ndata: {}", "not a Secret"),
        ("- a", "keys with their values"),
        ("slab-resource: true", 'write it in quotes: slab-resource: "true"'),
        ("a: [", "no YAML"),
    ],
)
def test_a_file_that_is_no_config_map_is_refused(text: str, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        read_data(text)
