"""What leads a pod's questions to our sockets in its namespace: one rule, the same in each pod."""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from pathlib import Path

from tank.host.netns import Namespaces, pinned
from tank.model.etcfiles import NAMESERVER
from tank.net import nftables

PORT = 61_053  # beyond what kernels take for connections, and nobody's
TABLE = "ip tank_names"
RULES = f"""\
table {TABLE} {{
}}
flush table {TABLE}
table {TABLE} {{
    chain asked {{
        type nat hook output priority -100; policy accept;
        ip daddr {NAMESERVER} meta l4proto {{ tcp, udp }} th dport 53 dnat to {NAMESERVER}:{PORT}
    }}
}}
"""


class Leads:
    """Sets them, and sees whether they still stand."""

    def __init__(self, namespaces: Namespaces, *, repair: bool) -> None:
        """Without `repair`, what others changed is only told."""
        self._namespaces, self._repair = namespaces, repair
        self._astray: dict[str, str] = {}  # by uid: what others had changed there when it was looked at, in words
        self._right: nftables.Listing | None = None

    async def set(self, namespace: Path) -> None:
        """Make it so in one pod. Raises Waiting, Failed."""
        await nftables.apply(RULES, namespace)

    async def look(self, asking: Mapping[str, tuple[str, Path]], uids: Set[str]) -> tuple[str, ...]:
        """Whether it stands in those of `uids` that ask (by uid: name, namespace). Answers what others had changed.

        Without repair: all that is so still. Raises Waiting, Failed.
        """
        self._astray = {uid: words for uid, words in self._astray.items() if uid in asking}
        found = [words for uid in sorted(asking.keys() & uids) if (words := await self._seen(uid, *asking[uid]))]
        return tuple(found if self._repair else self._astray.values())

    async def _seen(self, uid: str, name: str, namespace: Path) -> str:
        self._astray.pop(uid, None)
        if not pinned(namespace):
            return ""
        if self._right is None:
            self._right = await self._right_listing()
        if await nftables.listing(TABLE, namespace) == self._right:
            return ""
        if self._repair:
            await self.set(namespace)
        self._astray[uid] = f"what leads pod {name} to the names of pods was changed"
        return self._astray[uid]

    async def _right_listing(self) -> nftables.Listing:
        """As it is listed where nobody changes it."""
        with await self._namespaces.fresh() as kept:
            path = Path(f"/proc/{os.getpid()}/fd/{kept.fileno()}")
            await nftables.apply(RULES, path)
            return await nftables.listing(TABLE, path)
