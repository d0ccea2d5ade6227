"""The node's agent: keeps slabs in order, and tells Prometheus, the scheduler and people of them.

Resident, one on each node, in a container or not. Unlike the rest of the driver it may import what
it likes: nobody waits for it. All of LVM is left to the installed driver, which the agent calls in
the host's namespaces as a person would: the same version and the same locks as the kubelet's calls.
"""
