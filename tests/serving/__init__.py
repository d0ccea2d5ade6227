"""Tests of the webhook as a service, over real TLS sockets, as it runs in a cluster."""
