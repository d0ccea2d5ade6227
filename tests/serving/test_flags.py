"""The flags: what they are without a word, what the environment may say, what is refused."""

import re
from pathlib import Path

import pytest

from webhook.flags import ENVIRONMENT_PREFIX, parse_flags
from webhook.telemetry import PREFIX, Telemetry


def test_without_a_word() -> None:
    flags = parse_flags([], {})
    assert (flags.host, flags.port, flags.namespace) == ("", 8443, "dind")
    assert (flags.service, flags.webhook_config) == ("dind-webhook", "dind-webhook")
    assert (flags.cert_secret, flags.cert_dir, flags.self_signed) == (None, None, None)
    assert (flags.watch_defaults, flags.defaults, flags.namespace_defaults) == (False, None, {})
    assert (flags.max_body_bytes, flags.read_seconds) == (4 * 1024 * 1024, 10)
    assert flags.log_level == "info"


@pytest.mark.parametrize(
    ("argv", "seconds"),
    [
        ([], 0),
        (["--self-signed", "x"], 0),
        (["--cert-dir", "x"], 5),
        (["--cert-secret", "x"], 5),
        (["--cert-secret", "x", "--drain-seconds", "20"], 20),
        (["--drain-seconds", "0.5"], 0.5),
    ],
)
def test_only_a_cluster_has_to_be_waited_for(argv: list[str], seconds: float) -> None:
    assert parse_flags(argv, {}).drain_seconds == seconds


def test_the_environment_speaks_where_the_command_line_is_silent() -> None:
    environ = {
        "DIND_SERVE_PORT": "9443",
        "DIND_SERVE_CERT_DIR": "/certs",
        "DIND_SERVE_WATCH_DEFAULTS": "true",
        "DIND_SERVE_NAMESPACE": "",
        "DIND_WEBHOOK_PORT": "tcp://10.0.0.1:443",  # the kubelet's, of a Service of our name
        "PORT": "1",
    }
    flags = parse_flags(["--port", "7443"], environ)
    assert (flags.port, flags.cert_dir, flags.watch_defaults) == (7443, Path("/certs"), True)
    assert flags.namespace == "dind"
    assert parse_flags(["--port=7443"], environ).port == 7443
    assert parse_flags([], environ).port == 9443
    assert not parse_flags([], {**environ, "DIND_SERVE_WATCH_DEFAULTS": "false"}).watch_defaults


def test_namespaces_have_files_of_their_own() -> None:
    argv = ["--namespace-defaults", "ci=a.yaml", "--namespace-defaults=qa=b=c.yaml"]
    expected = {"ci": Path("a.yaml"), "qa": Path("b=c.yaml")}
    assert parse_flags(argv, {}).namespace_defaults == expected


@pytest.mark.parametrize(
    ("argv", "environ", "sentence"),
    [
        (["--port", "x"], {}, "--port: invalid"),
        (["--port", "65536"], {}, "65536 is no port: write 0 to 65535"),
        (["--read-seconds", "0"], {}, "write a number above 0"),
        (["--max-body-mib", "-1"], {}, "write a number above 0"),
        (["--drain-seconds", "nan"], {}, "write 0 or more seconds"),
        (["--namespace-defaults", "ci"], {}, "write NAMESPACE=FILE"),
        (["--cert-dir", "x", "--self-signed", "y"], {}, "not allowed with argument"),
        (["--cert-dir", "x"], {"CERT_SECRET": "y"}, "not allowed with argument"),
        (["--watch-defaults", "--defaults", "x"], {}, "does not go with --defaults"),
        (["--log-level", "loud"], {}, "invalid choice: 'loud'"),
        (["--prot", "1"], {}, "unrecognized arguments: --prot"),
        ([], {"PORT": "x"}, "--port: invalid"),
        ([], {"WATCH_DEFAULTS": "yes"}, "write true or false"),
    ],
)
def test_what_is_wrong_is_said(
    argv: list[str],
    environ: dict[str, str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exited:
        parse_flags(argv, {ENVIRONMENT_PREFIX + name: value for name, value in environ.items()})
    assert exited.value.code == 2
    assert sentence in capsys.readouterr().err


def test_every_flag_and_every_metric_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    told = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()
    with pytest.raises(SystemExit):
        parse_flags(["--help"], {})
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert len(flags) > 15
    telemetry = Telemetry(lambda _: None)
    metrics = {family.name for family in telemetry.registry.collect()}
    ours = {name for name in metrics if name.startswith(PREFIX)}
    assert len(ours) == 5
    assert [word for word in (*flags, *ours) if word not in told] == []
