"""Images from files: `tank image load`.

An archive is unpacked by the same confined unpacker as a layer, into the scratch directory; a directory is read where
it is. From there an image goes the way of every other: its manifest for this machine is chosen, its layers are
unpacked side by side, its documents are kept. Names that the files give are remembered, so that a spec can use them; an
image without a name is known by its digest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from tank.host import openat
from tank.image import shelf
from tank.image.extract import Bounds
from tank.image.flights import uninterrupted
from tank.image.layout import Layout, Named
from tank.image.refusal import Unsuitable, refused, shown
from tank.image.unpack import unpack
from tank.model import reference as references
from tank.model.reference import Reference

if TYPE_CHECKING:
    from tank.image.pull import ImageStore

_PIECE = 2**20
_MOST_FILES = 100_000
log = logging.getLogger("tank.image")
_NOWHERE = Reference("localhost", "loaded")  # what an image without a name is called in messages


async def load(images: ImageStore, source: Path | AsyncIterable[bytes], name: str = "") -> tuple[str, ...]:
    """Have the images of an OCI layout or a saved archive here; answers their references, or digests without one.

    `source`: a directory, an archive (compressed or not), or its bytes. `name`: the tag or reference of the one that
    is wanted. Raises PullFailed, OSError.
    """
    if not isinstance(source, Path):
        return await _archive(images, source, name)
    if await asyncio.to_thread(source.is_dir):
        return await _directory(images, source, name)
    return await _archive(images, _read(source), name)


async def _read(path: Path) -> AsyncIterator[bytes]:
    try:
        file = await asyncio.to_thread(path.open, "rb", 0)
    except OSError as error:
        raise refused(f"cannot load image: {shown(str(path))}: {error.strerror}") from error
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


async def _archive(images: ImageStore, pieces: AsyncIterable[bytes], name: str) -> tuple[str, ...]:
    """An archive may unpack to what the disk has left, whatever its own size."""

    async def each() -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece

    stage = images.stage()
    try:
        spare, _ = images.room.spare(images.room.space())
        bounds = Bounds(max(0, spare), _MOST_FILES, *images.room.edge())
        async with aclosing(each()) as stream:  # type: ignore[type-var]
            made = await unpack(stream, stage, bounds)
        return await _directory(images, stage, name, made.size)
    finally:
        await uninterrupted(asyncio.to_thread(openat.remove_tree, stage))


async def _directory(images: ImageStore, directory: Path, name: str, most: int | None = None) -> tuple[str, ...]:
    layout = Layout(directory, most)
    try:
        found = await asyncio.to_thread(layout.images)
        chosen = [each for each in found if not name or any(_is(called, name) for called in each.names)]
        if not chosen:
            raise refused(f"cannot load image: there is none{f' called {shown(name)}' if name else ''}")
        return await _all(images, layout, chosen)
    finally:
        layout.close()


async def _all(images: ImageStore, layout: Layout, chosen: Sequence[Named]) -> tuple[str, ...]:
    """Files may hold images for other machines too, and what is no image: signatures, lists of what is inside."""
    loaded, left = list[str](), list[Unsuitable]()
    for each in chosen:
        try:
            loaded.extend(await _one(images, layout, each))
        except Unsuitable as error:
            left.append(error)
    if not loaded:
        raise left[0]
    for other in left:
        log.info("not loaded: %s", other.message)
    return tuple(dict.fromkeys(loaded))


async def _one(images: ImageStore, layout: Layout, found: Named) -> tuple[str, ...]:
    named = [each for each in map(named_reference, found.names) if each is not None]
    keys = [shelf.key(each) for each in named]
    image = await images.take_in(layout, (named or [_NOWHERE])[0].at(found.digest), keys)
    return tuple(map(str, named)) or (image.digest,)


def named_reference(name: str) -> Reference | None:
    """The reference that a name in the files is; None for a mere tag, which many tools write there."""
    if ":" not in name and "/" not in name:
        return None
    try:
        found = references.parse(name)
    except ValueError:
        return None
    return found if found.digest is None else None


def _is(called: str, wanted: str) -> bool:
    """Whether what the files call an image is the tag or the reference that is wanted."""
    found = named_reference(called)
    return called == wanted or (found is not None and (found.tag == wanted or shelf.key(found) == _key(wanted)))


def _key(wanted: str) -> str:
    try:
        return shelf.key(references.parse(wanted))
    except ValueError:
        return ""
