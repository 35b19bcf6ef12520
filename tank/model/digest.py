"""Digests of parts of a pod: two are equal exactly when a change between them costs nothing of that kind.

By "What a change costs" of the spec:

    container_digest   everything of a container but what can change live, and the volumes it mounts
    tuning_digest      its limits, which change live (C12)
    nics_digest        the interfaces, as they are configured
    sandbox_digest     host name, kind of network, of each nic what the kernel cannot change under a process, the
                       namespaces of processes and users, kernel settings, and the order of init (C4)

Fields at their defaults are left out, so that a field added to Tank later changes no digest: an upgrade restarts
nothing.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tank.model.dump import dump, dump_source
from tank.model.pod import Container, Network, Nic, Pod, Volume

LIVE = frozenset({"limits", "restart", "stop_signal", "probes", "hooks"})
REACTION = "on_change"  # what follows when an input changes is read at that time
NAMESPACES = ("share_pid", "users", "sysctls")
NIC_FIXED = ("name", "mode", "parent", "mac")


def canonical_json(value: Any) -> bytes:
    """The one spelling of a plain value: sorted keys, no spaces, UTF-8. Raises ValueError for NaN and infinity."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def container_digest(pod: Pod, container: Container) -> str:
    """Of all whose change makes `container` start anew."""
    mounted = {mount.volume for mount in container.mounts}
    volumes = {volume.name: fixed_volume(volume) for volume in pod.volumes if volume.name in mounted}
    return digest({"container": fixed_container(container), "volumes": volumes})


def fixed_container(container: Container) -> dict[str, Any]:
    """What of a container cannot change under its program, fields at their defaults left out."""
    spec = {name: each for name, each in dump(container, sparse=True).items() if name not in LIVE}
    for each in spec.get("env_from", ()):
        each.pop(REACTION, None)
    for each in spec.get("env", ()):
        each.get("from", {}).pop(REACTION, None)
    return spec


def fixed_volume(volume: Volume) -> dict[str, Any]:
    """What of a volume cannot change under those that mount it."""
    source = dump_source(volume.source)
    if isinstance(source, dict):
        source.pop(REACTION, None)
    return {**dump(volume, sparse=True), "source": source}


def tuning_digest(container: Container) -> str:
    """Of all that is changed on `container` while it runs."""
    return digest(dump(container.limits, sparse=True))


def sandbox_digest(pod: Pod) -> str:
    """Of all whose change needs a new sandbox. Addresses, routes, MTU, DNS and hosts change live."""
    network = "host" if pod.network == "host" else "own"  # `none` is a network of its own without nics
    nics = pod.network.nics if isinstance(pod.network, Network) else ()
    fixed = [_fixed(nic) for nic in nics]
    whole = {"hostname": pod.hostname or pod.name, "network": network, "nics": fixed}
    return digest({**whole, **_namespaces(pod), **_order(pod)})


def nics_digest(pod: Pod) -> str:
    """Of all that is configured for the pod's interfaces; names and rules lie elsewhere."""
    if not isinstance(pod.network, Network):
        return digest([])
    return digest([dump(each, sparse=True) for each in (*pod.network.nics, *pod.network.ports)])


def _fixed(nic: Nic) -> dict[str, Any]:
    """Of one interface. A pool stands for its mode and parent; what is asked of the network is asked anew."""
    told = {name: getattr(nic, name) for name in NIC_FIXED} | {"mode": nic.mode or "macvlan"}
    more = {"pool": nic.pool} if nic.pool else {}
    return {**told, **more}


def _namespaces(pod: Pod) -> dict[str, Any]:
    return {name: each for name, each in dump(pod, sparse=True).items() if name in NAMESPACES}


def _order(pod: Pod) -> dict[str, Any]:
    """Who runs before whom, and who goes on running; absent without init."""
    order = [[each.name, pod.is_sidecar(each.name)] for each in pod.init]
    return {"init": order} if order else {}
