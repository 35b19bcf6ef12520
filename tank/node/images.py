"""The verbs of images: what the API calls. Rows say who uses what; the keeper removes; a flight pulls.

Nothing here may take away what a declared pod, its previous revision or a container on record needs: that is a
Conflict that names them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from tank.errors import Conflict, Failed, InvalidSpec, NotFound, Problem, PullFailed
from tank.image import collect, shelf
from tank.image.collect import Kept
from tank.image.credentials import Credential
from tank.image.inventory import Inventory
from tank.image.load import load
from tank.image.logins import Logins
from tank.image.pull import ImageStore
from tank.image.save import Format, save
from tank.model import reference as references
from tank.model import registry as registries
from tank.model.images import ImageDetail, ImageStatus, Removed
from tank.model.reference import Reference
from tank.node import describe
from tank.node.collector import Collector
from tank.node.needs import Needs

_NAMELESS = "localhost/image"  # a repository for an image that has only its digest
SHORTEST = 6  # digits that name an image by the beginning of its digest


class ImageVerbs:
    """The images of one machine. Every method may be called at any time from the daemon's loop."""

    def __init__(self, images: ImageStore, collector: Collector, logins: Logins) -> None:
        self._images, self._collector, self._logins = images, collector, logins

    async def list(self) -> list[ImageStatus]:
        """Every whole image, by its first name."""
        found, seen = await self._collector.look()
        alone = collect.exclusive(seen.images)
        rows = [describe.status(image, seen, alone, found) for image in seen.images if image.whole]
        return sorted(rows, key=lambda each: (each.references[:1] or ("~",), each.digest))

    async def inspect(self, name: str) -> ImageDetail:
        """All of one image, by reference, digest or the beginning of one. Raises NotFound, Conflict."""
        found, seen = await self._collector.look()
        image = _named(seen, name)[0]
        return describe.detail(image, seen, found, self._images.keeper.document)

    async def pull(self, reference: str, policy: str = "always") -> AsyncIterator[dict[str, Any]]:
        """Bring an image: `{"progress": …}` as it comes, and `{"image": …}` at last. Raises PullFailed, Waiting.

        Beside the image stands a `warning` when it was asked for fresh and is the one that was here (C6).

        Who stops listening ends the pull, unless a pod waits for the same.
        """
        wanted = str(_parsed(reference))
        flight = asyncio.create_task(self._images.resolve(wanted, policy, None), name=f"pull {wanted}")
        try:
            while not flight.done():
                async for progress in self._images.follow(wanted):
                    yield {"progress": describe.progress(progress)}
                await asyncio.wait([flight], timeout=describe.FRAME)
            image = flight.result()
        finally:
            flight.cancel()
            await asyncio.gather(flight, return_exceptions=True)
        found, seen = await self._collector.look()
        kept = seen.image(image.digest)
        if kept is None:
            raise PullFailed("ErrImagePull", f"cannot keep image: {wanted} was removed at once")
        why = self._images.fallback(wanted) if policy == "prefer_fresh" else None
        warning = {"warning": f"{wanted} is taken as it is here: {why}"} if why else {}
        yield {"image": describe.status(kept, seen, collect.exclusive(seen.images), found), **warning}

    async def delete(self, name: str) -> Removed:
        """Remove a name, and with the last one the image. Raises NotFound; Conflict when a pod needs it.

        By digest, all names go.
        """
        removed: list[Removed] = []

        def may_go(found: Needs, seen: Inventory) -> list[str]:
            image, key = _named(seen, name)
            others = [each for each in image.references if each != key]
            if key and others:
                _refuse_users(key, found, (key,))
                self._images.keeper.forget(key)
                removed.append(Removed(references=(key,)))
                return []
            _refuse_users(image.digest, found, image.references)
            removed.append(describe.removed([image], seen))
            return [image.digest]

        gone = await self._collector.choose_and_remove(may_go)
        if removed[0].images and not gone:
            raise Conflict(f"cannot delete {name}: it has just been used or is being pulled; try again")
        return removed[0]

    async def prune(self, *, everything: bool = False) -> Removed:
        """Remove what no pod needs: images without a name, or with `everything` all of them."""
        seen_then: list[Inventory] = []

        def may_go(found: Needs, seen: Inventory) -> list[str]:
            named = {key: image.digest for image in seen.images for key in image.references}
            needed = found.digests(named)
            seen_then.append(seen)
            free = [each for each in seen.images if each.digest not in needed]
            return [each.digest for each in free if everything or not each.references]

        gone = await self._collector.choose_and_remove(may_go)
        await self._collector.collect()
        return describe.removed([each for each in seen_then[0].images if each.digest in gone], seen_then[0])

    async def tag(self, name: str, target: str) -> ImageStatus:
        """One more name for an image that is here. Raises NotFound, InvalidSpec."""
        wanted = _parsed(target)
        if wanted.digest is not None:
            raise InvalidSpec([Problem("target", "a name with a digest cannot be given", "say name:tag")])
        found, seen = await self._collector.look()
        image = _named(seen, name)[0]
        await asyncio.to_thread(self._images.keeper.remember, shelf.key(wanted), image.digest)
        found, seen = await self._collector.look()
        kept = seen.image(image.digest) or image
        return describe.status(kept, seen, collect.exclusive(seen.images), found)

    async def login(self, registry: str, username: str, password: str) -> None:
        """Try the password at the registry, and keep it if it is good. Raises Denied, PullFailed, InvalidSpec."""
        host = _registry(registry)
        if not username or not password or ":" in username or not (username + password).isprintable():
            raise InvalidSpec([Problem("username", "a user without ':' and a password are needed, both printable")])
        await self._images.verify(host, Credential(username=username, password=password))
        await asyncio.to_thread(self._logins.keep, host, username, password)
        self._images.relogin()

    async def logout(self, registry: str) -> None:
        """Forget the password. Raises NotFound when none is kept here."""
        host = _registry(registry)
        if not await asyncio.to_thread(self._logins.forget, host):
            raise NotFound(f"tank keeps no password for {host}")
        self._images.relogin()

    async def load(self, source: AsyncIterator[bytes], name: str = "") -> Sequence[ImageStatus]:
        """Take the images of an archive in, or of them the one with this name. Raises PullFailed, Failed."""
        try:
            names = await load(self._images, source, name)
        except OSError as error:
            raise Failed(f"cannot load image: {error.strerror or error}") from error
        found, seen = await self._collector.look()
        kept = {image.digest: image for image in (_named(seen, name)[0] for name in names)}
        return [describe.status(each, seen, collect.exclusive(seen.images), found) for each in kept.values()]

    async def save(self, names: Sequence[str], format: Format) -> AsyncGenerator[bytes, None]:  # noqa: A002
        """The bytes of an archive of these images. Raises NotFound, PullFailed, Failed."""
        _, seen = await self._collector.look()
        wanted = [_spoken(*_named(seen, name)) for name in names]
        try:
            async with aclosing(save(self._images, wanted, format=format)) as pieces:
                async for piece in pieces:
                    yield piece
        except OSError as error:
            raise Failed(f"cannot save image: {error.strerror or error}") from error


