"""Compressed layers on the disk: as far as they have come, so that a broken download goes on (R24), and whole.

A part is bytes from the beginning of a blob, named by the digest that the whole must have. Nothing is known of it: who
takes it up reads it again from its first byte, hashes it, and asks the network for the rest. So a part may come from
another host, from a daemon that was killed, or be damaged: what is wrong is found when the whole is compared with its
digest, and then the part is thrown away. A disk that is full down to its floor ends the keeping, not the pull.

Everything here can be had again, so it is the first to go when space is wanted (`tank.image.keeper`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tank.errors import PullFailed
from tank.image.blobs import Blobs
from tank.image.claims import Claims
from tank.image.flights import uninterrupted
from tank.image.headroom import Headroom
from tank.image.refusal import PRESSURE
from tank.image.room import Room

_PIECE = 2**20
_STEP = 2**20  # bytes that are written together


class Unkept(PullFailed):
    """The disk takes no more of a part; the blob may be had all the same."""


class Part:
    """One part, while its blob is on its way.

    `resumed`: bytes that an earlier try had brought. `ready`: those that lie in the file and were handed on. One that
    does not grow takes no more space: it is read, and goes when the blob is here.
    """

    def __init__(self, blobs: Blobs, digest: str, size: int, headroom: Headroom, *, grows: bool = True) -> None:
        """`size`: of the whole blob; a part that is longer is none. Raises OSError."""
        path = blobs.part(digest)
        self.grows = grows
        self.path, self._whole, self._headroom = path, blobs.packed_layer(digest), headroom
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self.resumed, self.ready = os.fstat(self._file).st_size, 0
        if self.resumed > size:
            self._shorten()
        self.spoiled = False
        self._broken = self._closed = False
        self._held: list[bytes] = []
        self._length = 0
        self._writing: asyncio.Future[None] | None = None

    def restart(self) -> None:
        """Forget what an earlier try had brought. Raises OSError."""
        self._shorten()

    async def kept(self) -> AsyncIterator[bytes]:
        """What is there, in pieces. Raises OSError."""
        offset = 0
        while offset < self.resumed:
            piece = await asyncio.to_thread(os.pread, self._file, min(_PIECE, self.resumed - offset), offset)
            if not piece:
                return
            offset += len(piece)
            self.ready = offset
            yield piece

    async def add(self, piece: bytes) -> None:
        """The next bytes. They are written in a thread, while others come."""
        if not self.grows:
            return
        self._held.append(piece)
        self._length += len(piece)
        if self._length >= _STEP:
            await self._write_behind()

    async def flush(self) -> None:
        """Have all of them in the file."""
        await self._write_behind()
        if self._writing is not None:
            await asyncio.shield(self._writing)

    @property
    def lost(self) -> bool:
        """Whether what was added could not be written: then nothing is kept."""
        return self._broken

    def check(self) -> None:
        """Raises Unkept when it is lost."""
        if self._broken:
            raise Unkept(PRESSURE, "cannot keep a layer as it came: the disk takes no more")

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor with which the file can be read, and not written. Raises OSError."""
        file = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            yield file
        finally:
            os.close(file)

    async def _write_behind(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)  # a thread goes on when its waiter is cancelled
        held, self._held, self._length = self._held, [], 0
        self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, held))

    def _write(self, pieces: list[bytes]) -> None:
        if self._broken:
            return
        try:
            if self._headroom.take(sum(map(len, pieces))):
                raise OSError
            os.lseek(self._file, 0, os.SEEK_END)
            for piece in pieces:
                if os.write(self._file, piece) != len(piece):
                    raise OSError
                self.ready += len(piece)
        except OSError:
            self._broken = True
            with suppress(OSError):
                self._shorten()

    def _shorten(self) -> None:
        os.ftruncate(self._file, 0)
        self.resumed = self.ready = 0

    def spoil(self) -> None:
        """What has come is not the blob, or in the way: nobody shall take it up."""
        self.spoiled = True

    async def close(self) -> None:
        """Keep what has come, or remove what is spoiled; to its end. Repeatable."""
        if not self._closed:
            self._closed = True
            await uninterrupted(self._close())

    async def _close(self) -> None:
        await self._write_behind()
        if self._writing is not None:
            await self._writing
        os.close(self._file)
        if self.spoiled or self._broken:
            self.path.unlink(missing_ok=True)

    def whole(self) -> None:
        """All of it has come, is proven, and was closed: it gets its name. On the disk after the next sync."""
        if not self.grows:
            self.path.unlink(missing_ok=True)
        elif not (self.spoiled or self._broken):
            os.rename(self.path, self._whole)


class Parts:
    """The parts of one image store. Two flights for one blob do not share its part: the second goes without."""

    def __init__(self, blobs: Blobs, claims: Claims, room: Room) -> None:
        self._blobs, self._claims, self._room = blobs, claims, room
        self._taken: set[Path] = set()

    @contextmanager
    def staying(self, digests: Iterable[str]) -> Iterator[None]:
        """While the block runs the parts of these blobs stay, for who is about to take them."""
        with self._claims.using([self._blobs.part(each) for each in digests]):
            yield

    def take(self, digest: str, size: int) -> Part | None:
        """The part of this blob, to be given back; None when it is taken, or the disk refuses."""
        return self._opened(digest, size, grows=True)

    def resume(self, digest: str, size: int) -> Part | None:
        """The same where there is no space for more of it; None, too, when there is nothing to go on with."""
        return self._opened(digest, size, grows=False) if self._blobs.part(digest).exists() else None

    def _opened(self, digest: str, size: int, *, grows: bool) -> Part | None:
        if self._blobs.part(digest) in self._taken:
            return None
        try:
            part = Part(self._blobs, digest, size, self._room.headroom(), grows=grows)
        except OSError:
            return None
        self._claims.use(part.path)
        self._taken.add(part.path)
        return part

    async def give(self, part: Part) -> None:
        """Let others take it up, if it is worth it."""
        try:
            await part.close()
        finally:
            self._taken.discard(part.path)
            self._claims.disuse(part.path)

    def drop(self, digest: str) -> None:
        """The blob is had without its part: that takes no more space, unless another flight uses it. Raises OSError."""
        path = self._blobs.part(digest)
        if path not in self._taken:
            path.unlink(missing_ok=True)

    def held(self, digest: str) -> int:
        """Bytes of this blob that lie here already, whole or not."""
        for path in (self._blobs.packed_layer(digest), self._blobs.part(digest)):
            with suppress(OSError):
                return path.stat().st_size
        return 0
