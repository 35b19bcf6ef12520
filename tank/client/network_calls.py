"""What the clients ask about networks, as values (see `tank.client.calls`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tank.client.calls import Call
from tank.client.values import read
from tank.client.wire import quote
from tank.model.networks import LeaseStatus, NetworkStatus, Reach

_LISTS = ("subnets", "gateways", "pods", "faults")


def list_() -> Call[list[NetworkStatus]]:
    """Every pool."""
    return Call(path="/v1/networks", decode=lambda body: [status(each) for each in body])


def inspect(name: str) -> Call[NetworkStatus]:
    """One pool."""
    return Call(path=f"/v1/networks/{quote(name)}", decode=status)


def check(pod: str | None) -> Call[list[Reach]]:
    """Who reaches whom."""
    query = {"pod": pod} if pod else {}
    return Call(
        method="POST",
        path="/v1/networks/check",
        query=query,
        decode=lambda body: [read(Reach, each) for each in body],
    )


def status(body: Mapping[str, Any]) -> NetworkStatus:
    """A pool as the daemon tells of it."""
    lists = {name: tuple(body.get(name, ())) for name in _LISTS}
    leases = tuple(read(LeaseStatus, each) for each in body.get("leases", ()))
    return read(NetworkStatus, body, **lists, leases=leases)
