"""What the pools of a machine cannot do for a pod is said before it is accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tank.config import Settings
from tank.model.parse import parse_pod
from tank.model.pools import Pool
from tank.net.grants import Grants

LAN = Pool(name="lan", mode="macvlan", parent="eth0", subnets=("10.0.0.0/24",))


def refusal(directory: Path, nic: dict[str, Any], **network: Any) -> str:
    grants = Grants(Settings(data_dir=directory, pools=(LAN,)), "ab12cd")
    made = {"nics": [{"name": "eth0", **nic}], **network}
    return grants.refusal(parse_pod({"name": "web", "network": made, "containers": [{"name": "app", "image": "x"}]}))


@pytest.mark.parametrize(
    ("nic", "why"),
    [
        ({"ip": {"pool": "lam"}}, "no pool is called lam; there are: default, lan"),
        ({"ip": {"pool": "lan"}, "mode": "bridge"}, "pool lan is macvlan, not bridge"),
        ({"ip": "10.0.0.5/24", "mode": "bridge", "parent": "br7"}, "no pool has a bridge called br7"),
        ({"ip": "dhcp"}, "ip: dhcp is not supported yet"),
        ({"ip": "slaac"}, "ip: slaac is not supported yet"),
    ],
)
def test_an_interface_that_cannot_be(tmp_path: Path, nic: dict[str, Any], why: str) -> None:
    assert refusal(tmp_path, nic) == f"network.nics[0]: {why}"


@pytest.mark.parametrize("nic", [{"ip": {"pool": "default"}}, {"ip": {"pool": "lan"}}, {"ip": "10.0.0.5/24"}])
def test_an_interface_that_can_be(tmp_path: Path, nic: dict[str, Any]) -> None:
    assert refusal(tmp_path, nic) == ""


def test_ports_need_a_pool_with_a_bridge(tmp_path: Path) -> None:
    why = refusal(tmp_path, {"ip": {"pool": "lan"}}, ports=["8080:80"])
    assert why == "network.ports: only a bridge interface has ports of the host"
