"""Which images are here whole: a manifest, its configuration and every layer. Asks nobody, and costs a few stats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tank.errors import PullFailed
from tank.image import chain, manifest
from tank.image.blobs import Blobs
from tank.image.collect import Kept
from tank.image.manifest import Configuration, Descriptor, Manifest
from tank.image.refusal import refused
from tank.model.image import Image
from tank.model.reference import DEFAULT_TAG, Reference

_REMEMBERED = 256


def key(reference: Reference) -> str:
    """What a reference is remembered by. A digest makes the tag beside it mere decoration."""
    if reference.digest is not None:
        return f"{reference.name}@{reference.digest}"
    return f"{reference.name}:{reference.tag or DEFAULT_TAG}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """All that makes an image elsewhere: its two documents, and its layers as they came, lowest first."""

    digest: str
    manifest: bytes
    config: bytes
    layers: tuple[PackedLayer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedLayer:
    """One of them: where it lies, what it is, and its uncompressed length in bytes."""

    path: Path
    descriptor: Descriptor
    diff_id: str
    length: int


class Shelf:
    """The images in `blobs`."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._known: dict[str, tuple[Manifest, Configuration]] = {}

    def find(self, reference: Reference) -> Image | None:
        """The image that the reference resolved to last, or the one with its digest. Raises OSError."""
        digest = self._blobs.recall(key(reference)) or reference.digest
        return self.image(digest) if digest else None

    def image(self, digest: str) -> Image | None:
        """The image of the platform manifest `digest`; None unless all of it is here."""
        documents = self._documents(digest)
        if documents is None:
            return None
        layers = self._stack(documents[1].diff_ids)
        if layers is None:
            return None
        return Image(digest=digest, config=documents[1].config, layers=layers, size=documents[0].size)

    def content(self, digest: str) -> Kept | None:
        """What the image of this manifest consists of, whole or not; None when its documents are not here."""
        documents = self._documents(digest)
        if documents is None:
            return None
        diff_ids = documents[1].diff_ids
        stack = self._settled(diff_ids)  # also what an opaque layer hides: the image is not whole without it
        names = {each.removeprefix("sha256:") for each in (*diff_ids, *chain.ids(diff_ids))} if stack is None else set()
        names |= {each.name for each in stack or ()}
        return Kept(
            digest=digest,
            layers=frozenset(names),
            used_at=0.0,
            size=documents[0].size,
            config=documents[0].config.digest,
            whole=stack is not None,
            packed=frozenset(each.digest.removeprefix("sha256:") for each in documents[0].layers),
            chains=frozenset(each.removeprefix("sha256:") for each in chain.ids(diff_ids)),
        )

    def packing(self, reference: Reference) -> Packing:
        """The image as it came. Raises PullFailed when it is not here, or not in that form."""
        digest = self._blobs.recall(key(reference)) or reference.digest
        documents = self._documents(digest) if digest else None
        if digest is None or documents is None:
            raise refused(f"cannot save image: {reference} is not here")
        found, configuration = documents
        data, config = self._blobs.read(digest), self._blobs.read(found.config.digest)
        if data is None or config is None:
            raise refused(f"cannot save image: {reference} is damaged")
        pairs = zip(found.layers, configuration.diff_ids, strict=True)
        layers = tuple(self._packed(reference, descriptor, diff_id) for descriptor, diff_id in pairs)
        return Packing(digest=digest, manifest=data, config=config, layers=layers)

    def _packed(self, reference: Reference, descriptor: Descriptor, diff_id: str) -> PackedLayer:
        path, record = self._blobs.packed_layer(descriptor.digest), self._blobs.layer_record(diff_id)
        if not path.is_file() or record is None:
            raise refused(f"cannot save image: {reference} is here unpacked only; pull it again after deleting it")
        return PackedLayer(path=path, descriptor=descriptor, diff_id=diff_id, length=record.size)

    def _documents(self, digest: str) -> tuple[Manifest, Configuration] | None:
        """Read once, and as long as they are here: a collection takes them away in one step."""
        known = self._known.get(digest)
        if known is not None and self._blobs.has(digest) and self._blobs.has(known[0].config.digest):
            return known
        return self._read(digest)

    def _read(self, digest: str) -> tuple[Manifest, Configuration] | None:
        """The two documents, checked again against their digests: damage is absence (R39)."""
        data = self._blobs.read(digest)
        if data is None:
            return None
        try:
            found = manifest.parse(data, "")
            if not isinstance(found, Manifest):
                return None
            config = self._blobs.read(found.config.digest)
            if config is None:
                return None
            documents = found, manifest.parse_config(config, len(found.layers))
        except PullFailed:
            return None
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[digest] = documents
        return documents

    def _stack(self, diff_ids: Sequence[str]) -> tuple[Path, ...] | None:
        """The directories, lowest first, each once: the overlay refuses one twice.

        Of several places the topmost is kept. What a layer says it says again there, so nothing is lost. Below a
        layer with an opaque root nothing shows; the overlay itself does not look for that mark on a root.
        """
        stack = self._settled(diff_ids)
        return None if stack is None else tuple(reversed(self._above_opaque(stack)))

    def _settled(self, diff_ids: Sequence[str]) -> list[Path] | None:
        """The directory of every layer, topmost first; None when one is not here."""
        stack: list[Path] = []
        pairs = zip(diff_ids, chain.ids(diff_ids), strict=True)
        for diff_id, chain_id in reversed(list(pairs)):
            path = chain.settled(self._blobs, diff_id, chain_id)
            if path is None:
                return None
            if path not in stack:
                stack.append(path)
        return stack

    def _above_opaque(self, stack: list[Path]) -> list[Path]:
        for place, path in enumerate(stack):
            record = self._blobs.layer_record(f"sha256:{path.name}")
            if record is not None and record.opaque_root:
                return stack[: place + 1]
        return stack
