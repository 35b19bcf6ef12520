"""Which of the kernel's messages are worth a look."""

from __future__ import annotations

import struct

import pytest

from tank.net.monitor import concerned, concerns, touches


def message(kind: int, flags: int = 0, body: bytes = b"\0" * 5) -> bytes:
    text = struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body
    return text + b"\0" * (-len(text) % 4)


@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        (message(16), True),  # a link changed
        (message(17), True),  # a link went
        (message(20), False),  # an address came
        (message(20, body=bytes(8) + struct.pack("=HHB", 5, 11, 2)), True),  # one that a router has given
        (message(20, body=bytes(8) + struct.pack("=HHB", 5, 11, 116)), False),  # one of ours
        (message(21), True),  # an address went
        (message(24), False),  # a route came
        (message(24, 0x100), True),  # a route took the place of another
        (message(25), True),  # a route went
        (message(36), True),  # a queue took the place of another
        (message(37), True),  # a queue went
        (message(45), True),  # a filter went
        (message(20) + message(24) + message(25), True),
        (message(20) + message(24), False),
        (b"", False),
        (struct.pack("=IHHII", 3, 20, 0, 0, 0), True),  # garbled
    ],
)
def test_what_may_have_taken_something_from_us_matters(datagram: bytes, expected: bool) -> None:
    assert concerns(datagram) is expected


def about(kind: int, index: int) -> bytes:
    """News of an interface, of an address, or of a route by it."""
    if kind in (24, 25):
        return message(kind, body=bytes(12) + struct.pack("=HHI", 8, 4, index))
    return message(kind, body=bytes(4) + struct.pack("=i", index) + bytes(8))


def setting(index: int) -> bytes:
    """A setting of one link, or of all (-1)."""
    return message(80, body=struct.pack("=4xHHi", 8, 1, index))


@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        (about(16, 7), [7]),
        (about(17, 7) + about(37, 9), [7, 9]),
        (about(21, 7), [7]),
        (about(20, 7), []),  # an address that came
        (setting(-1), [0]),  # forwarding of the host
        (setting(7), []),
        (message(16, body=b""), []),
        (b"", []),
        (struct.pack("=IHHII", 3, 16, 0, 0, 0), []),
    ],
)
def test_which_links_of_the_host_are_worth_a_look(datagram: bytes, expected: list[int]) -> None:
    assert list(concerned(datagram)) == expected


@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        (about(16, 7), True),
        (about(16, 8), False),
        (about(17, 7), True),
        (about(20, 7), True),  # an address came: the host has one where it had none
        (about(21, 7), True),
        (about(24, 7), False),
        (about(25, 7), True),
        (about(25, 8), False),
        (about(16, 8) + about(21, 7), True),
        (message(16, body=b""), False),
        (struct.pack("=IHHII", 3, 20, 0, 0, 0), True),  # garbled
    ],
)
def test_of_the_host_only_some_interfaces_matter(datagram: bytes, expected: bool) -> None:
    assert touches(datagram, {7}) is expected
