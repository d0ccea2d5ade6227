"""The schemas of Kubernetes releases, as ``kubernetes-validate`` carries them.

Its own ``validate`` reads two megabytes anew for every pod; here a schema is compiled once.
"""

import json
from functools import cache

import jsonschema_rs
from kubernetes_validate import utils  # type: ignore[import-untyped] # it ships no types

OLDEST = "1.29"
"""The first release with native sidecars by default."""

NEWEST = utils.major_minor(utils.latest_version())


def releases() -> list[str]:
    """Return the releases from ``OLDEST`` to ``NEWEST``."""
    minors = sorted({int(version.split(".")[1]) for version in utils.all_versions()})
    return [f"1.{minor}" for minor in minors if minor >= int(OLDEST.split(".")[1])]


@cache
def pod_validator(release: str) -> jsonschema_rs.Draft202012Validator:
    """Return a validator of pods for a release, strict: it knows every field there is."""
    path = f"kubernetes-json-schema/v{release}.0-local-strict/_definitions.json"
    text = json.dumps(utils.schema_contents(path, release)["$defs"])
    definitions = json.loads(text.replace("/api/_definitions.json#", "#"))
    schema = {"$ref": "#/$defs/io.k8s.api.core.v1.Pod", "$defs": definitions}
    return jsonschema_rs.Draft202012Validator(schema)
