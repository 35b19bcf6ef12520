"""What of an installation may be left on the host when no daemon of it tends the network any more."""

from __future__ import annotations

import asyncio

from tank.net import bridges, nftables
from tank.net.links import host_links
from tank.net.ruleset import HostRules, host_rules, shim_rules
from tank.net.shims import prefix


async def remove(installation: str) -> tuple[str, ...]:
    """Take away its tables, bridges and shims, in words. Only for one without pods. Raises Waiting, Failed."""
    shims = await asyncio.to_thread(_remove_shims, installation)
    names = [f"{family} tank_{installation}" for family in ("inet", "bridge", "netdev")]
    stood = [each for each in names if (await nftables.listing(each)).digest]
    if stood:
        await nftables.apply(host_rules(installation, HostRules()) + shim_rules(installation, [], []))
    gone = await asyncio.to_thread(_remove_bridges, installation)
    tables, links = (f"the table {each}" for each in stood), (f"the bridge {each}" for each in gone)
    return (*tables, *links, *(f"the shim {each}" for each in shims))


def _remove_shims(installation: str) -> tuple[str, ...]:
    with host_links() as links:
        mine = [each for each in links.links() if each.alias.startswith(prefix(installation))]
        for each in mine:
            links.drop_link(each.index)
    return tuple(each.name for each in mine)


def _remove_bridges(installation: str) -> tuple[str, ...]:
    with host_links() as links:
        return bridges.remove_others(links, installation, set())
