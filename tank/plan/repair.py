"""Which of what differs in a pod's network is put right, and which is only told (`[net] repair = false`)."""

from __future__ import annotations

from tank.model.digest import nics_digest
from tank.model.facts import PodFacts
from tank.model.pod import Network, Pod


def to_repair(seen: PodFacts, spec: Pod) -> tuple[str, ...]:
    """What is to be put right, in words: what others changed, unless that is left; always what the spec changed."""
    if seen.sandbox is None or _is_left(seen, spec):
        return ()
    return seen.sandbox.drift


def astray(seen: PodFacts, spec: Pod) -> tuple[str, ...]:
    """What others changed and nobody puts right, in words."""
    return seen.sandbox.drift if seen.sandbox is not None and _is_left(seen, spec) else ()


def _is_left(seen: PodFacts, spec: Pod) -> bool:
    """Interfaces that stand as the spec has them; what the network gives out changes by itself, and is kept up with."""
    if seen.sandbox is None or seen.sandbox.repairs or seen.record is None:
        return False
    nics = spec.network.nics if isinstance(spec.network, Network) else ()
    asks = any(nic.asks("dhcp") or nic.asks("slaac") for nic in nics)
    return not asks and seen.record.nics_digest == nics_digest(spec)