def _spoken(image: Kept, key: str) -> str:
    """How the store calls an image that somebody named in their own way."""
    return key or (image.references or (f"{_NAMELESS}@{image.digest}",))[0]


def _refuse_users(name: str, found: Needs, keys: Sequence[str]) -> None:
    pods, previous = found.users(name, keys)
    said = [f"pod {each} needs it" for each in pods]
    said += [f"the previous revision of pod {each} needs it" for each in previous if each not in pods]
    if said:
        raise Conflict(f"cannot delete {name}: {'; '.join(said)}")


def _named(seen: Inventory, name: str) -> tuple[Kept, str]:
    """The image that goes by this name, and the name as it is remembered; "" when it is a digest."""
    by_digest = _digits(seen, name)
    if len(by_digest) == 1:
        return by_digest[0], ""
    if by_digest:
        raise Conflict(f"{name} is the beginning of {len(by_digest)} digests")
    wanted = _parsed(name)
    key = shelf.key(wanted)
    for image in seen.images:
        if key in image.references:
            return image, key
    found = seen.image(wanted.digest) if wanted.digest else None
    if found is None:
        raise NotFound(f"no image is called {name}")
    return found, ""


def _digits(seen: Inventory, name: str) -> list[Kept]:
    digits = name.removeprefix("sha256:")
    if len(digits) < SHORTEST or not set(digits) <= set("0123456789abcdef"):
        return []
    return [each for each in seen.images if each.digest.removeprefix("sha256:").startswith(digits)]


def _parsed(text: str) -> Reference:
    try:
        return references.parse(text)
    except ValueError as error:
        raise InvalidSpec([Problem("reference", str(error))]) from error


def _registry(text: str) -> str:
    """A registry's host, as references name it. Raises InvalidSpec."""
    host = text.strip() or registries.DEFAULT_REGISTRY
    try:
        found = registries.canonical(host)
    except ValueError as error:
        raise InvalidSpec([Problem("registry", str(error))]) from error
    if not registries.is_host(host):
        raise InvalidSpec([Problem("registry", f"{text!r} is not a registry host", "registry.example.org:5000")])
    return found
