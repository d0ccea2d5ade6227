"""What can go wrong with certificates."""


class CertificateError(Exception):
    """The root: a message that says what happened, and a hint that says what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message = message
        self.hint = hint
