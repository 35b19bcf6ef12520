"""A conversation with a process in a container: what exec and attach give to the API.

Channels are those of the wire: 1 standard output, 2 standard errors. One task reads, one writes; whoever opened
the session closes it, whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

STDOUT, STDERR = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecRequest:
    """A program to be run beside a container's own. What is None is as the container has it."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str | None = None
    user: str | None = None
    tty: bool = False
    stdin: bool = False
    size: tuple[int, int] | None = None  # rows, columns


class Session(Protocol):
    """An open conversation."""

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output and its channel; None at the end. Raises Failed."""

    async def write(self, data: bytes) -> None:
        """Give it input, as fast as it takes it. What nobody reads any more is dropped."""

    async def write_eof(self) -> None:
        """There is no more input."""

    async def resize(self, rows: int, columns: int) -> None:
        """The size of its terminal."""

    async def wait(self) -> int:
        """Its exit code, once it has ended: 128 + N for signal N."""

    async def close(self) -> None:
        """Let go. The process of an exec is ended with all of its session; a container never is."""
