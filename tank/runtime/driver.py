"""The runtime driver: sandboxes and containers by crun, conmon, overlay, namespaces and control groups.

It decides nothing: every method does one thing and may be repeated. Each effect has its mark before it (the
bundle directory of the attempt, the pod's run directory), so what a crash leaves is seen by `observe` and taken
away by `discard`. `crun delete` is not used: it reports success and leaves groups and processes (R03); our own
sweep over the attempt's groups, mounts and directories is the real delete.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from tank.errors import Failed, StartFailed, ToolFailed
from tank.host import files
from tank.host.threads import in_thread
from tank.host.watch import Process, Watcher
from tank.model.facts import RuntimeFact
from tank.model.image import Image
from tank.model.launch import Created, Launch
from tank.model.pod import Container, Pod
from tank.model.record import Address
from tank.runtime import bundle, conmon, equipment, facts, ids, places, refusal, removal, signals
from tank.runtime.care import Care
from tank.runtime.death import Deaths
from tank.runtime.holder import Holders
from tank.runtime.logs import Archive
from tank.runtime.oom import OomWatch
from tank.runtime.places import Attempt
from tank.runtime.sandbox import Sandboxes
from tank.runtime.streaming import Streaming
from tank.runtime.tuning import Tuning

_KILL_SECONDS = 10.0  # until what will not die is reported as stuck (R18)
_MONITOR_SECONDS = 5.0  # that a monitor gets to write down the exit of a container that is dead


class CrunRuntime(Streaming, Care, Tuning):
    """`tank.node.drivers.Runtime` on this machine. `open` it first, in the loop that uses it; `close` it last."""

    async def open(self) -> None:
        """Raises Unsupported when crun, conmon or control groups are missing, Failed when a mount cannot be made."""
        found = await equipment.find(self._settings, self._installation, self._programs)
        self._crun, self._conmon, self._groups, self._host = found.crun, found.conmon, found.groups, found.host
        self._watcher = Watcher()
        holders = Holders(
            settings=self._settings,
            crun=self._crun,
            conmon=self._conmon,
            groups=self._groups,
            watcher=self._watcher,
            program=self._host.reaper,
        )
        self._sandboxes = Sandboxes(self._settings, self._namespaces, self._groups, holders, self._installation)
        self._deaths = Deaths(self._settings, self._watcher)
        self._ooms = OomWatch(self._groups)
        self._archive = Archive(self._settings, self._watcher)

    async def close(self) -> None:
        """Let go of watches and descriptors. No container is touched. Not opened is closed too."""
        await self.let_care_go()
        if hasattr(self, "_deaths"):
            self._deaths.close()
            self._ooms.close()
            self._watcher.close()
        await self._namespaces.close()

    async def let_go(self) -> None:
        """Take off the mounts of the run directory, where no pod is left: for an uninstallation."""
        await in_thread(equipment.let_go, self._settings)

    # Pods

    async def uids(self) -> frozenset[str]:
        """Every uid of which a run directory, a control group or a durable directory is left."""
        found = {
            *files.names(self._settings.run_dir / "pods"),
            *files.names(self._settings.data_dir / "pods"),
            *self._groups.names(),
        }
        return frozenset(filter(places.is_uid, found))

    async def make_sandbox(self, uid: str, pod: Pod) -> None:
        """Pinned namespaces, shm, /etc files. Raises Failed."""
        await self._sandboxes.make(uid, pod)

    async def refresh_sandbox(self, uid: str, pod: Pod, addresses: tuple[Address, ...] = ()) -> None:
        """The /etc files say what the spec says now."""
        self._sandboxes.refresh(uid, pod, [each.ip for each in addresses])

    async def repin_sandbox(self, uid: str, pod: Pod, pid: int) -> None:
        """Lost pins stand again, those of namespaces from the living process `pid`. Raises Failed."""
        await self._sandboxes.repin(uid, pod, pid)

    async def observe_sandbox(self, uid: str, pod: Pod) -> Mapping[str, bool] | None:
        """Each wanted pin and whether it stands; None when there is no sandbox."""
        return self._sandboxes.observe(uid, pod)

    async def remove_sandbox(self, uid: str) -> None:
        """Everything volatile of the pod, dead or alive."""
        for attempt in tuple(places.attempts(self._settings, uid)):
            await self._discard(attempt)
        await self._groups.kill(uid, seconds=_KILL_SECONDS)
        await self._sandboxes.remove(uid)
        for top in (places.exits(self._settings), places.states(self._settings)):
            for name in files.names(top):
                if name.startswith(f"{uid}."):
                    await in_thread(files.remove_tree, top / name)

    async def forget(self, uid: str) -> None:
        """The pod's durable directory. Its record, which is the mark of the rest, goes last."""
        await in_thread(removal.forget, self._settings.pod_dir(uid))

    # Containers

    async def observe(self, uid: str) -> Mapping[str, RuntimeFact]:
        """The newest attempt of each container of which anything is left."""
        newest = facts.newest(self._settings, uid)
        found = {name: self._observe(attempt) for name, attempt in newest.items()}
        for name, fact in found.items():
            if fact.exited and fact.populated and not fact.alive:
                # Where the PID namespace is the pod's, the kernel does not end what a program leaves behind (C3.9).
                await self._groups.kill(newest[name].group, seconds=_KILL_SECONDS)
        return found

    def _observe(self, attempt: Attempt) -> RuntimeFact:
        fact = facts.observe(attempt, self._crun, self._groups)
        self._deaths.expect(attempt, fact)
        self._ooms.expect(attempt, fact)
        if (code := self._deaths.code(attempt, fact)) is not None:
            self._deaths.write(attempt, code)
            fact = facts.observe(attempt, self._crun, self._groups)
        return fact

    async def unsupported(self, pod: Pod) -> str:
        """What of the pod this machine cannot do, and why; empty when it can do all."""
        machine = refusal.unsupported(pod, self._groups, self._host.capabilities)
        lost = "share_pid: catatonit is not installed on this machine"
        alone = lost if pod.share_pid and self._host.reaper is None else ""
        mapped = await ids.refusal(pod, self._settings)
        return "; ".join(filter(None, (bundle.unsupported(pod, self._settings), machine, alone, mapped)))

    async def check(self, launch: Launch) -> None:
        """Whether `create` could succeed, as far as the host decides it. Changes nothing. Raises Waiting."""
        bundle.check(launch, self._settings, self._host)

    async def create(self, launch: Launch) -> Created:
        """The container, parked before its first instruction. Raises StartFailed, Waiting, Failed.

        A container that is parked already is it; anything else of this attempt is made anew.
        """
        attempt = self._attempt(launch.uid, launch.container.name, launch.attempt)
        if attempt.bundle.exists():
            if (parked := self._parked(attempt)) is not None:
                return parked
            await self._discard(attempt)
        self._sandboxes.make_memory(launch.uid, launch.pod, launch.container)
        mounted = [each.volume for each in launch.container.mounts]
        await self._inputs.fill(launch.uid, launch.pod, launch.inputs, mounted)
        made = await in_thread(bundle.make, launch, attempt, self._sandboxes, self._host)
        try:
            pid = await self._conmon.create(self._request(launch, attempt), self._watcher)
        except StartFailed as error:
            raise made.doubt or error from error
        self._archive.guard(attempt)
        if made.unknown is not None:
            self._host.filters.learn(made.unknown, self._crun.filter(attempt.id))
        parked = self._parked(attempt)
        if parked is None or parked.pid != pid:
            raise Failed(f"cannot create {attempt.id}: the container or its monitor died at once")
        return parked

    def _request(self, launch: Launch, attempt: Attempt) -> conmon.Request:
        return conmon.Request(
            id=attempt.id,
            bundle=attempt.bundle,
            runtime=self._crun.binary,
            runtime_arguments=self._crun.global_arguments,
            groups=self._groups.make(attempt.monitor_group),
            sync=attempt.sync,
            pidfile=attempt.pidfile,
            monitor_pidfile=attempt.monitor_pidfile,
            exits=places.exits(self._settings),
            log=attempt.log,
            log_size=4 * self._settings.log_max_size,
            scratch=places.scratch(self._settings),
            tty=launch.container.tty,
            stdin=launch.container.stdin,
        )

    def _parked(self, attempt: Attempt) -> Created | None:
        """It waits to be started, under a live monitor; without one it is garbage (R01)."""
        fact = facts.observe(attempt, self._crun, self._groups)
        if not fact.alive or fact.started or not fact.monitored or fact.pid is None or fact.start_time is None:
            return None
        return Created(pid=fact.pid, start_time=fact.start_time)

    async def start(self, uid: str, container: str, attempt: int) -> None:
        """Let it run its first instruction. Started already is success. Raises StartFailed, Failed."""
        found = self._attempt(uid, container, attempt)
        state = self._crun.state(found.id)
        if state is None:
            raise Failed(f"cannot start {found.id}: it was not created")
        if state.started:
            return
        self._weigh(found)
        try:
            await self._crun.start(found.id)
        except ToolFailed as error:
            raise StartFailed(conmon.RUNTIME_FAILED, f"cannot start {found.id}: {error}") from error

    async def signal(self, uid: str, container: str, attempt: int, signal: str) -> bool:
        """Send `signal` to the first process; false when that can never see it (C3.10). Gone already is success.

        Raises Failed for an unknown signal.
        """
        number = signals.number(signal)
        state = self._crun.state(self._attempt(uid, container, attempt).id)
        process = Process.identified(state.pid, state.start_time) if state else None
        if process is None:
            return True
        with process:
            heard = process.hears(number)
            process.signal(number)
        return heard

    async def kill(self, uid: str, container: str, attempt: int) -> None:
        """SIGKILL all of it, wait until its group is empty and its exit is written down. Raises Failed (R18)."""
        await self._kill(self._attempt(uid, container, attempt))

    async def _kill(self, attempt: Attempt) -> None:
        await self._groups.kill(attempt.group, seconds=_KILL_SECONDS)
        if self._crun.state(attempt.id) is None:
            # The creation never came to its end: whoever is still at it, and what it began, ends here.
            await self._groups.kill(attempt.monitor_group, seconds=_KILL_SECONDS)
            await self._groups.kill(attempt.group, seconds=_KILL_SECONDS)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_MONITOR_SECONDS):
                await self._deaths.written(attempt, lambda: facts.is_monitored(attempt, self._groups))

    async def discard(self, uid: str, container: str, attempt: int) -> None:
        """Remove what is left of an attempt, but its log. Raises Failed."""
        await self._discard(self._attempt(uid, container, attempt))

    async def _discard(self, attempt: Attempt) -> None:
        """The bundle, which is the mark, goes last. What still lives is killed."""
        await self._kill(attempt)
        await self._groups.kill(attempt.monitor_group, seconds=_KILL_SECONDS)
        self._deaths.forget(attempt)
        self._ooms.forget(attempt)
        await in_thread(removal.remove, attempt)
        await self._groups.remove(attempt.group)
        await self._groups.remove(attempt.monitor_group)
        await in_thread(files.remove_tree, attempt.bundle)

    def stop_signal(self, container: Container, image: Image | None) -> str:
        """The signal that asks this container to stop (C3.3)."""
        return signals.stop_signal(container, image)

    async def refill(self, uid: str, pod: Pod, inputs: Mapping[str, Mapping[str, bytes]]) -> None:
        """The pod's files of secrets and configs as they should be now (C10). Raises Failed."""
        shown = files.names(self._settings.pod_run_dir(uid) / "inputs")
        await self._inputs.fill(uid, pod, inputs, shown)

    # Life

    def watch(self, nudge: Callable[[str], None]) -> None:
        """Call `nudge(uid)` when an exit is written down or a process ends. A hint only."""
        self._deaths.watch(nudge)
