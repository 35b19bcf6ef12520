"""Pulls under way: they take long, so they run beside the loop, never inside a pod's pass (R57).

A flight ends in the store (the digest is pinned to the revision) or in the record (a trouble with its back-off);
then it nudges the pod. Losing a flight with the daemon loses nothing: the next pass begins it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from tank.errors import PullFailed, TankError, Waiting
from tank.model.desired import Desired
from tank.model.pod import Container
from tank.model.record import ContainerRecord, Trouble
from tank.model.wanted import WantedImage, wanted_by, wanted_images
from tank.node.observe import Machine, pinned
from tank.node.report import Report
from tank.plan.digests import trouble_digest
from tank.plan.restart import troubled
from tank.plan.steps import Action
from tank.store.base import Store

log = logging.getLogger("tank.node")


class Flights:
    """One flight per image that a pod uid asks for, at most. Keys as in `tank.model.wanted`."""

    def __init__(self, machine: Machine, store: Store, report: Report, nudge: Callable[[str], None]) -> None:
        self._machine, self._store, self._report, self._nudge = machine, store, report, nudge
        self._tasks: dict[tuple[str, str], tuple[str, asyncio.Task[None]]] = {}
        self._hastened: set[tuple[str, str]] = set()
        self._failed: dict[tuple[str, str], tuple[Trouble, bool]] = {}  # to be written down by the pod's next pass

    async def resolve(self, desired: Desired, container: Container) -> None:
        """Have its images here and pinned: at once when no registry is needed, else by flights that nudge."""
        for wanted in wanted_images(desired.spec, container):
            await self._resolve(desired, replace(wanted, pull=self._policy(desired, container, wanted.pull)))

    def _policy(self, desired: Desired, container: Container, pull: str) -> str:
        """The spec's pull policy; `tank restart --pull` asks the registry once more where that is allowed (C6)."""
        record = self._machine.records.containers(desired.uid).get(container.name)
        resolved = record.attempt.pulls if record and record.attempt else 0
        forced = desired.pulls.get(container.name, 0) > resolved and pull == "if_missing"
        return "always" if forced else pull

    async def _resolve(self, desired: Desired, wanted: WantedImage) -> None:
        digest, images = desired.pins.get(wanted.key), self._machine.images
        if digest is None and wanted.pull in ("if_missing", "never"):
            here = await images.find(wanted.reference)
            if here is not None and images.verdict(wanted.reference, here.digest).admitted:
                await self._store.pin(desired.name, desired.revision, wanted.key, here.digest)
                return
        if digest is None or not await self._is_ready(wanted, digest):
            self._begin(desired, wanted, digest)

    async def _is_ready(self, wanted: WantedImage, digest: str) -> bool:
        images = self._machine.images
        admitted = images.verdict(wanted.reference, digest).admitted
        return admitted and await images.find(pinned(wanted.reference, digest)) is not None

    def _begin(self, desired: Desired, wanted: WantedImage, digest: str | None) -> None:
        key = (desired.uid, wanted.key)
        aim = f"{desired.revision} {wanted.reference} {digest}"
        held = self._tasks.get(key)
        if held is not None and not held[1].done():
            if held[0] == aim:
                return
            held[1].cancel()
        task = asyncio.create_task(self._fly(desired, wanted, digest), name=f"pull {desired.name}/{wanted.key}")
        self._tasks[key] = (aim, task)
        task.add_done_callback(lambda done: self._ended(key, done))

    def _ended(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        held = self._tasks.get(key)
        if held is not None and held[1] is task:
            del self._tasks[key]
        if not task.cancelled() and task.exception() is not None:
            log.error("a pull for %s failed inside", key, exc_info=task.exception())

    async def _fly(self, desired: Desired, wanted: WantedImage, digest: str | None) -> None:
        reference = pinned(wanted.reference, digest) if digest else wanted.reference
        tell, users = (desired.name, desired.uid), wanted_by(desired.spec, wanted.key)
        self._report.normal(*tell, "Pulling", f"pulling {reference}", users[0].name)
        try:
            image = await self._machine.images.resolve(reference, wanted.pull, digest)
            if wanted.pull == "prefer_fresh" and (why := self._machine.images.fallback(reference)):
                self._report.warning(*tell, "NotFresh", f"{reference} is taken as it is here: {why}", users[0].name)
            await self._store.pin(desired.name, desired.revision, wanted.key, image.digest)
            self._report.normal(*tell, "Pulled", f"{wanted.reference} is {image.digest}", users[0].name)
        except Exception as error:  # whatever it was, the pod waits and tries again
            if not isinstance(error, TankError):
                log.exception("pulling %s failed inside", reference)
            self._report.warning(*tell, "Failed", f"cannot pull {reference}: {error}", users[0].name)
            for container in users:
                self._note(desired, container, error)
        finally:
            self._nudge(desired.name)

    def _note(self, desired: Desired, container: Container, error: Exception) -> None:
        reason = error.reason if isinstance(error, Waiting) else "ErrImagePull"
        asked = error.retry_after or 0.0 if isinstance(error, Waiting) else 0.0
        failed = Trouble(
            reason=reason, message=str(error), failures=1, retry_at=0.0, boot_id="", delay=asked,
            digest=trouble_digest(desired, container), action=Action.RESOLVE.value,
        )  # fmt: skip
        self._failed[desired.uid, container.name] = failed, isinstance(error, PullFailed)

    def hasten(self, uid: str, container: str) -> None:
        """What this container waits for may be there now: its next pass tries at once."""
        self._hastened.add((uid, container))

    async def settle(self, uid: str) -> None:
        """Write the failures down as troubles: a pull that fails is a waiting state, never an exit (C6).

        Called by the pod's own pass. Raises OSError; then they are kept for the next one.
        """
        records, now = self._machine.records, self._machine.now()
        for key in [key for key in self._failed if key[0] == uid]:
            failed, pull = self._failed[key]
            if records.pod(uid) is not None:  # else deleted meanwhile
                before = records.containers(uid).get(key[1]) or ContainerRecord(name=key[1])
                trouble = troubled(before.trouble, failed, now, pull=pull)
                await records.save_container(uid, replace(before, trouble=trouble))
            self._failed.pop(key, None)
        for key in [key for key in self._hastened if key[0] == uid]:
            held = records.containers(uid).get(key[1])
            if held is not None and held.trouble is not None:
                await records.save_container(uid, replace(held, trouble=replace(held.trouble, retry_at=now.boot)))
            self._hastened.discard(key)

    def of(self, uid: str) -> frozenset[str]:
        """The keys of the pod's images that are being fetched."""
        return frozenset(name for owner, name in self._tasks if owner == uid)

    async def landed(self) -> int:
        """Wait until no pull is under way. Returns how many there were."""
        tasks = [task for _, task in self._tasks.values()]
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(tasks)

    def cancel(self, uid: str) -> None:
        """The pod is going: its pulls are no longer wanted."""
        for key in [key for key in self._tasks if key[0] == uid]:
            self._tasks[key][1].cancel()

    async def close(self) -> None:
        """End every flight; what was fetched so far is taken up again later."""
        tasks = [task for _, task in self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
