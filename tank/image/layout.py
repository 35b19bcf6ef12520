"""Images in files: OCI layouts, and the archives that `docker save` and `podman save` write. A `Source` of its own.

Both are read from a directory, which may have been an archive of strangers: every file is opened below it as after
chroot, whatever links lie there (S01), and everything is compared with its digest like what a registry sends. An
archive of Docker's kind (`manifest.json`) says less than a registry: its layers are files without digests. They are
hashed, and a manifest is written for them, the same one for the same archive on any machine.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tank.errors import PullFailed
from tank.host import openat
from tank.image import document, manifest
from tank.image.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor
from tank.image.packed import Packed
from tank.image.refusal import refused, shown
from tank.image.source import LAYERS_AT_ONCE, Download, Served, Witness
from tank.model.reference import Reference

MOST_IMAGES = 100
_PIECE = 2**20
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_SKIPPABLE = (b"\x2a\x4d\x18", 0x50)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One image of the files: the digest of its manifest or index, and what it is called there."""

    digest: str
    names: tuple[str, ...] = ()


class Layout:
    """The files below one directory. `images` says what there is; `close` last."""

    def __init__(self, directory: Path, most: int | None = None) -> None:
        """`most`: bytes that all files have together, if that is known. Raises PullFailed when it is no directory."""
        try:
            self._root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise refused(f"cannot load image: {shown(str(directory))}: {error.strerror}") from error
        disk = os.fstatvfs(self._root)
        self._left = disk.f_blocks * disk.f_frsize if most is None else most  # to be hashed
        self._hashed: dict[tuple[int, int], Mapping[str, object]] = {}  # descriptors by the file that they are of
        self._slots = asyncio.Semaphore(LAYERS_AT_ONCE)
        self._written: dict[str, bytes] = {}  # documents that are nowhere in the files
        self._places: dict[str, str] = {}  # of blobs that do not lie under their digests

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self._root)

    def images(self) -> tuple[Named, ...]:
        """Every image that is named on the outside. Blocks. Raises PullFailed."""
        if (index := self._read("index.json")) is not None:
            return tuple(_counted(tuple(_of_index(index))))
        if (listing := self._read("manifest.json")) is not None:
            return tuple(map(self._saved, _counted(_of_docker(listing))))
        raise refused("cannot load image: neither an OCI layout (index.json) nor a saved image (manifest.json)")

    async def manifest(self, reference: Reference, target: str) -> Served:
        """The manifest or index with this digest. Raises PullFailed."""
        data = self._written.get(target)
        if data is None:
            data = await asyncio.to_thread(self._read, self._place(target))
        if data is None or manifest.digest_of(data) != target:
            raise refused(f"cannot load image: its manifest {target} is not in the files, or damaged")
        return Served(data=data, media_type=_kind(data), digest=target)

    def witnesses(self, reference: Reference) -> Sequence[Witness]:
        """Files say nothing of signatures."""
        return ()

    async def document(self, reference: Reference, wanted: Descriptor) -> bytes:
        """A small blob, whole and checked. Raises PullFailed."""
        data = await asyncio.to_thread(self._read, self._place(wanted.digest))
        if data is None or (len(data), manifest.digest_of(data)) != (wanted.size, wanted.digest):
            raise refused(f"cannot load image: {wanted.digest} is not in the files, or damaged")
        return data

    def downloads(self, reference: Reference, wanted: Descriptor) -> Sequence[Download]:
        """The file that holds the blob."""
        place = self._place(wanted.digest)
        return (Download(self._slots, lambda: Packed(Path(place), wanted, lambda: self._open(place))),)

    def _place(self, digest: str) -> str:
        return self._places.get(digest) or f"blobs/sha256/{digest.removeprefix('sha256:')}"

    def _open(self, place: str) -> int:
        """Raises OSError. Opening must not wait for the other end of a pipe."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
        file = openat.openat2(self._root, os.fsencode(place), flags, resolve=openat.IN_ROOT | openat.NO_MAGICLINKS)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(0, "not a plain file")
        return file

    def _read(self, place: str) -> bytes | None:
        """A small file; None when it is not there."""
        try:
            file = self._open(place)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise refused(f"cannot load image: cannot read {shown(place)}") from error
        with open(file, "rb") as opened:
            data = opened.read(document.LARGEST + 1)
        if len(data) > document.LARGEST:
            raise refused(f"cannot load image: {shown(place)} is larger than {document.LARGEST} bytes")
        return data

    def _saved(self, entry: Mapping[str, object]) -> Named:
        """An image of Docker's archive, with the manifest that a registry would have."""
        place = document.text(entry, "Config")
        config = self._read(place)
        if config is None:
            raise refused(f"cannot load image: {shown(place)} is not in the archive")
        layers = document.texts(entry, "Layers")
        if len(layers) > manifest.MOST_LAYERS:
            raise refused(f"cannot load image: it has {len(layers)} layers, more than {manifest.MOST_LAYERS}")
        digest = manifest.digest_of(config)
        self._places[digest] = place
        body = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": _CONFIG, "digest": digest, "size": len(config)},
            "layers": [self._layer(each) for each in layers],
        }
        data = json.dumps(body, separators=(",", ":")).encode()
        self._written[manifest.digest_of(data)] = data
        return Named(digest=manifest.digest_of(data), names=document.texts(entry, "RepoTags"))

    def _layer(self, place: str) -> Mapping[str, object]:
        """The descriptor of a layer in a file: its digest is found by reading it."""
        try:
            with open(self._open(place), "rb", buffering=0) as file:
                info = os.fstat(file.fileno())
                which = (info.st_dev, info.st_ino)  # it may have many names
                if which not in self._hashed:
                    self._count(info.st_size)
                    self._hashed[which] = _described(file, info.st_size)
        except (OSError, ValueError) as error:
            raise refused(f"cannot load image: cannot read the layer {shown(place)}") from error
        self._places.setdefault(str(self._hashed[which]["digest"]), place)
        return self._hashed[which]

    def _count(self, size: int) -> None:
        """A file with holes may be longer than any disk: no more is read than all files can have in them (S03)."""
        self._left -= size
        if self._left < 0:
            raise refused("cannot load image: its layers have more bytes than the files they are in")


