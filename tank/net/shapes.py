"""How much an interface may carry: what is wanted of the kernel's queues, compared with what stands. Pure.

Each limit is a token bucket (tbf), which lets packets wait instead of dropping them. Out of a pod it lies on the
interface itself. Into a pod it lies on the host's end of the cable; where there is no cable (macvlan, ipvlan), what
arrives is led through a device of its own in the pod's namespace, a funnel (ifb), and waits there. A filter that
drops at once would need no device, but TCP gets far less than the rate from such.

Queues that others have put on an interface without a limit are theirs. Like `tank.net.drift`, one comparison serves
those who look and those who do: the caller does what is said, looks, and asks again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from tank.net.seen import Link
from tank.net.wanted import Interface

BUCKET = "tbf"
HANDLE = 0x7461_0000  # of our buckets; what others give, and what the kernel deals out (8000), is another
ROOT, INGRESS, ARRIVING = 0xFFFF_FFFF, 0xFFFF_FFF1, 0xFFFF_FFF2  # where queues and filters hang
FRAME = 22  # bytes of Ethernet, with a tag, around what the MTU counts
BURST = 100  # the part of a second's bytes that may go at once
PATIENCE = 20  # the part of a second's bytes that may wait: 50 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A limit as the kernel counts it: bytes in a second, at once, and waiting."""

    rate: int
    burst: int
    limit: int

    @property
    def ticks(self) -> int:
        """How the kernel tells `burst`: the time that it takes at this rate, in 64 ns."""
        return self.burst * 1_000_000_000 // self.rate // 64


def bucket(bits: int | None, mtu: int) -> Bucket | None:
    """For so many bits in a second over an interface with this MTU."""
    if bits is None:
        return None
    rate, frame = bits // 8, mtu + FRAME
    burst = max(rate // BURST, 2 * frame)
    return Bucket(rate=rate, burst=burst, limit=burst + max(rate // PATIENCE, 16 * frame))


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue of the link with this index, as the kernel tells it; the numbers of a bucket, where it is one."""

    index: int
    kind: str
    handle: int
    parent: int
    rate: int = 0
    limit: int = 0
    ticks: int = 0
    dropped: int = 0  # packets for which there was no more room

    @property
    def burst(self) -> int:
        """How many bytes of it may go at once; the kernel tells how long they take, in 64 ns."""
        return self.ticks * 64 * self.rate // 1_000_000_000

    def is_ours(self) -> bool:
        """Whether it is a bucket that we have put there."""
        return self.parent == ROOT and self.kind == BUCKET and self.handle == HANDLE

    def holds(self, wanted: Bucket) -> bool:
        """Whether it is that bucket. Times are rounded by the kernel."""
        near = abs(self.ticks - wanted.ticks) <= wanted.ticks // 50 + 1
        return self.is_ours() and near and (self.rate, self.limit) == (wanted.rate, wanted.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """What arrives on the link `index` is led whole to the link `to`, by our filter."""

    index: int
    to: int


class Verb(Enum):
    """What is done about a limit."""

    LIMIT = "limit"
    FREE = "free"
    FUNNEL = "make a funnel"
    UNFUNNEL = "remove a funnel"
    LEAD = "lead into the funnel"
    UNLEAD = "lead past it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshaping:
    """One thing to do, to the link `index`. `bucket` of LIMIT, `to` of LEAD; `name` and `mark` of a FUNNEL."""

    verb: Verb
    words: str
    index: int = 0
    bucket: Bucket | None = None
    to: int = 0
    name: str = ""
    mark: str = ""


def reshape(
    wanted: Sequence[Interface], links: Sequence[Link], queues: Sequence[Queue], leads: Sequence[Lead]
) -> tuple[Reshaping, ...]:
    """What is to be done next in a pod's namespace."""
    by_mark = {each.alias: each for each in links if each.alias}
    return tuple(
        deed
        for interface in wanted
        if (link := by_mark.get(interface.mark))
        for deed in (
            *limits(link, interface.rate.outgoing, queues, f"out of {interface.name}"),
            *_arriving(interface, link, by_mark.get(interface.funnel_mark), queues, leads),
        )
    )


def limits(link: Link, bits: int | None, queues: Sequence[Queue], what: str) -> Iterator[Reshaping]:
    """For what leaves by one link."""
    yield from _limits(link.index, bucket(bits, link.mtu), queues, what)


def _limits(index: int, wanted: Bucket | None, queues: Sequence[Queue], what: str) -> Iterator[Reshaping]:
    root = next((each for each in queues if each.index == index and each.parent == ROOT), None)
    if wanted is None:
        if root is not None and root.is_ours():
            yield Reshaping(verb=Verb.FREE, words=f"the rate {what} is not wanted", index=index)
    elif root is None or not root.holds(wanted):
        yield Reshaping(verb=Verb.LIMIT, words=_not_so(what, wanted), index=index, bucket=wanted)


def _not_so(what: str, wanted: Bucket) -> str:
    return f"the rate {what} is not {wanted.rate * 8} bit/s"


def _arriving(
    interface: Interface, link: Link, funnel: Link | None, queues: Sequence[Queue], leads: Sequence[Lead]
) -> Iterator[Reshaping]:
    """What comes in where there is no cable: first the funnel as it should be, then the way into it; back likewise."""
    wanted, what = bucket(interface.rate.incoming, link.mtu), f"into {interface.name}"
    led = next((each for each in leads if each.index == link.index), None)
    if wanted is None or interface.kind == "veth":
        words = f"the rate {what} is not wanted"
        if funnel is not None and led is not None and led.to == funnel.index:
            yield Reshaping(verb=Verb.UNLEAD, words=words, index=link.index)
        if funnel is not None:
            yield Reshaping(verb=Verb.UNFUNNEL, words=words, index=funnel.index)
        return
    if funnel is None or not funnel.up or funnel.kind != "ifb":
        gone, words = funnel.index if funnel else 0, _not_so(what, wanted)
        name, mark = interface.funnel, interface.funnel_mark
        yield Reshaping(verb=Verb.FUNNEL, words=words, index=gone, name=name, mark=mark)
        return
    yield from _limits(funnel.index, wanted, queues, what)
    if led is None or led.to != funnel.index:
        yield Reshaping(verb=Verb.LEAD, words=_not_so(what, wanted), index=link.index, to=funnel.index)
