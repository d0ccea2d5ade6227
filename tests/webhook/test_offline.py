"""``python -m webhook inject``, as a person or a script runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

import webhook
from tests.webhook import goldens
from tests.webhook.pods import injected

PROJECT = Path(webhook.__file__).parent.parent
PODS = goldens.FOLDER


class Run:
    """One run of the command."""

    def __init__(self, *arguments: object, stdin: str = "") -> None:
        words = [sys.executable, "-m", "webhook", "inject", *map(str, arguments)]
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, cwd=PROJECT)
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr


POD = """\
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {dind: "true"}}
spec: {containers: [{name: c, image: "docker:29-cli"}]}
"""
REFUSED = POD.replace("spec: {", "spec: {hostNetwork: true, ")


def test_a_manifest_is_printed_with_docker_in_it_and_what_was_done_is_said() -> None:
    run = Run("-f", PODS / "plain.yaml")
    assert run.status == 0
    (pod,) = goldens.plain_documents(run.out)
    assert pod["spec"]["initContainers"][0]["name"] == "dind"
    assert run.err == (
        f"{PODS}/plain.yaml: Pod/plain: inject injected: the pod gets a Docker daemon\n"
    )


@pytest.mark.parametrize("name", ["plain", "mesh", "tcp", "shared-volumes", "guaranteed"])
def test_admission_and_this_command_make_the_same_pod(name: str) -> None:
    path = PODS / f"{name}.yaml"
    pods = [pod for pod in goldens.plain_documents(path.read_text()) if pod["kind"] == "Pod"]
    assert pods
    run = Run("-f", path)
    assert goldens.plain_documents(run.out) == [injected(pod) for pod in pods]


def test_a_manifest_may_come_from_stdin() -> None:
    run = Run("-f", "-", stdin=POD)
    assert run.status == 0
    assert run.err.startswith("-: Pod/p: inject injected")
    assert Run("-f", "-", stdin=run.out).out == run.out


def test_several_files_make_one_manifest() -> None:
    run = Run("-f", PODS / "plain.yaml", "-f", PODS / "job.yaml", "-f", PODS / "workloads.yaml")
    documents = goldens.plain_documents(run.out)
    assert [document["kind"] for document in documents[:4]] == ["Pod", "Job", "Service", "CronJob"]


def test_a_folder_is_read_in_order_and_its_folders_if_asked(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "deep/c.json", "ignored.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(POD.replace("name: p,", f"name: {path.stem},"))
    flat, deep = Run("-f", tmp_path), Run("-R", "-f", tmp_path)
    named = [[d["metadata"]["name"] for d in goldens.plain_documents(r.out)] for r in (flat, deep)]
    assert named == [["a", "b"], ["a", "b", "c"]]


def test_where_a_pod_is_refused_nothing_is_printed_and_the_status_says_so() -> None:
    run = Run("-f", "-", stdin=f"{POD}---\n{REFUSED}")
    assert (run.status, run.out) == (1, "")
    lines = run.err.splitlines()
    assert lines[0].startswith("-: Pod/p: inject injected")
    assert lines[1].startswith("-: Pod/p: refuse host_network: the pod has hostNetwork")


def test_defaults_of_cluster_and_namespace_are_those_of_their_files(tmp_path: Path) -> None:
    cluster, namespace = tmp_path / "cluster.yaml", tmp_path / "namespace.yaml"
    cluster.write_text("kind: ConfigMap\ndata: {storage-size: 20Gi, cpu: '1', enforce: cpu}\n")
    namespace.write_text("storage-size: 30Gi\ncpu: '4'\n")
    run = Run("--defaults", cluster, "--namespace-defaults", namespace, "-f", "-", stdin=POD)
    (pod,) = goldens.plain_documents(run.out)
    assert pod["spec"]["volumes"][0]["flexVolume"]["options"]["size_mb"] == "30720"
    assert pod["spec"]["initContainers"][0]["resources"]["requests"]["cpu"] == "1"


def test_warnings_are_said() -> None:
    run = Run("-f", PODS / "typo.yaml")
    assert run.status == 0
    assert 'Pod/typo: warning: dind: annotation "dind/storagesize" is unknown' in run.err


def test_a_label_on_the_workload_instead_of_its_pods_is_pointed_out() -> None:
    run = Run("-f", PODS / "left-alone.yaml")
    assert (
        "Deployment/label-in-the-wrong-place: skip not_labelled: "
        'the pod has no label dind: "true" '
        "(the label is on the Deployment; put it on spec.template.metadata)"
    ) in run.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "-: this is no YAML"),
        ("a: 1\na: 2\n", "-: this is no YAML"),
        ("a: 2024-99-99", "this is no YAML: month must be in 1..12"),
        ("a: !!bool x", "this is no YAML"),
        ("just text", "no Kubernetes object: it has no kind"),
        ("- kind: Pod", "no Kubernetes object: it has no kind"),
        ("kind: List\nitems: [1]\n", "no Kubernetes object: it has no kind"),
        (POD.replace('"true"', "true"), "hint: labels, annotations and variables are text"),
        (POD.replace("[{name: c,", "[{env: {},"), "Pod/p is no valid pod: Expected `array"),
        ("apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\n", "Job/j has no spec.template"),
        ("kind: Pod\nx: " + "[" * 5000, "-: this is"),
    ],
    ids=lambda text: text[:30],
)
def test_what_cannot_be_read_is_named(text: str, said: str) -> None:
    run = Run("-f", "-", stdin=text)
    assert (run.status, run.out) == (2, "")
    assert run.err.startswith("error: ")
    assert said in run.err
    assert "Traceback" not in run.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-f", "/nowhere.yaml"], "error: /nowhere.yaml: /nowhere.yaml cannot be read"),
        (["-f", PODS / "defaults", "--defaults", PODS / "plain.yaml"], "a ConfigMap is needed"),
        (["--defaults", "/nowhere.yaml", "-f", "-"], "cannot be read"),
        (["-f", PROJECT / "webhook"], "holds no manifest"),
    ],
)
def test_a_file_that_does_not_serve_is_named(arguments: list[object], said: str) -> None:
    run = Run(*arguments)
    assert (run.status, run.out) == (2, "")
    assert said in run.err


def test_wrong_defaults_are_named_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text("cpu: fast\nsidecar: none\n")
    run = Run("--defaults", tmp_path / "d.yaml", "-f", "-", stdin=POD)
    assert run.status == 2
    assert "cpu: 'fast' is wrong: write processors" in run.err
    assert "sidecar: 'none' is wrong" in run.err


def test_without_a_file_the_command_says_how_it_is_used() -> None:
    run = Run()
    assert run.status == 2
    assert "the following arguments are required: -f" in run.err


def test_help_tells_the_exit_statuses() -> None:
    assert "1 a pod is refused; 2 something cannot be read" in Run("--help").out


def test_a_reader_that_stops_reading_is_no_failure() -> None:
    words = f"{sys.executable} -m webhook inject -f {PODS / 'workloads.yaml'} | head -1"
    done = subprocess.run(["/bin/sh", "-c", words], capture_output=True, text=True, cwd=PROJECT)
    assert done.stdout == "# This file's own heading.\n"
    assert "Traceback" not in done.stderr


def test_comments_stay_with_what_they_are_about() -> None:
    text = Run("-f", PODS / "workloads.yaml").out
    for above, below in (
        ("# This file's own heading.", "# Not a workload: it passes through."),
        ("          # the switch", "          labels:"),
        ("        # what runs", "        spec:"),
        ("          # the build", "          - name: build"),
        ("              # not a comment", "              docker build -t app ."),
        ("# A kind that only shares the name.", "apiVersion: batch.example.com/v1"),
    ):
        assert f"{above}\n{below}" in text
    for kept in ("# at night", "# once only", "# no more containers", "# four blanks deep"):
        assert kept in text
    first = Run("-f", PODS / "native-sidecar.yaml").out
    assert "  # Watches what the build leaves behind.\n  - name: watcher" in first


def test_the_pods_of_a_pod_list_need_not_say_what_they_are() -> None:
    pod = POD.partition("kind: Pod\n")[2].replace("\n", "\n  ").rstrip()
    run = Run("-f", "-", stdin=f"apiVersion: v1\nkind: PodList\nitems:\n- {pod}\n")
    assert (run.status, run.err) == (
        0,
        "-: Pod/p: inject injected: the pod gets a Docker daemon\n",
    )


def test_truth_is_written_as_kubectl_reads_it() -> None:
    assert Run("-f", "-", stdin=POD.replace("spec: {", "spec: {hostNetwork: no, ")).status == 0
    run = Run("-f", "-", stdin=POD.replace("spec: {", "spec: {hostNetwork: yes, "))
    assert (run.status, "refuse host_network" in run.err) == (1, True)
