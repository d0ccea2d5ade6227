"""What can go wrong while installing: a branch of the node's one tree of errors."""

from flexvol.errors import SlabError


class InstallError(SlabError):
    """The driver cannot be put in place, or not be taken away now."""

    cause = "install"
