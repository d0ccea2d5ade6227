"""What can go wrong between us and the Kubernetes API, as one small tree.

Callers tell the cases apart by class: a conflict is read again, a missing object is made, a lost
connection is tried again, and what the API server forbids is shown to the admin.
"""


class ClusterError(Exception):
    """The root: a message that says what happened, and a hint that says what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message = message
        self.hint = hint


class NotInClusterError(ClusterError):
    """There is no cluster to talk to: neither a service account nor a kubeconfig."""


class UnreachableError(ClusterError):
    """No answer: the connection was refused, dropped, or silent for too long."""


class StatusError(ClusterError):
    """The API server answered, and did not do it; ``status`` is its HTTP status."""

    def __init__(self, message: str, *, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ForbiddenError(StatusError):
    """401 or 403: the service account lacks a right."""


class NotFoundError(StatusError):
    """404: no such object."""


class ConflictError(StatusError):
    """409: the object exists already, or has changed since it was read."""


class ExpiredError(StatusError):
    """410: the resource version is older than what the API server remembers; list anew."""


class RejectedError(StatusError):
    """Any other 4xx: the request itself is wrong."""


class UnavailableError(StatusError):
    """429 or 5xx: the API server cannot do it now."""


def status_error(status: int, message: str, *, doing: str) -> StatusError:
    """Return the error for an HTTP status from 300 up.

    Args:
        status: the HTTP status, or the ``code`` of a Status object in a watch.
        message: what the API server said.
        doing: what was asked of it: method and path.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
    """
    said = f"the API server answered {status} to {doing}: {message}"
    match status:
        case 401 | 403:
            hint = "Give the service account this right: docs/serving.md lists them."
            return ForbiddenError(said, status=status, hint=hint)
        case 404:
            return NotFoundError(said, status=status)
        case 409:
            return ConflictError(said, status=status)
        case 410:
            return ExpiredError(said, status=status)
        case 429:
            return UnavailableError(said, status=status)
        case _ if status < 500:
            return RejectedError(said, status=status)
        case _:
            return UnavailableError(said, status=status)
