"""`tank network`, and the same in Python, against a daemon with pools in memory."""

from __future__ import annotations

import json

import pytest

import tank as python
from tank.errors import Conflict, NotFound
from tests.api.networks import POOLS, TRIED
from tests.cli.conftest import Daemon, Tank


def test_the_list_says_what_is_left_and_what_is_wrong(tank: Tank) -> None:
    code, out, err = tank.says("network", "list")

    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["NAME", "MODE", "PARENT", "SUBNET", "USED", "FREE", "STATE", "PODS"],
        ["default", "bridge", "tk0123456789ab", "10.61.0.0/16,", "fd00::/64", "1", "65532", "up", "1"],
        ["lan", "macvlan", "eth9", "10.0.0.0/24", "0", "250", "missing", "0"],
    ]
    assert err == "lan: no interface called eth9\n"
    assert "10.61.0.1, fd00::1" in tank.says("network", "list", "-o", "wide")[1]
    assert tank.says("network", "list", "-o", "name")[1] == "default\nlan\n"
    assert json.loads(tank("network", "list", "-o", "json").stdout)[0]["leases"] == []


def test_a_pool_is_told_of_with_its_leases(tank: Tank) -> None:
    found = json.loads(tank("network", "inspect", "default", "-o", "json").stdout)

    assert found["leases"] == [{"address": "10.61.0.2", "pod": "web", "nic": "eth0", "uid": "0123456789ab"}]
    assert "state: up" in tank.says("network", "inspect", "default")[1]
    assert tank("network", "inspect", "none").returncode == 3


def test_a_check_is_a_table_of_what_came_through(tank: Tank) -> None:
    code, out, _ = tank.says("network", "check", "web")

    assert code == 0
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "POD FROM TO WHAT RESULT VERDICT",
        "web pod 10.61.0.1 gateway open ok",
        "web host 10.61.0.2:80 eth0 refused (nobody listens) -",
        "web outside 169.254.64.1:53 port 53 silent ok, to be closed",
    ]


def test_a_check_that_finds_a_hole_fails(tank: Tank, daemon: Daemon) -> None:
    daemon.node.networks.leaky = True

    code, out, _ = tank.says("network", "check")

    assert code == 1
    assert "WRONG, to be closed" in out


def test_names_too_few_or_too_many_are_bad_usage(tank: Tank) -> None:
    wrong = (["list", "x"], ["inspect"], ["check", "a", "b"], ["fly"], ["inspect", ""])

    assert [tank("network", *words).returncode for words in wrong] == [2] * len(wrong)
    assert tank("network", "check", "hosted").returncode == 4
    assert tank("network", "check", "no_pod").returncode == 2


def test_python_has_the_same(daemon: Daemon) -> None:
    networks = python.Client(daemon.url).networks

    assert networks.inspect("default") == POOLS[0]
    assert [each.name for each in networks.list()] == ["default", "lan"]
    assert tuple(networks.check("web")) == TRIED
    with pytest.raises(NotFound):
        networks.inspect("none")


async def test_python_has_the_same_awaited(daemon: Daemon) -> None:
    async with python.aio.Client(daemon.url) as client:
        assert [each.used for each in await client.networks.list()] == [1, 0]
        assert await client.networks.inspect("default") == POOLS[0]
        with pytest.raises(Conflict):
            await client.networks.check("hosted")
