"""A registry behind its mirrors: each is asked in turn, the registry itself last.

Whatever a mirror cannot or will not give comes from the next one. What it does give is believed as far as its digest
goes; only for a tag its word counts, which is what naming it in the settings means. A mirror is a host of its own,
reached by its own settings, and sees its own credentials, never those of the registry behind it (S25). One that failed
is left alone for a while, so that a dead one costs one deadline and not one for every layer (R57).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tank.errors import PullFailed
from tank.image.manifest import Descriptor
from tank.image.refusal import Missing
from tank.image.registry import RegistryClient
from tank.image.source import Download, Served
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


class Mirrored:
    """A registry and its mirrors: a `Source`."""

    def __init__(self, origin: RegistryClient, mirrors: Sequence[Mirror]) -> None:
        self._origin, self._mirrors = origin, tuple(mirrors)

    async def manifest(self, reference: Reference, target: str) -> Served:
        """The manifest or index for a tag or digest, from the first that has it. Raises PullFailed."""
        return await self._first(reference, lambda client, there: client.manifest(there, target))

    async def referrers(self, reference: Reference, digest: str) -> bytes | None:
        """What refers to a manifest is the registry's to say: a mirror may have none of it. Raises PullFailed."""
        return await self._origin.referrers(reference, digest)

    async def document(self, reference: Reference, wanted: Descriptor) -> bytes:
        """A small blob from the first that has it. Raises PullFailed."""
        return await self._first(reference, lambda client, there: client.document(there, wanted))

    def downloads(self, reference: Reference, wanted: Descriptor) -> Sequence[Download]:
        """Each mirror that is not at rest, then the registry."""
        ways = [each.client.downloads(each.there(reference), wanted) for each in self._awake()]
        return [way for found in (*ways, self._origin.downloads(reference, wanted)) for way in found]

    async def _first(self, reference: Reference, ask: Callable[[RegistryClient, Reference], Awaitable[T]]) -> T:
        for mirror in self._awake():
            try:
                return await ask(mirror.client, mirror.there(reference))
            except Missing:
                continue  # well, and without this image
            except PullFailed:
                mirror.rests_until = _now() + REST
        return await ask(self._origin, reference)

    def _awake(self) -> Sequence[Mirror]:
        return [each for each in self._mirrors if each.rests_until <= _now()]


def _now() -> float:
    return asyncio.get_running_loop().time()
