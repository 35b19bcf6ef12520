"""What of images lies on the disk, below `<data_dir>/images`.

    blobs/sha256/<hex>   manifests and configurations, by the digest of their bytes
    layers/<hex>/        an unpacked layer, by the digest of its uncompressed tar (diff id); <hex>.json beside it.
                         One that was rewritten for the layers below it (tank.image.chain) lies under its chain id
    chains/<hex>         which directory a layer has on top of others, by its chain id
    packed/<hex>         a layer as it came, by the digest of these very bytes: for `save`; all else does without it
    parts/<hex>          the same, as far as it has come, to be resumed by the next try; proven when it is whole
    trust/<hex>          what is on record of the signatures of an image; see tank.image.gate
    references/<hex>     what a reference resolved to last, as JSON; named by the digest of the reference
    unsynced/            notes of what a loss of power may have damaged; see tank.image.unsynced
    scratch/             all that is unfinished, under random names; whatever lies here at a start is rubbish

Nothing is ever written in place: a thing is finished in `scratch` and renamed to its name, documents when they are
durable, layers as soon as they are whole; after a power cut too, each is whole or absent (R23, R24). All directories
are root's alone (S06). Methods block; long ones belong in a thread.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tank.host import openat
from tank.image import manifest
from tank.model.reference import DIGEST

_OPAQUE = "trusted.overlay.opaque"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord:
    """What is known of an unpacked layer.

    `opaque_root`: it hides all layers below. `implicit`: directories that had no entry of their own, where layers below
    decide on looks, and where a link of theirs would have been followed.
    """

    size: int  # bytes of the uncompressed tar
    entries: int
    opaque_root: bool = False
    implicit: tuple[str, ...] = ()


class Blobs:
    """One such directory. It belongs to one daemon at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scratch, self.layers = root / "scratch", root / "layers"
        self.documents, self.references = root / "blobs" / "sha256", root / "references"
        self.trust, self.unsynced = root / "trust", root / "unsynced"
        self.packed, self.parts, self.chains = root / "packed", root / "parts", root / "chains"
        self._opened: int | None = None

    def prepare(self) -> Sequence[Path]:
        """Make the directories; answer what a killed predecessor left unfinished. `close` last. Raises OSError."""
        documents = (self.documents.parent, self.documents, self.references)
        layers = (self.layers, self.chains, self.packed, self.parts, self.trust, self.unsynced)
        for each in (self.root, self.scratch, *documents, *layers):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            each.chmod(0o700)
        if self._opened is None:
            self._opened = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for each in self.layers.glob("*.json"):  # whoever names a layer, or takes it away, may be killed half way
            if not each.with_suffix("").is_dir():
                each.unlink()
        return tuple(self.scratch.iterdir())

    def close(self) -> None:
        """Let go of the disk. Repeatable."""
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None

    def read(self, digest: str) -> bytes | None:
        """The bytes with this digest; None when they are absent or damaged, which is the same to a reader."""
        with suppress(FileNotFoundError):
            data = self._path(digest).read_bytes()
            if manifest.digest_of(data) == digest:
                return data
        return None

    def write(self, data: bytes) -> str:
        """Keep the bytes, durably; answers their digest. Raises OSError."""
        digest = manifest.digest_of(data)
        if self.read(digest) is None:
            openat.write_durably(self._path(digest), data, self.unfinished())
        return digest

    def _path(self, digest: str) -> Path:
        return self.documents / _hex(digest)

    def place(self, diff_id: str) -> Path:
        """Where an unpacked layer lies, or would lie."""
        return self.layers / _hex(diff_id)

    def packed_layer(self, digest: str) -> Path:
        """Where a layer as it came lies, or would lie."""
        return self.packed / _hex(digest)

    def part(self, digest: str) -> Path:
        """Where what has come of a layer lies."""
        return self.parts / _hex(digest)

    def chain(self, chain_id: str) -> Path:
        """Where it stands which directory a layer has on top of others."""
        return self.chains / _hex(chain_id)

    def unfinished(self) -> Path:
        """A path that nobody has, for something in the making."""
        return self.scratch / secrets.token_hex(8)

    def layer(self, diff_id: str) -> Path | None:
        """The directory of an unpacked layer, None when it is not here whole. Two stats, no more."""
        path = self.place(diff_id)
        return path if path.is_dir() and self._record(diff_id).exists() else None

    def layer_record(self, diff_id: str) -> LayerRecord | None:
        """What is known of it; None when the layer is not here, or its record is damaged."""
        path = self._record(diff_id)
        try:
            body = json.loads(path.read_bytes())
            known = {name: body[name] for name in LayerRecord.__slots__}
            return LayerRecord(**{**known, "implicit": tuple(known["implicit"])})
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None

    def _record(self, diff_id: str) -> Path:
        return self.layers / f"{_hex(diff_id)}.json"

    def stage(self) -> Path:
        """A new empty directory, in which a layer can grow."""
        path = self.unfinished()
        path.mkdir(mode=0o700)
        return path

    def name_layer(self, stage: Path, record: LayerRecord, opaque: Sequence[str], diff_id: str) -> None:
        """Complete what an unpacker made and give it its name: from then on the layer counts. Raises OSError.

        It is on the disk after the next sync. Another flight may have brought the same layer meanwhile: then the stage
        is left for its owner to remove.
        """
        if self.layer(diff_id) is not None:
            return
        root = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for path in opaque:
                _mark_opaque(root, path)
        finally:
            os.close(root)
        unfinished = self.unfinished()
        unfinished.write_bytes(_encoded(record))
        os.rename(unfinished, self._record(diff_id))
        try:
            os.rename(stage, self.place(diff_id))
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # it is there already
                raise

    def sync(self) -> None:
        """Have everything that was done here since `prepare` on the disk. Raises OSError.

        What the disk did not take is told once to each descriptor, whoever syncs: so it is always the same one here.
        """
        assert self._opened is not None
        openat.syncfs(self._opened)

    def remember(self, reference: str, digest: str) -> None:
        """`reference` means the image of this manifest from now on, durably. Raises OSError."""
        if self.recall(reference) != digest:
            body = json.dumps({"reference": reference, "digest": digest}).encode()
            openat.write_durably(self._reference(reference), body, self.unfinished())

    def recall(self, reference: str) -> str | None:
        """The digest of the manifest that `reference` resolved to last; None when it never did."""
        try:
            body = json.loads(self._reference(reference).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return _remembered(body, reference)

    def has(self, digest: str) -> bool:
        """Whether a document lies here. A stat, no more."""
        return self._path(digest).is_file()

    def touch(self, digest: str) -> None:
        """The image of this manifest is used: collection goes by that. Absent is fine."""
        with suppress(FileNotFoundError):
            os.utime(self._path(digest))

    def forget(self, reference: str) -> None:
        """`reference` means nothing any more. Repeatable."""
        self._reference(reference).unlink(missing_ok=True)

    def aside(self, path: Path) -> Path | None:
        """Take a document or a layer away from what counts, in one rename; None when it is gone already.

        What it leads to lies in `scratch` then, to be removed in time: by us, or by the next start (R24).
        """
        target = self.unfinished()
        try:
            os.rename(path, target)
        except FileNotFoundError:
            return None
        if path.parent == self.layers:
            path.with_name(f"{path.name}.json").unlink(missing_ok=True)
        return target

    def _reference(self, reference: str) -> Path:
        return self.references / _hex(manifest.digest_of(reference.encode()))


def _encoded(record: LayerRecord) -> bytes:
    return json.dumps({name: getattr(record, name) for name in LayerRecord.__slots__}).encode()


def _remembered(body: object, reference: str) -> str | None:
    if not isinstance(body, Mapping) or body.get("reference") != reference:
        return None
    digest = body.get("digest")
    return digest if isinstance(digest, str) and DIGEST.fullmatch(digest) else None


def _hex(digest: str) -> str:
    """A digest as a file name; anything else never reaches the disk (S27)."""
    if DIGEST.fullmatch(digest) is None:
        raise ValueError("not a digest")
    return digest.removeprefix("sha256:")


def _mark_opaque(root: int, path: str) -> None:
    """The unpacker named a directory of the layer. A path that leads to none any more was replaced later on."""
    flags = os.O_RDONLY | os.O_DIRECTORY
    with suppress(FileNotFoundError, NotADirectoryError):
        found = openat.openat2(root, os.fsencode(path), flags, resolve=openat.IN_ROOT | openat.NO_MAGICLINKS)
        try:
            os.setxattr(found, _OPAQUE, b"y")
        finally:
            os.close(found)
