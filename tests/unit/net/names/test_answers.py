"""Questions and what a pod hears; and bytes that are no questions at all."""

from __future__ import annotations

import random
import struct

import dnslib
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tank.net.names import packets
from tank.net.names.answers import answered
from tank.net.names.zone import Directory, Host, Service, Zone, dumped, loaded

WEB = Host(
    name="web",
    uid="a" * 12,
    ready=True,
    addresses=("10.61.0.2/16", "192.0.2.5/24", "fd00::2/64"),
    services=(
        Service(name="http", protocol="tcp", port=80),
        Service(name="dns", protocol="udp", port=53),
    ),
    local=("10.61.0.0/16", "fd00::/64"),
)
LAZY = Host(name="lazy", uid="b" * 12, addresses=("10.61.0.3/16",), local=("10.61.0.0/16",))
LAN = Host(name="lan", uid="c" * 12, ready=True, addresses=("192.0.2.9/24",), upstreams=("192.0.2.1",))
ZONE = Zone(domain="tank.internal", hosts=(WEB, LAZY, LAN), upstreams=("198.51.100.1",))
DIRECTORY = Directory(loaded(dumped(ZONE)))
SOA = "ns.tank.internal. hostmaster.tank.internal. 1 5 5 5 5"
REVERSE6 = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"


def reply_to(name: str, kind: str = "A", *, uid: str = "", **header: int) -> dnslib.DNSRecord | None:
    question = dnslib.DNSRecord.question(name, kind)
    for field, value in header.items():
        setattr(question.header, field, value)
    found = answered(bytes(question.pack()), DIRECTORY, uid, tcp=False)
    return dnslib.DNSRecord.parse(found) if found else None


def words(record: dnslib.DNSRecord | None) -> tuple[str, list[str], list[str]] | None:
    """The code, the answers and who says that there are none."""
    if record is None:
        return None
    return (
        dnslib.RCODE[record.header.rcode],
        [str(each.rdata) for each in record.rr],
        [str(each.rname) for each in record.auth],
    )


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("web.tank.internal", "A", ("NOERROR", ["10.61.0.2", "192.0.2.5"], [])),
        ("web.tank.internal", "AAAA", ("NOERROR", ["fd00::2"], [])),
        ("web.tank.internal", "ANY", ("NOERROR", ["10.61.0.2", "192.0.2.5", "fd00::2"], [])),
        ("WEB.Tank.Internal", "A", ("NOERROR", ["10.61.0.2", "192.0.2.5"], [])),
        ("web", "A", ("NOERROR", ["10.61.0.2", "192.0.2.5"], [])),
        ("lan", "AAAA", ("NOERROR", [], ["lan."])),
        ("web.tank.internal", "MX", ("NOERROR", [], ["tank.internal."])),
        ("lazy.tank.internal", "A", ("NXDOMAIN", [], ["tank.internal."])),
        ("lazy", "A", ("NXDOMAIN", [], ["lazy."])),
        ("nobody.tank.internal", "A", ("NXDOMAIN", [], ["tank.internal."])),
        ("deep.web.tank.internal", "A", ("NXDOMAIN", [], ["tank.internal."])),
        ("tank.internal", "SOA", ("NOERROR", [SOA], [])),
        ("tank.internal", "A", ("NOERROR", [], ["tank.internal."])),
        ("_http._tcp.web.tank.internal", "SRV", ("NOERROR", ["0 0 80 web.tank.internal."], [])),
        ("_dns._udp.web.tank.internal", "SRV", ("NOERROR", ["0 0 53 web.tank.internal."], [])),
        ("_http._tcp.web.tank.internal", "A", ("NOERROR", [], ["tank.internal."])),
        ("_http._tcp.web", "SRV", ("NOERROR", ["0 0 80 web.tank.internal."], [])),
        ("_tcp.web.tank.internal", "SRV", ("NOERROR", [], ["tank.internal."])),
        ("_http._udp.web.tank.internal", "SRV", ("NXDOMAIN", [], ["tank.internal."])),
        ("2.0.61.10.in-addr.arpa", "PTR", ("NOERROR", ["web.tank.internal."], [])),
        ("2.0.61.10.in-addr.arpa", "A", ("NOERROR", [], ["2.0.61.10.in-addr.arpa."])),
        ("3.0.61.10.in-addr.arpa", "PTR", ("NXDOMAIN", [], ["3.0.61.10.in-addr.arpa."])),
        ("9.9.61.10.in-addr.arpa", "PTR", ("NXDOMAIN", [], ["9.9.61.10.in-addr.arpa."])),
        (REVERSE6, "PTR", ("NOERROR", ["web.tank.internal."], [])),
        ("5.2.0.192.in-addr.arpa", "PTR", ("NOERROR", ["web.tank.internal."], [])),
        ("7.2.0.192.in-addr.arpa", "PTR", None),
        ("61.10.in-addr.arpa", "NS", None),
        ("nobody", "A", None),
        ("example.org", "A", None),
        ("tank.internal.example.org", "A", None),
        ("example.org", "AXFR", None),
        ("tank.internal", "AXFR", ("REFUSED", [], [])),
    ],
)
def test_what_is_said_to_a_question(name: str, kind: str, said: tuple[str, list[str], list[str]] | None) -> None:
    assert words(reply_to(name, kind)) == said


