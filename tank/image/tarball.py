"""Reading a tar archive as a stream: headers in, frozen entries out.

Formats: V7, ustar, GNU (long names, base-256 numbers, sparse) and PAX. A name comes out as it is written; what it may
do is `tank.image.extract`'s affair. Theory: an archive is a run of 512-byte blocks; a header may be preceded by
extension headers that amend it, and is followed by data padded to whole blocks. Two zero blocks, or the end of
the stream between two entries, end the archive. Pure: it sees bytes through `Reader` and touches nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from tank.image import pax, sparse
from tank.image.refusal import refused, shown
from tank.image.stream import Reader

BLOCK = 512
_ZERO = bytes(BLOCK)
_MOST_EXTENSIONS = 16  # extension headers before one entry
_GLOBAL_FORBIDDEN = (b"path", b"linkpath", b"size", b"GNU.sparse.")

FILE, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_OLD_SPARSE = ord("S")
_REGULAR = frozenset(b"0\x007S")
_KNOWN = frozenset(b"123456")
_EXTENSIONS = frozenset(b"xXgLK")
_NO_MORE_THAN_NAMES = frozenset(
    {b"path", b"linkpath", b"size", b"uid", b"gid", b"uname", b"gname", b"mtime", b"atime", b"ctime"}
)


class Entry(NamedTuple):
    """One member. `size` bytes of data follow in the stream; `mtime` is in nanoseconds; `mode` has no type bits."""

    name: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: pax.Records = ()
    sparse: sparse.Sparse | None = None


def number(field: bytes) -> int:
    """A numeric field: octal text, or GNU's base-256 in two's complement. Raises PullFailed."""
    text = field[:-1]
    if field[-1] or not text.isdigit():  # not as nearly every writer has it
        if field[0] & 0x80:
            return _base256(field)
        text = field.split(b"\0", 1)[0].strip(b" ") or b"0"
    try:
        if text.isdigit():
            return int(text, 8)
    except ValueError:
        pass
    raise refused(f"cannot read layer: {shown(text)} is not an octal number")


_number = lru_cache(maxsize=512)(number)  # for fields that have the same few values in a whole archive


def _base256(field: bytes) -> int:
    bits = 8 * len(field) - 1
    value = int.from_bytes(field, "big") & ((1 << bits) - 1)
    return value - (1 << bits) if field[0] & 0x40 else value


def entries(reader: Reader) -> Iterator[Entry]:
    """Each member in turn. Data that the caller leaves in the reader is passed over. Raises PullFailed."""
    defaults: dict[bytes, bytes] = {}
    while True:
        extension = _NOTHING
        header = _next_header(reader, first=True)
        while header is not None and header[156] in _EXTENSIONS:
            extension = _Extension() if extension is _NOTHING else extension
            extension.add(header, reader, defaults)
            header = _next_header(reader, first=False)
        if header is None:
            return
        entry = _Header(header, extension, defaults).entry(reader)
        if entry is None:
            continue
        end = reader.position + entry.size + (-entry.size % BLOCK)
        yield entry
        reader.skip(end - reader.position)


def _next_header(reader: Reader, *, first: bool) -> bytes | None:
    """A checked header block; None at the end of the archive, which must not come right after an extension."""
    block = reader.read_some(BLOCK)
    if block == _ZERO:
        if reader.read_some(BLOCK) not in (_ZERO, b""):
            raise refused("cannot read layer: a lone zero block in the archive")
        block = b""
    if not block:
        if not first:
            raise refused("cannot read layer: an extension header without its entry")
        return None
    if len(block) != BLOCK:
        raise refused("cannot read layer: the archive is cut off")
    _check_sum(block)
    return block


def _check_sum(block: bytes) -> None:
    """The sum of all bytes, the field itself counted as spaces; some old writers summed signed characters.

    The low half of an Adler-32 that starts at 0 is the plain sum, as long as it stays below 65521: a half block.
    """
    field = block[148:156]
    total = (zlib.adler32(block[:256], 0) & 0xFFFF) + (zlib.adler32(block[256:], 0) & 0xFFFF)
    stated = number(field)
    if total - sum(field) + 256 == stated:
        return
    signed = sum(each - 256 if each > 127 else each for each in block[:148] + block[156:]) + 256
    if signed != stated:
        raise refused("cannot read layer: not a tar archive, or a damaged one (header checksum)")


class _Extension:
    """What stands in front of one entry: GNU's long names and PAX records."""

    __slots__ = ("attributes", "count", "link", "name", "records")

    def __init__(self) -> None:
        self.count, self.name, self.link = 0, b"", b""
        self.attributes: dict[bytes, bytes] = {}
        self.records: list[tuple[bytes, bytes]] = []

    def add(self, header: bytes, reader: Reader, defaults: dict[bytes, bytes]) -> None:
        """Take one extension header and its data in; a global one goes to `defaults`."""
        self.count += 1
        size, kind = number(header[124:136]), header[156:157]
        if self.count > _MOST_EXTENSIONS or not 0 <= size <= pax.LONGEST:
            raise refused("cannot read layer: an extension header is too large")
        data = reader.read(size + -size % BLOCK)[:size]
        if kind == b"L":
            self.name = data.split(b"\0", 1)[0]
        elif kind == b"K":
            self.link = data.split(b"\0", 1)[0]
        elif kind == b"g":
            _add_defaults(defaults, data)
        else:
            self.records = list(pax.records(data))
            self.attributes = dict(self.records)


