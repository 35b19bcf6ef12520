"""What of images lies on the disk, below `<data_dir>/images`.

    blobs/sha256/<hex>   manifests and configurations, by the digest of their bytes
    layers/<hex>/        an unpacked layer, by the digest of its uncompressed tar (diff id); <hex>.json beside it
    references/<hex>     what a reference resolved to last, as JSON; named by the digest of the reference
    scratch/             all that is unfinished, under random names; whatever lies here at a start is rubbish

Nothing is ever written in place: a thing is finished in `scratch`, made durable, and renamed to its name, so that
under its name it is whole or absent, after a power cut too (R23, R24). All directories are root's alone (S06). Methods
block; long ones belong in a thread.
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

    `opaque_root`: it hides all layers below. `implicit`: directories that had no entry of their own, which is where
    a link of a lower layer would have been followed. `inherited`: they were given the looks of those below.
    """

    size: int  # bytes of the uncompressed tar
    entries: int
    opaque_root: bool = False
    implicit: tuple[str, ...] = ()
    inherited: bool = False


class Blobs:
    """One such directory. It belongs to one daemon at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scratch, self.layers = root / "scratch", root / "layers"
        self._blobs, self._references = root / "blobs" / "sha256", root / "references"

    def prepare(self) -> Sequence[Path]:
        """Make the directories; answer what a killed predecessor left unfinished. Raises OSError."""
        for each in (self.root, self.scratch, self.layers, self._blobs.parent, self._blobs, self._references):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            each.chmod(0o700)
        return tuple(self.scratch.iterdir())

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
            openat.write_durably(self._path(digest), data, self._unfinished())
        return digest

    def _path(self, digest: str) -> Path:
        return self._blobs / _hex(digest)

    def _unfinished(self) -> Path:
        return self.scratch / secrets.token_hex(8)

    def layer(self, diff_id: str) -> Path | None:
        """The directory of an unpacked layer, None when it is not here whole. Two stats, no more."""
        path = self.layers / _hex(diff_id)
        return path if path.is_dir() and self._record(diff_id).exists() else None

    def layer_record(self, diff_id: str) -> LayerRecord | None:
        """What is known of it; None when the layer is not here, or its record is damaged."""
        path = self._record(diff_id)
        try:
            body = json.loads(path.read_bytes())
            return LayerRecord(**{**body, "implicit": tuple(body["implicit"])})
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None

    def _record(self, diff_id: str) -> Path:
        return self.layers / f"{_hex(diff_id)}.json"

    def stage(self) -> Path:
        """A new empty directory, in which a layer can grow."""
        path = self._unfinished()
        path.mkdir(mode=0o700)
        return path

    def keep_layer(self, stage: Path, diff_id: str, record: LayerRecord, opaque: Sequence[str]) -> None:
        """Make a finished stage durable and give it its name: from then on it counts. Raises OSError.

        One sync covers the tree and its record. Another flight may have brought the same layer meanwhile: then the
        stage is left for its owner to remove.
        """
        if self.layer(diff_id) is not None:
            return
        unfinished = self._unfinished()
        unfinished.write_bytes(_encoded(record))
        root = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for path in opaque:
                _mark_opaque(root, path)
            openat.syncfs(root)
        finally:
            os.close(root)
        os.rename(unfinished, self._record(diff_id))
        try:
            os.rename(stage, self.layers / _hex(diff_id))
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # it is there already
                raise
        openat.sync_directory(self.layers)

    def renew_record(self, diff_id: str, record: LayerRecord) -> None:
        """Replace what is known of a layer, and make durable what was changed in it. Raises OSError."""
        unfinished = self._unfinished()
        root = os.open(self.layers, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            openat.syncfs(root)
        finally:
            os.close(root)
        openat.write_durably(self._record(diff_id), _encoded(record), unfinished)

    def remember(self, reference: str, digest: str) -> None:
        """`reference` means the image of this manifest from now on, durably. Raises OSError."""
        if self.recall(reference) != digest:
            body = json.dumps({"reference": reference, "digest": digest}).encode()
            openat.write_durably(self._reference(reference), body, self._unfinished())

    def recall(self, reference: str) -> str | None:
        """The digest of the manifest that `reference` resolved to last; None when it never did."""
        try:
            body = json.loads(self._reference(reference).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return _remembered(body, reference)

    def _reference(self, reference: str) -> Path:
        return self._references / _hex(manifest.digest_of(reference.encode()))


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
