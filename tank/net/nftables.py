"""nft: tables replaced at one stroke, read back, and watched.

The tool, not the library: 4 ms are nothing beside a start, and a crash of Debian's libnftables cannot take the
daemon with it. A table is looked at as a whole: what is listed right after it was made is what has to be listed
later, handles apart.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import socket
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tank.errors import Failed, ToolFailed, Waiting
from tank.host import process
from tank.net.rtnetlink import attributes, text

REASON = "NetworkNotReady"
NETFILTER = (socket.AF_NETLINK, socket.SOCK_RAW, 12)
_SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES_GROUP = 270, 1, 7
_SUBSYSTEM = 10
_CHANGES = frozenset({0, 2, 3, 5, 6, 8, 9, 11, 12, 14})  # tables, chains, rules, sets, elements: made anew, removed
_HEADER, _FAMILY, _TABLE = struct.Struct("=IHHII"), 4, 1  # the bytes that say the family; in all of them: the table
_BATCH = 256  # datagrams per wake-up, so that a storm in one pod delays nobody


async def apply(script: str, namespace: Path | None = None) -> None:
    """Have a script carried out, whole or not at all. Raises Waiting with nft's first words, or how to have an nft."""
    try:
        await process.run([*_entering(namespace), "nft", "-f", "-"], input=script.encode())
    except Failed as error:
        words = _first(error.stderr) if isinstance(error, ToolFailed) else error.message
        raise Waiting(REASON, f"cannot set the rules of the network: {words}{_cure()}") from error


def _cure() -> str:
    return "" if shutil.which("nft", path=process.ENVIRONMENT["PATH"]) else "; install nftables"


@dataclass(frozen=True, slots=True)
class Listing:
    """What stands in tables: a digest of all of it, and how many rules there are."""

    digest: str = ""
    rules: int = 0

    def __add__(self, other: Listing) -> Listing:
        return Listing(self.digest + other.digest, self.rules + other.rules)


async def listing(table: str, namespace: Path | None = None) -> Listing:
    """What stands in a table (`inet tank_ab12cd`); an empty listing when there is no such table."""
    try:
        told = await process.run([*_entering(namespace), "nft", "-j", "list", "table", *table.split()])
    except ToolFailed:
        return Listing()
    try:
        found = _without_handles(json.loads(told))
    except ValueError as error:
        raise Failed("cannot read the rules of the network: nft's answer is no JSON") from error
    rules = sum("rule" in each for each in found.get("nftables", ()))
    return Listing(hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest(), rules)


def _entering(namespace: Path | None) -> list[str]:
    return [] if namespace is None else ["nsenter", f"--net={namespace}"]


def _first(text: str) -> str:
    return next(iter(text.strip().splitlines()), "nft gave no reason")


def _without_handles(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _without_handles(each) for key, each in found.items() if key not in ("handle", "metainfo")}
    if isinstance(found, list):
        return [_without_handles(each) for each in found]
    return found


class RuleMonitor:
    """Hears of changes to tables of ours in the namespace of its socket, and only ever nudges.

    Our own are heard too: a look finds what was made, makes nothing, and so is the last.
    """

    def __init__(self, opened: socket.socket, nudge: Callable[[], None], tables: Collection[str]) -> None:
        """Subscribe `opened`, a netfilter socket, to news of `tables`, without family. Raises OSError."""
        self._socket, self._nudge, self._tables = opened, nudge, tables
        opened.setblocking(False)
        opened.bind((0, 0))
        opened.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES_GROUP)
        asyncio.get_running_loop().add_reader(opened.fileno(), self._heard)

    def close(self) -> None:
        """May be repeated."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()

    def _heard(self) -> None:
        matters = False
        for _ in range(_BATCH):
            try:
                matters = changes(self._socket.recv(1 << 16), self._tables) or matters
            except BlockingIOError:
                break
            except OSError:  # more than the socket holds
                matters = True
        if matters:
            self._nudge()


def changes(datagram: bytes, tables: Collection[str]) -> bool:
    """Whether by the kernel something of these tables is new, other or gone. Pure; what is garbled counts too."""
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, *_ = _HEADER.unpack_from(datagram, offset)
        if length < _HEADER.size:
            return True
        if kind >> 8 == _SUBSYSTEM and kind & 0xFF in _CHANGES:
            said = attributes(datagram[offset + _HEADER.size + _FAMILY : offset + length])
            if text(said.get(_TABLE)) in tables:
                return True
        offset += (length + 3) & ~3
    return False
