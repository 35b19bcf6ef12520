"""The verbs of one machine: what the API calls, and what `tank.Engine` offers without a daemon.

A verb changes what is desired, or looks; it never touches a container (exec and attach apart, which join one).
What follows from a change is the loop's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from tank.errors import Conflict, Failed, NotFound, Timeout, Unavailable
from tank.model.desired import Desired, Event, Revision
from tank.model.facts import PodFacts
from tank.model.pod import Pod
from tank.model.status import Status
from tank.node.admission import PlanChanged, check_claims, check_machine, foresee_apply, pruned
from tank.node.joining import Joining, LogOptions, choose, names
from tank.node.launching import progress_of
from tank.node.observe import Look, Machine, observe, remembered
from tank.node.reconciler import Reconciler
from tank.node.report import Report
from tank.plan.claims import clashes
from tank.plan.preview import Preview
from tank.plan.selector import matches
from tank.plan.status import status_of, unobserved
from tank.plan.why import Why, why_of
from tank.store.base import Put, Store

if TYPE_CHECKING:
    from tank.node.disk import Disk
    from tank.node.images import ImageVerbs
    from tank.node.input_verbs import InputVerbs
    from tank.node.networks import NetworkVerbs
    from tank.node.volumes import VolumeVerbs
    from tank.runtime.logs import LogLine
    from tank.runtime.session import ExecRequest, Session

LOOK = 1.0  # seconds between two looks while waiting, though nothing was heard


class Node:
    """One machine. Every method may be called at any time from the daemon's loop."""

    images: ImageVerbs
    volumes: VolumeVerbs
    inputs: InputVerbs
    networks: NetworkVerbs
    disk: Disk

    def __init__(self, machine: Machine, store: Store, reconciler: Reconciler, report: Report) -> None:
        self._machine, self._store = machine, store
        self._loop, self._report = reconciler, report
        self._joining = Joining(machine, store)
        self.conditions: dict[str, str] = {}  # what is wrong with the machine as a whole, for `info`
        self.relieve: Callable[[], None] = lambda: None  # makes room for a record on a full disk (R29)

    # Changing what is desired

    async def apply(
        self,
        pods: Sequence[Pod],
        *,
        token: str | None = None,
        prune: str | None = None,
        expected: Mapping[str, int] | None = None,
        origin: str = "apply",
    ) -> list[Status]:
        """Create or replace all, or none. With `token`, only if the plan is still the one shown.

        Raises Conflict when an address or volume belongs to another pod, a revision is not as expected, or the
        plan changed; Unsupported when this machine cannot do what a pod asks for.
        """
        self.relieve()
        contents = await self._store.read()
        check_claims(pods, contents, prune, self._machine.records.pods().values())
        await check_machine(self._machine, pods)
        if token is not None:
            current = await foresee_apply(self._machine, pods, contents, prune)
            if current.token != token:
                raise PlanChanged(current)
            shown = {pod.name: contents.pods[pod.name].revision if pod.name in contents.pods else 0 for pod in pods}
            expected = {**shown, **(expected or {})}  # and nobody changed them between this look and the write
        at = self._machine.now().wall
        puts = [
            Put(spec=pod, uid=secrets.token_hex(6), origin=origin, expected=(expected or {}).get(pod.name))
            for pod in pods
        ]
        await self._store.put(puts, at)
        for name in pruned(pods, contents, prune):
            await self._store.delete(name, None, at)
        return [await self.status(pod.name) for pod in pods]

    async def plan(self, pods: Sequence[Pod], *, prune: str | None = None) -> Preview:
        """What `apply` would do, until rest. Changes nothing."""
        contents = await self._store.read()
        check_claims(pods, contents, prune, self._machine.records.pods().values())
        await check_machine(self._machine, pods)
        return await foresee_apply(self._machine, pods, contents, prune)

    async def delete(self, name: str, *, grace: float | None = None) -> Status:
        """The pod is no longer desired. Returns when accepted. Again while it ends: a shorter grace counts (C3.5)."""
        self.relieve()
        try:
            desired = await self._store.get(name)
        except NotFound:
            return await self._shorten(name, grace)
        await self._store.delete(name, grace, self._machine.now().wall, uid=desired.uid)
        self._loop.nudge(name)
        with contextlib.suppress(NotFound):
            return await self.status(name)
        return Status(name=name, uid=desired.uid, revision=desired.revision, phase="terminating", reason="Terminating")

    async def _shorten(self, name: str, grace: float | None) -> Status:
        tombstones = (await self._store.read()).tombstones.values()
        ending = [each for each in tombstones if each.name == name]
        if not ending:
            raise NotFound(f"no pod is called {name}")
        if grace is not None:
            for each in ending:
                await self._store.shorten(each.uid, grace)
            self._loop.nudge(name)
        return await self.status(name)

    async def restart(self, name: str, *, container: str | None = None, pull: bool = False) -> Status:
        """Ask for a new attempt of one or all containers, also of one that waits or has run its course (C17)."""
        desired = await self._store.get(name)
        chosen = [choose(desired.spec, container).name] if container else names(desired.spec)
        await self._store.restart(name, chosen, pull=pull)
        self._loop.nudge(name)
        return await self.status(name)

    async def rollback(self, name: str, to: int | None = None) -> Status:
        """Apply an earlier spec again, with the image digests it ran with. `to` None: the one before the present."""
        desired = await self._store.get(name)
        earlier = [each for each in await self._store.history(name) if each.revision < desired.revision]
        found = next((each for each in earlier if to is None or each.revision == to), None)
        if found is None:
            known = ", ".join(str(each.revision) for each in earlier) or "none"
            what = "no earlier revision" if to is None else f"no earlier revision {to}"
            raise NotFound(f"pod {name} has {what}; there are: {known}")
        others = [each.spec for key, each in (await self._store.read()).pods.items() if key != name]
        if found_clashes := clashes(found.spec, others):
            raise Conflict("; ".join(f"{what} belongs to pod {holder} now" for what, holder in found_clashes))
        put = Put(spec=found.spec, uid=desired.uid, origin="rollback", expected=desired.revision, pins=found.pins)
        await self._store.put([put], self._machine.now().wall)
        return await self.status(name)

    # Looking

    async def get(self, name: str) -> Desired:
        """What is desired. Raises NotFound."""
        return await self._store.get(name)

    async def history(self, name: str) -> tuple[Revision, ...]:
        """Every kept revision, newest first. Raises NotFound when the name was never applied."""
        found = await self._store.history(name)
        if not found:
            raise NotFound(f"no pod is or was called {name}")
        return found

    async def list(self, selector: str | None = None) -> list[Status]:
        """The status of every pod, those that are ending included, by name."""
        contents = await self._store.read()
        pods = [each for each in contents.pods.values() if matches(selector or "", each.spec.labels)]
        found = [await self._status(each.uid, each) for each in pods]
        wanted = {each.uid for each in contents.pods.values()}
        for uid, record in list(self._machine.records.pods().items()):
            if uid not in wanted and matches(selector or "", record.spec.labels):
                found.append(await self._status(uid, None))
        return sorted(found, key=lambda each: (each.name, each.phase))

    async def status(self, name: str) -> Status:
        """Everything observed of one pod. Raises NotFound."""
        desired, uid = await self._find(name)
        return await self._status(uid, desired)

    async def _find(self, name: str) -> tuple[Desired | None, str]:
        with contextlib.suppress(NotFound):
            desired = await self._store.get(name)
            return desired, desired.uid
        for uid, record in self._machine.records.pods().items():
            if record.name == name:
                return None, uid
        raise NotFound(f"no pod is called {name}")

    async def _status(self, uid: str, desired: Desired | None) -> Status:
        now = self._machine.now()
        try:
            seen = await self._observe(uid, desired, brief=True)
        except (OSError, Failed, Unavailable) as error:
            return unobserved(desired, remembered(self._machine, uid), now, str(error))
        return status_of(desired, seen, now, progress=progress_of(self._machine, desired))

    async def _observe(self, uid: str, desired: Desired | None, *, brief: bool) -> PodFacts:
        blocked = self._loop.blocker(desired) if desired else ""
        flying = self._loop.flights.of(uid)
        now, look = self._machine.now(), Look.BRIEF if brief else Look.WHOLE
        return await observe(self._machine, uid, desired, now, blocked=blocked, flying=flying, look=look)

    async def why(self, name: str) -> Why:
        """One causal answer. Raises NotFound."""
        desired, uid = await self._find(name)
        seen = await self._observe(uid, desired, brief=False)
        status = status_of(desired, seen, self._machine.now(), progress=progress_of(self._machine, desired))
        return why_of(status, desired, seen, self._machine.now())

    async def wait(self, name: str, wanted: str, timeout: float | None = None) -> Status:  # noqa: ASYNC109 - a promise to callers
        """Return when the pod is ready, running, succeeded, failed, gone, or settled (ready or succeeded).

        Raises Timeout; Failed at once when it cannot come to that any more.
        """
        try:
            async with asyncio.timeout(timeout):
                with self._loop.pulse.subscribe() as news:
                    while True:
                        found = await self._reached(name, wanted)
                        if found is not None:
                            return found
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(LOOK):
                                while name not in await news.take():
                                    pass
        except TimeoutError as error:
            raise Timeout(f"pod {name} is not {wanted} after {timeout:g} s") from error

    async def _reached(self, name: str, wanted: str) -> Status | None:
        try:
            status = await self.status(name)
        except NotFound:
            if wanted == "gone":
                return Status(name=name, phase="gone")
            raise
        current = any(each.type == "UpToDate" and each.status == "true" for each in status.conditions)
        reached = {
            "gone": False,
            "ready": status.ready,
            "running": status.phase == "running",
            "settled": status.ready or status.phase == "succeeded",
        }.get(wanted, status.phase == wanted)
        if reached and current:
            return status
        dead = {"ready", "running", "succeeded", "settled"} if status.phase == "failed" else set()
        dead |= {"ready", "running", "failed"} if status.phase == "succeeded" else set()
        if current and wanted in dead:
            raise Failed(f"pod {name} has {status.phase}: {status.reason} {status.message}".rstrip())
        return None

    async def watch(self) -> AsyncIterator[Status]:
        """Every pod's status, then each that changed; one with phase `gone` for a pod that is no more."""
        told: dict[str, Status] = {}
        with self._loop.pulse.subscribe() as news:
            for status in await self.list():
                told[status.name] = status
                yield status
            while True:
                for name in sorted(await news.take()):
                    try:
                        status = await self.status(name)
                    except NotFound:
                        status = Status(name=name, phase="gone")
                    if told.get(name, Status(name=name, phase="gone")) != status:
                        told[name] = status
                        yield status

    def events(self, name: str | None = None, *, follow: bool = False) -> AsyncIterator[Event]:
        """What happened, oldest first; with `follow`, then what happens."""
        return self._report.follow(name, follow=follow)

    def logs(self, name: str, **options: Unpack[LogOptions]) -> AsyncIterator[LogLine]:
        """The container's output over its attempts, oldest first. Raises NotFound."""
        return self._joining.logs(name, **options)

    async def exec(self, name: str, container: str | None, request: ExecRequest) -> Session:
        """Run a program beside the container's own. Raises NotFound, Failed when it does not run."""
        return await self._joining.exec(name, container, request)

    async def attach(self, name: str, container: str | None) -> Session:
        """Join the container's own streams. Raises as `exec`."""
        return await self._joining.attach(name, container)

    async def info(self) -> dict[str, Any]:
        """The machine and its daemon, in short."""
        contents = await self._store.read()
        settings = self._machine.settings
        return {
            "installation": self._machine.installation,
            "data_dir": str(settings.data_dir),
            "run_dir": str(settings.run_dir),
            "pods": len(contents.pods),
            "revision": contents.revision,
            "conditions": [{"type": kind, "message": text} for kind, text in self.conditions.items()],
        }
