"""Puts the driver in place on a node, keeps it up to date, and takes it away again.

Runs in the node's DaemonSet, or by hand from a bundle. Imports the standard library only: it is
part of the bundle.
"""
