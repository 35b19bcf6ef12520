"""Namespaces with the real kernel: made, kept, pinned again, entered, removed."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tank.errors import Denied, Failed
from tank.host import syscalls
from tank.host.netns import Namespaces, pinned
from tests.segment import private

pytestmark = pytest.mark.system

ALL = ("net", "ipc", "uts")


@pytest.fixture
async def namespaces() -> AsyncIterator[Namespaces]:
    made = Namespaces()
    yield made
    await made.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory whose mounts are private, as the runtime's are."""
    private(tmp_path)
    yield tmp_path
    syscalls.umount(tmp_path, syscalls.MNT_DETACH)


def started(argv: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def identities(directory: Path) -> list[int]:
    return [os.stat(directory / kind).st_ino for kind in ALL]


async def test_a_made_sandbox_has_three_pins_its_host_name_and_loopback(namespaces: Namespaces, place: Path) -> None:
    await namespaces.make(place / "s", net=True, hostname="web")

    assert [pinned(place / "s" / kind) for kind in ALL] == [True] * 3
    assert await namespaces.inside(place / "s/uts", socket.gethostname) == "web"
    assert socket.gethostname() != "web"
    listening = await namespaces.socket(place / "s/net", socket.AF_INET, socket.SOCK_STREAM)
    with listening:
        listening.bind(("127.0.0.1", 0))  # refused while loopback is down


async def test_making_again_keeps_the_pins_and_puts_the_host_name_right(namespaces: Namespaces, place: Path) -> None:
    await namespaces.make(place / "s", net=True, hostname="web")
    before = identities(place / "s")

    await namespaces.make(place / "s", net=True, hostname="shop")

    assert identities(place / "s") == before
    assert await namespaces.inside(place / "s/uts", socket.gethostname) == "shop"


async def test_one_lost_pin_is_made_anew_beside_the_others(namespaces: Namespaces, place: Path) -> None:
    await namespaces.make(place / "s", net=True, hostname="web")
    before = identities(place / "s")
    syscalls.umount(place / "s/net", syscalls.MNT_DETACH)
    assert not pinned(place / "s/net")

    await namespaces.make(place / "s", net=True, hostname="web")

    assert [a == b for a, b in zip(identities(place / "s"), before, strict=True)] == [False, True, True]


async def test_a_pod_on_the_hosts_network_has_no_network_pin(namespaces: Namespaces, place: Path) -> None:
    await namespaces.make(place / "s", net=False, hostname="web")

    assert sorted(each.name for each in (place / "s").iterdir()) == ["ipc", "uts"]


async def test_a_lost_pin_comes_back_from_a_living_process(namespaces: Namespaces, place: Path) -> None:
    await namespaces.make(place / "s", net=True, hostname="web")
    before = identities(place / "s")
    joined = ["nsenter", *(f"--{kind}={place / 's' / kind}" for kind in ALL), "cat"]
    with started(joined) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"here\n")
        process.stdin.flush()
        process.stdout.readline()  # it has entered
        for kind in ALL:
            syscalls.umount(place / "s" / kind, syscalls.MNT_DETACH)

        await namespaces.repin(place / "s", process.pid, ALL)

        assert identities(place / "s") == before
        process.stdin.close()


async def test_the_hosts_own_namespace_is_never_pinned_for_a_pod(namespaces: Namespaces, place: Path) -> None:
    with pytest.raises(Denied, match="the host's own"):
        await namespaces.repin(place / "s", os.getpid(), ["net"])

    assert not pinned(place / "s/net")


async def test_what_is_no_namespace_is_no_pin_and_cannot_be_entered(namespaces: Namespaces, place: Path) -> None:
    (place / "net").write_text("")
    os.mkfifo(place / "ipc")
    (place / "uts").symlink_to("/proc/self/ns/uts")

    assert [pinned(place / kind) for kind in ALL] == [False] * 3
    with pytest.raises(Failed, match="invalid argument"):
        await namespaces.socket(place / "net", socket.AF_INET, socket.SOCK_STREAM)


async def test_a_pin_of_another_kind_is_none(namespaces: Namespaces, place: Path) -> None:
    await namespaces.make(place / "s", net=True, hostname="web")
    (place / "net").touch()
    syscalls.mount(str(place / "s/uts"), str(place / "net"), "", syscalls.MS_BIND)

    assert not pinned(place / "net")


async def test_removing_twice_leaves_nothing(namespaces: Namespaces, place: Path) -> None:
    await namespaces.make(place / "s", net=True, hostname="web")

    await namespaces.remove(place / "s")
    await namespaces.remove(place / "s")

    assert os.listdir(place) == []


async def test_a_thread_that_cannot_come_back_is_replaced(namespaces: Namespaces, place: Path) -> None:
    await namespaces.make(place / "s", net=True, hostname="web")

    lost, after = await asyncio.gather(
        namespaces.inside(place / "s/net", give_up_privileges), namespaces.inside(place / "s/uts", socket.gethostname)
    )

    assert (lost, after) == (0, "web")
    await namespaces.make(place / "t", net=True, hostname="next")
    assert os.stat(place / "t/net").st_ino != os.stat(place / "s/net").st_ino


async def test_without_privileges_it_is_denied_and_says_why(namespaces: Namespaces, place: Path) -> None:
    await namespaces.make(place / "s", net=True, hostname="web")

    def powerless() -> None:
        give_up_privileges()
        socket.sethostname("other")

    with pytest.raises(Denied, match="this needs root"):
        await namespaces.inside(place / "s/uts", powerless)


async def test_a_socket_that_nobody_waits_for_is_closed(namespaces: Namespaces, place: Path) -> None:
    await namespaces.make(place / "s", net=True, hostname="web")
    before = len(os.listdir("/proc/self/fd"))
    asking = asyncio.ensure_future(namespaces.socket(place / "s/net", socket.AF_INET, socket.SOCK_STREAM))
    await asyncio.sleep(0)

    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await namespaces.inside(place / "s/uts", socket.gethostname)
    await asyncio.sleep(0)

    assert len(os.listdir("/proc/self/fd")) == before


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def give_up_privileges() -> int:
    """Capabilities belong to a thread too: this one has none any more."""
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.capset(ctypes.byref(_Header(0x20080522, 0)), (_Sets * 2)()))
