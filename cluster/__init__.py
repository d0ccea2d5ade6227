"""The one door to the Kubernetes API, for the webhook, its certificates and the node agent."""
