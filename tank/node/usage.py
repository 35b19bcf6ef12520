"""`df`: the owner of every byte below the data directory. What no rule knows is unowned, and shown by its path.

Everything is walked and measured as the file system counts it (blocks, each inode once); a rule by place says whose
it is. Rules, not a list of files: a file that somebody leaves behind fits none and cannot hide. Blocks: belongs in a
thread.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tank.host.space import Space
from tank.image.inventory import Inventory
from tank.model.images import DiskUsage, Owner

MOST_STRAYS = 20
_STORE = re.compile(
    r"\.?store\.db.*|installation|lock|auth\.json|secret\.key|\.(auth\.json|installation|secret\.key)\.tmp|seccomp-cache"
)
_POD_FILES = re.compile(r"\.?pod\.json.*|containers|\.?users(\.tmp)?")
_POD_PARTS = {"roots": "root", "logs": "logs", "empty": "volume"}
_IMAGE_PARTS = ("blobs", "references", "trust", "chains", "unsynced")

Key = tuple[str, str]  # kind and name of an owner


@dataclass(slots=True)
class Amount:
    """What is counted for one owner."""

    size: int = 0
    inodes: int = 0

    def add(self, found: os.stat_result) -> None:
        """One inode."""
        self.size += found.st_blocks * 512
        self.inodes += 1


@dataclass(slots=True)
class Count:
    """A walk under way. `pods` are names by uid, `seen` what lies in the image store."""

    pods: Mapping[str, str]
    seen: Inventory
    owners: dict[Key, Amount] = field(default_factory=dict)
    layers: dict[str, Amount] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    unowned: Amount = field(default_factory=Amount)

    def walk(self, top: Path) -> None:
        """Count everything below `top`. A file that goes away meanwhile counts nothing."""
        met: set[tuple[int, int]] = set()
        for parts, found in _entries(top):
            if (found.st_dev, found.st_ino) not in met:
                met.add((found.st_dev, found.st_ino))
                self._count(parts, found)

    def _count(self, parts: tuple[str, ...], found: os.stat_result) -> None:
        layer = _layer(parts)
        if layer is not None and layer in self.seen.layers:
            self.layers.setdefault(layer, Amount()).add(found)
            return
        owner = ("scratch", "") if layer is not None else self._owner(parts)
        if owner is not None:
            self.owners.setdefault(owner, Amount()).add(found)
            return
        self.unowned.add(found)
        if len(self.strays) < MOST_STRAYS:
            self.strays.append("/".join(parts))

    def _owner(self, parts: tuple[str, ...]) -> Key | None:
        match parts:
            case () | ("pods" | "volumes" | "images",) | ("images", "layers"):
                return "store", ""
            case ("pods", uid, *rest):
                return self._of_pod(uid, tuple(rest))
            case ("volumes", name, *_):
                return "volume", name.removeprefix(".").partition(".")[0]  # what is made or removed is the volume's too
            case ("images", "scratch" | "parts", *_):
                return "scratch", ""
            case ("images", "packed", *_):
                return "packed", ""
            case ("reserve", *_):
                return "reserve", ""
            case ("images", part, *_) if part in _IMAGE_PARTS:
                return "store", ""
            case (name, *_) if _STORE.fullmatch(name):
                return "store", ""
            case _:
                return None

    def _of_pod(self, uid: str, rest: tuple[str, ...]) -> Key | None:
        pod = self.pods.get(uid)
        if pod is None:
            return None
        match rest:
            case ():
                return "store", ""
            case (part, *names) if part in _POD_PARTS:
                return _POD_PARTS[part], "/".join([pod, *names[:1]])
            case (name, *_) if _POD_FILES.fullmatch(name):
                return "store", ""
            case _:
                return None


def _layer(parts: tuple[str, ...]) -> str | None:
    """The layer that a path belongs to: its directory, its record."""
    if len(parts) < 3 or parts[:2] != ("images", "layers"):
        return None
    name = parts[2].removesuffix(".json") if len(parts) == 3 else parts[2]
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else None


def _entries(top: Path) -> Iterator[tuple[tuple[str, ...], os.stat_result]]:
    """Every entry below `top`, itself included, that lies on the same file system; no link is followed."""
    first = top.lstat()
    yield (), first
    todo: list[tuple[tuple[str, ...], str]] = [((), str(top))]
    while todo:
        parts, path = todo.pop()
        try:
            entries = list(os.scandir(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if found.st_dev != first.st_dev:
                continue
            yield (*parts, entry.name), found
            if stat.S_ISDIR(found.st_mode):
                todo.append(((*parts, entry.name), entry.path))


def usage(top: Path, pods: Mapping[str, str], seen: Inventory, space: Space) -> DiskUsage:
    """Who owns what below `top`. Raises OSError."""
    count = Count(pods=pods, seen=seen)
    count.walk(top)
    owners = [*_images(count), *(_owner(key, each) for key, each in sorted(count.owners.items()))]
    return DiskUsage(
        path=str(top),
        used=sum(each.size for each in owners) + count.unowned.size,
        unowned=count.unowned.size,
        strays=tuple(count.strays),
        owners=tuple(owners),
        disk_total=space.total,
        disk_free=space.free,
        inodes_total=space.inodes,
        inodes_free=space.inodes_free,
    )


def _owner(key: Key, amount: Amount) -> Owner:
    return Owner(kind=key[0], name=key[1], size=amount.size, inodes=amount.inodes)


def _images(count: Count) -> Iterator[Owner]:
    """Each image with what it has alone; what several share stands once; what none has is waiting to go."""
    users: dict[str, list[str]] = {name: [] for name in count.layers}
    for image in count.seen.images:
        for name in image.layers & count.layers.keys():
            users[name].append(image.digest)
    for image in sorted(count.seen.images, key=lambda each: (each.references[:1] or ("~",), each.digest)):
        mine = image.layers & count.layers.keys()
        own = [count.layers[name] for name in mine if len(users[name]) == 1]
        shared = sum(count.layers[name].size for name in mine if len(users[name]) > 1)
        yield Owner(
            kind="image",
            name=", ".join(image.references) or image.digest,
            size=sum(each.size for each in own),
            inodes=sum(each.inodes for each in own),
            shared=shared,
        )
    shared_ones = [count.layers[layer] for layer, by in users.items() if len(by) > 1]
    lone = [count.layers[layer] for layer, by in users.items() if not by]
    for name, found in (("shared by images", shared_ones), ("of no image", lone)):
        if found:
            yield Owner(
                kind="layers",
                name=name,
                size=sum(each.size for each in found),
                inodes=sum(each.inodes for each in found),
            )
