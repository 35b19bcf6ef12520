"""Announcements byte by byte."""

from __future__ import annotations

import struct

from tank.net.announce import frame

MAC = "02:00:5e:10:00:01"


def test_ipv4_is_announced_by_a_gratuitous_arp_request() -> None:
    sent = frame(MAC, "10.0.0.5")

    mac, address = bytes.fromhex("02005e100001"), bytes([10, 0, 0, 5])
    assert sent == (
        b"\xff" * 6 + mac + b"\x08\x06" + b"\x00\x01\x08\x00\x06\x04\x00\x01" + mac + address + b"\0" * 6 + address
    )


def test_ipv6_is_announced_by_an_unsolicited_advertisement_whose_checksum_holds() -> None:
    sent = frame(MAC, "fd00::5")

    header, body = sent[14:54], sent[54:]
    assert sent[:14].hex() == "333300000001" + "02005e100001" + "86dd"
    assert header[:8].hex() == "6000000000203aff"
    assert body[:2] + body[4:8] == bytes.fromhex("8800" + "20000000")
    pseudo = header[8:] + struct.pack("!II", len(body), 58)
    total = sum(struct.unpack(f"!{len(pseudo + body) // 2}H", pseudo + body))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
