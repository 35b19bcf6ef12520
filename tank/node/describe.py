"""Images in words and numbers: from the inventory and the needs to what people are told. Pure but for one document."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from tank.errors import NotFound, PullFailed
from tank.image import collect, manifest
from tank.image.collect import Kept
from tank.image.inventory import Inventory
from tank.image.progress import Progress
from tank.model.images import ImageDetail, ImageStatus, LayerStatus, Removed
from tank.node.needs import Needs

FRAME = 0.05  # seconds between two looks at a pull that does not say yet how far it is


def status(image: Kept, seen: Inventory, alone: Mapping[str, frozenset[str]], found: Needs) -> ImageStatus:
    """One image, with who uses it."""
    pods, previous = found.users(image.digest, image.references)
    return ImageStatus(
        digest=image.digest,
        references=image.references,
        size=image.size,
        disk=_sum(seen, image.layers),
        unique=_sum(seen, alone[image.digest]),
        used_at=datetime.fromtimestamp(image.used_at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        used_by=pods,
        previous_of=previous,
    )


def detail(image: Kept, seen: Inventory, found: Needs, document: Callable[[str], bytes | None]) -> ImageDetail:
    """All of one image. Raises NotFound when its documents are gone by now."""
    alone = collect.exclusive(seen.images)
    data, body = document(image.config), document(image.digest)
    if data is None or body is None:
        raise NotFound(f"image {image.digest} is not here any more")
    try:
        said = manifest.parse_config(data, len(json.loads(body)["layers"]))
    except (PullFailed, ValueError, KeyError, TypeError) as error:
        raise NotFound(f"image {image.digest} cannot be read: {error}") from error
    names = [each.removeprefix("sha256:") for each in said.diff_ids]
    layers = [
        LayerStatus(name=name, size=weight.size, entries=weight.entries, shared=name not in alone[image.digest])
        for name in dict.fromkeys(names)
        if (weight := seen.layers.get(name)) is not None
    ]
    return ImageDetail(
        image=status(image, seen, alone, found),
        layers=tuple(layers),
        platform=str(said.platform),
        config=asdict(said.config),
    )


def progress(now: Progress) -> dict[str, Any]:
    """How far a pull is."""
    layers = [{"digest": each.digest, "done": each.done, "total": each.total} for each in now.layers]
    return {"reference": now.reference, "done": now.done, "total": now.total, "layers": layers}


def removed(images: Sequence[Kept], seen: Inventory) -> Removed:
    """What goes with these images."""
    gone = {each.digest for each in images}
    kept = frozenset[str]().union(*(each.layers for each in seen.images if each.digest not in gone))
    lost = frozenset[str]().union(*(each.layers for each in images)) - kept
    names = tuple(sorted(key for each in images for key in each.references))
    return Removed(references=names, images=tuple(each.digest for each in images), freed=_sum(seen, lost))


def _sum(seen: Inventory, layers: frozenset[str]) -> int:
    return sum(seen.layers[name].size for name in layers if name in seen.layers)
