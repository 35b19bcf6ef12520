"""A runtime driver on this machine with a busybox root, for the tests of containers: no store, no loop, no images."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tank.config import Settings
from tank.model.facts import RuntimeFact
from tank.model.launch import Created, Launch
from tank.model.pod import Container, Pod, Rootfs
from tank.runtime.driver import CrunRuntime
from tank.runtime.equipment import Programs
from tank.runtime.places import Attempt
from tank.runtime.session import ExecRequest, Session
from tests.waiting import wait_until


def make_root(directory: Path) -> Path:
    """A root with Debian's static busybox and a few users."""
    program = Path(shutil.which("busybox") or "/bin/busybox")
    for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "data"):
        (directory / name).mkdir(parents=True)
    shutil.copy(program, directory / "bin/busybox")
    for name in subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split():
        if name != "busybox":
            (directory / "bin" / name).symlink_to("busybox")
    (directory / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n")
    (directory / "etc/group").write_text("root:x:0:\napp:x:1000:\nstaff:x:50:app\n")
    return directory


class Rig:
    """One installation with one pod."""

    def __init__(self, directory: Path, installation: str, programs: Programs | None = None) -> None:
        self.settings = Settings(data_dir=directory / "d", run_dir=directory / "r", log_max_size=20_000, dns=())
        self.installation = installation
        self.root = directory / "root" if (directory / "root").exists() else make_root(directory / "root")
        self.programs = programs or Programs()
        self.uid = secrets.token_hex(6)
        self.runtime = CrunRuntime(self.settings, installation, self.programs)
        self.pod = Pod(name="web", containers=())

    def container(self, *command: str, name: str = "app", **fields: Any) -> Container:
        """A container on the busybox root."""
        fields.setdefault("image", Rootfs(rootfs=str(self.root)))
        return Container(name=name, command=command, **fields)

    async def sandbox(self, *containers: Container, **fields: Any) -> None:
        """The pod and its sandbox."""
        self.pod = Pod(name="web", containers=containers, **fields)
        self.settings.pod_dir(self.uid).mkdir(parents=True, exist_ok=True)  # where the loop writes its record
        await self.runtime.make_sandbox(self.uid, self.pod)

    def launch(self, name: str = "app", attempt: int = 1) -> Launch:
        """What the loop would hand over."""
        container = self.pod.container(name)
        assert container is not None
        return Launch(uid=self.uid, pod=self.pod, container=container, attempt=attempt, image=None)

    async def create(self, name: str = "app", attempt: int = 1) -> Created:
        """Create one attempt."""
        return await self.runtime.create(self.launch(name, attempt))

    async def run(self, name: str = "app", attempt: int = 1) -> Created:
        """Create and start one attempt."""
        created = await self.create(name, attempt)
        await self.runtime.start(self.uid, name, attempt)
        return created

    async def run_one(self, *command: str, **fields: Any) -> Created:
        """A pod of one container, running; fields of the pod begin with `pod_`."""
        of_pod = {key[4:]: fields.pop(key) for key in tuple(fields) if key.startswith("pod_")}
        await self.sandbox(self.container(*command, **fields), **of_pod)
        return await self.run()

    async def fact(self, name: str = "app") -> RuntimeFact:
        """What is observed of a container."""
        return (await self.runtime.observe(self.uid))[name]

    async def ended(self, name: str = "app") -> RuntimeFact:
        """The facts of a container once its exit is known."""

        async def exited() -> RuntimeFact | None:
            fact = await self.fact(name)
            return fact if fact.exited and not fact.monitored else None

        found = await wait_until(exited, what=f"the end of {name}")
        assert found is not None
        return found

    async def output(self, name: str = "app", *, previous: bool = False, tail: int | None = None) -> str:
        """What the container has written so far."""
        lines = self.runtime.logs(self.uid, name, tail=tail, since=None, previous=previous, follow=False)
        return "".join([line.text.decode() + ("" if line.partial else "\n") async for line in lines])

    async def said(self, *command: str, **fields: Any) -> str:
        """The output of a pod of one container, run to its end."""
        await self.run_one(*command, **fields)
        await self.ended()
        return await self.output()

    async def exec(self, *argv: str, **fields: Any) -> Session:
        """A session in the running container."""
        request = ExecRequest(argv=argv, **fields)
        return await self.runtime.exec(self.uid, self.pod.containers[0], self.pod, 1, request)

    async def attach(self) -> Session:
        """A session with the container's own program."""
        return await self.runtime.attach(self.uid, "app", 1)

    def attempt(self, name: str = "app", number: int = 1) -> Attempt:
        """Where an attempt lies."""
        return Attempt(settings=self.settings, uid=self.uid, container=name, number=number)

    async def clear(self) -> None:
        """Nothing of it is left."""
        for uid in await self.runtime.uids():
            await self.runtime.remove_sandbox(uid)
            await self.runtime.forget(uid)
        assert await self.runtime.uids() == frozenset()
        assert os.listdir(self.settings.run_dir / "exits") == []
        assert os.listdir(self.settings.run_dir / "crun") == []
        await self.runtime.let_go()
        await self.runtime.close()


@asynccontextmanager
async def opened(directory: Path, installation: str, programs: Programs | None = None) -> AsyncIterator[Rig]:
    """A rig for the length of a test."""
    rig = Rig(directory, installation, programs)
    await rig.runtime.open()
    try:
        yield rig
    finally:
        await rig.clear()


async def everything(session: Session) -> tuple[bytes, bytes]:
    """Output and errors up to the end."""
    said = {1: bytearray(), 2: bytearray()}
    while (piece := await session.read()) is not None:
        said[piece[0]] += piece[1]
    return bytes(said[1]), bytes(said[2])


async def until(session: Session, wanted: bytes) -> bytes:
    """Output up to and including some words."""
    said = b""
    while wanted not in said:
        piece = await session.read()
        assert piece is not None, f"ended after {said!r}"
        said += piece[1]
    return said
