"""Images as an archive, as it comes: `tank image save`, as OCI has it or as `docker save` writes it.

The layers are those that came, byte for byte: so the digest of the manifest, and with it every signature and pin, is
the same where the archive is loaded. (Re-packing unpacked layers could not promise that, hence they are kept as they
came.) Docker's format wants them uncompressed: they are inflated on the way, and must come out as their diff id says.
The same images give the same bytes: times are zero, names are sorted. What tells which images there are stands last: an
archive that is cut off is none.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import stat
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from tank.image import manifest, tarwriter
from tank.image.flights import uninterrupted
from tank.image.manifest import OCI_INDEX, OCI_MANIFEST
from tank.image.refusal import refused
from tank.image.shelf import PackedLayer, Packing
from tank.image.stream import decoded
from tank.image.tarwriter import Member
from tank.model import reference as references

if TYPE_CHECKING:
    from tank.image.pull import ImageStore

_PIECE = 2**20
_NAME = "org.opencontainers.image.ref.name"

Format = Literal["oci", "docker"]
Named = Sequence[tuple[str, Packing]]


async def save(images: ImageStore, references: Sequence[str], *, format: Format) -> AsyncGenerator[bytes, None]:  # noqa: A002
    """The bytes of an archive of these images, as they are wanted: none of them lies on the disk meanwhile.

    Raises PullFailed, OSError. To be closed.
    """
    packed = [(each, await asyncio.to_thread(images.packed, each)) for each in dict.fromkeys(references)]
    pieces = _oci(packed) if format == "oci" else _docker(packed)
    with images.claims.using({layer.path for _, image in packed for layer in image.layers}):
        try:
            while (piece := await uninterrupted(asyncio.to_thread(next, pieces, None))) is not None:
                if piece:
                    yield piece
        finally:
            pieces.close()


def _oci(images: Named) -> Generator[bytes, None, None]:
    yield from _member("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    documents: dict[str, bytes] = {}
    layers: dict[str, PackedLayer] = {}
    for _, image in images:
        documents |= {manifest.digest_of(each): each for each in (image.manifest, image.config)}
        layers |= {each.descriptor.digest: each for each in image.layers}
    for digest, data in sorted(documents.items()):
        yield from _member(_blob(digest), data)
    for digest, layer in sorted(layers.items()):
        yield from _stream(_blob(digest), layer.descriptor.size, _checked(_raw(layer), digest))
    described = [
        {
            "mediaType": _stated(image.manifest),
            "digest": image.digest,
            "size": len(image.manifest),
            "annotations": _named(name),
        }
        for name, image in images
    ]
    yield from _member("index.json", _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": described}))
    yield tarwriter.END


def _docker(images: Named) -> Generator[bytes, None, None]:
    layers = {layer.diff_id: layer for _, image in images for layer in image.layers}
    for diff_id, layer in sorted(layers.items()):
        yield from _stream(_tar(diff_id), layer.length, _checked(_inflated(layer), diff_id))
    listed: dict[str, dict[str, object]] = {}
    for name, image in images:
        config = manifest.digest_of(image.config).removeprefix("sha256:")
        if config not in listed:
            yield from _member(f"{config}.json", image.config)
            places = [_tar(layer.diff_id) for layer in image.layers]
            listed[config] = {"Config": f"{config}.json", "RepoTags": [], "Layers": places}
        tags = listed[config]["RepoTags"]
        assert isinstance(tags, list)
        tags.extend(_tagged(name))
    yield from _member("manifest.json", _json(list(listed.values())))
    yield tarwriter.END


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


def _member(name: str, data: bytes) -> Iterator[bytes]:
    return _stream(name, len(data), iter((data,)))


def _stream(name: str, size: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """One member, never whole in memory. Raises PullFailed when it is not as long as was said."""
    yield tarwriter.head(Member(name=name.encode(), mode=stat.S_IFREG | 0o644, uid=0, gid=0, size=size))
    left = size
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise refused(f"cannot save image: {name} is damaged")
    yield bytes(-size % tarwriter.BLOCK)


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
