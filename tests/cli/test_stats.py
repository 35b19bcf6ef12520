"""`tank stats`, and the same in Python, against a daemon with a pod in memory."""

from __future__ import annotations

import json

import tank as python
from tests.api.networks import STATS
from tests.cli.conftest import Daemon, Tank


def test_a_line_for_each_interface(tank: Tank) -> None:
    code, out, _ = tank.says("stats")

    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["POD", "NIC", "RX", "PACKETS", "ERRORS", "DROPPED", "TX", "PACKETS", "ERRORS", "DROPPED"],
        ["web", "eth0", "5.0", "MB", "4000", "0", "7", "120", "B", "2", "0", "0"],
    ]
    assert "5000000" in tank.says("stats", "web", "-o", "wide")[1]
    assert tank.says("stats", "-o", "name")[1] == "web\n"


def test_one_pod_is_an_object_and_all_are_a_list(tank: Tank) -> None:
    assert json.loads(tank("stats", "web", "-o", "json").stdout)["nics"][0]["rx_dropped"] == 7
    assert [each["pod"] for each in json.loads(tank("stats", "-o", "json").stdout)] == ["web"]
    assert tank("stats", "none").returncode == 3
    assert tank("stats", "no_pod").returncode == 2


async def test_python_has_the_same(daemon: Daemon) -> None:
    assert tuple(python.Client(daemon.url).stats("web")) == STATS
    async with python.aio.Client(daemon.url) as client:
        assert tuple(await client.stats()) == STATS
