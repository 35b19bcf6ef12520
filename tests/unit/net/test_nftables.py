"""Which news of the kernel's tables count, as the bytes that it sends."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tank.net.nftables import changes

OURS = frozenset({"tank", "tank_names"})


def news(kind: int, table: str = "tank", subsystem: int = 10) -> bytes:
    name = table.encode() + b"\0"
    said = struct.pack("=HH", 4 + len(name), 1) + name
    body = struct.pack("=BBH", 1, 0, 0) + said + bytes(-len(said) % 4)
    return struct.pack("=IHHII", 16 + len(body), subsystem << 8 | kind, 0, 0, 0) + body


GENERATION = struct.pack("=IHHII", 20, 10 << 8 | 15, 0, 0, 0) + bytes(4)


@pytest.mark.parametrize(
    ("datagram", "matters"),
    [
        *((news(kind), True) for kind in (0, 2, 3, 5, 6, 8, 9, 11, 12, 14)),
        (news(6, "tank_names"), True),
        (news(6, "docker"), False),
        (news(8, "tank_abcdef"), False),
        (news(6, subsystem=2), False),
        (news(17), False),  # a trace
        (GENERATION, False),
        (news(6, "docker") + GENERATION, False),
        (news(6, "docker") + news(6), True),
        (b"", False),
        (bytes(16), True),  # what is garbled
    ],
)
def test_what_is_new_other_or_gone_in_our_tables_counts_and_nothing_else(datagram: bytes, matters: bool) -> None:
    assert changes(datagram, OURS) is matters


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(datagram: bytes) -> None:
    assert changes(datagram, OURS) in (True, False)
