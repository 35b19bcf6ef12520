"""The book of leases beside the records of pods, which are read a while before they are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tank.model.pools import Pool, Wired, Wiring
from tank.model.record import Address
from tank.net.book import BookFile
from tank.net.bookkeeping import Bookkeeping
from tank.net.leases import Leases

POOL = Pool(name="lan", mode="macvlan", subnets=("10.0.0.0/28",))
UID, OTHER = "1" * 12, "2" * 12


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(BookFile(tmp_path / "leases.json"), "ab12cd", tuple)


def web(*addresses: str) -> Wired:
    held = tuple(Address(nic="eth0", ip=each, mac="", source="lan") for each in addresses)
    return Wired(name="web", uid=UID, addresses=held)


def test_a_pod_that_came_after_the_records_were_read_keeps_its_lease(leases: Leases) -> None:
    keeping, read = Bookkeeping(leases), Wiring()
    keeping.settle(read)

    leases.take(POOL, uid=UID, pod="web", nic="eth0")
    keeping.settle(read)
    assert [each.uid for each in leases.all()] == [UID]

    keeping.settle(read)  # read again, and it is still unknown
    assert leases.all() == ()


def test_who_is_known_keeps_it_be_it_wanted_or_about_to_be_on_record(leases: Leases) -> None:
    keeping = Bookkeeping(leases)
    leases.take(POOL, uid=UID, pod="web", nic="eth0")
    leases.take(POOL, uid=OTHER, pod="db", nic="eth0")
    leases.take(POOL, uid="shim/lan", pod="", nic="shim")

    for _ in range(3):
        keeping.settle(Wiring(pods=(web(),), uids=frozenset({OTHER})))

    assert {each.uid for each in leases.all()} == {UID, OTHER, "shim/lan"}


def test_the_records_say_who_has_what_once_and_not_what_a_pod_left_since(leases: Leases) -> None:
    keeping, read = Bookkeeping(leases), Wiring(pods=(web("10.0.0.5/28"),), uids=frozenset({UID}))
    keeping.settle(read)
    assert [each.address for each in leases.all()] == ["10.0.0.5"]

    leases.settle(UID, ())
    keeping.settle(read)

    assert leases.all() == ()
