"""What only one pod may hold: addresses, and managed volumes that are not shared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tank.model.network import Port
from tank.model.pod import Managed, Network, Pod
from tank.model.record import PodRecord

SHARED = " (shared)"  # behind the words of a claim that others may hold too


def claims(pod: Pod) -> Mapping[str, bool]:
    """Everything the pod holds, in words; true where another may hold it too, if it says so as well."""
    held: dict[str, bool] = {}
    if isinstance(pod.network, Network):
        for nic in pod.network.nics:
            held |= {f"address {ip.partition('/')[0]}": False for ip in nic.static}
            if nic.mac:
                held[f"MAC address {nic.mac}"] = False
        for port in pod.network.ports:
            held |= {word: shared and held.get(word, True) for word, shared in _port(port).items()}
    for volume in pod.volumes:
        if isinstance(volume.source, Managed):
            held[f"volume {volume.name}"] = volume.source.shared
    return held


def _port(port: Port) -> Mapping[str, bool]:
    """On all addresses: the port whole. On one: that one, and the port as something that others may share so."""
    word = f"port {port.host}/{port.protocol}"
    return {word: False} if port.host_ip is None else {word: True, f"{word} on {port.host_ip}": False}


def clashes(pod: Pod, others: Iterable[Pod]) -> tuple[tuple[str, str], ...]:
    """(what, the other pod's name) for each claim that another pod has already."""
    return _clashes(pod, ((other.name, claims(other)) for other in others))


def held_clashes(pod: Pod, records: Iterable[PodRecord]) -> tuple[tuple[str, str], ...]:
    """The same for what other pods hold on this machine, be it wanted any more or not."""
    return _clashes(pod, ((record.name, read(held_words(record))) for record in records))


def leased(pods: Iterable[Pod], records: Iterable[PodRecord]) -> Mapping[str, str]:
    """Who has what of pools, by the words of a claim: what is on record, as far as these specs leave it to the pod."""
    wanted = {pod.name: pod for pod in pods}
    found: dict[str, str] = {}
    for record in records:
        pod = wanted.get(record.name)
        if pod is not None and isinstance(pod.network, Network) and not record.deleting:
            pools = {nic.name: nic.pool for nic in pod.network.nics}
            given = (each for each in record.addresses if each.source and each.source == pools.get(each.nic))
            found |= {f"address {each.ip.partition('/')[0]}": record.name for each in given}
    return found


def leased_clashes(pod: Pod, others: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """(what, the other pod's name) for each claim that another pod has of a pool."""
    return tuple((what, others[what]) for what in claims(pod) if others.get(what, pod.name) != pod.name)


def _clashes(pod: Pod, others: Iterable[tuple[str, Mapping[str, bool]]]) -> tuple[tuple[str, str], ...]:
    mine = claims(pod)
    return tuple(
        (what, name)
        for name, theirs in others
        for what, shared in mine.items()
        if what in theirs and not (shared and theirs[what])
    )


def entangled(uid: str, records: Mapping[str, PodRecord]) -> bool:
    """Whether the pod waits for one that waits, in turn, for it: two that swap addresses. One has to give up first."""
    reached: set[str] = set()
    ahead = [uid]
    while ahead:
        each = records.get(ahead.pop())
        if each is None or each.deleting:
            continue
        for other in records.values():
            if other.uid != each.uid and other.uid not in reached and held_clashes(each.spec, (other,)):
                reached.add(other.uid)
                ahead.append(other.uid)
    return uid in reached


def words(pod: Pod) -> tuple[str, ...]:
    """The claims of a spec as a record holds them."""
    return tuple(sorted(what + SHARED * shared for what, shared in claims(pod).items()))


def held_words(record: PodRecord) -> tuple[str, ...]:
    """The claims on record; of a record of an earlier version those of its spec."""
    return words(record.spec) if record.held is None else record.held


def read(held: Iterable[str]) -> Mapping[str, bool]:
    """The claims again; what is held both alone and shared is held alone."""
    found: dict[str, bool] = {}
    for each in held:
        what = each.removesuffix(SHARED)
        found[what] = found.get(what, True) and each.endswith(SHARED)
    return found
