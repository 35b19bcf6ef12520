"""Having an image here: by policy from the disk or from its registry (C6). The `Images` of `tank.node.drivers`.

`resolve` decides, a flight does: manifest, configuration, layers, and last of all the record that makes the reference
mean this image (R23). What breaks on the way leaves whole layers, which the next try finds, and nothing else. An
image that is here needs no registry.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tank.config import Settings
from tank.errors import Failed, PullFailed
from tank.host import openat
from tank.image import credentials, platform, refusal, shelf
from tank.image.blobs import Blobs
from tank.image.dial import Patience
from tank.image.flights import Flights, uninterrupted
from tank.image.layers import Layer, Layers, layers_of
from tank.image.progress import Progress
from tank.image.refusal import refused, shown
from tank.image.registry import RegistryClient
from tank.image.selection import Selection
from tank.image.shelf import Shelf
from tank.model import reference as references
from tank.model.image import Image
from tank.model.reference import Reference

_FRAME = 0.1  # seconds between two looks at the progress
_ASKING = ("always", "prefer_fresh")


class ImageStore:
    """The images below `<data_dir>/images`. `open` first, `close` last."""

    def __init__(
        self,
        settings: Settings,
        *,
        patience: Patience | None = None,
        machine: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`machine` as `uname -m` has it; `environment` says where Docker's and Podman's credentials lie."""
        self._settings, self._patience = settings, patience or Patience()
        self._accepted = platform.accepted(machine or os.uname().machine)
        self._files = credentials.files(os.environ if environment is None else environment)
        self._blobs = Blobs(settings.data_dir / "images")
        self._shelf, self._layers = Shelf(self._blobs), Layers(self._blobs)
        self._flights = Flights()
        self._clients: dict[str, RegistryClient] = {}
        self._parts: dict[str, tuple[Layer, ...]] = {}  # of each image under way, by its key
        self._keys: dict[str, str] = {}  # of each reference under way, as it was asked for
        self._fallbacks: dict[str, str] = {}
        self._sweeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the directories, and begin to remove what a predecessor left unfinished. Raises Failed."""
        with _disk():
            leftovers = await asyncio.to_thread(self._blobs.prepare)
        if leftovers:
            self._sweeping = asyncio.create_task(asyncio.to_thread(_sweep, leftovers))

    async def close(self) -> None:
        """End every pull and connection."""
        await self._flights.close()
        await self._layers.close()
        for client in self._clients.values():
            await client.close()
        if self._sweeping is not None:
            await self._sweeping

    async def find(self, reference: str) -> Image | None:
        """The whole image that is here for a reference or for `repository@digest`; asks no registry."""
        with _disk():
            return self._shelf.find(_parsed(reference))

    def pulling(self, reference: str) -> bool:
        """Whether a flight for this reference is under way."""
        return self._key(reference) in self._flights

    def progress(self, reference: str) -> Progress | None:
        """How far the flight for this reference is; None when there is none."""
        key = self._key(reference)
        if key not in self._flights:
            return None
        layers = tuple(self._layers.progress(part) for part in self._parts.get(key, ()))
        return Progress(reference=reference, layers=layers)

    def progress_text(self, reference: str) -> str:
        """How far the flight is, for a person; empty when there is none."""
        now = self.progress(reference)
        if now is None:
            return ""
        if not now.total:
            return "pulling"
        whole = sum(layer.done >= layer.total for layer in now.layers)
        return f"pulling: {now.done / 1e6:.1f} of {now.total / 1e6:.1f} MB, {whole} of {len(now.layers)} layers"

    async def follow(self, reference: str) -> AsyncIterator[Progress]:
        """The progress as it changes, until the flight has ended."""
        last: Progress | None = None
        while (now := self.progress(reference)) is not None:
            if now != last:
                yield now
            last = now
            await asyncio.sleep(_FRAME)

    def fallback(self, reference: str) -> str | None:
        """Why `prefer_fresh` gave the cached image the last time; None when it gave a fresh one."""
        return self._fallbacks.get(reference)

    async def resolve(self, reference: str, policy: str, digest: str | None) -> Image:
        """Have the image here, whole, by the pull policy; with `digest`, exactly that manifest. Raises PullFailed."""
        wanted = _parsed(reference)
        if digest is not None:
            wanted = wanted.at(digest)
        with _disk():
            here = self._shelf.find(wanted)
        # What a digest names cannot change: there is nothing to ask.
        if here is not None and (wanted.digest is not None or policy not in _ASKING):
            return here
        if policy == "never":
            raise PullFailed(refusal.NEVER, f"image {reference} is not here, and its pull policy is never")
        try:
            image = await self._fly(reference, wanted)
        except PullFailed as error:
            if here is None or policy != "prefer_fresh":
                raise
            self._fallbacks[reference] = error.message
            return here
        self._fallbacks.pop(reference, None)
        return image

    async def _fly(self, reference: str, wanted: Reference) -> Image:
        key = shelf.key(wanted)
        self._keys[reference] = key
        try:
            return await self._flights.join(key, lambda: self._pull(wanted, key))
        finally:
            if key not in self._flights:
                self._keys.pop(reference, None)

    def _key(self, reference: str) -> str:
        return self._keys.get(reference) or shelf.key(_parsed(reference))

    async def _pull(self, wanted: Reference, key: str) -> Image:
        try:
            return await self._bring(wanted, key)
        except OSError as error:
            raise refused(f"cannot keep image: {error.strerror or error}") from error
        finally:
            self._parts.pop(key, None)

    async def _bring(self, wanted: Reference, key: str) -> Image:
        client = self._client(wanted.registry)
        selection = Selection(client=client, blobs=self._blobs, reference=wanted, accepted=self._accepted)
        selected = await selection.run()
        self._parts[key] = layers_of(wanted, selected)
        await self._layers.bring(client, wanted, self._parts[key])
        await uninterrupted(asyncio.to_thread(self._keep, selected.documents))
        image = self._shelf.image(selected.digest)
        if image is None:
            raise refused(f"cannot keep image: {wanted} is not whole after its pull")
        await uninterrupted(asyncio.to_thread(self._blobs.remember, key, selected.digest))
        return image

    def _keep(self, documents: Sequence[bytes]) -> None:
        for each in documents:
            self._blobs.write(each)

    def _client(self, host: str) -> RegistryClient:
        if host not in self._clients:
            configured = self._settings.registries.get(host)
            self._clients[host] = RegistryClient(host, configured, self._files, self._patience)
        return self._clients[host]


@contextmanager
def _disk() -> Iterator[None]:
    """A store that cannot be read is no absence of images: it is said, and the pod is tried again."""
    try:
        yield
    except OSError as error:
        raise Failed(f"cannot read the images: {error.strerror or error}") from error


def _parsed(reference: str) -> Reference:
    try:
        return references.parse(reference)
    except ValueError as error:
        raise PullFailed(refusal.INVALID, f"cannot read image reference {shown(reference)}: {error}") from error


def _sweep(leftovers: Sequence[Path]) -> None:
    """An unpacker of a killed daemon ends with its input, and cannot make anything in a directory that is gone."""
    for each in leftovers:
        with suppress(OSError):  # the next start tries again
            openat.remove_tree(each)
