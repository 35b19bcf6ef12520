"""Foreign answers: how long they may be kept, and what is done to them before they are handed on."""

from __future__ import annotations

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tank.net.names import cache, packets

UPSTREAMS = ("192.0.2.1",)


def query(name: str = "example.org", kind: str = "A", number: int = 7, *extra: dnslib.RR) -> bytes:
    question = dnslib.DNSRecord.question(name, kind)
    question.header.id = number
    for each in extra:
        question.add_ar(each)
    return bytes(question.pack())


def response(
    asked: bytes, *ttls: int, code: int = 0, truncated: bool = False, soa: tuple[int, int] | None = None
) -> bytes:
    reply = dnslib.DNSRecord.parse(asked).reply()
    reply.header.rcode, reply.header.tc = code, int(truncated)
    for index, ttl in enumerate(ttls):
        reply.add_answer(dnslib.RR(reply.q.qname, ttl=ttl, rdata=dnslib.A(f"192.0.2.{index + 1}")))
    if soa is not None:
        data = dnslib.SOA("ns.example.org", "root.example.org", (1, 2, 3, 4, soa[1]))
        reply.add_auth(dnslib.RR("example.org", dnslib.QTYPE.SOA, ttl=soa[0], rdata=data))
    reply.add_ar(dnslib.EDNS0(udp_len=1232, flags="do"))
    return bytes(reply.pack())


@pytest.mark.parametrize(
    ("made", "seconds"),
    [
        (response(query(), 300, 60), 60),
        (response(query(), 300, 0), 0),
        (response(query(), 2**31 + 5), 0),
        (response(query()), 0),
        (response(query(), 300, truncated=True), 0),
        (response(query(), 300, code=2), 0),
        (response(query(), code=3, soa=(900, 30)), 30),
        (response(query(), code=3, soa=(20, 900)), 20),
        (response(query(), 300, soa=(900, 5)), 300),
        (response(query(), 300)[:-15], 0),
        (b"", 0),
    ],
)
def test_how_long_an_answer_may_be_kept(made: bytes, seconds: int) -> None:
    assert packets.lifetimes(made).seconds == seconds


@given(st.binary(max_size=200))
def test_any_bytes_may_be_looked_at(packet: bytes) -> None:
    found = packets.lifetimes(packet)
    assert all(each + 4 <= len(packet) for each in found.offsets)


def test_an_answer_grows_old_and_is_forgotten() -> None:
    kept = cache.Cache()
    asked = query()
    kept.put(asked, UPSTREAMS, response(asked, 300, 60), 1000.0)
    found = kept.get(query(number=9), UPSTREAMS, 1010.5)
    assert found is not None
    read = dnslib.DNSRecord.parse(found)
    assert (read.header.id, [each.ttl for each in read.rr], read.ar[0].edns_do) == (9, [290, 50], 1)
    assert kept.get(asked, UPSTREAMS, 1060.0) is None


def test_the_spelling_of_a_question_is_the_askers() -> None:
    kept = cache.Cache()
    kept.put(query(), UPSTREAMS, response(query(), 60), 0.0)
    found = kept.get(query("EXAMPLE.org"), UPSTREAMS, 1.0)
    assert found is not None
    assert str(dnslib.DNSRecord.parse(found).q.qname) == "EXAMPLE.org."


def test_other_questions_and_other_servers_are_other_matters() -> None:
    kept = cache.Cache()
    kept.put(query(), UPSTREAMS, response(query(), 60), 0.0)
    others = [query(kind="AAAA"), query("example.net"), query("example.org", "A", 7, dnslib.EDNS0(flags="do"))]
    assert [kept.get(each, UPSTREAMS, 1.0) for each in others] == [None] * 3
    assert kept.get(query(), ("192.0.2.9",), 1.0) is None


def test_a_name_that_is_not_there_is_remembered_for_a_minute_at_most() -> None:
    kept = cache.Cache()
    kept.put(query(), UPSTREAMS, response(query(), code=3, soa=(9000, 9000)), 0.0)
    assert kept.get(query(), UPSTREAMS, 59.0) is not None
    assert kept.get(query(), UPSTREAMS, 60.0) is None


def test_the_least_recently_used_goes_first() -> None:
    kept = cache.Cache()
    names = [query(f"n{number}.example.org") for number in range(cache.ENTRIES + 1)]
    for asked in names[:-1]:
        kept.put(asked, UPSTREAMS, response(asked, 60), 0.0)
    kept.get(names[0], UPSTREAMS, 1.0)
    kept.put(names[-1], UPSTREAMS, response(names[-1], 60), 1.0)
    assert [kept.get(each, UPSTREAMS, 2.0) is not None for each in (names[0], names[1], names[-1])] == [
        True,
        False,
        True,
    ]


def test_only_an_answer_to_this_very_question_counts() -> None:
    asked = query()
    right = response(asked, 60)
    assert packets.answers(right, asked)
    wrong = [packets.numbered(right, 8), response(query("example.net"), 60), asked, b"", right[:14]]
    assert [packets.answers(each, asked) for each in wrong] == [False] * 5
