"""Having an image here: by policy from the disk or from its registry (C6). The `Images` of `tank.node.drivers`.

`resolve` decides, a flight does: manifest, configuration, layers, and last of all the record that makes the reference
mean this image (R23). What breaks on the way leaves whole layers, which the next try finds, and nothing else. An
image that is here needs no registry.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from pathlib import Path

from tank.config import Settings
from tank.errors import Denied, PullFailed
from tank.host import clock
from tank.image import chain, credentials, logins, platform, refusal, shelf
from tank.image.blobs import Blobs
from tank.image.claims import Claims
from tank.image.credentials import Credential
from tank.image.dial import Patience
from tank.image.fitting import Fitting
from tank.image.flights import Flights, uninterrupted
from tank.image.gate import Gate
from tank.image.keeper import Keeper
from tank.image.layers import Layers, layers_of
from tank.image.mirror import Mirror, Mirrored
from tank.image.parts import Parts
from tank.image.progress import Progress
from tank.image.refusal import disk, no_room, refused, shown
from tank.image.registry import RegistryClient
from tank.image.room import Room
from tank.image.selection import Selected, Selection
from tank.image.shelf import Packing, Shelf
from tank.image.signature import unsigned
from tank.image.source import Source
from tank.image.unsynced import Unsynced
from tank.model import reference as references
from tank.model.image import Image, Verdict
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
        boot: str | None = None,
    ) -> None:
        """`machine` as `uname -m` has it; `environment` says where others' credentials lie; `boot`: id of this boot."""
        self._settings, self._patience = settings, patience or Patience()
        self._accepted = platform.accepted(machine or os.uname().machine)
        others = credentials.files(os.environ if environment is None else environment)
        self._files = (settings.data_dir / logins.NAME, *others)
        self._blobs = Blobs(settings.data_dir / "images")
        self.room = Room(directory=settings.data_dir, reserve=settings.image_reserve)
        self._unsynced = Unsynced(self._blobs, boot or clock.boot_id())
        self.claims = Claims()
        copies = Parts(self._blobs, self.claims, self.room)
        self._shelf, self._layers = Shelf(self._blobs), Layers(self._blobs, copies, self.room, self._unsynced)
        self.fitting = Fitting(self.room, self._layers)
        self.gate = Gate(settings.trust, self._blobs)
        self._flights = Flights()
        self._clients: dict[str, RegistryClient] = {}
        self._mirrored: dict[str, Mirrored] = {}
        self._keys: dict[str, str] = {}  # of each reference under way, as it was asked for
        self._fallbacks: dict[str, str] = {}
        self.keeper = Keeper(self._blobs, self.claims)

    async def open(self) -> None:
        """Make the directories, and begin to remove what a predecessor left unfinished. Raises Failed."""
        with disk():
            leftovers = await asyncio.to_thread(self._blobs.prepare)
            self.keeper.bin.put([*leftovers, *await self._unsynced.open()])

    async def close(self) -> None:
        """End every pull and connection."""
        await self._flights.close()
        await self._layers.close()
        await asyncio.gather(*(client.close() for client in self._clients.values()))
        await self._unsynced.close()
        await self.keeper.bin.close()
        self._blobs.close()

    async def find(self, reference: str) -> Image | None:
        """The whole image that is here for a reference or for `repository@digest`; asks no registry."""
        with disk():
            return self._claimed(self._shelf.find(_parsed(reference)))

    def verdict(self, reference: str, digest: str) -> Verdict:
        """What the rules of trust say of an image that is here under this reference; asks no registry."""
        return self.gate.verdict(_parsed(reference), digest)

    def pulling(self, reference: str) -> bool:
        """Whether a flight for this reference is under way."""
        return self._key(reference) in self._flights

    def progress(self, reference: str) -> Progress | None:
        """How far the flight for this reference is; None when there is none."""
        key = self._key(reference)
        if key not in self._flights:
            return None
        layers = tuple(self._layers.progress(part) for part in self.fitting.layers(key))
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

    async def verify(self, host: str, credential: Credential) -> None:
        """Try a password at its registry. Raises Denied when it is not taken; PullFailed when nobody answers."""
        if not await self._client(host).lets_in(credential):
            raise Denied(f"{host} does not take this user and password")

    def relogin(self) -> None:
        """The passwords have changed: nothing that was let in with the old ones counts."""
        for client in self._clients.values():
            client.forget()

    async def resolve(self, reference: str, policy: str, digest: str | None) -> Image:
        """Have the image here, whole, by the pull policy; with `digest`, exactly that manifest. Raises PullFailed."""
        wanted = _parsed(reference)
        if digest is not None:
            wanted = wanted.at(digest)
        self.gate.check_rejected(wanted)
        with disk():
            here = self._claimed(self._shelf.find(wanted))
        trusted = here is not None and self.gate.verdict(wanted, here.digest).admitted
        # What a digest names cannot change: there is nothing to ask.
        if here is not None and (wanted.digest is not None or policy not in _ASKING):
            if trusted:
                return here
            wanted = wanted.at(here.digest)  # not what its tag may mean by now
        if here is not None and policy == "never":
            raise unsigned(
                f"cannot use image: {self.gate.verdict(wanted, here.digest).text}, and its pull policy is never"
            )
        if policy == "never":
            raise PullFailed(refusal.NEVER, f"image {reference} is not here, and its pull policy is never")
        try:
            image = await self._fly(reference, wanted)
        except PullFailed as error:
            if here is None or not trusted or policy != "prefer_fresh":
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

    def stage(self) -> Path:
        """A new empty directory for files that an image is taken from; its maker removes it. Raises OSError."""
        return self._blobs.stage()

    async def take_in(self, source: Source, wanted: Reference, names: Sequence[str]) -> Image:
        """Have an image of files here, for these names (keys of the shelf). Raises PullFailed."""
        key = f"load {wanted}"
        return await self._kept(key, self._load(source, wanted, key, names))

    def packed(self, reference: str) -> Packing:
        """An image with its layers as they came, to be saved. Raises PullFailed."""
        with disk():
            return self._shelf.packing(_parsed(reference))

    async def _pull(self, wanted: Reference, key: str) -> Image:
        return await self._kept(key, self._bring(wanted, key))

    async def _kept(self, key: str, work: Awaitable[Image]) -> Image:
        """What keeping an image comes to. What went wrong with the disk becomes words."""
        try:
            return await work
        except OSError as error:
            refusing = no_room if error.errno in (errno.ENOSPC, errno.EDQUOT) else refused
            raise refusing(f"cannot keep image: {error.strerror or error}") from error
        finally:
            self.fitting.end(key)
            self.claims.end(key)

    async def _bring(self, wanted: Reference, key: str) -> Image:
        source = self._source(wanted.registry)
        selection = Selection(client=source, blobs=self._blobs, reference=wanted, accepted=self._accepted)
        selected = await selection.run()
        await self.gate.admit(source, wanted, selected.chain)
        image = await self._complete(source, wanted, selected, key)
        await uninterrupted(asyncio.to_thread(self._blobs.remember, key, selected.digest))
        return image

    async def _load(self, source: Source, wanted: Reference, key: str, names: Sequence[str]) -> Image:
        selection = Selection(client=source, blobs=self._blobs, reference=wanted, accepted=self._accepted)
        selected = await selection.run()
        image = await self._complete(source, wanted, selected, key)
        await self._unsynced.flush()  # who says that it is here may take the files away
        for each in names:
            await uninterrupted(asyncio.to_thread(self._blobs.remember, each, selected.digest))
        return image

    async def _complete(self, source: Source, wanted: Reference, selected: Selected, key: str) -> Image:
        """Bring the layers of a chosen image, and last of all keep its documents: then it is here."""
        layers = layers_of(wanted, selected)
        diff_ids = selected.configuration.diff_ids
        self.claims.begin(
            key, selected.digest, (each.removeprefix("sha256:") for each in (*diff_ids, *chain.ids(diff_ids)))
        )
        await self.fitting.admit(key, layers)
        try:
            await self._layers.bring(source, wanted, layers)
        except PullFailed as error:
            if error.reason == refusal.PRESSURE:
                await self.fitting.outgrown()
            raise
        for each in selected.documents:
            await uninterrupted(asyncio.to_thread(self._blobs.write, each))
        image = self._shelf.image(selected.digest)
        if image is None:
            raise refused(f"cannot keep image: {wanted} is not whole after its pull")
        self._blobs.touch(selected.digest)
        self._claimed(image)
        return image

    def _claimed(self, image: Image | None) -> Image | None:
        """An image that somebody asked for is not collected under their hands (R38)."""
        if image is not None and not self.claims.renew(image.digest):
            found = self._shelf.content(image.digest)
            self.claims.lease(image.digest, found.claimed if found else ())
        return image

    def _source(self, host: str) -> Source:
        """The registry, behind its mirrors if it has any."""
        configured = self._settings.registries.get(host)
        if configured is None or not configured.mirrors:
            return self._client(host)
        if host not in self._mirrored:
            pairs = [each.partition("/") for each in configured.mirrors]
            mirrors = [Mirror(self._client(each), each, prefix) for each, _, prefix in pairs]
            self._mirrored[host] = Mirrored(self._client(host), mirrors)
        return self._mirrored[host]

    def _client(self, host: str) -> RegistryClient:
        if host not in self._clients:
            configured = self._settings.registries.get(host)
            self._clients[host] = RegistryClient(host, configured, self._files, self._patience)
        return self._clients[host]


def _parsed(reference: str) -> Reference:
    try:
        return references.parse(reference)
    except ValueError as error:
        raise PullFailed(refusal.INVALID, f"cannot read image reference {shown(reference)}: {error}") from error