def _counted(found: Sequence[T]) -> Sequence[T]:
    if len(found) > MOST_IMAGES:
        raise refused(f"cannot load image: there are {len(found)}, more than {MOST_IMAGES}; load them in parts")
    return found


def _described(file: io.FileIO, most: int) -> Mapping[str, object]:
    """A file that grows meanwhile is read as far as it came at first."""
    found, size, head = hashlib.sha256(), 0, b""
    while piece := file.read(min(_PIECE, most - size)):
        head = head or piece[:8]
        size += len(piece)
        found.update(piece)
    return {"mediaType": _LAYER + _packing(head), "digest": f"sha256:{found.hexdigest()}", "size": size}


def _packing(head: bytes) -> str:
    if head.startswith(_GZIP):
        return "+gzip"
    skippable = head[1:4] == _SKIPPABLE[0] and head[0] & 0xF0 == _SKIPPABLE[1]
    return "+zstd" if head.startswith(_ZSTD) or skippable else ""


def _of_index(data: bytes) -> Iterator[Named]:
    """One image for each digest; names of one digest come together."""
    body = document.parsed(data, "index.json")
    found: dict[str, list[str]] = {}
    for each in document.items(body, "manifests"):
        if not isinstance(each, dict):
            raise refused("cannot read image: a descriptor is missing or not an object")
        names = document.mapping(each, "annotations")
        name = next((text for key in _NAMES if (text := document.text(names, key))), "")
        found.setdefault(manifest.digest(each, "digest"), []).extend([name] if name else [])
    for digest, named in found.items():
        yield Named(digest=digest, names=tuple(named))


def _of_docker(data: bytes) -> Sequence[Mapping[str, object]]:
    """Docker's listing is a list at the top, which no other document is."""
    body = document.parsed(b'{"images":' + data + b"}", "manifest.json")
    found = document.items(body, "images")
    if not all(isinstance(each, dict) for each in found):
        raise refused("cannot read image: an entry of manifest.json is not an object")
    return found


def _kind(data: bytes) -> str:
    """The type that a document states itself; one without is told by its form, as files have no headers."""
    try:
        body = document.parsed(data, "manifest")
    except PullFailed:
        return ""
    return document.text(body, "mediaType") or (OCI_INDEX if "manifests" in body else OCI_MANIFEST)
