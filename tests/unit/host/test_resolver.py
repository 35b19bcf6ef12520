"""The host's resolver as pods can use it: stubs on loopback are replaced by what they forward to (R50)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tank.host import resolver
from tank.model.etcfiles import Resolver


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    return tmp_path / "resolv.conf"


@pytest.fixture
def forwarded(tmp_path: Path) -> tuple[Path, ...]:
    return (tmp_path / "absent", tmp_path / "behind")


def test_servers_on_the_network_are_taken_as_they_are(configured: Path, forwarded: tuple[Path, ...]) -> None:
    configured.write_text("search lan\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver 127.0.0.1\n")

    assert resolver.read(configured, forwarded) == Resolver(servers=("192.0.2.1",), search=("lan",))


def test_a_stub_is_replaced_by_what_it_forwards_to(configured: Path, forwarded: tuple[Path, ...]) -> None:
    configured.write_text("nameserver 127.0.0.53\noptions edns0\n")
    forwarded[1].write_text("nameserver 192.0.2.7\nsearch behind\n")

    found = resolver.read(configured, forwarded)

    assert found == Resolver(servers=("192.0.2.7",), search=("behind",), options=("edns0",))


def test_a_stub_that_forwards_to_nobody_known_leaves_a_note(configured: Path, forwarded: tuple[Path, ...]) -> None:
    configured.write_text("nameserver 127.0.0.53\nnameserver ::1\n")
    forwarded[1].write_text("nameserver 127.0.0.1\n")

    found = resolver.read(configured, forwarded)

    assert found.servers == ()
    assert found.note == f"{configured} names only 127.0.0.53, ::1, which no pod can reach; set dns"


def test_a_host_without_servers_leaves_a_note(configured: Path, forwarded: tuple[Path, ...]) -> None:
    assert resolver.read(configured, forwarded) == Resolver(note=f"{configured} names no server")


def test_servers_from_the_settings_stand_in_for_the_hosts(configured: Path, forwarded: tuple[Path, ...]) -> None:
    configured.write_text("search lan\nnameserver 127.0.0.53\n")

    found = resolver.read(configured, forwarded, servers=("10.0.0.1",))

    assert found == Resolver(servers=("10.0.0.1",), search=("lan",))


def test_the_hosts_files_are_read_whole_and_are_empty_when_absent(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")

    assert resolver.hosts_text(tmp_path / "hosts") == "127.0.0.1 localhost\n"
    assert resolver.resolv_conf_text(tmp_path / "nothing") == ""
