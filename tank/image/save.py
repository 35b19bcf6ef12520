"""Images into a file: `tank image save`, as an OCI archive or as `docker save` writes it.

The layers are those that came, byte for byte: so the digest of the manifest, and with it every signature and pin, is
the same where the archive is loaded. (Re-packing unpacked layers could not promise that, hence they are kept as they
came.) Docker's format wants them uncompressed: they are inflated on the way, and must come out as their diff id says.
The same images give the same bytes: times are zero, names are sorted.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tank.image import manifest
from tank.image.flights import uninterrupted
from tank.image.manifest import OCI_INDEX, OCI_MANIFEST
from tank.image.refusal import refused
from tank.image.shelf import PackedLayer, Packing
from tank.image.stream import decoded
from tank.model import reference as references

if TYPE_CHECKING:
    from tank.image.pull import ImageStore

_PIECE = 2**20
_NAME = "org.opencontainers.image.ref.name"

Format = Literal["oci", "docker"]
Named = Sequence[tuple[str, Packing]]


async def save(images: ImageStore, references: Sequence[str], target: Path, *, format: Format) -> None:  # noqa: A002
    """Write these images to the file `target`. Raises PullFailed, OSError; then there is no new file."""
    packed = [(each, await asyncio.to_thread(images.packed, each)) for each in dict.fromkeys(references)]
    with images.claims.held():  # nothing is collected under our hands
        await uninterrupted(asyncio.to_thread(_write, packed, target, format))


def _write(images: Named, target: Path, kind: Format) -> None:
    """A plain file appears when it is whole; anything else (a pipe, a terminal) is written to as it is."""
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            _fill(file, images, kind)
        return
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            _fill(file, images, kind)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _fill(file: io.BufferedWriter, images: Named, kind: Format) -> None:
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        if kind == "oci":
            _oci(tar, images)
        else:
            _docker(tar, images)


def _oci(tar: tarfile.TarFile, images: Named) -> None:
    _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    documents: dict[str, bytes] = {}
    layers: dict[str, PackedLayer] = {}
    for _, image in images:
        documents |= {manifest.digest_of(each): each for each in (image.manifest, image.config)}
        layers |= {each.descriptor.digest: each for each in image.layers}
    for digest, data in sorted(documents.items()):
        _add(tar, _blob(digest), data)
    for digest, layer in sorted(layers.items()):
        _stream(tar, _blob(digest), layer.descriptor.size, _checked(_raw(layer), digest))
    described = [
        {
            "mediaType": _stated(image.manifest),
            "digest": image.digest,
            "size": len(image.manifest),
            "annotations": _named(name),
        }
        for name, image in images
    ]
    _add(tar, "index.json", _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": described}))


def _docker(tar: tarfile.TarFile, images: Named) -> None:
    layers = {layer.diff_id: layer for _, image in images for layer in image.layers}
    for diff_id, layer in sorted(layers.items()):
        _stream(tar, _tar(diff_id), layer.length, _checked(_inflated(layer), diff_id))
    listed: dict[str, dict[str, object]] = {}
    for name, image in images:
        config = manifest.digest_of(image.config).removeprefix("sha256:")
        if config not in listed:
            _add(tar, f"{config}.json", image.config)
            places = [_tar(layer.diff_id) for layer in image.layers]
            listed[config] = {"Config": f"{config}.json", "RepoTags": [], "Layers": places}
        tags = listed[config]["RepoTags"]
        assert isinstance(tags, list)
        tags.extend(_tagged(name))
    _add(tar, "manifest.json", _json(list(listed.values())))


def _tagged(name: str) -> list[str]:
    """Docker knows an image by repository and tag; one that was named by its digest has none."""
    found = references.parse(name)
    return [] if found.digest else [f"{found.name}:{found.target}"]


def _named(name: str) -> Mapping[str, str]:
    tags = _tagged(name)
    return {_NAME: tags[0]} if tags else {}


def _stated(data: bytes) -> str:
    """The type in the document; one without is OCI's, which needs none."""
    return str(json.loads(data).get("mediaType") or OCI_MANIFEST)


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _tar(diff_id: str) -> str:
    return f"{diff_id.removeprefix('sha256:')}.tar"


def _json(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    _stream(tar, name, len(data), iter((data,)))


def _stream(tar: tarfile.TarFile, name: str, size: int, pieces: Iterator[bytes]) -> None:
    """One member, never whole in memory. Raises PullFailed when it is not as long as was said."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    try:
        tar.addfile(member, _Pieces(pieces))
    except OSError as error:
        if error.errno is None:  # the library's word for a source that ends early
            raise refused(f"cannot save image: {name} is damaged") from error
        raise
    if next(pieces, b""):
        raise refused(f"cannot save image: {name} is damaged")


class _Pieces(io.RawIOBase):
    """Pieces as a file, for the library."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def read(self, size: int = -1) -> bytes:
        while len(self._left) < size and (piece := next(self._pieces, b"")):
            self._left += piece
        found, self._left = self._left[:size], self._left[size:]
        return found


def _raw(layer: PackedLayer) -> Iterator[bytes]:
    with layer.path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            yield piece


def _inflated(layer: PackedLayer) -> Iterator[bytes]:
    with layer.path.open("rb", buffering=0) as file:
        yield from decoded(lambda: file.read(_PIECE))


def _checked(pieces: Iterator[bytes], digest: str) -> Iterator[bytes]:
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
        yield piece
    if f"sha256:{found.hexdigest()}" != digest:
        raise refused(f"cannot save image: what is kept of {digest} is damaged")
