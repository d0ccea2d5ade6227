"""Whether the webhook is there, is asked, is trusted, and injects."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from certs.authority import service_names
from certs.pem import CERTIFICATE, read_certificates
from cluster.inquiry import Pod
from webhook import names as pod_names
from webhook.doctor.facts import Facts, Found, Missing, Refused, Unknown
from webhook.doctor.finding import Verdict, error, fine, unknown, warning

APPLY = "apply the manifests again (make deploy, or kubectl apply -k)"
LONGEST_TIMEOUT_SECONDS = 10
EXPIRES_SOON = timedelta(days=14)
"""A certificate of ours is renewed with 30 days to go."""


def serves(facts: Facts) -> Iterator[Verdict]:
    """Yield whether the webhook's replicas are ready."""
    name, home = facts.names.webhook, facts.names.namespace
    match facts.deployment:
        case Unknown(why):
            yield unknown(f"Deployment {name}", why)
        case Missing():
            yield error(f"there is no Deployment {name} in namespace {home}", APPLY)
        case Found(found):
            wanted, ready = found.spec.replicas, found.status.ready_replicas
            said = f"{ready} of {wanted} replicas of Deployment {name} are ready"
            logs = f"kubectl --namespace {home} logs deployment/{name} --all-containers --tail 20"
            if not ready:
                yield error(said, f"see why: {logs}")
            elif ready < wanted:
                yield warning(said, f"see why: {logs}")
            else:
                yield fine(said)


def answers(facts: Facts) -> Iterator[Verdict]:
    """Yield whether the Service leads to a replica."""
    name, home = facts.names.webhook, facts.names.namespace
    match facts.endpoints:
        case Unknown(why):
            yield unknown(f"Service {name}", why)
        case Found(slices) if any(
            endpoint.conditions.ready is not False for each in slices for endpoint in each.endpoints
        ):
            yield fine(f"Service {name} leads to the webhook")
        case _:
            yield error(
                f"Service {name} of namespace {home} leads nowhere: no replica is ready, or it is "
                "not there",
                f"kubectl --namespace {home} get service,endpointslices,pods; {APPLY}",
            )


def configuration(facts: Facts) -> Iterator[Verdict]:
    """Yield whether the API server asks the webhook about the right pods."""
    name = facts.names.webhook
    match facts.configuration:
        case Unknown(why):
            yield unknown(f"MutatingWebhookConfiguration {name}", why)
        case Missing():
            yield error(
                f"there is no MutatingWebhookConfiguration {name}: no pod gets a daemon", APPLY
            )
        case Found(found):
            hooks = found.get("webhooks") or []
            if len(hooks) != 1:
                yield error(f"MutatingWebhookConfiguration {name} has {len(hooks)} webhooks", APPLY)
                return
            faults = list(_unlike(hooks[0], facts))
            yield from faults
            if not faults:
                yield fine(f"MutatingWebhookConfiguration {name} is as it should be")


def _unlike(hook: Mapping[str, Any], facts: Facts) -> Iterator[Verdict]:
    service = hook.get("clientConfig", {}).get("service") or {}
    if (service.get("namespace"), service.get("name")) != (
        facts.names.namespace,
        facts.names.webhook,
    ):
        yield error(
            f"the configuration leads to Service {service.get('name')} of namespace "
            f"{service.get('namespace')}",
            APPLY,
        )
    creations = [
        rule
        for rule in hook.get("rules") or ()
        if {"CREATE", "*"} & set(rule.get("operations", ()))
        and {"pods", "*", "*/*"} & set(rule.get("resources", ()))
    ]
    if not creations:
        yield error("the configuration has no rule for the creation of pods", APPLY)
    labels = (hook.get("objectSelector") or {}).get("matchLabels") or {}
    if labels != {pod_names.LABEL: pod_names.LABEL_VALUE}:
        yield warning(
            f'the configuration\'s objectSelector is not {pod_names.LABEL}: "true": '
            + (
                "pods without the label wait for the webhook too"
                if not labels
                else "labelled pods may not come to the webhook"
            ),
            APPLY,
        )
    if hook.get("failurePolicy", "Fail") != "Fail":
        yield warning(
            "failurePolicy is not Fail: while the webhook is away pods start without a daemon",
            APPLY,
        )
    if hook.get("timeoutSeconds", 10) > LONGEST_TIMEOUT_SECONDS:
        yield warning(
            f"timeoutSeconds is {hook['timeoutSeconds']}: a webhook that hangs holds pods up", APPLY
        )