_NOTHING = _Extension()


def _add_defaults(defaults: dict[bytes, bytes], data: bytes) -> None:
    """A global header may set times, owners and attributes; one that renames every file is an attack."""
    for key, value in pax.records(data):
        if key.startswith(_GLOBAL_FORBIDDEN):
            raise refused(f"cannot read layer: a global header sets {shown(key)}")
        defaults[key] = value
    if sum(len(key) + len(value) for key, value in defaults.items()) > pax.LONGEST:
        raise refused("cannot read layer: an extension header is too large")


class _Header:
    """One header block with all that amends it."""

    __slots__ = ("_plain", "block", "extension", "values")

    def __init__(self, block: bytes, extension: _Extension, defaults: dict[bytes, bytes]) -> None:
        self.block, self.extension = block, extension
        merged = {**defaults, **extension.attributes} if defaults else extension.attributes
        if not all(merged.values()):  # POSIX: an empty value takes back what the header or a global record said
            merged = {key: value for key, value in merged.items() if value}
        self.values = merged
        self._plain = block[156] != _OLD_SPARSE and merged.keys() <= _NO_MORE_THAN_NAMES

    def entry(self, reader: Reader) -> Entry | None:
        """The entry, or None for what is not a file (a volume label)."""
        block, values = self.block, self.values
        kind, name = self._kind(), self._name()
        if kind is None:
            reader.skip(self._size() + -self._size() % BLOCK)
            return None
        size = self._size() if kind == FILE else 0  # others have no data, whatever the field says
        holes, size = self._sparse(reader, size) if kind == FILE and not self._plain else (None, size)
        when = values.get(b"mtime")
        return Entry(  # by place: there may be a million
            name,
            kind,
            _number(block[100:108]) & 0o7777,
            self._id(b"uid", block[108:116]),
            self._id(b"gid", block[116:124]),
            size,
            pax.nanoseconds(when) if when else pax.clamped(number(block[136:148]) * 10**9),
            self._link() if kind in b"12" else b"",
            (number(block[329:337]), number(block[337:345])) if kind in b"34" else (0, 0),
            () if self._plain else pax.xattrs(values),
            holes,
        )

    def _kind(self) -> bytes | None:
        kind = self.block[156]
        if kind in _REGULAR:
            # V7 had no type for directories but the slash at the end of the name.
            return DIRECTORY if kind == 0 and self._name().endswith(b"/") else FILE
        if kind in _KNOWN:
            return self.block[156:157]
        if kind == ord("V"):
            return None
        raise refused(f"cannot read layer: {shown(self._name())} is of unknown type {shown(self.block[156:157])}")

    def _name(self) -> bytes:
        values, block = self.values, self.block
        plain = block[:100].split(b"\0", 1)[0]
        if block[257:263] == b"ustar\0" and block[345]:
            plain = block[345:500].split(b"\0", 1)[0] + b"/" + plain
        if not values and not self.extension.name:
            return plain
        given = values.get(b"GNU.sparse.name") or values.get(b"path")
        return _only_one(self.extension.name, given) or plain

    def _link(self) -> bytes:
        given = _only_one(self.extension.link, self.values.get(b"linkpath"))
        return given or self.block[157:257].split(b"\0", 1)[0]

    def _size(self) -> int:
        given = self.values.get(b"size")
        size = pax.whole(b"size", given) if given else number(self.block[124:136])
        if not 0 <= size < 2**63:
            raise refused("cannot read layer: a file of negative or absurd size")
        return size

    def _id(self, key: bytes, field: bytes) -> int:
        given = self.values.get(key)
        value = pax.whole(key, given) if given else _number(field)
        if not 0 <= value <= pax.LARGEST_ID:
            raise refused(f"cannot read layer: {shown(self._name())} has an owner out of range")
        return value

    def _sparse(self, reader: Reader, size: int) -> tuple[sparse.Sparse | None, int]:
        """The map of holes, if there is one, and the bytes of data that are left to read."""
        values = self.values
        if self.block[156] == _OLD_SPARSE:
            real, numbers = sparse.old(self.block, lambda: reader.read(BLOCK), number)
            return sparse.checked(real, numbers, size), size
        if values.get(b"GNU.sparse.major") == b"1":
            left, numbers = sparse.in_front(size, lambda: reader.read(BLOCK))
            real = pax.whole(b"GNU.sparse.realsize", values.get(b"GNU.sparse.realsize", b""))
            return sparse.checked(real, numbers, left), left
        found = sparse.of_records(self.extension.records, values)
        if found is None:
            return None, size
        real = pax.whole(b"GNU.sparse.size", values.get(b"GNU.sparse.size", b""))
        return sparse.checked(real, found, size), size


def _only_one(gnu: bytes, posix: bytes | None) -> bytes:
    """GNU's long name or PAX's; readers disagree on which wins, so two different ones are refused."""
    if posix is not None and b"\0" in posix:
        raise refused("cannot read layer: a NUL in a file name")
    if gnu and posix and gnu != posix:
        raise refused(f"cannot read layer: one file is called both {shown(gnu)} and {shown(posix)}")
    return gnu or posix or b""
