"""A blob on its way: hashed as it passes, resumed where a connection broke, refused when it crawls (S27, R57)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing

import aiohttp

from tank.errors import PullFailed
from tank.image.dial import Patience
from tank.image.manifest import Descriptor
from tank.image.network_faults import FOREIGN, explained
from tank.image.parts import Part
from tank.image.refusal import FAILED, Unranged, refused
from tank.image.source import ignored

_MOST_RESUMES = 3

Ask = Callable[[Mapping[str, str]], AbstractAsyncContextManager[aiohttp.ClientResponse]]


class Wrong(PullFailed):
    """What came is not what was asked for."""


class Blob:
    """One blob. `complete` is true once every byte has come and the digest fits; before that it proves nothing."""

    def __init__(self, ask: Ask, wanted: Descriptor, host: str, patience: Patience) -> None:
        """`ask` sends a request with additional headers and gives its successful answer."""
        self.complete = False
        self._ask, self._wanted, self._host, self._patience = ask, wanted, host, patience
        self._hash, self._offset, self._ranges = hashlib.sha256(), 0, True
        self._waited, self._brought = 0.0, 0

    async def pieces(
        self, count: Callable[[int], None] = ignored, part: Part | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes in order; `count` is told the length of each piece. Raises PullFailed. Once only; to be closed.

        `part` is what an earlier try has brought; it grows with what comes, and is spoiled by what is wrong.
        """
        try:
            if part is not None:
                async for piece in part.kept():
                    self._see(piece, count)
                    yield piece
            if self._offset < self._wanted.size or not self._wanted.size:
                async with aclosing(self._fetched()) as fetched:
                    async for piece in fetched:
                        self._see(piece, count)
                        if part is not None:
                            await part.add(piece)
                        yield piece
            self._check()
        except Wrong:
            if part is not None:
                part.spoil()
            raise

    def _see(self, piece: bytes, count: Callable[[int], None]) -> None:
        self._hash.update(piece)
        self._offset += len(piece)
        count(len(piece))

    async def _fetched(self) -> AsyncGenerator[bytes, None]:
        """What the network brings of the bytes that are missing, in as many attempts as are worth it."""
        for left in reversed(range(_MOST_RESUMES + 1)):
            before = self._offset
            try:
                async with aclosing(self._attempt()) as attempt:
                    async for piece in attempt:
                        yield piece
            except Unranged:
                if not self._ranges:
                    raise
                self._ranges = False  # all of it, and what is here is passed over
                continue
            except FOREIGN as error:
                if not left or self._offset == before:
                    raise explained(error, self._host) from error
            if self._offset >= self._wanted.size or self._offset == before:
                break

    def _check(self) -> None:
        size, digest = self._wanted.size, self._wanted.digest
        if self._offset != size:
            raise refused(f"cannot pull image: {self._host} sent {self._offset} of the {size} bytes of {digest}")
        if f"sha256:{self._hash.hexdigest()}" != digest:
            raise Wrong(FAILED, f"cannot pull image: what {self._host} sent is not {digest}")
        self.complete = True

    async def _attempt(self) -> AsyncGenerator[bytes, None]:
        """What one request brings of the bytes from `_offset` on. Raises PullFailed, and the errors in FOREIGN."""
        start, size = self._offset, self._wanted.size
        headers = {"Range": f"bytes={start}-"} if start and self._ranges else {}
        async with self._ask(headers) as response:
            skip = self._skip(response, start)
            left = size - start + skip
            async for piece in self._paced(response):
                left -= len(piece)
                if left < 0:
                    what = f"more than the {size} bytes of {self._wanted.digest}"
                    raise Wrong(FAILED, f"cannot pull image: {self._host} sends {what}")
                if len(piece) > skip:
                    yield piece[skip:]
                skip = max(0, skip - len(piece))

    def _skip(self, response: aiohttp.ClientResponse, start: int) -> int:
        """Bytes of the body that came before. Who does not know ranges sends all of it again."""
        if response.status != 206:
            return start
        if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            what = "another part of a blob than was asked for"
            raise Unranged(FAILED, f"cannot pull image: {self._host} sends {what}")
        return 0

    async def _paced(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """The body as it comes. Only the waiting for it counts as slowness, not what is done with it between."""
        clock, patience = asyncio.get_running_loop().time, self._patience
        waited, brought = 0.0, 0
        while True:
            start = clock()
            piece = await response.content.readany()
            waited += (took := clock() - start)
            if not piece:
                return
            brought += len(piece)
            self._waited, self._brought = self._waited + took, self._brought + len(piece)
            if self._waited > patience.longest + self._brought / patience.pace:
                raise self._slow(self._brought, self._waited)
            if waited > patience.window:
                if brought < patience.floor * waited:
                    raise self._slow(brought, waited)
                waited, brought = 0.0, 0
            yield piece

    def _slow(self, brought: int, waited: float) -> PullFailed:
        return refused(f"cannot pull image: {self._host} is too slow: {brought} bytes in {waited:.0f} s")
