"""The ConfigMap ``dind-defaults`` as a file: what a cluster would hold, without a cluster."""

from typing import Any

from ruamel.yaml import YAML

from webhook.errors import ManifestError
from webhook.roundtrip import UNREADABLE


def read_data(text: str) -> dict[str, str]:
    """Return the ``data`` of a ConfigMap in YAML, or its keys and values without a ConfigMap.

    Raises:
        ManifestError: it is no YAML, or its values are not all text, as Kubernetes demands.
    """
    try:
        content: Any = YAML(typ="safe", pure=True).load(text)
    except UNREADABLE as error:
        raise ManifestError(f"this is no YAML: {error}") from error
    if isinstance(content, dict) and "kind" in content:
        if content["kind"] != "ConfigMap":
            raise ManifestError(f"a ConfigMap is needed, not a {content['kind']}")
        content = content.get("data")
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise ManifestError("keys with their values are needed", hint="such as storage-size: 20Gi")
    for key, value in content.items():
        if not isinstance(value, str):
            raise ManifestError(
                f"the value of {key} is {value!r}, which is not text",
                hint=f'write it in quotes: {key}: "{str(value).lower()}"',
            )
    return content
