"""A layer as a stream: compressed bytes in, uncompressed bytes out, counted and hashed on the way.

The form is told by the first bytes, not by what a manifest says of it: the digest of the uncompressed stream (the
diff id) is what makes a layer the right one. gzip may have several members (eStargz), zstd several and skippable
frames (zstd:chunked). Output is taken in bounded pieces, so that a bomb costs no memory (S03). Decoding and hashing
let go of the interpreter's lock, so a layer that is alone gets a thread for them. Beside others it does not: these
have the processors busy, and handing over costs a sixth of the time.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from isal import igzip_lib

from tank.errors import PullFailed
from tank.image.refusal import refused

try:
    from compression import zstd  # Python 3.14
except ImportError:
    from backports import zstd

PIECE = 2**18
_QUEUED = 8
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = (b"\x2a\x4d\x18", 0x50)  # bytes 1 to 3, and the high half of byte 0
_FOREIGN = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x04\x22\x4d\x18": "lz4"}
_WINDOW_LOG = 27  # 128 MiB, what the zstd command takes without being asked for more

_DAMAGED: Any = (igzip_lib.IsalError, zstd.ZstdError, EOFError)

Read = Callable[[], bytes]


class _Decompressor(Protocol):
    """The interface that bz2 began: both libraries have it."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _gzip() -> _Decompressor:
    found: _Decompressor = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    return found


def _zstd() -> _Decompressor:
    found: _Decompressor = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    return found


def decoded(read: Read) -> Iterator[bytes]:
    """The uncompressed pieces of what `read` gives, b"" at its end. Raises PullFailed."""
    head = b""
    while len(head) < 6 and (more := read()):
        head += more
    for magic, name in _FOREIGN.items():
        if head.startswith(magic):
            raise refused(f"cannot read layer: it is compressed with {name}; gzip, zstd and plain tar are read")
    if head.startswith(_GZIP):
        yield from _translated(_members(head, read, _gzip, padding=b"\0"))
    elif head.startswith(_ZSTD) or (head[1:4] == _SKIPPABLE[0] and head[0] & 0xF0 == _SKIPPABLE[1]):
        yield from _translated(_members(head, read, _zstd, padding=b""))
    else:
        while head:
            yield head
            head = read()


def _translated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except _DAMAGED as error:
        raise refused(f"cannot read layer: the compressed data is damaged: {error}") from error


def _members(data: bytes, read: Read, make: Callable[[], _Decompressor], *, padding: bytes) -> Iterator[bytes]:
    """One compressed member after another; zeroes after a gzip member are padding."""
    while data:
        member = make()
        while not member.eof:
            if member.needs_input and not data and not (data := read()):
                raise refused("cannot read layer: the compressed data is cut off")
            if piece := member.decompress(data, PIECE):
                yield piece
            data = b""
        data = member.unused_data
        while not (data := data.lstrip(padding) if padding else data) and (data := read()):
            pass


class Decoder:
    """Decodes and hashes. `more` gives the pieces; after its b"", `diff_id` and `count` are complete."""

    def __init__(self, read: Read, most: int, *, alone: bool = True) -> None:
        """`most`: bytes of output after which the layer is refused as a bomb (S03). `alone`: in a thread of its own."""
        self._hash, self._most, self.count, self._ended = hashlib.sha256(), most, 0, False
        self._pieces = self._seen(read)
        if alone:
            self._pieces = _ahead(self._pieces)

    @property
    def diff_id(self) -> str:
        """Digest of all that came out."""
        return f"sha256:{self._hash.hexdigest()}"

    def more(self) -> bytes:
        """The next piece, b"" at the end, however often it is asked there. Raises PullFailed, OSError."""
        piece = b"" if self._ended else next(self._pieces, b"")
        self._ended = not piece
        return piece

    def _seen(self, read: Read) -> Iterator[bytes]:
        for piece in decoded(read):
            self._hash.update(piece)
            self.count += len(piece)
            if self.count > self._most:
                raise refused(f"cannot unpack layer: it holds more than {self._most} bytes")
            yield piece


def _ahead(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, made a few ahead by a thread."""
    line: queue.Queue[bytes | Exception] = queue.Queue(_QUEUED)

    def run() -> None:
        try:
            for piece in pieces:
                line.put(piece)
            line.put(b"")
        except (PullFailed, OSError, MemoryError) as error:
            line.put(error)

    threading.Thread(target=run, daemon=True).start()
    while piece := line.get():
        if isinstance(piece, Exception):
            raise piece
        yield piece


class Reader:
    """Bytes in order from `more`, which answers b"" at the end. `position` counts what was taken."""

    __slots__ = ("_buffer", "_more", "_offset", "position")

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more, self._buffer, self._offset, self.position = more, b"", 0, 0

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes. Raises PullFailed when the stream ends before."""
        found = self.read_some(count)
        if len(found) != count:
            raise refused("cannot read layer: the archive is cut off")
        return found

    def read_some(self, count: int) -> bytes:
        """`count` bytes, or what is left of the stream."""
        buffer, offset = self._buffer, self._offset
        if len(buffer) - offset < count:
            buffer, offset = self._filled(count), 0
        found = buffer[offset : offset + count]
        self._offset = offset + len(found)
        self.position += len(found)
        return found

    def _filled(self, count: int) -> bytes:
        parts = [self._buffer[self._offset :]]
        have = len(parts[0])
        while have < count and (part := self._more()):
            parts.append(part)
            have += len(part)
        self._buffer = b"".join(parts)
        return self._buffer

    def chunks(self, count: int) -> Iterator[memoryview]:
        """`count` bytes without copying them, in pieces as they lie. Raises PullFailed when the stream ends before."""
        while count:
            if self._offset >= len(self._buffer):
                self._buffer, self._offset = self._more(), 0
                if not self._buffer:
                    raise refused("cannot read layer: the archive is cut off")
            length = min(count, len(self._buffer) - self._offset)
            start = self._offset
            self._offset += length
            self.position += length
            count -= length
            yield memoryview(self._buffer)[start : start + length]

    def skip(self, count: int) -> None:
        """Pass over `count` bytes."""
        if count <= len(self._buffer) - self._offset:
            self._offset += count
            self.position += count
            return
        for _ in self.chunks(count):
            pass

    def drain(self) -> None:
        """Pass over all that is left, so that whoever hashes the stream sees the whole of it."""
        self._offset = len(self._buffer)
        while self._more():
            pass
