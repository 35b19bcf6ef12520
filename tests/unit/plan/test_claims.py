"""What only one pod may hold: addresses, ports of the host, volumes that are not shared."""

from __future__ import annotations

from typing import Any

import pytest

from tank.model.parse import parse_pod
from tank.model.pod import Pod
from tank.plan.claims import clashes, read, words


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
