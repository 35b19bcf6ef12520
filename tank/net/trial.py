"""Whether this kernel can limit what interfaces carry: tried, in a namespace for one moment."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from pathlib import Path

from tank.errors import Waiting
from tank.host.netns import Namespaces
from tank.model.pod import Network, Pod
from tank.net import queues
from tank.net.links import Links
from tank.net.rtnetlink import NETLINK
from tank.net.shapes import Reshaping, Verb, bucket
from tank.net.wanted import UNLIMITED

_LOOPBACK = 1  # its index in every namespace


class Trial:
    """Asks the kernel once for each kind of limit; what it lacks may come with a module, and is asked for again."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._able: set[bool] = set()

    async def refusal(self, pod: Pod) -> str:
        """Why the rates of the pod cannot be kept here; empty when they can."""
        nics = pod.network.nics if isinstance(pod.network, Network) else ()
        for index, nic in enumerate(nics):
            if nic.rate != UNLIMITED and (why := await self._lacks(nic.rate.incoming is not None)):
                return f"network.nics[{index}].rate: {why}"
        return ""

    async def _lacks(self, funnel: bool) -> str:
        if not {funnel, True} & self._able:
            with contextlib.closing(await self._namespaces.fresh()) as kept:
                path = Path(f"/proc/self/fd/{kept.fileno()}")
                opened = await self._namespaces.socket(path, *NETLINK)
                if why := await asyncio.to_thread(partial(_try, opened, funnel)):
                    return why
            self._able.add(funnel)
        return ""


def _try(opened: socket.socket, funnel: bool) -> str:
    with Links(opened) as links:
        try:
            limit = bucket(1_000_000, 1500)
            queues.carry_out(Reshaping(verb=Verb.LIMIT, words="", index=_LOOPBACK, bucket=limit), links)
            if funnel:
                queues.carry_out(Reshaping(verb=Verb.FUNNEL, words="", name="tkfunnel", mark="tank"), links)
                to = links.index("tkfunnel")
                queues.carry_out(Reshaping(verb=Verb.LEAD, words="", index=_LOOPBACK, to=to), links)
        except Waiting as error:
            return str(error)
    return ""
