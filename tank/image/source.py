"""Where an image comes from, as a protocol: a registry, its mirrors, or files on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tank.image.manifest import Descriptor
from tank.image.parts import Part
from tank.model.reference import Reference

LAYERS_AT_ONCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A manifest or index as it came. `digest` is of these very bytes."""

    data: bytes
    media_type: str
    digest: str


def ignored(_: int) -> None:
    """For who does not count."""


class Stream(Protocol):
    """The bytes of one blob, hashed as they pass."""

    @property
    def complete(self) -> bool:
        """Whether every byte has come and the digest fits; before that it proves nothing."""

    def pieces(self, count: Callable[[int], None] = ignored, part: Part | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes in order, those of `part` first; what comes is added to it. Raises PullFailed. Once only."""


@dataclass(frozen=True, slots=True)
class Download:
    """One way to have a blob. `slots` bounds how many of its host are under way at once (R57)."""

    slots: asyncio.Semaphore
    stream: Callable[[], Stream]
    keeps: bool = True  # what comes is kept on the disk


class Vouching(Protocol):
    """Where signatures may lie: they stand for themselves, whoever hands them on."""

    async def manifest(self, reference: Reference, target: str) -> Served:
        """The manifest or index for a tag or digest. Raises PullFailed."""

    async def referrers(self, reference: Reference, digest: str) -> Sequence[bytes]:
        """Indexes of what refers to a manifest; none when that cannot be said. Raises PullFailed."""

    async def document(self, reference: Reference, wanted: Descriptor) -> bytes:
        """A small blob, whole and checked. Raises PullFailed."""


Witness = tuple[Vouching, Reference]  # and what the image is called there


class Source(Protocol):
    """Manifests, small documents, and blobs of one repository or another."""

    async def manifest(self, reference: Reference, target: str) -> Served:
        """The manifest or index for a tag or digest. Raises PullFailed."""

    async def document(self, reference: Reference, wanted: Descriptor) -> bytes:
        """A small blob, whole and checked. Raises PullFailed."""

    def witnesses(self, reference: Reference) -> Sequence[Witness]:
        """Where its signatures may lie, to be asked in this order; only the last must answer."""

    def downloads(self, reference: Reference, wanted: Descriptor) -> Sequence[Download]:
        """The ways to have a blob, to be tried in this order; at least one."""
