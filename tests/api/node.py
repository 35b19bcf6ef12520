"""A node in memory for the tests of the faces: it holds pods, answers at once, and runs nothing but what an exec
starts on this machine. It keeps no promise about how pods behave; that is tested elsewhere."""

from __future__ import annotations

import asyncio
import math
import os
import pty
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tank.errors import Conflict, Failed, NotFound, StartFailed, TankError, Timeout
from tank.model.desired import Desired, Event, Revision
from tank.model.pod import Pod
from tank.model.status import AddressStatus, Condition, ContainerStatus, Status, Termination
from tank.node.input_verbs import InputVerbs
from tank.plan.changes import changes
from tank.plan.preview import Preview, PreviewStep
from tank.plan.selector import matches
from tank.plan.why import Why
from tests.api.images import FakeDisk, FakeImages
from tests.api.inputs import in_memory
from tests.api.networks import FakeNetworks
from tests.api.volumes import FakeVolumes
from tests.waiting import wait_until

NOON = 1_700_000_000.0


class PlanChanged(Conflict):
    """As the real one: the present plan comes along."""

    def __init__(self, preview: Preview) -> None:
        self.preview = preview
        super().__init__(f"the plan changed since it was shown; it is now {preview.token}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a log."""

    time: str = "2026-01-02T03:04:05.000000006Z"
    stream: str = "stdout"
    text: bytes = b""
    attempt: int = 0
    partial: bool = False


@dataclass
class FakeNode:
    """What the API calls. `fails` makes every method raise; `log` and `happened` are what it tells."""

    pods: dict[str, Desired] = field(default_factory=dict)
    statuses: dict[str, Status] = field(default_factory=dict)
    revisions: dict[str, list[Revision]] = field(default_factory=dict)
    log: list[Line] = field(default_factory=list)
    happened: list[Event] = field(default_factory=list)
    changes: asyncio.Queue[Status] = field(default_factory=asyncio.Queue)
    calls: list[tuple[str, object]] = field(default_factory=list)
    sessions: list[Process] = field(default_factory=list)
    fails: Exception | None = None
    log_ends_with: Exception | None = None
    slow: asyncio.Event | None = None
    images: FakeImages = field(default_factory=FakeImages)
    inputs: InputVerbs = field(default_factory=in_memory)
    volumes: FakeVolumes = field(default_factory=FakeVolumes)
    networks: FakeNetworks = field(default_factory=FakeNetworks)
    disk: FakeDisk = field(default_factory=FakeDisk)
    conditions: list[dict[str, str]] = field(default_factory=list)

    def _check(self, call: str, what: object = None) -> None:
        self.calls.append((call, what))
        if self.fails is not None:
            raise self.fails

    async def apply(
        self,
        pods: Sequence[Pod],
        *,
        token: str | None = None,
        prune: str | None = None,
        expected: Mapping[str, int] | None = None,
        origin: str = "apply",
    ) -> list[Status]:
        self._check("apply", {"prune": prune, "expected": expected})
        plan = await self.plan(pods, prune=prune)
        if token not in (None, plan.token):
            raise PlanChanged(plan)
        if self.slow is not None:
            await self.slow.wait()
        for pod in pods:
            held = self.pods.get(pod.name)
            if (expected or {}).get(pod.name, held.revision if held else 0) != (held.revision if held else 0):
                raise Conflict(f"pod {pod.name} is not at revision {(expected or {})[pod.name]}")
        return [self._put(pod, origin) for pod in pods]

    def _put(self, pod: Pod, origin: str) -> Status:
        revision = 1 + sum(len(each) for each in self.revisions.values())
        uid = "0123456789ab"
        self.pods[pod.name] = Desired(name=pod.name, uid=uid, revision=revision, spec=pod, created_at=NOON)
        kept = self.revisions.setdefault(pod.name, [])
        kept.insert(0, Revision(revision=revision, name=pod.name, uid=uid, spec=pod, at=NOON, origin=origin))
        self.statuses[pod.name] = running(pod, revision)
        return self.statuses[pod.name]

    async def plan(self, pods: Sequence[Pod], *, prune: str | None = None) -> Preview:
        self._check("plan", {"prune": prune})
        steps = [
            PreviewStep(pod=pod.name, container="app", action="create", why="it is not there", impact="none")
            for pod in pods
            if pod.name not in self.pods or self.pods[pod.name].spec != pod
        ]
        differing = [each for pod in pods if pod.name in self.pods for each in changes(self.pods[pod.name].spec, pod)]
        return Preview(token=f"token{len(steps)}", steps=tuple(steps), changes=tuple(differing))

    async def get(self, name: str) -> Desired:
        self._check("get", name)
        if name not in self.pods:
            raise NotFound(f"no pod is called {name}")
        return self.pods[name]

    async def list(self, selector: str | None = None) -> list[Status]:
        self._check("list", selector)
        return [
            self.statuses[name] for name, pod in sorted(self.pods.items()) if matches(selector or "", pod.spec.labels)
        ]

    async def status(self, name: str) -> Status:
        await self.get(name)
        return self.statuses[name]

    async def why(self, name: str) -> Why:
        status = await self.status(name)
        because = ("app ended with exit code 1: Error",)
        return Why(name=name, phase=status.phase, summary="it waits", because=because, next="start app", at=None)

    async def delete(self, name: str, *, grace: float | None = None) -> Status:
        status = await self.status(name)
        self.calls.append(("delete", grace))
        del self.pods[name]
        return replace(status, phase="terminating", ready=False)

    async def restart(self, name: str, *, container: str | None = None, pull: bool = False) -> Status:
        self.calls.append(("restart", (container, pull)))
        return await self.status(name)

    async def rollback(self, name: str, to: int | None = None) -> Status:
        await self.get(name)
        for each in self.revisions[name][1:]:
            if to in (None, each.revision):
                return self._put(each.spec, "rollback")
        raise NotFound(f"pod {name} has no earlier revision {to}")

    async def history(self, name: str) -> tuple[Revision, ...]:
        self._check("history", name)
        if name not in self.revisions:
            raise NotFound(f"no pod is or was called {name}")
        return tuple(self.revisions[name])

    async def wait(self, name: str, wanted: str, timeout: float | None = None) -> Status:  # noqa: ASYNC109
        self.calls.append(("wait", (name, wanted, timeout)))
        try:
            return await asyncio.wait_for(self._until(name, wanted), timeout)
        except TimeoutError as error:
            raise Timeout(f"pod {name} is not {wanted} after {timeout:g} s") from error

    async def _until(self, name: str, wanted: str) -> Status:
        [found] = await wait_until(lambda: [each for each in [self._reached(name, wanted)] if each], math.inf)
        return found

    def _reached(self, name: str, wanted: str) -> Status | None:
        if name not in self.pods:
            if wanted == "gone":
                return Status(name=name, phase="gone")
            raise NotFound(f"no pod is called {name}")
        status = self.statuses[name]
        if status.phase == "failed" and wanted != "failed":
            raise Failed(f"pod {name} has failed")
        reached = status.phase == wanted or (status.ready and wanted in ("ready", "running", "settled"))
        return status if reached else None

    async def watch(self) -> AsyncIterator[Status]:
        for status in await self.list():
            yield status
        while True:
            yield await self.changes.get()

    async def events(self, name: str | None = None, *, follow: bool = False) -> AsyncIterator[Event]:
        self._check("events", name)
        for event in self.happened:
            if name in (None, event.pod):
                yield event
        if follow:
            await asyncio.Event().wait()

    async def logs(self, name: str, **options: Any) -> AsyncIterator[Line]:
        self._check("logs", options)
        await self.get(name)
        for each in self.log:
            yield each
        if self.log_ends_with is not None:
            await asyncio.sleep(0.1)
            raise self.log_ends_with
        if options["follow"]:
            await asyncio.Event().wait()

    async def exec(self, name: str, container: str | None, request: Any) -> Process:
        self._check("exec", request)
        pod = await self.get(name)
        if container is not None and pod.spec.container(container) is None:
            raise NotFound(f"pod {name} has no container {container}")
        session = Process()
        await session.start(request)
        self.sessions.append(session)
        return session

    async def attach(self, name: str, container: str | None) -> Process:
        pod = (await self.get(name)).spec
        chosen = pod.container(container) if container else pod.containers[0]
        assert chosen is not None
        request = Asked(argv=(*chosen.command, *chosen.args), tty=chosen.tty, stdin=chosen.stdin)
        return await self.exec(name, container, request)

    async def info(self) -> dict[str, Any]:
        self._check("info")
        return {"version": "0.1.0", "pods": len(self.pods), "conditions": self.conditions}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an attach is, as an exec."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str | None = None
    user: str | None = None
    tty: bool = False
    stdin: bool = False
    size: tuple[int, int] | None = None


def running(pod: Pod, revision: int) -> Status:
    """The status of a pod in which all is well."""
    containers = tuple(
        ContainerStatus(
            name=each.name, state="running", ready=True, started=True, restarts=2, pid=4711, image=str(each.image),
            started_at="2026-01-02T03:04:05Z", image_digest="sha256:" + "0123456789abcdef" * 4,
            last=(Termination(exit_code=1, reason="Error", finished_at="2026-01-02T03:04:00Z"),),
        )
        for each in pod.containers
    )  # fmt: skip
    return Status(
        name=pod.name, uid="0123456789ab", revision=revision, observed_revision=revision, phase="running", ready=True,
        addresses=(AddressStatus(nic="eth0", ip="10.0.0.5/24", mac="02:00:00:00:00:01"),),
        conditions=(Condition(type="Ready", status="true"), Condition(type="UpToDate", status="true")),
        containers=containers, labels=pod.labels, created_at="2026-01-02T03:04:05Z",
    )  # fmt: skip


class Process:
    """A session with a process of this machine behind it, so that bytes, ends and terminals are real."""

    def __init__(self) -> None:
        self.output: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(maxsize=4)
        self.sizes: list[tuple[int, int]] = []
        self.closed = False
        self._readers: list[asyncio.Task[None]] = []
        self._master: int | None = None

    async def start(self, request: Any) -> None:
        """Raises StartFailed as the runtime does."""
        kind = asyncio.subprocess.PIPE
        options: dict[str, Any] = {"stdin": kind, "stdout": kind, "stderr": kind}
        slave = None
        if request.tty:
            self._master, slave = pty.openpty()
            options = {"stdin": slave, "stdout": slave, "stderr": slave}
        elif not request.stdin:
            options["stdin"] = asyncio.subprocess.DEVNULL
        env = {**os.environ, **dict(request.env)}
        argv = ("setsid", "--ctty", *request.argv) if request.tty else request.argv
        try:
            self.child = await asyncio.create_subprocess_exec(*argv, env=env, cwd=request.cwd, **options)
        except FileNotFoundError as error:
            raise StartFailed(127, f"{request.argv[0]}: no such program") from error
        except OSError as error:
            raise StartFailed(126, f"{request.argv[0]}: not executable") from error
        finally:
            if slave is not None:
                os.close(slave)
        await self._read_from(request.tty)

    async def _read_from(self, tty: bool) -> None:
        if not tty:
            assert self.child.stdout
            assert self.child.stderr
            streams = [(1, self.child.stdout), (2, self.child.stderr)]
            self._readers = [asyncio.create_task(self._drain(*each)) for each in streams]
        else:
            self._readers = [asyncio.create_task(self._drain_terminal())]
        self._end = asyncio.create_task(self._finish())

    async def _drain(self, channel: int, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(65536):
            await self.output.put((channel, data))

    async def _drain_terminal(self) -> None:
        assert self._master is not None
        while True:
            try:
                data = await asyncio.to_thread(os.read, self._master, 65536)
            except OSError:
                return
            await self.output.put((1, data))

    async def _finish(self) -> None:
        await asyncio.gather(*self._readers)
        await self.child.wait()
        await self.output.put(None)

    async def read(self) -> tuple[int, bytes] | None:
        return await self.output.get()

    async def write(self, data: bytes) -> None:
        if self._master is not None:
            await asyncio.to_thread(os.write, self._master, data)
        elif self.child.stdin:
            try:
                self.child.stdin.write(data)
                await self.child.stdin.drain()
            except ConnectionError:
                pass

    async def write_eof(self) -> None:
        if self._master is not None:
            os.write(self._master, b"\x04")
        elif self.child.stdin:
            self.child.stdin.close()

    async def resize(self, rows: int, columns: int) -> None:
        import fcntl
        import struct
        import termios

        self.sizes.append((rows, columns))
        if self._master is not None:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def wait(self) -> int:
        code = await self.child.wait()
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        self.closed = True
        if self.child.returncode is None:
            self.child.kill()
            await self.child.wait()
        for task in (*self._readers, self._end):
            task.cancel()
        await asyncio.gather(*self._readers, self._end, return_exceptions=True)
        if self._master is not None:
            os.close(self._master)
            self._master = None


def refuses(error: TankError) -> FakeNode:
    """A node of which every method fails."""
    return FakeNode(fails=error)
