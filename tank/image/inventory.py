"""What lies in the image store: every image, every layer with its weight, and what belongs to none.

Read from the disk each time, since the disk is what counts. An image is a manifest and its configuration; it is whole
when all its layers are here. Blocks: belongs in a thread.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tank.image.blobs import Blobs
from tank.image.collect import Copy, Kept, Weight
from tank.image.shelf import Shelf

_UNKNOWN = Weight(size=0, entries=1)  # a layer whose record is damaged


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All of it at one moment. `layers`: directories by name, with their weight."""

    images: tuple[Kept, ...]
    layers: Mapping[str, Weight]
    written: Mapping[Path, float]  # every document, layer and note that counts, and its time of wall clock
    copies: tuple[Copy, ...] = ()
    generation: int = 0  # of the claims, when the look began

    def image(self, digest: str) -> Kept | None:
        """The image of this manifest."""
        return next((each for each in self.images if each.digest == digest), None)


def take(blobs: Blobs) -> Inventory:
    """Look at everything. Raises OSError."""
    shelf = Shelf(blobs)
    named = references(blobs)
    images = []
    written: dict[Path, float] = {}
    for path in _files(blobs.documents):
        written[path] = _mtime(path)
        found = shelf.content(f"sha256:{path.name}")
        if found is not None:
            texts = tuple(sorted(text for text, digest in named.items() if digest == found.digest))
            images.append(replace(found, references=texts, used_at=written[path]))
    layers = {path.name: _weight(blobs, path.name) for path in _files(blobs.layers) if path.is_dir()}
    written |= {blobs.layers / name: _mtime(blobs.layers / f"{name}.json") for name in layers}
    written |= {path: _mtime(path) for path in (*_files(blobs.packed), *_files(blobs.chains))}
    copies = (*_copies(blobs.packed, part=False), *_copies(blobs.parts, part=True))
    return Inventory(images=tuple(images), layers=layers, written=written, copies=copies)


def references(blobs: Blobs) -> Mapping[str, str]:
    """What each remembered reference means, as a digest."""
    found: dict[str, str] = {}
    for path in _files(blobs.references):
        with suppress(FileNotFoundError, ValueError, TypeError, KeyError):
            body = json.loads(path.read_bytes())
            found[str(body["reference"])] = str(body["digest"])
    return found


def _files(directory: Path) -> list[Path]:
    try:
        return sorted(Path(each.path) for each in os.scandir(directory) if not each.name.endswith(".json"))
    except FileNotFoundError:
        return []


def _copies(directory: Path, *, part: bool) -> Iterator[Copy]:
    for path in _files(directory):
        with suppress(FileNotFoundError):
            found = path.stat()
            yield Copy(path=path, size=found.st_blocks * 512, at=found.st_mtime, part=part)


def _mtime(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0


def _weight(blobs: Blobs, name: str) -> Weight:
    record = blobs.layer_record(f"sha256:{name}")
    return Weight(size=record.size, entries=record.entries) if record else _UNKNOWN
