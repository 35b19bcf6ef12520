"""The crun command line, a method per verb, and the files it keeps. Decides nothing, retries nothing, logs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tank.errors import Failed
from tank.host import files, process


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What crun's state directory says of a container that it has created."""

    pid: int
    start_time: int  # clock ticks since boot
    started: bool


@dataclass(frozen=True, slots=True)
class Crun:
    """The runtime `binary`, whose state lies below `root`."""

    binary: Path
    root: Path

    async def start(self, id: str) -> None:  # noqa: A002
        """Let a created container run. Raises ToolFailed."""
        await process.run([*self.command, "start", id])

    async def version(self) -> str:
        """The first line it says of itself."""
        said = await process.run([str(self.binary), "--version"])
        return said.decode(errors="replace").strip()

    def state(self, id: str) -> State | None:  # noqa: A002
        """Read from its files, without running it. None: it has no such container, or was killed creating it."""
        try:
            status = files.read_json(self.root / id / "status")
        except Failed:  # never seen half-written, since it is renamed into place; treated as never made
            return None
        if not isinstance(status, dict):
            return None
        started = not (self.root / id / "exec.fifo").exists()
        return State(pid=status["pid"], start_time=status["process-start-time"], started=started)

    def exec_command(self, id: str, specification: Path, *options: str) -> list[str]:  # noqa: A002
        """The argument vector that runs a further process in a container, and ends as that process ends."""
        return [*self.command, "exec", "--process", str(specification), *options, id]

    def filter(self, id: str) -> Path:  # noqa: A002
        """Where it leaves the compiled system call filter."""
        return self.root / id / "seccomp.bpf"

    @property
    def global_arguments(self) -> Sequence[str]:
        """Options before any verb."""
        return (f"--root={self.root}", "--cgroup-manager=cgroupfs")

    @property
    def command(self) -> list[str]:
        """The beginning of every command line."""
        return [str(self.binary), *self.global_arguments]
