"""Questions whether an address is somebody's, and who answers: bytes against the RFCs."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from tank.net.announce import checksum, frame
from tank.net.conflicts import claimed, probe

MAC, THEIRS = "02:11:22:33:44:55", "02:aa:bb:cc:dd:ee"


def test_an_arp_probe_comes_from_no_address() -> None:
    asked = probe(MAC, "10.0.0.5")

    assert asked[:14] == b"\xff" * 6 + bytes.fromhex("021122334455") + b"\x08\x06"
    assert asked[14:22] == bytes.fromhex("0001080006040001")
    assert asked[22:] == bytes.fromhex("021122334455") + bytes(4) + bytes(6) + bytes((10, 0, 0, 5))


def test_an_ipv6_probe_asks_the_solicited_nodes_from_nobody() -> None:
    asked = probe(MAC, "fd00::12:3456")

    assert asked[:6] == bytes.fromhex("3333ff123456")
    header, body = asked[14:54], asked[54:]
    assert (header[6], header[7], header[8:24]) == (58, 255, bytes(16))
    assert header[24:] == ipaddress.ip_address("ff02::1:ff12:3456").packed
    assert (body[0], body[8:]) == (135, ipaddress.ip_address("fd00::12:3456").packed)
    pseudo = header[8:24] + header[24:40] + struct.pack("!II", len(body), 58)
    assert checksum(pseudo + body) == 0


@pytest.mark.parametrize("address", ["10.0.0.5", "fd00::5"])
def test_who_announces_or_probes_an_address_claims_it(address: str) -> None:
    assert claimed(frame(THEIRS, address)) == (address, THEIRS)
    assert claimed(probe(THEIRS, address)) == (address, THEIRS)


def test_an_answer_names_the_owner_and_a_question_of_somebody_its_asker_alone() -> None:
    def arp(kind: int, sender: str, target: str) -> bytes:
        ends = [ipaddress.ip_address(each).packed for each in (sender, target)]
        theirs = bytes.fromhex(THEIRS.replace(":", ""))
        return (
            bytes(6)
            + theirs
            + b"\x08\x06"
            + struct.pack("!HHBBH", 1, 0x800, 6, 4, kind)
            + theirs
            + ends[0]
            + (bytes(6) + ends[1])
        )

    assert claimed(arp(2, "10.0.0.5", "0.0.0.0")) == ("10.0.0.5", THEIRS)
    assert claimed(arp(1, "10.0.0.9", "10.0.0.5")) == ("10.0.0.9", THEIRS)
    assert claimed(arp(2, "0.0.0.0", "10.0.0.5")) is None


def test_what_is_cut_short_or_something_else_claims_nothing() -> None:
    for whole in (frame(THEIRS, "10.0.0.5"), frame(THEIRS, "fd00::5")):
        for length in range(len(whole) - 8):
            assert claimed(whole[:length]) is None
    assert claimed(bytes(12) + b"\x08\x00" + bytes(60)) is None