def test_addresses_on_a_network_of_the_askers_come_first() -> None:
    found = reply_to("web", uid=LAN.uid)
    assert found is not None
    assert [str(each.rdata) for each in found.rr] == ["192.0.2.5", "10.61.0.2"]


def test_who_is_asked_is_the_pods_own_else_the_zones() -> None:
    assert [DIRECTORY.upstreams(each) for each in (LAN.uid, WEB.uid, "nobody")] == [
        ("192.0.2.1",),
        ("198.51.100.1",),
        ("198.51.100.1",),
    ]


def test_an_answer_is_ours_short_lived_and_bears_the_number_and_the_spelling() -> None:
    found = reply_to("Web.TANK.internal", id=4711)
    assert found is not None
    header = found.header
    assert [header.id, header.qr, header.aa, header.ra, header.rd] == [4711, 1, 1, 1, 1]
    assert [str(found.q.qname), str(found.rr[0].rname), found.rr[0].ttl] == ["Web.TANK.internal."] * 2 + [5]


def test_a_service_comes_with_the_addresses() -> None:
    found = reply_to("_http._tcp.web.tank.internal", "SRV")
    assert found is not None
    assert [str(each.rdata) for each in found.ar] == ["10.61.0.2", "192.0.2.5", "fd00::2"]


def ask(*parts: object, tcp: bool = False, directory: Directory = DIRECTORY, name: str = "web") -> dnslib.DNSRecord:
    question = dnslib.DNSRecord.question(name)
    for each in parts:
        question.add_ar(each)
    return dnslib.DNSRecord.parse(answered(bytes(question.pack()), directory, "", tcp=tcp))


def test_edns_is_answered_with_edns_and_a_later_version_with_ours() -> None:
    assert ask().ar == []
    assert [each.rtype for each in ask(dnslib.EDNS0(udp_len=4096)).ar] == [dnslib.QTYPE.OPT]
    found = ask(dnslib.EDNS0(udp_len=4096, version=1))
    assert (found.ar[0].ttl >> 24 << 4 | found.header.rcode, found.rr) == (16, [])


def test_what_is_too_long_for_a_datagram_is_asked_again_by_tcp() -> None:
    many = Host(name="many", uid="d" * 12, ready=True, addresses=tuple(f"10.9.0.{each}/16" for each in range(1, 101)))
    directory = Directory(Zone(hosts=(many,)))
    plain, large = (ask(*each, directory=directory, name="many") for each in ((), (dnslib.EDNS0(udp_len=65_000),)))
    assert [(each.header.tc, each.rr) for each in (plain, large)] == [(1, []), (1, [])]
    whole = ask(tcp=True, directory=directory, name="many")
    assert (whole.header.tc, len(whole.rr)) == (0, 100)


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (b"", None),
        (b"\0" * 11, None),
        (struct.pack("!6H", 7, 0x8000, 1, 0, 0, 0) + b"\0\0\1\0\1", None),  # an answer
        (struct.pack("!6H", 7, 0x0000, 0, 0, 0, 0), 1),  # no question
        (struct.pack("!6H", 7, 0x0000, 2, 0, 0, 0) + b"\0\0\1\0\1" * 2, 1),  # two
        (struct.pack("!6H", 7, 0x2800, 1, 0, 0, 0) + b"\0\0\1\0\1", 4),  # an update
        (struct.pack("!6H", 7, 0x0000, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1", 1),  # a name that is itself
        (struct.pack("!6H", 7, 0x0000, 1, 0, 0, 0) + b"\x40a\0\0\1\0\1", 1),
        (struct.pack("!6H", 7, 0x0000, 1, 0, 0, 0) + b"\x3fa\0\0\1\0\1", 1),
        (struct.pack("!6H", 7, 0x0000, 1, 0, 0, 0) + b"\x01a" * 200 + b"\0\0\1\0\1", 1),  # too long
        (struct.pack("!6H", 7, 0x0000, 1, 0, 0, 9) + b"\3web\0\0\1\0\1", 1),  # nine records announced
        (struct.pack("!6H", 7, 0x0000, 1, 0, 0, 0) + b"\3web\0\0\1\0\3", 5),  # another class
    ],
)
def test_what_is_no_question_is_refused_or_unheard(packet: bytes, code: int | None) -> None:
    found = answered(packet, DIRECTORY, "", tcp=False)
    assert found is not None
    assert (found[:2], packets.code(found)) == (b"\0\7", code) if code is not None else found == b""


