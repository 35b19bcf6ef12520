"""The part of the runtime driver that carries output and input: logs, exec, attach."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tank.host import files
from tank.host.threads import in_thread
from tank.model.pod import Container, Pod
from tank.runtime import exec_session, facts
from tank.runtime.attach_session import attach
from tank.runtime.ground import Ground
from tank.runtime.logs import LogLine
from tank.runtime.session import ExecRequest, Session


class Streaming(Ground):
    """Logs, exec, attach."""

    def logs(
        self, uid: str, container: str, *, tail: int | None, since: float | None, previous: bool, follow: bool
    ) -> AsyncIterator[LogLine]:
        """The container's output over its attempts, oldest first (C11)."""
        return self._archive.read(uid, container, tail=tail, since=since, previous=previous, follow=follow)

    async def rotate_logs(self) -> None:
        """Rotate every log that has grown beyond its size (R31)."""
        for uid in files.names(self._settings.run_dir / "pods"):
            for attempt in facts.newest(self._settings, uid).values():
                await in_thread(self._archive.rotate, attempt)

    async def exec(self, uid: str, container: Container, pod: Pod, attempt: int, request: ExecRequest) -> Session:
        """Run a program beside the container's own, as the container's own runs. Raises StartFailed, Failed."""
        found = self._attempt(uid, container.name, attempt)
        return await exec_session.run(found, request, self._crun, self._groups)

    async def attach(self, uid: str, container: str, attempt: int) -> Session:
        """Join the streams of the container's own program. Raises Failed."""
        return await attach(self._attempt(uid, container, attempt), self._deaths)
