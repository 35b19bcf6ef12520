"""Frames: any message in any pieces comes out whole; broken ones end the stream."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tank.client import websocket
from tank.client.websocket import BINARY, CLOSE, CONTINUATION, PING, TEXT, Decoder, Message, accept, encode, masked
from tank.errors import Unavailable


def frame(opcode: int, data: bytes, *, final: bool = True) -> bytes:
    """A server's frame: unmasked."""
    size = len(data)
    length = (
        bytes([size])
        if size < 126
        else b"\x7e" + struct.pack("!H", size)
        if size < 2**16
        else b"\x7f" + struct.pack("!Q", size)
    )
    return bytes([(0x80 if final else 0) | opcode]) + length + data


def unmasked(data: bytes) -> tuple[int, bytes]:
    """What a server reads of a client's frame."""
    assert data[1] & 0x80
    size, start = data[1] & 0x7F, 2
    if size == 126:
        size, start = struct.unpack("!H", data[2:4])[0], 4
    elif size == 127:
        size, start = struct.unpack("!Q", data[2:10])[0], 10
    mask, body = data[start : start + 4], data[start + 4 :]
    assert len(body) == size
    return data[0], bytes(byte ^ mask[index % 4] for index, byte in enumerate(body))


@given(st.lists(st.tuples(st.sampled_from([TEXT, BINARY, PING]), st.binary(max_size=125))), st.data())
def test_messages_survive_any_cutting(messages: list[tuple[int, bytes]], data: st.DataObject) -> None:
    stream = b"".join(frame(*each) for each in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    decoder = Decoder()

    assert [message for piece in pieces for message in decoder.feed(piece)] == [Message(*each) for each in messages]


@given(st.binary(max_size=3000), st.binary(min_size=4, max_size=4))
def test_a_mask_taken_off_gives_what_was_put_under_it(data: bytes, mask: bytes) -> None:
    assert masked(masked(data, mask), mask) == data
    assert unmasked(encode(BINARY, data, mask)) == (0x80 | BINARY, data)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 70_000])
def test_every_length_has_its_form(size: int) -> None:
    data = bytes(index % 251 for index in range(size))

    assert unmasked(encode(BINARY, data)) == (0x80 | BINARY, data)
    assert Decoder().feed(frame(BINARY, data)) == [Message(BINARY, data)]


def test_fragments_become_one_message_with_a_ping_in_between() -> None:
    stream = frame(BINARY, b"a", final=False) + frame(PING, b"?") + frame(CONTINUATION, b"b", final=False)
    stream += frame(CONTINUATION, b"c")

    assert Decoder().feed(stream) == [Message(PING, b"?"), Message(BINARY, b"abc")]


@pytest.mark.parametrize(
    "stream",
    [
        b"\xc2\x00",  # a reserved bit
        b"\x82\x80\x00\x00\x00\x00",  # masked
        frame(CONTINUATION, b"x"),  # of nothing
        frame(BINARY, b"a", final=False) + frame(BINARY, b"b"),  # in the middle of another
        frame(0x3, b""),  # an unknown kind
        frame(0xB, b""),
        frame(PING, b"x" * 126),
        frame(PING, b"x", final=False),
        b"\x82\x7f" + struct.pack("!Q", 2**40),  # too long
    ],
)
def test_a_broken_frame_ends_the_stream(stream: bytes) -> None:
    with pytest.raises(Unavailable, match="broken stream"):
        Decoder().feed(stream)


def test_fragments_without_end_are_too_long() -> None:
    decoder = Decoder()
    decoder.feed(frame(BINARY, b"x" * (websocket.MAX_MESSAGE // 2), final=False))
    with pytest.raises(Unavailable, match="too long"):
        decoder.feed(frame(CONTINUATION, b"x" * (websocket.MAX_MESSAGE // 2 + 1), final=False))


@given(st.binary(max_size=300))
def test_rubbish_is_refused_or_waited_for_but_never_a_crash(data: bytes) -> None:
    try:
        messages = Decoder().feed(data)
    except Unavailable:
        return
    assert all(message.opcode <= 0xA for message in messages)


def test_the_answer_to_a_key_is_that_of_the_standard() -> None:
    assert accept(b"dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert CLOSE == 8
