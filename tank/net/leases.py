"""Who has which address of a pool: durable before use, kept over restarts and reboots, free when its pod is gone.

A pod that comes back by the same name gets the address that it had last, while that is free. What it had until a
change stays its own until the change was carried out. One thread at a time changes the book.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tank.errors import Waiting
from tank.model.pools import DEFAULT, Pool
from tank.net.book import Book, Draft, Lease, Paper
from tank.net.choosing import choose

REASON, IN_USE = "NetworkNotReady", "AddressInUse"
FIRST, LAST = 61, 79  # of 10.x.0.0/16, for the pool `default`; 10.88 and 10.89 are Podman's
MOST_REMEMBERED = 5000


class Leases:
    """The book and its file. Every method blocks for a write at most, and may be called from any thread."""

    def __init__(self, paper: Paper, installation: str, occupied: Callable[[], Collection[str]]) -> None:
        """`occupied`: the networks that the host has routes to, for the choice of the default pool's."""
        self._paper, self._installation, self._occupied = paper, installation, occupied
        self._lock = threading.Lock()
        self._shunned: dict[str, tuple[str, ...]] = {}  # by pool: what others had, the longest ago first

    def draft(self) -> Leases:
        """A copy of the book to look ahead with: nothing that is done to it is ever so."""
        with self._lock:
            made = Leases(Draft(self._paper.read()), self._installation, self._occupied)
            made._shunned = dict(self._shunned)
            return made

    def shun(self, pool: str, address: str) -> None:
        """Somebody who is no pod has it: it is given back, and given again only when no other is left. Raises Failed.

        That is forgotten with the daemon: whoever gets an address of the LAN asks there first.
        """
        with self._lock:
            known = (each for each in self._shunned.get(pool, ()) if each != address)
            self._shunned[pool] = (*known, address)[-MOST_REMEMBERED:]
            book = self._paper.read()
            left = tuple(each for each in book.leases if (each.pool, each.address) != (pool, address))
            if left != book.leases:
                self._paper.write(replace(book, leases=left))

    def resolved(self, pool: Pool) -> Pool:
        """The pool with networks and gateways: those of `default` are chosen on first use and never change.

        Raises Waiting when no network is free, Failed when that cannot be written down.
        """
        subnets = pool.subnets
        if not subnets:
            with self._lock:
                book = self._paper.read()
                subnets = book.subnets or self._choose_subnets()
                if not book.subnets:
                    self._paper.write(replace(book, subnets=subnets))
        return with_gateways(replace(pool, subnets=subnets))

    def known(self, pool: Pool) -> Pool:
        """The same as far as it is known: `default` has no networks before its first use."""
        with self._lock:
            return with_gateways(replace(pool, subnets=pool.subnets or self._paper.read().subnets))

    def take(
        self,
        pool: Pool,
        *,
        uid: str,
        pod: str,
        nic: str,
        stated: Mapping[str, Collection[str]] | None = None,
        avoid: Callable[[], Collection[str]] = tuple,
        gives: bool = True,
    ) -> tuple[str, ...]:
        """An address with prefix of each family of a resolved pool; the same ones again. None, where it gives none.

        `stated`: those that the spec names itself, without prefix, by interface; no other, of the pod neither, gets
        them. `avoid` is asked for more that are not to be given, where one has to be chosen. Raises Waiting, Failed.
        """
        own, claimed = (stated or {}).get(nic, ()), {one for each in (stated or {}).values() for one in each}
        with self._lock:
            book, key = self._paper.read(), f"{pool.name}/{pod}/{nic}"
            mine = [each for each in book.leases if (each.pool, each.uid, each.nic) == (pool.name, uid, nic)]
            others = [each for each in book.leases if each.pool == pool.name and each not in mine]
            for each in others:
                if each.address in own and each.uid != uid:
                    who = f"pod {each.pod}" if each.pod else "the host"
                    raise Waiting(IN_USE, f"cannot use {each.address}: {who} has it of pool {pool.name}")
            shunned = self._shunned.get(pool.name, ())
            last = tuple(each for each in book.remembered.get(key, ()) if each not in shunned)
            held = sorted({each.address for each in mine} - claimed, key=lambda each: (each not in last, each))
            taken = {*(each.address for each in others), *claimed}
            choosing = _Choosing(pool, lambda: {*taken, *avoid()}, last, held, partial(_resting, book, key, shunned))
            given = tuple(choosing.of(subnet) for subnet in pool.subnets) if gives else ()
            bare = tuple(each.partition("/")[0] for each in given)
            if fresh := {*own, *bare} - {each.address for each in mine}:
                wanted = (Lease(pool=pool.name, address=each, uid=uid, pod=pod, nic=nic) for each in sorted(fresh))
                self._paper.write(_with(book, wanted, key, bare or last))
            return given

    def settle(self, uid: str, held: Collection[tuple[str, str, str]]) -> None:
        """Of all pools the pod has these now, each (pool, nic, address), and no other. Repeatable. Raises Failed."""
        with self._lock:
            book = self._paper.read()
            left = tuple(each for each in book.leases if each.uid != uid or (each.pool, each.nic, each.address) in held)
            if left != book.leases:
                self._paper.write(replace(book, leases=left))

    def release(self, uid: str) -> None:
        """Its addresses are free; which they were is remembered by its name. Repeatable. Raises Failed."""
        self.keep(lambda each: each != uid)

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """Only the leases of wanted uids stay. Raises Failed."""
        with self._lock:
            book = self._paper.read()
            left = tuple(each for each in book.leases if wanted(each.uid))
            if left != book.leases:
                self._paper.write(replace(book, leases=left))

    def adopt(self, held: Iterable[tuple[Lease, int]]) -> None:
        """Take back what pods have by their own records (with the prefix), after the book was lost. Raises Failed."""
        with self._lock:
            book = self._paper.read()
            known = {(each.pool, each.address) for each in book.leases}
            fresh = [(lease, prefix) for lease, prefix in held if (lease.pool, lease.address) not in known]
            if fresh:
                subnets = book.subnets or tuple(
                    str(ipaddress.ip_interface(f"{lease.address}/{prefix}").network)
                    for lease, prefix in sorted(fresh, key=lambda each: ":" in each[0].address)
                    if lease.pool == DEFAULT
                )
                leases = (*book.leases, *(lease for lease, _ in fresh))
                self._paper.write(replace(book, leases=leases, subnets=tuple(dict.fromkeys(subnets))))

    def all(self) -> tuple[Lease, ...]:
        """Every lease."""
        with self._lock:
            return self._paper.read().leases

    def _choose_subnets(self) -> tuple[str, ...]:
        occupied = [ipaddress.ip_network(each) for each in self._occupied()]
        for second in range(FIRST, LAST + 1):
            network = ipaddress.ip_network(f"10.{second}.0.0/16")
            if not any(each.version == 4 and each.prefixlen and each.overlaps(network) for each in occupied):
                return str(network), unique_local(self._installation)
        raise Waiting(REASON, f"no network of 10.{FIRST}.0.0/16 to 10.{LAST}.0.0/16 is free: name one in [[net.pools]]")


