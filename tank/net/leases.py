"""Who has which address of a pool: durable before use, kept over restarts and reboots, free when its pod is gone.

A pod that comes back by the same name gets the address that it had last, while that is free. One file holds it all,
replaced at one stroke; one thread at a time changes it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tank.errors import Failed, Waiting
from tank.host import files
from tank.model.pools import DEFAULT, Pool

REASON, IN_USE = "NetworkNotReady", "AddressInUse"
FIRST, LAST = 61, 79  # of 10.x.0.0/16, for the pool `default`; 10.88 and 10.89 are Podman's
MOST_REMEMBERED = 5000

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One address, without prefix, that a pod's interface holds, be it given or stated by its spec."""

    pool: str
    address: str
    uid: str
    pod: str
    nic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All that is written down. `remembered`: "pool/pod/nic" -> the addresses it had last, newest at the end."""

    subnets: tuple[str, ...] = ()  # of the pool `default`, once it was used
    leases: tuple[Lease, ...] = ()
    remembered: dict[str, tuple[str, ...]] = field(default_factory=dict)


def choose(
    pool: Pool, subnet: str, taken: Collection[str], last: Iterable[str], resting: Sequence[str] = ()
) -> str | None:
    """A free address of one network of a pool; None: there is none left. Pure.

    The one it had last; else the lowest that nobody had (`resting`: others had them, the longest ago first), so that
    who had one finds it again, and nobody who knew the old owner takes the new one for it; else the one that has
    rested longest.
    """
    never = {*pool.gateways, *pool.shims, *taken}
    spans = list(_spans(pool, subnet))
    for each in last:
        if each not in never and any(ipaddress.ip_address(each) in span for span in spans):
            return each
    waiting = set(resting)
    fresh = next((each for each in _candidates(pool, subnet) if each not in never and each not in waiting), None)
    free = (each for each in resting if each not in never)
    return fresh or next((each for each in free if any(ipaddress.ip_address(each) in span for span in spans)), None)


def room(pool: Pool, subnet: str) -> int:
    """How many addresses of one network of a pool can be handed out in all."""
    never = {*pool.gateways, *pool.shims}
    spans = list(_spans(pool, subnet))
    return sum(each.high - each.low + 1 - sum(ipaddress.ip_address(one) in each for one in never) for each in spans)


def _spans(pool: Pool, subnet: str) -> Iterator[Any]:
    yield from (_Span(low, high) for low, high in _ranges(pool, ipaddress.ip_network(subnet)))


@dataclass(frozen=True, slots=True)
class _Span:
    low: int
    high: int

    def __contains__(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return self.low <= int(address) <= self.high


def _ranges(pool: Pool, network: Network) -> list[tuple[int, int]]:
    """What is handed out of a network, as numbers: never its own and, in IPv4, its broadcast address."""
    low, high = int(network.network_address) + 1, int(network.broadcast_address) - (network.version == 4)
    stated = [
        (max(int(ipaddress.ip_address(first)), low), min(int(ipaddress.ip_address(last)), high))
        for first, last in pool.ranges
        if ipaddress.ip_address(first) in network
    ]
    return stated or [(low, high)]


def _candidates(pool: Pool, subnet: str) -> Iterator[str]:
    network = ipaddress.ip_network(subnet)
    kind = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
    for low, high in _ranges(pool, network):
        number = low
        while number <= high:
            yield str(kind(number))
            number += 1


class Leases:
    """The book and its file. Every method blocks for a write at most, and may be called from any thread."""

    def __init__(self, file: Path, installation: str, occupied: Callable[[], Collection[str]]) -> None:
        """`occupied`: the networks that the host has routes to, for the choice of the default pool's."""
        self._file, self._installation, self._occupied = file, installation, occupied
        self._lock = threading.Lock()
        self._book: Book | None = None

    def resolved(self, pool: Pool) -> Pool:
        """The pool with networks and gateways: those of `default` are chosen on first use and never change.

        Raises Waiting when no network is free, Failed when that cannot be written down.
        """
        subnets = pool.subnets
        if not subnets:
            with self._lock:
                book = self._read()
                subnets = book.subnets or self._choose_subnets()
                if not book.subnets:
                    self._write(replace(book, subnets=subnets))
        return with_gateways(replace(pool, subnets=subnets))

    def take(
        self,
        pool: Pool,
        *,
        uid: str,
        pod: str,
        nic: str,
        stated: Collection[str] = (),
        avoid: Collection[str] = (),
        gives: bool = True,
    ) -> tuple[str, ...]:
        """An address with prefix of each family of a resolved pool; the same ones again. None, where it gives none.

        `stated`: those that the spec names itself, without prefix; nobody else gets them. Raises Waiting, Failed.
        """
        with self._lock:
            book, key = self._read(), f"{pool.name}/{pod}/{nic}"
            mine = [each for each in book.leases if (each.pool, each.uid, each.nic) == (pool.name, uid, nic)]
            others = {each.address: each.pod for each in book.leases if each.pool == pool.name and each not in mine}
            for each in stated:
                if each in others:
                    raise Waiting(IN_USE, f"cannot use {each}: pod {others[each]} has it of pool {pool.name}")
            last = book.remembered.get(key, ())
            held = sorted({each.address for each in mine} - set(stated), key=lambda each: (each not in last, each))
            choosing = _Choosing(pool, others.keys() | {*stated, *avoid}, last, held, partial(_resting, book, key))
            given = tuple(choosing.of(subnet) for subnet in pool.subnets) if gives else ()
            bare = tuple(each.partition("/")[0] for each in given)
            if {*stated, *bare} != {each.address for each in mine}:
                wanted = (Lease(pool=pool.name, address=each, uid=uid, pod=pod, nic=nic) for each in (*stated, *bare))
                left = replace(book, leases=tuple(each for each in book.leases if each not in mine))
                self._write(_with(left, wanted, key, bare or last))
            return given

    def release(self, uid: str) -> None:
        """Its addresses are free; which they were is remembered by its name. Repeatable. Raises Failed."""
        self.keep(lambda each: each != uid)

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """Only the leases of wanted uids stay. Raises Failed."""
        with self._lock:
            book = self._read()
            left = tuple(each for each in book.leases if wanted(each.uid))
            if left != book.leases:
                self._write(replace(book, leases=left))

    def adopt(self, held: Iterable[tuple[Lease, int]]) -> None:
        """Take back what pods have by their own records (with the prefix), after the book was lost. Raises Failed."""
        with self._lock:
            book = self._read()
            known = {(each.pool, each.address) for each in book.leases}
            fresh = [(lease, prefix) for lease, prefix in held if (lease.pool, lease.address) not in known]
            if fresh:
                subnets = book.subnets or tuple(
                    str(ipaddress.ip_interface(f"{lease.address}/{prefix}").network)
                    for lease, prefix in sorted(fresh, key=lambda each: ":" in each[0].address)
                    if lease.pool == DEFAULT
                )
                leases = (*book.leases, *(lease for lease, _ in fresh))
                self._write(replace(book, leases=leases, subnets=tuple(dict.fromkeys(subnets))))

    def all(self) -> tuple[Lease, ...]:
        """Every lease."""
        with self._lock:
            return self._read().leases

    def _choose_subnets(self) -> tuple[str, ...]:
        occupied = [ipaddress.ip_network(each) for each in self._occupied()]
        for second in range(FIRST, LAST + 1):
            network = ipaddress.ip_network(f"10.{second}.0.0/16")
            if not any(each.version == 4 and each.prefixlen and each.overlaps(network) for each in occupied):
                return str(network), unique_local(self._installation)
        raise Waiting(REASON, f"no network of 10.{FIRST}.0.0/16 to 10.{LAST}.0.0/16 is free: name one in [[net.pools]]")

    def _read(self) -> Book:
        if self._book is None:
            try:
                data = self._file.read_bytes()
            except FileNotFoundError:
                self._book = Book()
                return self._book
            except OSError as error:
                raise Failed(f"cannot read {self._file}: {error.strerror}") from error
            try:
                self._book = _parsed(json.loads(data))
            except (ValueError, TypeError, KeyError):
                self._file.replace(self._file.with_name(f"{self._file.name}.damaged"))
                self._book = Book()  # the pods' own records say the rest: see `adopt`
        return self._book

    def _write(self, book: Book) -> None:
        try:
            files.make_directory(self._file.parent)
            files.write_durably(self._file, json.dumps(asdict(book)).encode())
        except OSError as error:
            raise Failed(f"cannot write {self._file}: {error.strerror}") from error
        self._book = book


