"""The fakes of the drivers, over a `World`. They pass the same suites as the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING

from tank.errors import Failed, PullFailed
from tank.model import reference as references
from tank.model.facts import RuntimeFact
from tank.model.health import Hook, Probe
from tank.model.image import Image, Verdict
from tank.model.pod import Container, Limits, Pod
from tank.model.record import Address
from tank.node.drivers import Answer, Created, Launch, Target
from tank.testing.net import nics
from tank.testing.world import Process, Sandbox, Violation, World

if TYPE_CHECKING:
    from tank.runtime.logs import LogLine
    from tank.runtime.session import ExecRequest, Session

PINS = ("net", "ipc", "uts")


class FakeRuntime:
    """Sandboxes and containers that exist in a World."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def uids(self) -> frozenset[str]:
        """Every uid of which anything is left."""
        owners = {uid for uid, _ in self._world.processes}
        return frozenset(owners | self._world.sandboxes.keys() | self._world.directories)

    async def make_sandbox(self, uid: str, pod: Pod) -> None:
        """The pod has its namespaces."""
        self._world.spark(f"sandbox {uid}")
        self._world.directories.add(uid)
        self._world.sandboxes.setdefault(uid, Sandbox(pins=dict.fromkeys(PINS, True), wanted=nics(pod)))
        self._world.did(f"sandbox {uid}")

    async def refresh_sandbox(self, uid: str, pod: Pod, addresses: tuple[Address, ...] = ()) -> None:
        """Noted, nothing else."""
        self._world.spark(f"refresh {uid}")
        self._world.did(f"refresh {uid}")

    async def repin_sandbox(self, uid: str, pod: Pod, pid: int) -> None:
        """Every pin stands again."""
        self._world.spark(f"repin {uid}")
        self._world.sandboxes[uid].pins = dict.fromkeys(PINS, True)
        self._world.did(f"repin {uid}")

    async def observe_sandbox(self, uid: str, pod: Pod) -> Mapping[str, bool] | None:
        """The pins, or None."""
        sandbox = self._world.sandboxes.get(uid)
        return dict(sandbox.pins) if sandbox else None

    async def remove_sandbox(self, uid: str) -> None:
        """Sandbox and processes are gone."""
        self._world.spark(f"remove {uid}")
        self._world.sandboxes.pop(uid, None)
        for key in [key for key in self._world.processes if key[0] == uid]:
            del self._world.processes[key]
        self._world.did(f"remove {uid}")

    async def forget(self, uid: str) -> None:
        """The directory is gone."""
        self._world.spark(f"forget {uid}")
        self._world.directories.discard(uid)
        self._world.did(f"forget {uid}")

    async def observe(self, uid: str) -> Mapping[str, RuntimeFact]:
        """Each process of the pod. Raises what the test wants refused."""
        if "observe" in self._world.refusals:
            raise self._world.refusals["observe"]
        return {name: _fact(process) for (owner, name), process in self._world.processes.items() if owner == uid}

    async def unsupported(self, pod: Pod) -> str:
        return self._world.lacks

    async def check(self, launch: Launch) -> None:
        """Raises what the test wants refused."""
        if "check" in self._world.refusals:
            raise self._world.refusals["check"]

    async def create(self, launch: Launch) -> Created:
        """A parked process. A second living copy is a Violation."""
        deed = f"create {launch.uid} {launch.container.name} {launch.attempt}"
        self._world.spark(deed)
        if launch.uid not in self._world.sandboxes:
            raise Failed("cannot create: there is no sandbox")
        key = (launch.uid, launch.container.name)
        held = self._world.processes.get(key)
        if held is not None and held.alive:
            raise Violation(f"a second copy of {key} was created while the first lives")
        self._world.pids += 1
        made = Process(attempt=launch.attempt, pid=self._world.pids, start_time=int(self._world.boot * 100))
        self._world.processes[key] = made
        self._world.did(deed)
        return Created(pid=made.pid, start_time=made.start_time)

    async def start(self, uid: str, container: str, attempt: int) -> None:
        """It runs; before its network is configured that is a Violation."""
        deed = f"start {uid} {container} {attempt}"
        self._world.spark(deed)
        sandbox = self._world.sandboxes.get(uid)
        if sandbox is None or (sandbox.wanted and sandbox.nics is None):
            raise Violation("started before its network was configured")
        self._world.processes[uid, container].started = True
        self._world.did(deed)

    async def signal(self, uid: str, container: str, attempt: int, signal: str) -> bool:
        """It ends with 143, unless the world is stubborn."""
        self._world.spark(f"signal {uid} {container}")
        process = self._world.processes.get((uid, container))
        if process is not None and process.alive:
            process.signals.append(signal)
            if not self._world.stubborn:
                self._world.exit(uid, container, 143)
        self._world.did(f"signal {uid} {container}")
        return not self._world.stubborn

    async def kill(self, uid: str, container: str, attempt: int) -> None:
        """It ends with 137."""
        self._world.spark(f"kill {uid} {container}")
        process = self._world.processes.get((uid, container))
        if process is not None and process.alive:
            self._world.exit(uid, container, 137)
        self._world.did(f"kill {uid} {container}")

    async def discard(self, uid: str, container: str, attempt: int) -> None:
        """The process is forgotten."""
        self._world.spark(f"discard {uid} {container}")
        self._world.processes.pop((uid, container), None)
        self._world.did(f"discard {uid} {container}")

    async def tune(self, uid: str, container: str, attempt: int, limits: Limits) -> None:
        """Noted, nothing else."""
        self._world.spark(f"tune {uid} {container}")
        self._world.did(f"tune {uid} {container}")

    async def probe(self, target: Target, probe: Probe) -> Answer:
        """As the world is told to answer."""
        probes = target.container.probes
        kind = next(name for name in ("startup", "live", "ready") if getattr(probes, name) == probe)
        return Answer(good=self._world.answers.get(f"{target.container.name} {kind}", True), message="said the world")

    async def hook(self, target: Target, hook: Hook, limit: float) -> Answer:
        """It takes as long as the world says, of the world's time, and ends as it says."""
        hooks = target.container.hooks
        kind = next((name for name in ("post_start", "pre_stop") if getattr(hooks, name) == hook), "react")
        what = f"{target.container.name} {kind}"
        self._world.spark(f"hook {target.uid} {what}")
        seconds = self._world.seconds.get(what, 0.0)
        await self._world.sleep(min(seconds, limit))
        self._world.did(f"hook {target.uid} {what}")
        good = self._world.answers.get(what, True) if seconds <= limit else False
        return Answer(good=good, message="said the world")

    async def refill(self, uid: str, pod: Pod, inputs: Mapping[str, Mapping[str, bytes]]) -> None:
        """Kept, for the test to look at."""
        self._world.spark(f"refill {uid}")
        self._world.files[uid] = {name: dict(each) for name, each in inputs.items()}
        self._world.did(f"refill {uid}")

    def stop_signal(self, container: Container, image: Image | None) -> str:
        """The spec's, the image's, or SIGTERM."""
        return container.stop_signal or (image.config.stop_signal if image else "") or "SIGTERM"

    def logs(
        self, uid: str, container: str, *, tail: int | None, since: float | None, previous: bool, follow: bool
    ) -> AsyncIterator[LogLine]:
        """Always refused."""
        raise Failed("the containers of this world say nothing")

    async def rotate_logs(self) -> None:
        """There is nothing to rotate."""

    async def exec(self, uid: str, container: Container, pod: Pod, attempt: int, request: ExecRequest) -> Session:
        """Always refused."""
        raise Failed("the containers of this world cannot be joined")

    async def attach(self, uid: str, container: str, attempt: int) -> Session:
        """Always refused."""
        raise Failed("the containers of this world cannot be joined")

    def watch(self, nudge: Callable[[str], None]) -> None:
        """Nothing is told: tests nudge."""

    async def close(self) -> None:
        """Nothing to let go of."""


