"""Telling the LAN that an address lives here now (C15).

Neighbours keep the MAC of an address for minutes. After an address has come to a pod, a gratuitous ARP or an
unsolicited neighbour advertisement corrects them; it is sent three times, since the switch port may still be
waking up. Only a courtesy: losing it costs a neighbour its next resolution, nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from tank.errors import TankError
from tank.host.netns import Namespaces

TIMES, PAUSE = 3, 1.0  # seconds

_BROADCAST, _ALL_NODES = b"\xff" * 6, bytes.fromhex("333300000001")
_ETH_ARP, _ETH_IPV6, _ICMPV6, _ADVERTISEMENT = 0x0806, 0x86DD, 58, 136
_OVERRIDE = 0x20000000
_EVERYBODY = ipaddress.IPv6Address("ff02::1").packed


def frame(mac: str, address: str) -> bytes:
    """The Ethernet frame that announces `address` (without prefix) at `mac`. Pure."""
    source, held = bytes.fromhex(mac.replace(":", "")), ipaddress.ip_address(address)
    if held.version == 4:
        return _BROADCAST + source + struct.pack("!H", _ETH_ARP) + _gratuitous_arp(source, held.packed)
    return _ALL_NODES + source + struct.pack("!H", _ETH_IPV6) + _advertisement(source, held.packed)


def _gratuitous_arp(mac: bytes, address: bytes) -> bytes:
    """An announcement by RFC 5227: a request in which sender and target are the same."""
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + address + bytes(6) + address


def _advertisement(mac: bytes, address: bytes) -> bytes:
    """RFC 4861, 7.2.6: override, unsolicited, to all nodes, with the target's link-layer address."""
    body = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _OVERRIDE) + address + b"\x02\x01" + mac
    pseudo = address + _EVERYBODY + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return struct.pack("!IHBB", 6 << 28, len(body), _ICMPV6, 255) + address + _EVERYBODY + body


def checksum(data: bytes) -> int:
    """The Internet checksum of an even number of bytes. Pure."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def open_sender(interface: str) -> socket.socket:
    """A socket that sends frames by `interface` of the namespace it is opened in, and receives none."""
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    sender = socket.socket(socket.AF_PACKET, kind, 0)
    try:
        sender.bind((interface, 0))
    except OSError:
        sender.close()
        raise
    return sender


class Announcement:
    """Sends its frames now and twice more, then closes its socket. It must be made on the event loop."""

    def __init__(self, sender: socket.socket, frames: Sequence[bytes]) -> None:
        self._sender, self._frames, self._left = sender, tuple(frames), TIMES
        self._timer: asyncio.TimerHandle | None = None
        self._send()

    def close(self) -> None:
        """Send no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._sender.close()

    def _send(self) -> None:
        for each in self._frames:
            with contextlib.suppress(OSError):
                self._sender.send(each)
        self._left -= 1
        if self._left:
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._send)
        else:
            self.close()


class Announcements:
    """Those of all pods, by uid."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._told: dict[str, list[Announcement]] = {}

    async def tell(self, uid: str, namespace: Path, arrived: Mapping[str, tuple[str, Sequence[str]]]) -> None:
        """Tell the neighbours of each interface's MAC and addresses; that they cannot be told is no reason to fail."""
        for name, (mac, addresses) in arrived.items():
            frames = [frame(mac, str(ipaddress.ip_interface(each).ip)) for each in addresses]
            with contextlib.suppress(TankError, OSError):
                sender = await self._namespaces.inside(namespace, partial(open_sender, name))
                self._told.setdefault(uid, []).append(Announcement(sender, frames))

    def hush(self, uid: str) -> None:
        """Tell of this pod no more; may be repeated."""
        for each in self._told.pop(uid, ()):
            each.close()

    def close(self) -> None:
        """Tell of nobody any more."""
        for uid in tuple(self._told):
            self.hush(uid)
