"""Asking the LAN whether somebody has an address already, before it is used (RFC 5227, RFC 4862).

Three probes a few milliseconds apart: a wired neighbour answers within one. That wait is over before the pod's
containers are created, so it costs a start nothing. One more probe follows, and for a second we go on listening:
who was asleep and answers late was there first all the same. Where somebody has claimed an address once, its owner
may be one of these: then it is not used before that second is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ipaddress
import socket
import struct
from collections.abc import Callable, Iterable, Mapping

from tank.net.announce import checksum

PROBES = (0.0, 0.005, 0.010, 0.3)  # seconds
WAIT, LISTEN = 0.015, 1.0  # until the address is used; from then on, until nobody listens any more

ETH_ARP, ETH_IPV6 = 0x0806, 0x86DD
_ICMPV6, _SOLICITATION, _ADVERTISEMENT = 58, 135, 136
_ETHERNET, _IPV6 = 14, 40
_SO_ATTACH_FILTER = 26
_NEIGHBOUR_DISCOVERY = (  # classic BPF: code, jump if true, jump if false, constant
    (0x30, 0, 0, _ETHERNET + 6),  # the next header
    (0x15, 0, 4, _ICMPV6),
    (0x30, 0, 0, _ETHERNET + _IPV6),  # the kind of message
    (0x15, 1, 0, _SOLICITATION),
    (0x15, 0, 1, _ADVERTISEMENT),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


def probe(mac: str, address: str) -> bytes:
    """The frame that asks who has `address` (without prefix), from nobody's address. Pure."""
    source, wanted = bytes.fromhex(mac.replace(":", "")), ipaddress.ip_address(address)
    if wanted.version == 4:
        asked = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + source + bytes(4) + bytes(6) + wanted.packed
        return b"\xff" * 6 + source + struct.pack("!H", ETH_ARP) + asked
    group = ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13] + wanted.packed[13:]
    body = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + wanted.packed
    total = checksum(bytes(16) + group + struct.pack("!II", len(body), _ICMPV6) + body)
    body = body[:2] + struct.pack("!H", total) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), _ICMPV6, 255) + bytes(16) + group
    return b"\x33\x33" + group[12:] + source + struct.pack("!H", ETH_IPV6) + header + body


def claimed(frame: bytes) -> tuple[str, str] | None:
    """Which address the sender of a frame says is its own, or is about to take, and its MAC. Pure."""
    if len(frame) < _ETHERNET:
        return None
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind == ETH_ARP and len(frame) >= _ETHERNET + 28:
        return _claimed_arp(frame[_ETHERNET:])
    if kind == ETH_IPV6 and len(frame) >= _ETHERNET + _IPV6 + 24 and frame[20] == _ICMPV6:
        said, source = frame[_ETHERNET + _IPV6], frame[_ETHERNET + 8 : _ETHERNET + 24]
        if said == _ADVERTISEMENT or (said == _SOLICITATION and not any(source)):
            target = frame[_ETHERNET + _IPV6 + 8 : _ETHERNET + _IPV6 + 24]
            return str(ipaddress.ip_address(target)), frame[6:12].hex(":")
    return None


def _claimed_arp(packet: bytes) -> tuple[str, str] | None:
    hardware, protocol, asked = struct.unpack_from("!HHxxH", packet)
    if (hardware, protocol) != (1, 0x0800):
        return None
    sender, target = packet[14:18], packet[24:28]
    probing = not any(sender)  # a probe of somebody who wants it at this very moment
    if probing and asked != 1:
        return None
    return str(ipaddress.ip_address(target if probing else sender)), packet[8:14].hex(":")


def open_prober(interface: str, versions: Iterable[int]) -> list[socket.socket]:
    """Sockets that hear the answers at `interface` of the namespace they are opened in, for each version of IP."""
    opened: list[socket.socket] = []
    try:
        for kind in sorted(ETH_ARP if each == 4 else ETH_IPV6 for each in versions):
            flags = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            opened.append(socket.socket(socket.AF_PACKET, flags, 0))
            if kind == ETH_IPV6:
                _hear_neighbours_only(opened[-1])
            opened[-1].bind((interface, kind))
    except OSError:
        for each in opened:
            each.close()
        raise
    return opened


def _hear_neighbours_only(opened: socket.socket) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in _NEIGHBOUR_DISCOVERY))
    program = struct.pack("@HP", len(_NEIGHBOUR_DISCOVERY), ctypes.addressof(code))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


class Inquiry:
    """Probes for the addresses of one interface. It must be made on the event loop, and owns its sockets.

    `found` is who has which of them. After `wait` nobody waits any more; who answers later is told to `late`.
    """

    def __init__(
        self,
        opened: list[socket.socket],
        mac: str,
        addresses: Iterable[str],
        late: Callable[[], None],
        wait: float = WAIT,
    ) -> None:
        self._opened, self._mac, self._late, self._wait, self._waiting = opened, mac, late, wait, True
        self._wanted = tuple(addresses)
        self._found: dict[str, str] = {}
        self._heard = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for each in opened:
            self._loop.add_reader(each.fileno(), self._hear, each)
        self._timers = [self._loop.call_later(after, self._ask) for after in PROBES if after]
        self._timers.append(self._loop.call_later(wait + LISTEN, self.close))
        self._ask()

    @property
    def found(self) -> Mapping[str, str]:
        """The addresses that somebody has, and the MAC of whom."""
        return self._found

    async def answer(self) -> Mapping[str, str]:
        """What is known after the wait, which is over as soon as somebody claims one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._wait):
                await self._heard.wait()
        self._waiting = False
        return self._found

    def close(self) -> None:
        """Listen no more; may be repeated."""
        for timer in self._timers:
            timer.cancel()
        for each in self._opened:
            if each.fileno() >= 0:
                self._loop.remove_reader(each.fileno())
                each.close()

    def _ask(self) -> None:
        for address in self._wanted:
            for each in self._opened:
                if each.getsockname()[1] == (ETH_IPV6 if ":" in address else ETH_ARP):
                    with contextlib.suppress(OSError):
                        each.send(probe(self._mac, address))

    def _hear(self, opened: socket.socket) -> None:
        known = len(self._found)
        with contextlib.suppress(OSError):  # would block, or the interface went down
            while True:
                claim = claimed(opened.recv(2048))
                if claim and claim[0] in self._wanted and claim[1] != self._mac:
                    self._found[claim[0]] = claim[1]
        if len(self._found) > known:
            self._heard.set()
            if not self._waiting:
                self._late()
