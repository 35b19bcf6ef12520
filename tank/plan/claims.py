"""What only one pod may hold: addresses, and managed volumes that are not shared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tank.model.pod import Managed, Network, Pod


def claims(pod: Pod) -> Mapping[str, bool]:
    """Everything the pod holds, in words; true where another may hold it too, if it says so as well."""
    held: dict[str, bool] = {}
    if isinstance(pod.network, Network):
        for nic in pod.network.nics:
            held |= {f"address {ip.partition('/')[0]}": False for ip in nic.ip}
            if nic.mac:
                held[f"MAC address {nic.mac}"] = False
    for volume in pod.volumes:
        if isinstance(volume.source, Managed):
            held[f"volume {volume.name}"] = volume.source.shared
    return held


def clashes(pod: Pod, others: Iterable[Pod]) -> tuple[tuple[str, str], ...]:
    """(what, the other pod's name) for each claim that another pod has already."""
    mine = claims(pod)
    found = []
    for other in others:
        theirs = claims(other)
        found += [
            (what, other.name) for what, shared in mine.items() if what in theirs and not (shared and theirs[what])
        ]
    return tuple(found)
