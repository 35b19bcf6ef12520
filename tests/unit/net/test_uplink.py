"""The interface of the default route, from the kernel's own tables."""

from __future__ import annotations

import pytest

from tank.errors import Waiting
from tank.net.uplink import default_interface, find

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
NONE6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000"


def route(name: str, metric: int, to: str = "00000000", mask: str = "00000000", flags: str = "0003") -> str:
    return f"{name}\t{to}\t010200C0\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"


def route6(name: str, metric: str, flags: str = "00000003") -> str:
    return f"{NONE6} {metric} 00000001 00000000 {flags} {name}\n"


def test_the_lowest_metric_wins() -> None:
    table = HEADER + route("wlan0", 600) + route("eth0", 100) + route("eth1", 0, to="000200C0", mask="00FFFFFF")

    assert default_interface(table, "") == "eth0"


def test_a_route_that_rejects_or_is_down_does_not_count() -> None:
    table = HEADER + route("eth0", 0, flags="0201") + route("eth1", 5, flags="0002") + route("eth2", 9)

    assert default_interface(table, "") == "eth2"


def test_ipv6_counts_where_ipv4_has_none() -> None:
    six = route6("lo", "ffffffff", "00200200") + route6("lo", "00000001") + route6("eth6", "00000400")

    assert default_interface(HEADER, six) == "eth6"
    assert default_interface(HEADER + route("eth4", 0), six) == "eth4"


def test_without_a_default_route_there_is_none() -> None:
    assert default_interface("", "") is None


def test_the_uplink_stands_in_for_auto() -> None:
    with pytest.raises(Waiting, match="no interface called nosuch0; there are: "):
        find("auto", "nosuch0")
