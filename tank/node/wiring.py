"""Keeping the machine's own network as its pods need it: host tables, bridges, fences, names.

What it should be follows from the pods as they are, whole, each time anew; the driver does what differs. News of a
pod, of the rules and of time only say when to look: a lost hint costs latency, the resync converges.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence, Set

from tank.errors import NotFound, TankError
from tank.model.pod import Network
from tank.model.pools import Wired, Wiring
from tank.model.record import PodRecord
from tank.node.astray import Astray
from tank.node.observe import Machine
from tank.node.pulse import Pulse
from tank.node.report import Report
from tank.node.service import Node
from tank.store.base import Store

SETTLE = 0.02  # seconds in which further news are gathered
RESYNC = 30.0  # seconds between two looks at what stands on the host
FENCES = 20  # resyncs between two looks into the pods
CONDITION = "NetworkFault"

log = logging.getLogger("tank.node")


class Switch:
    """The loop of the machine's network."""

    def __init__(
        self, machine: Machine, store: Store, node: Node, *, report: Report, pulse: Pulse, astray: Astray
    ) -> None:
        self._machine, self._store, self._node = machine, store, node
        self._report, self._pulse, self._astray = report, pulse, astray
        self._last: Wiring | None = None
        self._wired: dict[str, Wired] = {}  # by uid, as last looked at
        self._hint = asyncio.Event()
        self._failures = 0

    async def run(self) -> None:
        """Run until cancelled."""
        self._machine.net.watch_wiring(self._hint.set)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._resync())
            while True:
                self._hint.clear()
                await self.settle()
                await self._hint.wait()
                await asyncio.sleep(SETTLE)

    async def _listen(self) -> None:
        with self._pulse.subscribe() as news:
            while True:
                if await self._differs(await news.take()):
                    self._hint.set()

    async def _differs(self, names: Set[str]) -> bool:
        """Whether news of these pods change anything. What cannot be told here, `settle` meets and tells of."""
        try:
            return self._last is None or await self._wiring(names) != self._last
        except Exception:  # noqa: BLE001 - nobody would listen any more
            return True

    async def _resync(self) -> None:
        turn = 0
        while True:
            await self._renew()
            await asyncio.sleep(RESYNC)
            turn += 1
            self._machine.net.suspect(fences=turn % FENCES == 0)
            self._hint.set()

    async def _renew(self) -> None:
        """The /etc files of pods that stand, where settings or the host's own resolver changed (R50)."""
        runtime = self._machine.runtime
        with contextlib.suppress(TankError, OSError):  # the next turn may be luckier
            desired = {each.uid: each for each in (await self._store.read()).pods.values()}
            for uid, record in self._machine.records.pods().items():
                wanted = desired.get(uid)
                if wanted is None or record.deleting or wanted.revision != record.revision:
                    continue  # the pod's own pass is about to
                pins = await runtime.observe_sandbox(uid, record.spec)
                if pins and all(pins.values()):
                    await runtime.refresh_sandbox(uid, record.spec, record.addresses)

    async def settle(self) -> None:
        """Bring the network into line, once. What cannot be is a condition of the machine, and tried again."""
        try:
            wiring = await self._wiring()
            kept = await self._machine.net.wire(wiring)
            self._tell(kept.changed)
            if kept.fault:
                return self._fail(kept.fault)
        except (TankError, OSError) as error:
            self._fail(str(error))
        except Exception as error:  # a defect here must not end the loop (P9)
            log.exception("cannot keep the network of the machine")
            self._fail(repr(error))
        else:
            self._last, self._failures = wiring, 0
            self._node.conditions.pop(CONDITION, None)

    def _tell(self, changed: Sequence[str]) -> None:
        if not self._machine.settings.repair:
            self._astray.tell("", "", changed)
        for words in changed if self._machine.settings.repair else ():
            self._report.warning("", "", "NetworkRepaired", words)

    def _fail(self, text: str) -> None:
        if self._node.conditions.get(CONDITION) != text:
            log.warning("cannot keep the network of the machine: %s", text)
            self._report.warning("", "", CONDITION, text)
        self._node.conditions[CONDITION] = text
        self._failures += 1
        wait = min(0.5 * 2.0 ** min(self._failures - 1, 10), RESYNC)
        asyncio.get_running_loop().call_later(wait, self._hint.set)

    async def _wiring(self, names: Set[str] | None = None) -> Wiring:
        """From the records: what runs, runs by these, whatever is wanted by now. `names`: only these changed.

        A pod that ends keeps its ports and its place in others' rules until its network goes: it has its grace for
        finishing what it began. It only is not ready any more.
        """
        contents, records = await self._store.read(), self._machine.records.pods()
        found: dict[str, Wired] = {}
        for uid, record in sorted(records.items()):
            if isinstance(record.spec.network, Network) and record.network_ready:
                known = self._wired.get(uid) if names is not None and record.name not in names else None
                if seen := known or await self._look(record):
                    found[uid] = seen
        self._wired = found
        wanted = {each.uid for each in contents.pods.values()}
        return Wiring(pods=tuple(found.values()), uids=frozenset(wanted | records.keys()))

    async def _look(self, record: PodRecord) -> Wired | None:
        """A defect met by one pod must not keep the others (P9): it stays as it was seen last; None: never yet."""
        before = self._wired.get(record.uid)
        try:
            ready = await self._ready(record, before)
            return self._machine.net.wired(record.uid, record.spec, record.addresses, ready=ready)
        except Exception:
            log.exception("cannot tell what the network should be for pod %s", record.name)
            return before

    async def _ready(self, record: PodRecord, before: Wired | None) -> bool:
        try:
            return not record.deleting and (await self._node.status(record.name)).ready
        except NotFound:
            return False
        except Exception:
            log.exception("cannot tell whether pod %s is ready", record.name)
            return before is not None and before.ready
