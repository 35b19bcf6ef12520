"""A blob that lies in a file here: kept from an earlier pull, or of an image that is loaded. Hashed like any other."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from tank.image.download import Wrong
from tank.image.manifest import Descriptor
from tank.image.parts import Part
from tank.image.refusal import FAILED, refused
from tank.image.source import ignored

_PIECE = 2**20


class Packed:
    """One blob in a file: a `Stream`."""

    def __init__(self, path: Path, wanted: Descriptor, opener: Callable[[], int] | None = None) -> None:
        """`opener` opens the file where it lies among hostile ones; `path` names it."""
        self.complete = False
        self._path, self._wanted = path, wanted
        self._open = opener or (lambda: os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))

    async def pieces(
        self, count: Callable[[int], None] = ignored, part: Part | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes in order. A part is begun anew: nothing is saved by its resumption. Raises PullFailed."""
        file = self._opened()
        found, length = hashlib.sha256(), 0
        try:
            if part is not None:
                part.restart()
            while piece := await asyncio.to_thread(os.read, file, _PIECE):
                found.update(piece)
                length += len(piece)
                if length > self._wanted.size:
                    break
                count(len(piece))
                if part is not None:
                    await part.add(piece)
                yield piece
        finally:
            os.close(file)
        if (length, f"sha256:{found.hexdigest()}") != (self._wanted.size, self._wanted.digest):
            if part is not None:
                part.spoil()
            raise Wrong(FAILED, f"cannot use image: {self._path.name} is not {self._wanted.digest}")
        self.complete = True

    def _opened(self) -> int:
        try:
            return self._open()
        except OSError as error:
            raise refused(f"cannot use image: cannot read {self._path.name}: {error.strerror}") from error
