"""Keeping the book of leases in line with the records of pods: both ways, and each with care.

The records say who has what after the book was lost, so once after a start; later they lag behind the book, which is
written first. Leases of pods that are neither wanted nor on record are nobody's; but what is told of the pods was read
a while ago, and a pod may have come since. So only those go that were in the book when it was brought into line last.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from tank.model.pools import Wiring
from tank.net.book import Lease
from tank.net.leases import Leases
from tank.net.shimming import is_shim


class Bookkeeping:
    """One call at a time. `wiring` has to be read after the call before has ended."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._adopted = False
        self._known: frozenset[str] = frozenset()

    def settle(self, wiring: Wiring) -> None:
        """Adopt what is lost, drop what is left. Raises Failed."""
        if not self._adopted:
            self._leases.adopt(_held(wiring))
            self._adopted = True
        lost = self._known - wiring.uids - {pod.uid for pod in wiring.pods}
        self._leases.keep(lambda uid: uid not in lost or is_shim(uid))
        self._known = frozenset(each.uid for each in self._leases.all())


def _held(wiring: Wiring) -> Iterator[tuple[Lease, int]]:
    for pod in wiring.pods:
        for each in pod.addresses:
            if each.source and each.source not in ("dhcp", "slaac"):
                found = ipaddress.ip_interface(each.ip)
                lease = Lease(pool=each.source, address=str(found.ip), uid=pod.uid, pod=pod.name, nic=each.nic)
                yield lease, found.network.prefixlen
