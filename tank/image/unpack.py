"""The daemon's end of unpacking: start the confined unpacker, feed it, believe its report no more than needed.

It is fed through a pipe; or it reads what is kept on the disk anyway, and is told how far that has come. What is fed
was hashed by the feeder. The unpacker's word counts for what it made in its own directory, and is checked in form. It
ends with the feeding: killed when the feeder fails or is cancelled, and by the end of its input when the daemon dies.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tank.host import process
from tank.image.extract import MOST_ENTRIES, Bounds
from tank.image.growing import said
from tank.image.parts import Part
from tank.image.refusal import PRESSURE, no_room, refused
from tank.image.room import Room
from tank.model.reference import DIGEST

_ALWAYS_ALLOWED = 2**30  # bytes that any layer may unpack to
_RATIO = 100  # and times its compressed size on top: text compresses 10 times, a bomb 1000 times
LAYERS, VOLUMES = "tank.image.untar", "tank.image.fill"  # the unpackers
_LONGEST_REPORT = 128 * 2**20
_IN_FLIGHT = 2**20  # bytes on the way to the unpacker
_STEP = 2**18  # bytes to have come before it is told of them
# glibc would give the memory of each piece back to the kernel, and take it again for the next: a tenth of the time.
_ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**26)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What the unpacker made. `opaque` and `implicit` are paths in the layer, "" its root."""

    diff_id: str
    size: int
    entries: int
    opaque: tuple[str, ...]
    implicit: tuple[str, ...]


def bounds_for(compressed: int, room: Room) -> Bounds:
    """What a layer of `compressed` bytes may take (S03, R29). Raises OSError."""
    return Bounds(_ALWAYS_ALLOWED + _RATIO * compressed, MOST_ENTRIES, *room.edge())


async def unpack(
    pieces: AsyncIterator[bytes],
    stage: Path,
    bounds: Bounds,
    *,
    alone: bool = True,
    module: str = LAYERS,
    part: Part | None = None,
) -> Unpacked:
    """Fill the directory `stage`, which is empty or holds a skeleton, from compressed `pieces`.

    `alone`: no other layer is unpacked meanwhile. `module`: which unpacker. `part`: where the pieces are kept. Raises
    PullFailed, Unkept, and whatever `pieces` raises.
    """
    program = [sys.executable, "-X", "utf8", "-I", "-m", module]
    how = [str(stage), "alone" if alone else "beside", *map(str, bounds)]
    child = await _started([*program, *how], part)
    reporting = asyncio.ensure_future(_report(child))
    try:
        if part is None:
            await _feed(child, pieces)
        else:
            await _tell(child, pieces, part)
        return believed(await reporting, await child.wait())
    finally:
        await process.end(child)
        await asyncio.gather(reporting, return_exceptions=True)  # its pipe has ended
        await _closed(child)


async def _started(argv: Sequence[str], part: Part | None) -> Process:
    environment = {**process.ENVIRONMENT, **_ALLOCATION}
    if part is None:
        return await process.spawn(argv, stdin=PIPE, stdout=PIPE, env=environment)
    with part.opened() as file:
        return await process.spawn([*argv, str(file)], stdin=PIPE, stdout=PIPE, env=environment, pass_fds=(file,))


async def _tell(child: Process, pieces: AsyncIterator[bytes], part: Part) -> None:
    """Say how much of what is kept may be read, as it comes."""
    assert child.stdin is not None
    told = 0
    with suppress(BrokenPipeError, ConnectionResetError):
        async for _ in pieces:
            part.check()
            if part.ready - told >= _STEP:
                told = part.ready
                child.stdin.write(said(told))
                await child.stdin.drain()
        await part.flush()
        part.check()
        child.stdin.write(said(part.ready))
        await child.stdin.drain()
    await _closed(child)


async def _feed(child: Process, pieces: AsyncIterator[bytes]) -> None:
    """Hand everything on. A reader that has gone away has said why, in its report."""
    assert child.stdin is not None
    child.stdin.transport.set_write_buffer_limits(high=_IN_FLIGHT)
    with suppress(BrokenPipeError, ConnectionResetError):
        async for piece in pieces:
            child.stdin.write(piece)
            await child.stdin.drain()
    await _closed(child)


async def _closed(child: Process) -> None:
    """Nothing more is handed on. That the reader has gone away is no news."""
    assert child.stdin is not None
    child.stdin.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        await child.stdin.wait_closed()


async def _report(child: Process) -> bytes:
    assert child.stdout is not None
    found = b""
    while more := await child.stdout.read(2**16):
        found += more
        if len(found) > _LONGEST_REPORT:
            raise refused("cannot unpack layer: the unpacker says too much")
    return found


def believed(report: bytes, code: int) -> Unpacked:
    """What an unpacker that ended with `code` says, if it has the form of a report. Raises PullFailed."""
    try:
        body = json.loads(report)
    except (ValueError, RecursionError) as error:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
        raise refused(f"cannot unpack layer: the unpacker {how}") from error
    if not isinstance(body, dict):
        raise refused("cannot unpack layer: the unpacker reports what is no report")
    if body.get("reason") == PRESSURE:
        raise no_room(str(body.get("refused")))
    for problem in ("refused", "failed"):
        if problem in body:
            raise refused(str(body[problem]))
    try:
        made = Unpacked(
            diff_id=str(body["diff_id"]),
            size=int(body["bytes"]),
            entries=int(body["entries"]),
            opaque=tuple(map(str, body["opaque"])),
            implicit=tuple(map(str, body["implicit"])),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise refused("cannot unpack layer: the unpacker reports what is no report") from error
    if DIGEST.fullmatch(made.diff_id) is None:
        raise refused("cannot unpack layer: the unpacker reports no digest")
    return made
