"""Tar archives written byte by byte, so that a test can say what no honest tool would write."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

BLOCK = 512
END = bytes(2 * BLOCK)

FILE, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"


def header(name: bytes, kind: bytes = FILE, **fields: Any) -> bytes:
    """One header block with a right checksum. `fields`: mode uid gid size mtime link magic prefix device, or raw
    bytes for any of the numbers."""
    given = {"mode": 0o644, "uid": 0, "gid": 0, "size": 0, "mtime": 0, "link": b"", "device": (0, 0), **fields}
    major, minor = given["device"]
    block = b"".join(
        (
            name.ljust(100, b"\0"),
            octal(given["mode"], 8),
            octal(given["uid"], 8),
            octal(given["gid"], 8),
            octal(given["size"], 12),
            octal(given["mtime"], 12),
            b" " * 8,
            kind,
            bytes(given["link"]).ljust(100, b"\0"),
            given.get("magic", b"ustar\x0000"),
            b"".ljust(64, b"\0"),
            octal(major, 8),
            octal(minor, 8),
            bytes(given.get("prefix", b"")).ljust(155, b"\0"),
            bytes(12),
        )
    )
    return summed(block)


def summed(block: bytes) -> bytes:
    """The block with its checksum put in."""
    assert len(block) == BLOCK
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def octal(value: int | bytes, width: int) -> bytes:
    """A number in a field, or raw bytes as they are."""
    if isinstance(value, bytes):
        assert len(value) == width
        return value
    return b"%0*o\0" % (width - 1, value)


def base256(value: int, width: int) -> bytes:
    """GNU's spelling of large and negative numbers."""
    data = bytearray(value.to_bytes(width, "big", signed=True))
    data[0] |= 0x80
    return bytes(data)


def padded(data: bytes) -> bytes:
    """Data up to a whole block."""
    return data + bytes(-len(data) % BLOCK)


def member(name: bytes, kind: bytes = FILE, data: bytes = b"", **fields: Any) -> bytes:
    """A header and its data; `pax` puts an extended header in front, a long name GNU's."""
    records = fields.pop("pax", None)
    front = extended(records) if isinstance(records, Mapping) else b""
    if len(name) > 100:
        front += long_name(name)
    if len(fields.get("link", b"")) > 100:
        front += long_name(fields["link"], b"K")
        fields["link"] = fields["link"][:100]
    return front + header(name[:100], kind, **{"size": len(data), **fields}) + padded(data)


def directory(name: bytes, **fields: Any) -> bytes:
    """A directory."""
    return member(name, DIRECTORY, **{"mode": 0o755, **fields})


def symlink(name: bytes, target: bytes, **fields: Any) -> bytes:
    """A symbolic link."""
    return member(name, SYMLINK, link=target, **fields)


def hardlink(name: bytes, target: bytes) -> bytes:
    """A hard link."""
    return member(name, LINK, link=target)


def record(key: bytes, value: bytes) -> bytes:
    """One PAX record, whose length counts itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def extended(records: Mapping[bytes, bytes], kind: bytes = b"x") -> bytes:
    """An extended header."""
    return raw_extended(b"".join(record(key, value) for key, value in records.items()), kind)


def raw_extended(data: bytes, kind: bytes = b"x") -> bytes:
    """An extended header of any content."""
    return header(b"pax", kind, size=len(data)) + padded(data)


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    """GNU's header for a long name (L) or link target (K)."""
    data = name + b"\0"
    return header(b"././@LongLink", kind, size=len(data), magic=b"ustar  \0") + padded(data)


def archive(*members: bytes) -> bytes:
    """A whole archive."""
    return b"".join(members) + END


def gzipped(data: bytes) -> bytes:
    """One gzip member, the same bytes for the same data."""
    return gzip.compress(data, compresslevel=1, mtime=0)
