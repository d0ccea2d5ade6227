"""The Kubernetes side: adds a Docker daemon and its graph storage to labelled pods."""