@dataclass(frozen=True, slots=True)
class _Choosing:
    pool: Pool
    taken: Collection[str]
    last: Sequence[str]
    held: Sequence[str]
    resting: Callable[[], Sequence[str]]

    def of(self, subnet: str) -> str:
        """The address with prefix. Raises Waiting."""
        network = ipaddress.ip_network(subnet)
        address = next((each for each in self.held if ipaddress.ip_address(each) in network), None)
        if address is None:
            address = choose(self.pool, subnet, self.taken, self.last, self.resting())
        if address is None:
            raise Waiting(REASON, f"no address is left in pool {self.pool.name} ({subnet})")
        return f"{address}/{network.prefixlen}"


def _with(book: Book, fresh: Iterable[Lease], key: str, addresses: tuple[str, ...]) -> Book:
    kept = [(name, each) for name, each in book.remembered.items() if name != key]
    recent = dict([*kept, *([(key, addresses)] if addresses else [])][-MOST_REMEMBERED:])
    return replace(book, leases=(*book.leases, *fresh), remembered=recent)


def _resting(book: Book, key: str) -> list[str]:
    """What others of the same pool had last, the longest ago first."""
    pool = f"{key.partition('/')[0]}/"
    return [one for name, each in book.remembered.items() if name.startswith(pool) and name != key for one in each]


def _parsed(found: Any) -> Book:
    return Book(
        subnets=tuple(str(ipaddress.ip_network(each)) for each in found["subnets"]),
        leases=tuple(Lease(**each) for each in found["leases"]),
        remembered={str(key): tuple(map(str, each)) for key, each in found["remembered"].items()},
    )


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
