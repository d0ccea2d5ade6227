"""The node side: the flex driver the kubelet calls, and the slabs it keeps on LVM."""
