"""What a layer means on top of others, where it leaves something unsaid.

A layer may hold `lib/x` without an entry for `lib`. Then `lib` is whatever the layers below have there: a directory
with its owner, mode and times, or a symbolic link, and `x` lands where the link points. Unpacked by itself, as layers
are here, side by side, the layer has a plain directory instead, which would hide the link and restate the rest. Such a
layer is unpacked once more, on a skeleton of what lies below, under the digest of the whole chain of layers (chain id,
OCI image configuration): the same layer on top of others is another one. Layers that say everything, which is what
most builders make, are not touched. An explicit entry for a directory replaces a link below it. A directory that is
emptied without an entry has the looks of the one below, and nothing of what is in that.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tank.host import openat
from tank.image import pax
from tank.image.blobs import Blobs
from tank.image.refusal import refused
from tank.model.reference import DIGEST

_OPAQUE = "trusted.overlay.opaque"
_MOST_LINKS = 40  # as the kernel's own limit
_MOST_NODES = 100_000
_MOST_LOOKS = 1_000_000  # of one layer, at paths of those below: some seconds
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Node(NamedTuple):
    """A directory, or the link to `target`, as the layers below have it."""

    path: bytes
    target: bytes | None
    mode: int
    uid: int
    gid: int
    mtime: int  # nanoseconds
    xattrs: pax.Records = ()


Skeleton = tuple[Node, ...]


def ids(diff_ids: Sequence[str]) -> Iterator[str]:
    """The chain id of each layer with all below it, lowest first."""
    above = ""
    for diff_id in diff_ids:
        above = f"sha256:{hashlib.sha256(f'{above} {diff_id}'.encode()).hexdigest()}" if above else diff_id
        yield above


def settled(blobs: Blobs, diff_id: str, chain_id: str) -> Path | None:
    """The directory that stands for a layer on top of others; None when that is not known, or it is not here."""
    if diff_id == chain_id:
        return blobs.layer(diff_id)
    record = blobs.layer_record(diff_id)
    if record is not None and not record.implicit:
        return blobs.layer(diff_id)
    try:
        name = blobs.chain(chain_id).read_text()
    except (FileNotFoundError, ValueError):
        return None
    return blobs.layer(name) if DIGEST.fullmatch(name) else None


def note(blobs: Blobs, chain_id: str, name: str) -> Path:
    """From now on the directory of this digest stands for the layer, durably. Raises OSError, PullFailed."""
    openat.write_durably(blobs.chain(chain_id), name.encode(), blobs.unfinished())
    found = blobs.layer(name)
    if found is None:
        raise refused(f"cannot keep image: the layer {name} was removed meanwhile")
    return found


def skeleton(blobs: Blobs, diff_id: str, below: Sequence[Path], *, most: int = _MOST_LOOKS) -> Skeleton:
    """What lies below the directories that a layer has no entry for; empty when it is nothing.

    `most`: how often layers may be looked into for it (S03). Raises PullFailed, OSError.
    """
    layer, record = blobs.layer(diff_id), blobs.layer_record(diff_id)
    if layer is None or record is None:
        raise refused(f"cannot keep image: the layer {diff_id} was removed meanwhile")
    if record.opaque_root:
        return ()
    found = _Search(layer, frozenset(map(os.fsencode, record.implicit)), visible(blobs, below), most)
    for path in sorted(found.implicit):
        found.trace(path)
    return tuple(found.nodes.values()) if found.counts else ()


def visible(blobs: Blobs, below: Sequence[Path]) -> tuple[Path, ...]:
    """Of layers, lowest first, those that show: topmost first, down to one that hides all that is under it."""
    shown = []
    for path in reversed(below):
        shown.append(path)
        record = blobs.layer_record(f"sha256:{path.name}")
        if record is not None and record.opaque_root:
            break
    return tuple(shown)


class _Search:
    """Following the paths of one layer through those below. `counts`: something was found that is to be planted."""

    def __init__(self, layer: Path, implicit: frozenset[bytes], below: tuple[Path, ...], most: int) -> None:
        self.implicit, self.nodes, self.counts = implicit, dict[bytes, Node](), False
        self._layer, self._left = layer, most
        self._steps: dict[bytes, bytes | None] = {}  # most paths have their way in common
        self._holding: dict[bytes, tuple[Path, ...]] = {b"": below}  # the layers that have a directory there

    def trace(self, path: bytes) -> None:
        todo, done, links = deque(path.split(b"/")), list[bytes](), 0
        while todo and links <= _MOST_LINKS:
            part = todo.popleft()
            if part in (b"", b".", b".."):
                done = done[:-1] if part == b".." else done
                continue
            target = self._step(b"/".join([*done, part]))
            if target is None:
                return
            if target == b"":
                done.append(part)
                continue
            links += 1
            done = [] if target.startswith(b"/") else done
            todo.extendleft(reversed(target.split(b"/")))

    def _step(self, path: bytes) -> bytes | None:
        """b"" past a directory, the target of a link, None where nothing below matters any more."""
        if path not in self._steps:
            self._steps[path] = self._taken(path)
        return self._steps[path]

    def _taken(self, path: bytes) -> bytes | None:
        own = self._look(self._layer, path)
        emptied = own.hides and path in self.implicit  # it looks as below, and holds nothing of that
        if own.hides and not emptied:
            return None
        if own.node is not None and own.node.target is not None:
            return own.node.target
        found = next((seen.node for _, seen in self._lower(path)), None)
        explicit = own.node is not None and path not in self.implicit
        if found is None or ((explicit or emptied) and found.target is not None):
            return None
        if explicit:
            found = found._replace(xattrs=())  # the layer says itself which there are
        self._plant(found, counts=found.target is not None or path in self.implicit)
        return None if emptied else found.target or b""

    def _lower(self, path: bytes) -> Iterator[tuple[Path, Seen]]:
        """What the layers below have there, as far as it shows, topmost first."""
        above = path.rpartition(b"/")[0]
        for layer in self._held(above):
            seen = self._look(layer, path)
            if seen.node is not None or seen.hides:
                yield layer, seen
            if seen.hides or (seen.node is not None and seen.node.target is not None):
                return

    def _held(self, path: bytes) -> tuple[Path, ...]:
        if path not in self._holding:
            lower = list(self._lower(path))
            self._holding[path] = tuple(
                layer for layer, seen in lower if seen.node is not None and seen.node.target is None
            )
        return self._holding[path]

    def _look(self, layer: Path, path: bytes) -> Seen:
        self._left -= 1
        if self._left < 0:
            raise refused("cannot unpack layer: it has too many directories without entry for the layers below it")
        return _at(layer, path)

    def _plant(self, node: Node, *, counts: bool) -> None:
        self.nodes[node.path] = node
        self.counts = self.counts or counts
        if len(self.nodes) > _MOST_NODES:
            raise refused("cannot unpack layer: it has too many directories without entry")


class Seen(NamedTuple):
    """What a layer has at a path. `hides`: it is opaque, or no directory nor link."""

    node: Node | None
    hides: bool = False


def _at(layer: Path, path: bytes) -> Seen:
    """Who asks has seen that all above is directories: layers do not change."""
    place = os.path.join(os.fsencode(layer), path)
    try:
        info = os.lstat(place)
    except FileNotFoundError:
        return Seen(None)
    what = (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, info.st_mtime_ns)
    if stat.S_ISLNK(info.st_mode):
        return Seen(Node(path, os.readlink(place), *what))
    if not stat.S_ISDIR(info.st_mode):
        return Seen(None, hides=True)
    inner = os.open(place, _FLAGS)
    try:
        names = os.listxattr(inner)
        attributes = tuple((os.fsencode(each), os.getxattr(inner, each)) for each in names if not _is_ours(each))
        hides = _OPAQUE in names and os.getxattr(inner, _OPAQUE) == b"y"
        return Seen(Node(path, None, *what, attributes), hides=hides)
    finally:
        os.close(inner)


def _is_ours(attribute: str) -> bool:
    return attribute.startswith("trusted.")


def plant(stage: Path, nodes: Skeleton) -> None:
    """Make the skeleton in an empty directory, for the unpacker to grow a layer on. Raises OSError.

    It walks no link: a directory has its place in the skeleton without links, and comes after those it is in.
    """
    root = os.open(stage, _FLAGS)
    try:
        for node in sorted(nodes, key=lambda each: each.path.split(b"/")):
            parent, _, base = node.path.rpartition(b"/")
            above = openat.openat2(root, parent or b".", _FLAGS, resolve=openat.BENEATH | openat.NO_SYMLINKS)
            try:
                _make(above, base, node)
            finally:
                os.close(above)
        for node in sorted(nodes, key=lambda each: each.path.split(b"/"), reverse=True):
            os.utime(os.path.join(os.fsencode(stage), node.path), ns=(node.mtime, node.mtime), follow_symlinks=False)
    finally:
        os.close(root)


def _make(parent: int, base: bytes, node: Node) -> None:
    if node.target is not None:
        os.symlink(node.target, base, dir_fd=parent)
        os.chown(base, node.uid, node.gid, dir_fd=parent, follow_symlinks=False)
        return
    os.mkdir(base, 0o700, dir_fd=parent)
    inner = os.open(base, _FLAGS, dir_fd=parent)
    try:
        os.fchown(inner, node.uid, node.gid)
        os.fchmod(inner, node.mode)
        for name, value in node.xattrs:
            os.setxattr(inner, name, value)
    finally:
        os.close(inner)