def _fact(process: Process) -> RuntimeFact:
    return RuntimeFact(
        attempt=process.attempt,
        pid=process.pid,
        start_time=process.start_time,
        alive=process.alive,
        started=process.started,
        monitored=True,
        exited=process.exit_code is not None,
        exit_code=process.exit_code,
        exit_wall=process.exit_wall,
    )


class FakeImages:
    """A registry and an image store in a World."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._fallbacks: dict[str, str] = {}

    async def find(self, reference: str) -> Image | None:
        """What was pulled."""
        return self._world.here.get(_full(reference))

    def verdict(self, reference: str, digest: str) -> Verdict:
        why = self._world.distrusted.get(digest, "")
        return Verdict(admitted=not why, text=why or "accepted", reason="SignatureValidationFailed" if why else "")

    def pulling(self, reference: str) -> bool:
        """Never: a pull is done at once."""
        return False

    def progress_text(self, reference: str) -> str:
        """Always empty."""
        return ""

    async def resolve(self, reference: str, policy: str, digest: str | None) -> Image:
        """From the registry of the world, at once. Raises PullFailed."""
        self._world.spark(f"pull {reference}")
        found = self._world.registry.get(_full(reference))
        if found is None and (policy != "always" or digest is not None):
            found = self._world.here.get(_full(reference))
        if found is None:
            raise PullFailed("ErrImagePull", f"there is no {reference}")
        if found.digest in self._world.distrusted:
            raise PullFailed("SignatureValidationFailed", self._world.distrusted[found.digest])
        repository = _full(reference).partition("@")[0].rpartition(":")[0] or _full(reference).partition("@")[0]
        self._world.here[_full(reference)] = self._world.here[f"{repository}@{found.digest}"] = found
        self._world.did(f"pull {reference}")
        stale = policy == "prefer_fresh" and _full(reference) not in self._world.registry
        self._fallbacks[reference] = "there is no registry" if stale else ""
        return found

    def fallback(self, reference: str) -> str | None:
        """That the world's registry had it no more."""
        return self._fallbacks.get(reference) or None


def _full(reference: str) -> str:
    return str(references.parse(reference))
