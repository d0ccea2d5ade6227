"""Tests of the authority, its renewal in a cluster and the reload under load."""
