"""Networks in memory for the tests of the faces: two pools, and a pod that is reached by one of two ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tank.errors import Conflict, NotFound
from tank.model.networks import LeaseStatus, NetworkStatus, Reach
from tank.model.stats import NicStats, PodStats

POOLS = (
    NetworkStatus(
        name="default", mode="bridge", parent="tk0123456789ab", subnets=("10.61.0.0/16", "fd00::/64"),
        gateways=("10.61.0.1", "fd00::1"), used=1, free=65_532, pods=("web",), state="up",
        leases=(LeaseStatus(address="10.61.0.2", pod="web", nic="eth0", uid="0123456789ab"),),
    ),
    NetworkStatus(
        name="lan", mode="macvlan", parent="eth9", subnets=("10.0.0.0/24",), free=250, state="missing",
        faults=("no interface called eth9",),
    ),
)  # fmt: skip
TRIED = (
    Reach(pod="web", source="pod", target="10.61.0.1", what="gateway", state="open", wanted=True),
    Reach(pod="web", source="host", target="10.61.0.2:80", what="eth0", state="refused", message="nobody listens"),
    Reach(pod="web", source="outside", target="169.254.64.1:53", what="port 53", state="silent", wanted=False),
)
STATS = (
    PodStats(
        pod="web", uid="0123456789ab",
        nics=(NicStats(name="eth0", rx_bytes=5_000_000, rx_packets=4_000, rx_dropped=7, tx_bytes=120, tx_packets=2),),
    ),
)  # fmt: skip
WRONG = replace(TRIED[2], state="open", good=False)


class FakeNetworks:
    """What the API calls of networks. `leaky`: what should be closed is open."""

    leaky = False

    async def list(self) -> Sequence[NetworkStatus]:
        return [replace(each, leases=()) for each in POOLS]

    async def inspect(self, name: str) -> NetworkStatus:
        for each in POOLS:
            if each.name == name:
                return each
        raise NotFound(f"no pool is called {name}")

    async def stats(self, pod: str | None = None) -> Sequence[PodStats]:
        if pod not in (None, "web"):
            raise NotFound(f"no pod is called {pod}")
        return STATS

    async def check(self, pod: str | None = None) -> Sequence[Reach]:
        if pod == "hosted":
            raise Conflict("cannot check pod hosted: its network is host, not its own")
        return [*TRIED[:2], WRONG if self.leaky else TRIED[2]]
