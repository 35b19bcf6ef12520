"""What of an installation may be left on the host when no daemon of it tends the network any more."""

from __future__ import annotations

import asyncio

from tank.net import bridges, nftables
from tank.net.links import host_links
from tank.net.ruleset import HostRules, host_rules


async def remove(installation: str) -> tuple[str, ...]:
    """Take away its tables and bridges, in words. Only for one without pods. Raises Waiting, Failed."""
    names = [f"{family} tank_{installation}" for family in ("inet", "bridge")]
    stood = [each for each in names if (await nftables.listing(each)).digest]
    if stood:
        await nftables.apply(host_rules(installation, HostRules()))
    gone = await asyncio.to_thread(_remove_bridges, installation)
    return (*(f"the table {each}" for each in stood), *(f"the bridge {each}" for each in gone))


def _remove_bridges(installation: str) -> tuple[str, ...]:
    with host_links() as links:
        return bridges.remove_others(links, installation, set())
