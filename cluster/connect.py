"""Finds the cluster: a pod's own service account, or a kubeconfig."""

import os
from pathlib import Path

from kubernetes.client import Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

from cluster.client import DEFAULT_TIMEOUTS, Client, Timeouts
from cluster.errors import NotInClusterError


def default_kubeconfig() -> Path | None:
    """Return the kubeconfig that kubectl would take; None where there is none, as in a pod."""
    named = os.environ.get("KUBECONFIG", "")
    if named:
        return Path(named)
    usual = Path.home() / ".kube" / "config"
    return usual if usual.exists() else None


def connect(kubeconfig: Path | None = None, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Client:
    """Return a client for the cluster; nothing is sent yet.

    Args:
        kubeconfig: the file to sign in with; None for the pod's service account, whose token is
            read anew every minute (the kubelet renews it).
        timeouts: of the requests.

    Raises:
        NotInClusterError: neither is there.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None:
            load_incluster_config(client_configuration=configuration)
        else:
            load_kube_config(str(kubeconfig), client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise NotInClusterError(
            f"no cluster to talk to: {error}",
            hint="In a pod, mount the service account's token; elsewhere, give --kubeconfig FILE.",
        ) from error
    return Client(configuration, timeouts)
