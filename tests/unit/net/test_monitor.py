"""Which of the kernel's messages are worth a look."""

from __future__ import annotations

import struct

import pytest

from tank.net.monitor import concerned, concerns


def message(kind: int, flags: int = 0, body: bytes = b"\0" * 5) -> bytes:
    text = struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body
    return text + b"\0" * (-len(text) % 4)


@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        (message(16), True),  # a link changed
        (message(17), True),  # a link went
        (message(20), False),  # an address came
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
    """A message about a link: its index stands after four bytes of whatever kind."""
    return message(kind, body=struct.pack("=4xi8x", index))


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
