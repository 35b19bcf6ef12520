"""Layers in forms that are made for lazy pulling, written as their public layouts say: eStargz and zstd:chunked.

Both are ordinary compressed tars to who reads them from front to end. eStargz: each file's content is a gzip member of
its own, a table of contents is the last file, and an empty member at the end says where that begins. zstd:chunked: each
file's content is a frame of its own, and the table of contents and a footer follow in frames that decoders skip.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from tests import archives, images

CHUNK = 30_000  # bytes of a file's content in one piece
_TYPES = {b"0": "reg", b"1": "hardlink", b"2": "symlink", b"3": "char", b"4": "block", b"5": "dir", b"6": "fifo"}
_SKIPPABLE = 0x184D2A50
_CHUNKED = b"GNUlInUx"
_BLOCK = 512


class Packed(NamedTuple):
    """A layer as it lies in a registry. `tar` is what comes out of it."""

    data: bytes
    tar: bytes
    media_type: str
    annotations: Mapping[str, str]


class Piece(NamedTuple):
    """A run of a tar: headers, or `chunk` bytes of a file's content from `offset` on, padding included."""

    data: bytes
    member: tarfile.TarInfo | None = None
    offset: int = 0
    chunk: int = 0


def pieces(tar: bytes) -> Iterator[Piece]:
    """A tar in pieces, up to the zeroes at its end."""
    at = 0
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        members = opened.getmembers()
    for member in members:
        yield Piece(tar[at : member.offset_data], None if member.size else member)
        at = member.offset_data
        for offset in range(0, member.size, CHUNK):
            chunk = min(CHUNK, member.size - offset)
            last = offset + chunk == member.size
            yield Piece(tar[at : at + chunk + (-member.size % _BLOCK if last else 0)], member, offset, chunk)
            at += chunk
        at += -member.size % _BLOCK


def entry(piece: Piece) -> dict[str, Any]:
    """One line of a table of contents."""
    member = piece.member
    assert member is not None
    said: dict[str, Any] = {"name": member.name, "type": _TYPES[member.type]}
    if piece.offset:
        said["type"] = "chunk"
    else:
        said |= {"size": member.size, "mode": member.mode, "uid": member.uid, "gid": member.gid}
        said |= {"linkName": member.linkname} if member.linkname else {}
    content = piece.data[: piece.chunk]
    if content:
        said |= {"chunkSize": piece.chunk, "chunkOffset": piece.offset, "chunkDigest": digest(content)}
    return said


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def estargz(tar: bytes) -> Packed:
    """eStargz with a landmark. Its last file is the table, so what comes out is another tar than went in."""
    whole = archives.member(b".no.prefetch.landmark", data=b"\x0f") + tar
    out, seen, table = bytearray(), bytearray(), []
    for piece in pieces(whole):
        if piece.member is not None:
            table.append(entry(piece) | {"offset": len(out)})
        out += gzip.compress(piece.data, mtime=0)
        seen += piece.data
    listing = json.dumps({"version": 1, "entries": table}).encode()
    last = archives.member(b"stargz.index.json", data=listing, mode=0) + archives.END
    where = b"SG" + struct.pack("<H", 22) + b"%016xSTARGZ" % len(out)
    footer = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(where)) + where + b"\x01\0\0\xff\xff" + bytes(8)
    assert len(footer) == 51
    notes = {"containerd.io/snapshot/stargz/toc.digest": digest(listing)}
    return Packed(bytes(out) + gzip.compress(last, mtime=0) + footer, bytes(seen) + last, images.LAYER, notes)


def zstd_chunked(tar: bytes) -> Packed:
    """zstd:chunked. What comes out is what went in."""
    out, table, length = bytearray(), [], 0
    for piece in pieces(tar):
        begin = len(out)
        out += zstd.compress(piece.data)
        length += len(piece.data)
        if piece.member is not None:
            table.append(entry(piece) | {"offset": begin, "endOffset": len(out)})
    out += zstd.compress(tar[length:])
    listing = json.dumps({"version": 1, "entries": table}).encode()
    packed = zstd.compress(listing)
    place = (len(out) + 8, len(packed), len(listing), 1)
    footer = struct.pack("<4Q", *place) + _CHUNKED
    data = bytes(out) + skippable(packed) + skippable(footer)
    notes = {
        "io.github.containers.zstd-chunked.manifest-checksum": digest(packed),
        "io.github.containers.zstd-chunked.manifest-position": ":".join(map(str, place)),
    }
    return Packed(data, tar, "application/vnd.oci.image.layer.v1.tar+zstd", notes)


def gzipped(tar: bytes) -> Packed:
    """The form that every tool can write again as Docker's."""
    return Packed(gzip.compress(tar, mtime=0), tar, images.LAYER, {})


def skippable(data: bytes) -> bytes:
    """A frame that decoders pass over."""
    return struct.pack("<II", _SKIPPABLE, len(data)) + data


def layout(directory: Path, layers: list[Packed]) -> Path:
    """An OCI layout of one image, called `it`."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    config: dict[str, Any] = {"architecture": images.ARCHITECTURE, "os": "linux", "config": {"Cmd": ["sh"]}}
    config["rootfs"] = {"type": "layers", "diff_ids": [digest(each.tar) for each in layers]}
    config["history"] = [{"created_by": "the tests"} for _ in layers]
    stack = [
        images.blob(blobs, each.media_type, each.data) | {"annotations": dict(each.annotations)} for each in layers
    ]
    manifest = {"schemaVersion": 2, "mediaType": images.MANIFEST, "layers": stack}
    manifest["config"] = images.blob(blobs, images.CONFIG, json.dumps(config).encode())
    found = images.blob(blobs, images.MANIFEST, json.dumps(manifest).encode())
    found["annotations"] = {"org.opencontainers.image.ref.name": "it"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [found]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory
