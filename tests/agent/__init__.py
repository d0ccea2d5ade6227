"""Tests of the node's agent."""
