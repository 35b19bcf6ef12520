"""The kernel settings of a pod's own namespaces, written once, when its sandbox is made. Pure."""

from __future__ import annotations

from tank.model.pod import Pod

# With a network of its own nothing on the host is guarded by these, and no capability is needed for them.
_OWN_NETWORK = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}


def wanted(pod: Pod) -> dict[str, str]:
    """What is to be set: what the spec says, over what each network of a pod's own has."""
    return ({} if pod.network == "host" else _OWN_NETWORK) | pod.sysctls