def garbled(seed: int) -> bytes:
    """A question with an extension, of which a few bytes are others, or missing, or more."""
    dice = random.Random(seed)
    question = dnslib.DNSRecord.question(dice.choice(["web", "web.tank.internal", "_http._tcp.web.tank.internal"]))
    question.add_ar(dnslib.EDNS0(udp_len=1232, opts=[dnslib.EDNSOption(10, b"cookiecookie")]))
    packet = bytearray(question.pack())
    for _ in range(dice.randint(1, 6)):
        packet[dice.randrange(len(packet))] = dice.randrange(256)
    end = dice.choice([len(packet), dice.randrange(len(packet))])
    return bytes(packet[:end]) + dice.choice([b"", dice.randbytes(40)])


@pytest.mark.parametrize("seed", range(100))
def test_a_garbled_packet_is_answered_under_its_number_or_not_at_all(seed: int) -> None:
    packet = garbled(seed)
    found = answered(packet, DIRECTORY, "", tcp=False)
    assert not found or (found[:2] == packet[:2] and packets.flags(found) & packets.RESPONSE)


def chained(links: int, record: bytes, *, length: int = 65_535, where: int = 0) -> bytes:
    """A question, a chain of names of which each leads to the next, and as many records as fit at the end of it."""
    head, question = struct.pack("!3H", 7, 0x0100, 1), b"\3web\0\0\1\0\1"
    begin, chain, last = 12 + len(question) + 11, b"\0\0", 12
    for number in range(links):
        chain += struct.pack("!H", 0xC000 | last)
        last = min(begin + 2 + 2 * number, 0x3FFF)
    first = b"\0" + struct.pack("!HHIH", 65_280, 1, 0, len(chain)) + chain
    name = struct.pack("!H", 0xC000 | last)
    each = name + record.replace(b"NAME", name)
    many = max(1, (length - begin - len(chain)) // len(each))
    counts = [0, 0, 0]
    counts[where] = many + 1
    return head + struct.pack("!3H", *counts) + question + first + each * many


MX = struct.pack("!HHIHH", 15, 1, 0, 4, 1) + b"NAME"
UNKNOWN = struct.pack("!HHIH", 65_280, 1, 0, 0)
SOA_OF_NAMES = struct.pack("!HHIH", 6, 1, 0, 24) + b"NAMENAME" + bytes(20)


@given(
    st.integers(0, 8_000),
    st.sampled_from([MX, UNKNOWN, SOA_OF_NAMES]),
    st.sampled_from([60, 1_000, 65_535]),
    st.integers(0, 2),
    st.booleans(),
)
@example(450, MX, 65_535, 0, True)
@example(8_000, UNKNOWN, 60, 2, False)
@settings(deadline=1_000)
def test_names_that_lead_to_names_without_end_keep_nobody_waiting(
    links: int, record: bytes, length: int, where: int, tcp: bool
) -> None:
    packet = chained(links, record, length=length, where=where)
    found = answered(packet, DIRECTORY, "", tcp=tcp)
    assert found is not None
    assert (found[:2], packets.code(found)) in ((b"\0\7", 1), (b"\0\7", 0))


@pytest.mark.parametrize("counts", [(1, 0, 0), (0, 1, 0), (0, 0, 3)])
def test_what_no_question_has_with_it_is_refused(counts: tuple[int, int, int]) -> None:
    record = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
    packet = struct.pack("!6H", 7, 0x0100, 1, *counts) + b"\3web\0\0\1\0\1" + record * sum(counts)
    found = answered(packet, DIRECTORY, "", tcp=False)
    assert found is not None
    assert packets.code(found) == 1


def test_options_of_any_sane_length_are_ignored_and_a_packet_beyond_it_refused() -> None:
    padding = [dnslib.EDNSOption(12, bytes(size)) for size in (400, 4_096)]
    sane, long = (bytes(asked_with(each).pack()) for each in padding)
    said = [answered(each, DIRECTORY, "", tcp=True) for each in (sane, long)]
    assert [packets.code(each or b"\0\0\0\xff") for each in said] == [0, 1]


def asked_with(option: dnslib.EDNSOption) -> dnslib.DNSRecord:
    question = dnslib.DNSRecord.question("web")
    question.add_ar(dnslib.EDNS0(udp_len=1232, opts=[option]))
    return question


@given(st.binary(max_size=300) | st.binary(min_size=60_000, max_size=65_535))
@settings(deadline=None)  # to make as many bytes takes long
def test_any_bytes_are_survived(packet: bytes) -> None:
    found = answered(packet, DIRECTORY, "", tcp=False)
    assert not found or found[:2] == packet[:2]


@given(st.binary(max_size=120), st.integers(0, 3))
def test_any_records_behind_a_sound_question_are_survived(tail: bytes, count: int) -> None:
    packet = struct.pack("!6H", 7, 0x0100, 1, 0, 0, count) + b"\3web\0\0\1\0\1" + tail
    found = answered(packet, DIRECTORY, "", tcp=False)
    assert not found or found[:2] == b"\0\7"