def certificate(facts: Facts) -> Iterator[Verdict]:
    """Yield whether the API server trusts the webhook's certificate, and for how long."""
    if not isinstance(facts.configuration, Found):
        return
    hooks = facts.configuration.value.get("webhooks") or [{}]
    bundle = _decoded(hooks[0].get("clientConfig", {}).get("caBundle", ""))
    home, name = facts.names.namespace, facts.names.secret
    logs = f"kubectl --namespace {home} logs deployment/{facts.names.webhook} | grep certificate"
    if not bundle:
        yield error("the configuration holds no caBundle: the webhook did not write it", logs)
        return
    match facts.secret:
        case Unknown(why):
            yield unknown(f"Secret {name}", why)
        case Missing():
            yield warning(
                f"there is no Secret {name}: certificates from files are not looked at, others are "
                "made anew within 10 minutes",
                logs,
            )
        case Found(secret):
            shown = (secret.data or {}).get(CERTIFICATE, b"")
            yield from _trusted(shown, bundle, facts, logs)


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except binascii.Error:
        return b""


def _trusted(shown: bytes, bundle: bytes, facts: Facts, logs: str) -> Iterator[Verdict]:
    try:
        serving, authorities = read_certificates(shown)[0], read_certificates(bundle)
    except ValueError as problem:
        yield error(f"a certificate cannot be read: {problem}", logs)
        return
    ends = serving.not_valid_after_utc
    if ends <= facts.now:
        yield error(f"the webhook's certificate has expired on {ends:%Y-%m-%d %H:%M} UTC", logs)
    elif ends - facts.now < EXPIRES_SOON:
        yield warning(
            f"the webhook's certificate expires on {ends:%Y-%m-%d %H:%M} UTC and is not renewed",
            logs,
        )
    if not any(_signed(serving, one) for one in authorities if one.not_valid_after_utc > facts.now):
        yield error("no valid authority of the caBundle has signed the webhook's certificate", logs)
    name = service_names(facts.names.webhook, facts.names.namespace)[2]
    if name not in _dns_names(serving):
        yield error(f"the webhook's certificate is not for {name}", logs)
    elif ends - facts.now >= EXPIRES_SOON and any(_signed(serving, one) for one in authorities):
        yield fine(f"the webhook's certificate is trusted and holds until {ends:%Y-%m-%d}")


def _signed(serving: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        serving.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _dns_names(serving: x509.Certificate) -> list[str]:
    try:
        extension = serving.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def injects(facts: Facts) -> Iterator[Verdict]:
    """Yield what became of a labelled pod whose creation was tried."""
    place = f"in namespace {facts.names.probe}"
    match facts.tried:
        case Unknown(why):
            yield unknown(f"whether a labelled pod gets a daemon {place}", why)
        case Missing():
            yield error(f"there is no namespace {facts.names.probe}", "name another: --try-in")
        case Found(Refused(message)):
            yield _refusal(message, place)
        case Found(Pod() as pod):
            containers = (*pod.spec.init_containers, *pod.spec.containers)
            if any(one.name == pod_names.CONTAINER for one in containers):
                yield fine(f"a labelled pod would get its daemon {place}")
            else:
                yield error(
                    f"a labelled pod would be created without a daemon {place}",
                    "see the check configuration above; ConfigMap dind-defaults may say inject: "
                    '"false"; the namespace may be one that the configuration leaves out',
                )


def _refusal(message: str, place: str) -> Verdict:
    if "violates PodSecurity" in message and f'"{pod_names.CONTAINER}"' in message:
        return fine(
            f"a labelled pod would get its daemon; {place} Pod Security would refuse it then"
        )
    if "cannot create resource" in message:
        return unknown(f"whether a labelled pod gets a daemon {place}", message)
    if "failed calling webhook" in message:
        return error(
            f"the API server cannot ask the webhook: {message}",
            "see the checks above; a firewall between API server and nodes, or a NetworkPolicy, "
            "may keep it from the webhook's port 8443",
        )
    return error(
        f"a labelled pod would be refused {place}: {message}",
        "if another admission plugin refuses it, try elsewhere: --try-in NAMESPACE",
    )
