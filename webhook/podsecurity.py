"""What a namespace's Pod Security level means for a pod with a daemon, which is privileged.

https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""

from collections.abc import Mapping

from webhook.names import POD_SECURITY_LABEL

_FORBIDDING = ("baseline", "restricted")


def forbids(labels: Mapping[str, str]) -> str:
    """Return the level that labels enforce on a namespace, if it forbids privileged pods.

    Empty where it does not. A level that Pod Security does not know it takes for ``restricted``.
    What the API server's own configuration enforces or exempts is not to be seen.
    """
    level = labels.get(POD_SECURITY_LABEL, "")
    if level in ("", "privileged"):
        return ""
    return level if level in _FORBIDDING else "restricted"
