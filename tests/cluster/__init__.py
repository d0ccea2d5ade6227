"""Tests of the one door to the Kubernetes API, and the API server that they talk to."""
