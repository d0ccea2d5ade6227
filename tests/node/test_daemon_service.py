"""What a running daemon gives its pod. One daemon for all of these tests: a start takes seconds."""

import datetime as dt
import ipaddress
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.node.images import Registry, busybox_tar
from tests.node.pod import DASH, MTU, Container, Pod, Slab, run
from tests.waiting import PATIENCE_SECONDS
from webhook import names

KEPT_MIB = 12
"""What the daemon may keep of the build cache: 30 % of the size that it is told."""
UNSHARED_CACHE = b"""
FROM box:1 AS a
RUN dd if=/dev/zero of=/a bs=1M count=10
RUN dd if=/dev/zero of=/b bs=1M count=10
RUN dd if=/dev/zero of=/c bs=1M count=10 && echo done >/result
FROM box:1
COPY --from=a /result /result
"""


@dataclass(frozen=True)
class Service:
    """A ready daemon, and when the last build in it ended."""

    pod: Pod
    container: Container
    slab: Slab
    registry: Registry
    cache_mib: float
    built: float


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    place = Path("/mnt/service")  # not below pytest's folders, which only root may enter
    slab = Slab(place / "slab")
    pod = Pod(place / "pod", slab.path)
    certificate = self_signed(pod.gateway)
    (place / "registry.pem").write_text(certificate)
    environment = {
        names.ENV_DOCKER_HOST: "unix",
        names.ENV_SIZE_MIB: "40",
        names.ENV_REGISTRY_MIRRORS: f"https://{pod.gateway}:5000\n  https://mirror.example",
        names.ENV_INSECURE_REGISTRIES: "10.98.0.0/16 plain.example:5000",
        names.ENV_REGISTRY_CA: certificate[: certificate.index("-----BEGIN PRIVATE")],
        names.ENV_DAEMON_ARGS: "--label=team=build and test\n\n--max-concurrent-downloads=2\n",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "NO_PROXY": "10.99.0.0/16",
    }
    with (
        Registry(pod.gateway, place / "registry.pem") as registry,
        pod.start(environment, DASH) as container,
    ):
        container.wait_ready()
        pod.docker("import", "-", "box:1", stdin=busybox_tar())
        pod.docker("build", "-t", "result:1", "-", stdin=UNSHARED_CACHE)
        yield Service(pod, container, slab, registry, unshared_cache_mib(pod), time.monotonic())


def unshared_cache_mib(pod: Pod) -> float:
    """Return the size of the build cache that no image shares."""
    records = pod.api("/system/df")["BuildCache"]
    size: int = sum(record["Size"] for record in records if not record["Shared"])
    return size / (1 << 20)


def self_signed(address: str) -> str:
    """Return a certificate for an address, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a company's authority")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return (certificate.public_bytes(serialization.Encoding.PEM) + private).decode()


def test_a_ready_daemon_says_so_on_its_graph_and_holds_its_lock(service: Service) -> None:
    assert service.slab.state == "ready\n"
    assert service.slab.locked()


def test_what_the_admin_set_is_in_effect(service: Service) -> None:
    info = service.pod.api("/info")
    registries = info["RegistryConfig"]
    assert registries["Mirrors"] == [
        f"https://{service.pod.gateway}:5000/",
        "https://mirror.example/",
    ]
    assert "10.98.0.0/16" in registries["InsecureRegistryCIDRs"]
    assert registries["IndexConfigs"]["plain.example:5000"]["Secure"] is False
    assert info["Labels"] == ["team=build and test"]
    assert info["HttpsProxy"] == "http://proxy.example:3128"
    assert info["LoggingDriver"] == "local"  # which is bounded: 5 files of 20 MB a container


def test_a_mirror_with_a_private_authority_serves_images(service: Service) -> None:
    service.pod.docker("pull", "company/tools:1")
    assert "/v2/company/tools/manifests/1" in service.registry.asked


def test_the_group_of_the_socket_opens_it_to_an_unprivileged_user(service: Service) -> None:
    def as_user(*groups: str) -> str:
        return run(
            "setpriv", "--reuid=1000", "--regid=1000", *groups,
            "/usr/bin/docker", "version", "--format", "{{.Server.Version}}",
            check=False, HOME="/nonexistent", DOCKER_HOST=f"unix://{service.pod.socket}",
        )  # fmt: skip

    assert as_user(f"--groups={names.SOCKET_GROUP}").startswith("20.10")
    assert "permission denied" in as_user("--clear-groups")


def test_a_published_port_is_reached_on_the_pods_address(service: Service) -> None:
    service.pod.docker(
        "run", "-d", "--name", "web", "-p", "8080:80", "box:1",
        "sh", "-c", "cat /sys/class/net/eth0/mtu >/index.html; httpd -f -h /",
    )  # fmt: skip
    assert int(read_web(f"http://{service.pod.address}:8080/")) == MTU
    service.pod.docker("rm", "-f", "web")


def read_web(address: str) -> bytes:
    """Read a page; wait for its server to be there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - http, ours
                body: bytes = answer.read()
                return body
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_a_container_has_its_own_limit_and_the_daemons_socket_at_the_usual_path(
    service: Service,
) -> None:
    shown = service.pod.docker(
        "run", "--rm", "--memory=64m", "-v", "/var/run/docker.sock:/var/run/docker.sock", "box:1",
        "sh", "-c", "cat /sys/fs/cgroup/memory.max; test -S /var/run/docker.sock && echo socket",
    )  # fmt: skip
    assert shown.split()[-2:] == [str(64 << 20), "socket"]


def test_the_sidecars_memory_limit_binds_a_container_that_has_none(service: Service) -> None:
    cgroup = service.container.cgroup
    limit = cgroup / "memory.max"
    # Or the kernel would first take the daemon's own pages again and again, which is slow.
    (cgroup / "init" / "memory.min").write_text("max")
    limit.write_text(str(int((cgroup / "memory.current").read_text()) + (200 << 20)))
    try:
        service.pod.docker(
            "run", "--name", "greedy", "box:1",
            "sh", "-c", "head -c 400000000 /dev/zero | tail -c 400000000 >/dev/null; exit $?",
            check=False,
        )  # fmt: skip
    finally:
        limit.write_text("max")
    [greedy] = service.pod.api("/containers/json?all=1")
    details = service.pod.api(f"/containers/{greedy['Id']}/json")
    assert (details["State"]["ExitCode"], details["HostConfig"]["Memory"]) == (137, 0)
    assert counter(cgroup / "memory.events", "oom_kill") >= 1


def counter(file: Path, name: str) -> int:
    """Return one counter of a cgroup's statistics."""
    words = file.read_text().split()
    return int(words[words.index(name) + 1])


def test_the_build_cache_is_collected_down_to_its_share_of_the_graph(service: Service) -> None:
    assert service.cache_mib >= 30
    while unshared_cache_mib(service.pod) > KEPT_MIB and time.monotonic() - service.built < 120:
        time.sleep(1)  # BuildKit collects a minute after a build
    assert unshared_cache_mib(service.pod) <= KEPT_MIB
