"""A registry behind its mirrors: each is asked in turn, the registry itself last.

Whatever a mirror cannot or will not give comes from the next one. What it does give is believed as far as its digest
goes; only for a tag its word counts, which is what naming it in the settings means. A mirror is a host of its own,
reached by its own settings, and sees its own credentials, never those of the registry behind it (S25). One that failed
is left alone for a while, so that a dead one costs one deadline and not one for every layer (R57); one that has not, or
does not let us read, what was asked for is well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from tank.errors import PullFailed
from tank.image import document as documents
from tank.image.download import Wrong
from tank.image.manifest import ACCEPTED, Descriptor
from tank.image.parts import Part
from tank.image.refusal import Forbidden, Missing, refused, shown
from tank.image.registry import RegistryClient
from tank.image.source import Download, Served, Stream, Witness, ignored
from tank.model.reference import Reference

REST = 60.0  # seconds for which a mirror that failed is not asked

T = TypeVar("T")


@dataclass(slots=True)
class Mirror:
    """One mirror: its client, and what stands in front of the repository's name there. `rests_until`: of the loop."""

    client: RegistryClient
    host: str
    prefix: str = ""
    rests_until: float = 0.0

    def there(self, reference: Reference) -> Reference:
        """What an image is called here."""
        repository = f"{self.prefix}/{reference.repository}" if self.prefix else reference.repository
        return replace(reference, registry=self.host, repository=repository)

    @property
    def rests(self) -> bool:
        """Whether it is not to be asked now."""
        return self.rests_until > _now()

    def failed(self, error: PullFailed) -> None:
        """It was asked in vain."""
        if not isinstance(error, Missing | Forbidden):
            self.rests_until = _now() + REST

    async def manifest(self, reference: Reference, target: str) -> Served:
        """Something that is a manifest at all: what stands in front of a mirror may serve a page for everything."""
        served = await self.client.manifest(reference, target)
        if served.media_type not in ACCEPTED:
            raise refused(f"cannot pull image: {self.host} serves {shown(served.media_type)} for a manifest")
        documents.parsed(served.data, "manifest")
        return served

    async def document(self, reference: Reference, wanted: Descriptor) -> bytes:
        """A small blob, whole and checked. Raises PullFailed."""
        return await self.client.document(reference, wanted)


_Asked = Mirror | RegistryClient


class Mirrored:
    """A registry and its mirrors: a `Source`."""

    def __init__(self, origin: RegistryClient, mirrors: Sequence[Mirror]) -> None:
        self._origin, self._mirrors = origin, tuple(mirrors)

    async def manifest(self, reference: Reference, target: str) -> Served:
        """The manifest or index for a tag or digest, from the first that has it. Raises PullFailed."""
        return await self._first(reference, lambda source, there: source.manifest(there, target))

    def witnesses(self, reference: Reference) -> Sequence[Witness]:
        """All of them: a mirror may have copied an image without its signatures, or before it was signed."""
        there = [(each.client, each.there(reference)) for each in self._awake()]
        return (*there, *self._origin.witnesses(reference))

    async def document(self, reference: Reference, wanted: Descriptor) -> bytes:
        """A small blob from the first that has it. Raises PullFailed."""
        return await self._first(reference, lambda source, there: source.document(there, wanted))

    def downloads(self, reference: Reference, wanted: Descriptor) -> Sequence[Download]:
        """Each mirror that is not at rest, then the registry."""
        ways = [
            replace(way, stream=partial(_Watched, each, way.stream))
            for each in self._awake()
            for way in each.client.downloads(each.there(reference), wanted)
        ]
        return (*ways, *self._origin.downloads(reference, wanted))

    async def _first(self, reference: Reference, ask: Callable[[_Asked, Reference], Awaitable[T]]) -> T:
        for mirror in self._awake():
            try:
                return await ask(mirror, mirror.there(reference))
            except PullFailed as error:
                mirror.failed(error)
        return await ask(self._origin, reference)

    def _awake(self) -> Sequence[Mirror]:
        return [each for each in self._mirrors if not each.rests]


class _Watched:
    """A blob of a mirror: a `Stream`. It is not asked for when the mirror has failed since, and notes when it fails."""

    def __init__(self, mirror: Mirror, make: Callable[[], Stream]) -> None:
        self._mirror, self._stream = mirror, make()

    @property
    def complete(self) -> bool:
        return self._stream.complete

    async def pieces(
        self, count: Callable[[int], None] = ignored, part: Part | None = None
    ) -> AsyncGenerator[bytes, None]:
        if self._mirror.rests:
            raise refused(f"cannot pull image: the mirror {self._mirror.host} has failed just now")
        try:
            async with aclosing(self._stream.pieces(count, part)) as pieces:
                async for piece in pieces:
                    yield piece
        except PullFailed as error:
            if not (isinstance(error, Wrong) and part is not None and part.resumed):  # that may be another's fault
                self._mirror.failed(error)
            raise


def _now() -> float:
    return asyncio.get_running_loop().time()
