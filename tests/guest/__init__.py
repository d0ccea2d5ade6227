"""The test guest: a Linux kernel that runs as an ordinary program (User Mode Linux).

Real LVM, real mounts and a real dockerd, on any machine, and never near the machine's own: the
guest sees the host's files read-only and changes only its memory and one folder given to it.
"""
