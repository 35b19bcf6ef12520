"""From the bytes of a question to the bytes of our answer. Pure; dnslib reads the question and writes the answer.

A packet is hostile until read: whatever cannot be read is answered with FORMERR where it has a header, and with
silence where it has none or is itself an answer. The library sees a question alone, in which no name leads elsewhere:
records behind it, with names that lead to names without end, could keep everybody's answers waiting. EDNS is
understood (RFC 6891) and its other options are ignored.
"""

from __future__ import annotations

import dnslib
from dnslib.dns import DNSError
from dnslib.label import DNSLabelError

from tank.net.names import packets
from tank.net.names.zone import AAAA, PTR, SOA, TTL, A, Directory, Found, Record

FORMERR, NOTIMP, REFUSED, BADVERS = 1, 4, 5, 16
SAFE = 1232  # bytes of a datagram that crosses every network
PLAIN = 512  # and of one without EDNS
_IN, _TRANSFERS = 1, (251, 252)
_OPCODE = 0x7800


def answered(query: bytes, directory: Directory, uid: str, *, tcp: bool) -> bytes | None:
    """Our answer to the pod `uid`; empty: there is none to give; None: the question is somebody else's to answer."""
    if len(query) < packets.HEADER or packets.flags(query) & packets.RESPONSE:
        return b""
    if packets.flags(query) & _OPCODE:
        return packets.refusal(query, NOTIMP)
    asked = packets.asked(query)
    if asked is None:
        return packets.refusal(query, FORMERR)
    try:
        question = dnslib.DNSRecord.parse(asked.question)
    except (DNSError, DNSLabelError, ValueError, IndexError, TypeError):  # it cannot read every byte there may be
        return packets.refusal(query, FORMERR)
    return _answered(question, asked, directory, uid, tcp=tcp)


def _answered(
    question: dnslib.DNSRecord, asked: packets.Asked, directory: Directory, uid: str, *, tcp: bool
) -> bytes | None:
    found = directory.find(_name(question), question.q.qtype, uid)
    if question.q.qclass != _IN or question.q.qtype in _TRANSFERS:
        foreign = found is None and question.q.qclass == _IN
        return None if foreign else packets.refusal(asked.question, REFUSED)
    if found is None:
        return None
    if asked.version:
        return bytes(_extended(_reply(question, 0), BADVERS).pack())
    reply = _filled(question, found, directory.zone.domain)
    room = 65_535 if tcp else PLAIN
    if asked.room is not None:
        _extended(reply, 0)
        room = 65_535 if tcp else min(max(asked.room, PLAIN), SAFE)
    return _within(reply, room)


def _name(asked: dnslib.DNSRecord) -> str:
    return b".".join(asked.q.qname.label).decode("ascii", "replace").lower()


def _reply(asked: dnslib.DNSRecord, code: int) -> dnslib.DNSRecord:
    header = dnslib.DNSHeader(id=asked.header.id, qr=1, aa=0 if code else 1, ra=1, rd=asked.header.rd, rcode=code)
    return dnslib.DNSRecord(header, q=asked.q)


def _extended(reply: dnslib.DNSRecord, code: int) -> dnslib.DNSRecord:
    reply.add_ar(dnslib.EDNS0(udp_len=SAFE, ext_rcode=code >> 4, version=0))
    return reply


def _filled(asked: dnslib.DNSRecord, found: Found, domain: str) -> dnslib.DNSRecord:
    reply = _reply(asked, found.code)
    reply.header.aa = 1
    for each in found.records:
        reply.add_answer(_row(asked.q.qname, each))
    for each in found.additional:
        reply.add_ar(_row(_label(each.name), each))
    name = _name(asked)
    if name == domain and asked.q.qtype == SOA:
        reply.add_answer(_authority(domain, domain))
    elif not found.records:
        reply.add_auth(_authority(domain if name.endswith(f".{domain}") else name, domain))
    return reply


def _row(owner: dnslib.DNSLabel, record: Record) -> dnslib.RR:
    match record.kind:
        case kind if kind == A:
            data = dnslib.A(record.value)
        case kind if kind == AAAA:
            data = dnslib.AAAA(record.value)
        case kind if kind == PTR:
            data = dnslib.PTR(_label(record.value))
        case _:
            data = dnslib.SRV(0, 0, record.port, _label(record.value))
    return dnslib.RR(owner, record.kind, ttl=TTL, rdata=data)


def _label(name: str) -> dnslib.DNSLabel:
    """By bytes: from text it would load a codec, and in the server there is nothing left to load from."""
    return dnslib.DNSLabel([each.encode() for each in name.split(".")])


def _authority(owner: str, domain: str) -> dnslib.RR:
    """Without it nothing that is not there could be remembered for as short as it should."""
    people = (_label(f"ns.{domain}"), _label(f"hostmaster.{domain}"))
    return dnslib.RR(_label(owner), SOA, ttl=TTL, rdata=dnslib.SOA(*people, (1, TTL, TTL, TTL, TTL)))


def _within(reply: dnslib.DNSRecord, room: int) -> bytes:
    packed = bytes(reply.pack())
    if len(packed) <= room:
        return packed
    reply.rr, reply.auth = [], []
    reply.ar = [each for each in reply.ar if each.rtype == dnslib.QTYPE.OPT]
    reply.header.tc = 1
    return bytes(reply.pack())
