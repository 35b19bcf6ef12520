"""A cable's gate on kernels that lack what it takes: no pod waits for it."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Mapping
from typing import cast

import pytest

from tank.errors import Waiting
from tank.net import gates
from tank.net.links import Links
from tank.net.rtnetlink import DELTFILTER, GETTFILTER, NEWQDISC, NEWTFILTER

HEADER = struct.Struct("=IHHII")
ERROR = 2


class Kernel:
    """The socket to one that answers each kind of request with an error, or that it was done."""

    def __init__(self, errors: Mapping[int, int]) -> None:
        self.errors, self.asked, self._answers = errors, list[int](), list[bytes]()

    def settimeout(self, seconds: float) -> None: ...

    def setsockopt(self, *option: int) -> None: ...

    def send(self, datagram: bytes) -> None:
        _, kind, _, number, _ = HEADER.unpack_from(datagram)
        self.asked.append(kind)
        told = struct.pack("=i", -self.errors.get(kind, 0)) + datagram[: HEADER.size]
        self._answers.append(HEADER.pack(HEADER.size + len(told), ERROR, 0, number, 0) + told)

    def recv(self, size: int) -> bytes:
        return self._answers.pop()

    def links(self) -> Links:
        return Links(cast("socket.socket", self))


@pytest.mark.parametrize(
    "errors",
    [
        {NEWQDISC: errno.ENOENT},  # sch_ingress
        {NEWQDISC: errno.EOPNOTSUPP},
        {NEWTFILTER: errno.ENOENT},  # cls_u32, act_mirred
        dict.fromkeys((NEWQDISC, NEWTFILTER, GETTFILTER, DELTFILTER), errno.EOPNOTSUPP),  # no filters at all
    ],
)
def test_a_kernel_without_filters_has_no_gates_and_refuses_no_pod(errors: Mapping[int, int]) -> None:
    links = Kernel(errors).links()
    assert (gates.stands(links, 7), gates.put_up(links, 7)) == (False, False)


def test_any_other_refusal_is_told() -> None:
    with pytest.raises(Waiting, match="cannot guard a cable: no such device"):
        gates.put_up(Kernel({NEWQDISC: errno.ENODEV}).links(), 7)


def test_a_new_cable_takes_two_requests() -> None:
    kernel = Kernel({})
    gates.put_up(kernel.links(), 7)
    assert kernel.asked == [NEWQDISC, NEWTFILTER]


def test_what_has_the_place_of_a_gate_goes() -> None:
    kernel = Kernel({NEWQDISC: errno.EEXIST})
    assert gates.put_up(kernel.links(), 7)
    assert kernel.asked == [NEWQDISC, GETTFILTER, DELTFILTER, NEWTFILTER]
