"""Every name that the webhook puts into a pod or reads from one.

One place, so that a name is spelled once and a reader finds all of them. What the nodes know as
well stands in ``flexvol/contract.py``. Imports nothing.
"""

LABEL = "dind"
LABEL_VALUE = "true"
PREFIX = "dind/"
"""What the annotations begin with; the keys of the ConfigMap are their names without it."""
STATUS_ANNOTATION = "dind/status"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
"""The kubelet sets it on the API server's picture of a static pod."""

POD_SECURITY_LABEL = "pod-security.kubernetes.io/enforce"
"""A namespace's label: what its pods may be. A daemon's needs ``privileged``."""

DEFAULTS_CONFIGMAP = "dind-defaults"

CONTAINER = "dind"
STORAGE_VOLUME = "dind-storage"
SOCKET_VOLUME = "dind-socket"
TOKEN_VOLUME = "dind-no-token"  # noqa: S105 - the name of a volume that keeps a token out
VOLUMES = (STORAGE_VOLUME, SOCKET_VOLUME, TOKEN_VOLUME)

GRAPH_DIR = "/var/lib/docker"
SOCKET_DIR = "/run/dind"
SOCKET = f"{SOCKET_DIR}/docker.sock"
SOCKET_GROUP = 2375
"""The group id that the official images give their ``docker`` group."""
TOKEN_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
UNIX_HOST = f"unix://{SOCKET}"
TCP_HOST = "tcp://localhost:2375"

DOCKER_HOST = "DOCKER_HOST"
DOCKER_CONTEXT = "DOCKER_CONTEXT"

# What the daemon's script reads; it takes nothing but its environment.
ENV_DOCKER_HOST = "DIND_DOCKER_HOST"
ENV_SIZE_MIB = "DIND_SIZE_MIB"
ENV_SHUTDOWN_SECONDS = "DIND_SHUTDOWN_SECONDS"
ENV_REGISTRY_MIRRORS = "DIND_REGISTRY_MIRRORS"
ENV_INSECURE_REGISTRIES = "DIND_INSECURE_REGISTRIES"
ENV_REGISTRY_CA = "DIND_REGISTRY_CA"
ENV_DAEMON_ARGS = "DIND_DAEMON_ARGS"
ENV_MIN_API_VERSION = "DOCKER_MIN_API_VERSION"
ENV_PREFIX = "DIND_"
