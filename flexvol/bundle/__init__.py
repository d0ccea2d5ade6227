"""Builds the bundle: a folder that holds the driver with an interpreter of its own.

Nodes need not have Python. The folder takes from its host nothing but glibc and the programs that
the driver calls (LVM and file system tools).
"""
