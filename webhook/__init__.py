"""The Kubernetes side: adds a Docker daemon and its graph storage to labelled pods."""

__version__ = "0.1.0"
