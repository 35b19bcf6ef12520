"""The two messages of gRPC's health service, and what a reply says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tank.runtime.grpc_probe import STATUSES, Reply, judged, request, serving, varint


@pytest.mark.parametrize(
    ("service", "wire"),
    [
        ("", b"\0\0\0\0\0"),
        ("a", b"\0\0\0\0\x03\x0a\x01a"),
        ("é" * 100, b"\0\0\0\0\xcb\x0a\xc8\x01" + "é".encode() * 100),
    ],
)
def test_a_request_is_a_frame_with_the_name(service: str, wire: bytes) -> None:
    assert request(service) == wire


@pytest.mark.parametrize(
    ("number", "wire"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02"), (2**14, b"\x80\x80\x01")]
)
def test_a_number_has_seven_bits_to_a_byte(number: int, wire: bytes) -> None:
    assert varint(number) == wire


@pytest.mark.parametrize("number", range(len(STATUSES)))
def test_each_status_is_read(number: int) -> None:
    assert serving(b"\0\0\0\0\x02\x08" + bytes([number])) == STATUSES[number]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0\0",
        b"\x01\0\0\0\x02\x08\x01",
        b"\0\0\0\0\x02\x08\x09",
        b"\0\0\0\0\x02\x10\x01",
        b"\0\0\0\0\x01\x08",
    ],
)
def test_what_is_no_answer_is_not_serving(body: bytes) -> None:
    assert serving(body) == "unreadable"


def test_an_empty_message_is_the_status_zero() -> None:
    assert serving(b"\0\0\0\0\0") == "UNKNOWN"


@given(st.binary(max_size=40))
def test_no_body_is_too_strange(body: bytes) -> None:
    assert serving(body) in (*STATUSES, "unreadable")


OK = {":status": "200", "grpc-status": "0"}
SERVING = bytearray(b"\0\0\0\0\x02\x08\x01")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(headers=OK, body=SERVING, whole=True), ""),
        (Reply(headers=OK, body=SERVING), "the call was broken off"),
        (Reply(), "the call was broken off"),
        (Reply(headers={":status": "404"}, whole=True), "HTTP status 404"),
        (Reply(headers=OK | {"grpc-status": "5"}, whole=True), "it knows no such service"),
        (Reply(headers=OK | {"grpc-status": "12"}, whole=True), "it has no health service"),
        (Reply(headers=OK | {"grpc-status": "14", "grpc-message": "busy"}, whole=True), "gRPC status 14 busy"),
        (Reply(headers={":status": "200"}, body=SERVING, whole=True), "gRPC status missing"),
        (Reply(headers=OK, body=bytearray(b"\0\0\0\0\x02\x08\x02"), whole=True), "it is NOT_SERVING"),
    ],
)
def test_what_a_reply_says(reply: Reply, message: str) -> None:
    assert (judged(reply).good, judged(reply).message) == (not message, message)
