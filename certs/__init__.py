"""The webhook's TLS: an authority of its own, certificates that renew, and their reload."""
