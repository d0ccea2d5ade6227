"""What the users' namespaces say: defaults, Pod Security, and labels that reach no pod."""

from collections.abc import Iterator

from cluster.inquiry import Workload
from webhook import names
from webhook.doctor.facts import Facts, Found, Unknown
from webhook.doctor.finding import Verdict, error, fine, unknown, warning
from webhook.errors import SettingsError
from webhook.podsecurity import forbids
from webhook.settings import ClusterDefaults, parse_cluster, parse_namespace


def cluster_layer(facts: Facts) -> ClusterDefaults:
    """Return what the cluster's ConfigMap says; the built-in where it cannot be understood."""
    if isinstance(facts.defaults, Found):
        for config_map in facts.defaults.value:
            if config_map.metadata.namespace == facts.names.namespace:
                try:
                    return parse_cluster(config_map.data or {})
                except SettingsError:
                    break
    return ClusterDefaults()


def defaults(facts: Facts) -> Iterator[Verdict]:
    """Yield every key of a ConfigMap ``dind-defaults`` that cannot be understood."""
    if not isinstance(facts.defaults, Found):
        if isinstance(facts.defaults, Unknown):
            yield unknown("the defaults", facts.defaults.why)
        return
    bad = 0
    for config_map in facts.defaults.value:
        namespace = config_map.metadata.namespace
        parse = parse_cluster if namespace == facts.names.namespace else parse_namespace
        try:
            parse(config_map.data or {})
        except SettingsError as problem:
            bad += 1
            edit = f"kubectl --namespace {namespace} edit configmap {names.DEFAULTS_CONFIGMAP}"
            for fault in problem.faults:
                yield error(
                    f"ConfigMap {names.DEFAULTS_CONFIGMAP} of namespace {namespace}: {fault}; the "
                    "last good one stays in force",
                    edit,
                )
    if not bad:
        number = len(facts.defaults.value)
        yield fine(f"{number} ConfigMaps {names.DEFAULTS_CONFIGMAP} are understood")


def pod_security(facts: Facts) -> Iterator[Verdict]:
    """Yield the namespaces that refuse privileged pods although labelled pods belong there."""
    match facts.namespaces:
        case Found(namespaces):
            pass
        case Unknown(why):
            yield unknown("the namespaces' Pod Security", why)
            return
        case _:
            return
    wanted = _wanting(facts)
    refusing = 0
    for namespace in namespaces:
        name, level = namespace.metadata.name, forbids(namespace.metadata.labels)
        if level and name in wanted:
            refusing += 1
            yield error(
                f"namespace {name} enforces Pod Security {level}, which refuses every pod with a "
                f"daemon; there {wanted[name]} asks for one",
                f"kubectl label namespace {name} {names.POD_SECURITY_LABEL}=privileged --overwrite",
            )
    unanswered = [answer for answer in facts.workloads.values() if isinstance(answer, Unknown)]
    if unanswered:
        yield unknown("who else asks for a daemon", unanswered[0].why)
    elif not refusing:
        yield fine("no namespace refuses the pods that ask for a daemon in it")


def _wanting(facts: Facts) -> dict[str, str]:
    """Return, of each namespace in which somebody asks for a daemon, one who does."""
    wanted: dict[str, str] = {}
    if isinstance(facts.labelled, Found):
        for pod in facts.labelled.value:
            wanted.setdefault(pod.metadata.namespace, f"Pod {pod.metadata.name}")
    for kind, workload in _workloads(facts):
        if _is_labelled(workload.pod_labels):
            meta = workload.metadata
            wanted.setdefault(meta.namespace, f"{kind} {meta.name}")
    return wanted


def labels(facts: Facts) -> Iterator[Verdict]:
    """Yield the workloads whose label does not reach their pods."""
    lost = 0
    for kind, workload in _workloads(facts):
        meta = workload.metadata
        if _is_labelled(meta.labels) and not _is_labelled(workload.pod_labels):
            lost += 1
            yield warning(
                f"{kind} {meta.name} of namespace {meta.namespace} has the label, but not its pods",
                f'put {names.LABEL}: "{names.LABEL_VALUE}" under spec.template.metadata.labels',
            )
    if not lost:
        yield fine("no label is lost between a workload and its pods")


def _workloads(facts: Facts) -> Iterator[tuple[str, Workload]]:
    """Yield each workload that somebody wrote, with its kind: not what other workloads made."""
    for kind, answer in facts.workloads.items():
        if isinstance(answer, Found):
            for workload in answer.value:
                if not workload.metadata.owner_references:
                    yield kind, workload


def _is_labelled(found: object) -> bool:
    return isinstance(found, dict) and found.get(names.LABEL) == names.LABEL_VALUE