@dataclass(frozen=True, slots=True)
class _Choosing:
    pool: Pool
    taken: Callable[[], Collection[str]]
    last: Sequence[str]
    held: Sequence[str]
    resting: Callable[[], Sequence[str]]

    def of(self, subnet: str) -> str:
        """The address with prefix. Raises Waiting."""
        network = ipaddress.ip_network(subnet)
        address = next((each for each in self.held if ipaddress.ip_address(each) in network), None)
        if address is None:
            address = choose(self.pool, subnet, self.taken(), self.last, self.resting())
        if address is None:
            raise Waiting(REASON, f"no address is left in pool {self.pool.name} ({subnet})")
        return f"{address}/{network.prefixlen}"


def _with(book: Book, fresh: Iterable[Lease], key: str, addresses: tuple[str, ...]) -> Book:
    kept = [(name, each) for name, each in book.remembered.items() if name != key]
    recent = dict([*kept, *([(key, addresses)] if addresses else [])][-MOST_REMEMBERED:])
    return replace(book, leases=(*book.leases, *fresh), remembered=recent)


def _resting(book: Book, key: str, shunned: Sequence[str]) -> list[str]:
    """What others of the same pool had last, the longest ago first; last what somebody who is no pod had."""
    pool = f"{key.partition('/')[0]}/"
    had = (one for name, each in book.remembered.items() if name.startswith(pool) and name != key for one in each)
    return [*(each for each in had if each not in shunned), *shunned]


def unique_local(installation: str) -> str:
    """An IPv6 network that hangs on the installation's id (RFC 4193)."""
    digits = hashlib.sha256(f"tank {installation}".encode()).hexdigest()[:10]
    return str(ipaddress.ip_network(f"fd{digits[:2]}:{digits[2:6]}:{digits[6:]}::/64"))


def with_gateways(pool: Pool) -> Pool:
    """A bridge's own addresses are its pods' gateways: the first of each network, where none is stated."""
    if pool.mode != "bridge":
        return pool
    stated = [ipaddress.ip_address(each) for each in pool.gateways]
    found = []
    for subnet in map(ipaddress.ip_network, pool.subnets):
        found.append(next((str(each) for each in stated if each in subnet), str(subnet.network_address + 1)))
    return replace(pool, gateways=tuple(found))


def pool_named(pools: Iterable[Pool], name: str) -> Pool | None:
    """The pool of that name; `default` exists without being stated."""
    found = next((each for each in pools if each.name == name), None)
    return found or (Pool(name=DEFAULT) if name == DEFAULT else None)
