"""The node side: the flex driver the kubelet calls, and the slabs it keeps on LVM."""

__version__ = "0.1.0"
