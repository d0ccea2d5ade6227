"""What can go wrong in the webhook, as one small tree.

A refusal of a pod is no error but an answer: see ``webhook.outcome``.
"""

from typing import NamedTuple


class WebhookError(Exception):
    """The root: a message that says what happened, and a hint that says what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message = message
        self.hint = hint


class KeyFault(NamedTuple):
    """One key of a ConfigMap that cannot be understood.

    Attributes:
        key: the key.
        value: its value as written, shortened where it is long.
        right: what would be right.
    """

    key: str
    value: str
    right: str

    def __str__(self) -> str:
        return f"{self.key}: {self.value!r} is wrong: {self.right}"


class SettingsError(WebhookError):
    """Defaults that cannot be understood; ``faults`` names every key that is wrong."""

    def __init__(self, faults: tuple[KeyFault, ...]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


class ManifestError(WebhookError):
    """A manifest that is no YAML, or no Kubernetes object."""


class DefaultsUnknownError(WebhookError):
    """Nobody knows yet what the cluster's administrator allows."""
