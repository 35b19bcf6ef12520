"""What only one pod may hold: addresses, ports of the host, volumes that are not shared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tank.model.parse import parse_pod
from tank.model.pod import Pod
from tank.model.record import Address, PodRecord
from tank.plan.claims import clashes, leased, leased_clashes, read, words


def publishing(*ports: Any, name: str = "web") -> Pod:
    """A pod on the pool `default` with these ports."""
    network = {"nics": [{"name": "eth0", "ip": {"pool": "default"}}], "ports": list(ports)}
    return parse_pod({"name": name, "containers": [{"name": "app", "image": "x:1"}], "network": network})


PAIRS: list[tuple[str, str, list[str]]] = [
    ("80:80", "80:81", ["port 80/tcp"]),
    ("80:80", "81:80", []),
    ("80:80", "80:80/udp", []),
    ("80:80", "127.0.0.1:80:80", ["port 80/tcp"]),
    ("127.0.0.1:80:80", "80:80", ["port 80/tcp"]),
    ("127.0.0.1:80:80", "127.0.0.1:80:81", ["port 80/tcp on 127.0.0.1"]),
    ("127.0.0.1:80:80", "10.0.0.1:80:80", []),
    ("[fd00::1]:80:80/udp", "[fd00:0::1]:80:80/udp", ["port 80/udp on fd00::1"]),
    ("80-82:80-82", "82:1", ["port 82/tcp"]),
]


@pytest.mark.parametrize(("mine", "theirs", "what"), PAIRS)
def test_a_port_of_the_host_leads_to_one_pod(mine: str, theirs: str, what: list[str]) -> None:
    found = clashes(publishing(mine), [publishing(theirs, name="other")])

    assert [(word, name) for word, name in found] == [(word, "other") for word in what]


def test_two_addresses_of_one_port_are_claimed_apart() -> None:
    pod = publishing("127.0.0.1:80:80", "10.0.0.1:80:81")

    assert words(pod) == ("port 80/tcp (shared)", "port 80/tcp on 10.0.0.1", "port 80/tcp on 127.0.0.1")


def test_claims_are_read_back_from_a_record_as_they_were() -> None:
    pod = publishing("127.0.0.1:80:80", "81:81")

    assert read(words(pod)) == {"port 80/tcp": True, "port 80/tcp on 127.0.0.1": False, "port 81/tcp": False}


def test_an_address_of_a_pool_is_claimed_by_its_lease_alone() -> None:
    assert words(publishing()) == ()


def on_the_lan(name: str, *ip: Any) -> Pod:
    network = {"nics": [{"name": "eth0", "ip": list(ip)}]}
    return parse_pod({"name": name, "containers": [{"name": "app", "image": "x:1"}], "network": network})


def record_of(pod: Pod, address: Address) -> PodRecord:
    return PodRecord(
        uid="1" * 12,
        name=pod.name,
        installation="i",
        revision=1,
        spec=pod,
        sandbox_digest="",
        boot_id="b",
        created_at=0.0,
        addresses=(address,),
        network_ready=True,
    )


def test_what_a_pool_gave_to_a_pod_no_other_states() -> None:
    given = Address(nic="eth0", ip="10.0.0.200/24", mac="", source="lan")
    web, db = on_the_lan("web", {"pool": "lan"}), on_the_lan("db", "10.0.0.200/24")
    record = record_of(web, given)

    assert leased_clashes(db, leased([web, db], [record])) == (("address 10.0.0.200", "web"),)
    assert leased_clashes(db, leased([db], [record])) == ()  # web goes
    assert leased_clashes(db, leased([on_the_lan("web", {"pool": "other"}), db], [record])) == ()
    assert leased_clashes(on_the_lan("web", "10.0.0.200/24"), leased([web], [record])) == ()
    assert leased([web], [replace(record, deleting=True)]) == {}
