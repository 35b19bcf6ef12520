"""Writing a tar archive: what stands before each member's data, in the PAX format (POSIX ustar with extensions). Pure.

What a plain header cannot say stands in an extended one before it: long names, bytes that are no ASCII, large numbers,
times below a second, attributes, and the pieces of a sparse file (GNU's PAX format 1.0, which GNU tar and bsdtar read).
"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

BLOCK = 512
END = bytes(2 * BLOCK)
_LONGEST_NAME = 100
_KINDS = {
    stat.S_IFREG: b"0",
    stat.S_IFLNK: b"2",
    stat.S_IFCHR: b"3",
    stat.S_IFBLK: b"4",
    stat.S_IFDIR: b"5",
    stat.S_IFIFO: b"6",
}
_HARD_LINK = b"1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member. `mode` with its type bits; `link`: a symbolic link's target, or with `hard` an earlier member.

    `pieces`: of a sparse file, each (offset, length) of data; None: all of it is data.
    """

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int = 0
    mtime: int = 0  # nanoseconds
    link: bytes = b""
    hard: bool = False
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[bytes, bytes] = field(default_factory=dict)
    pieces: Sequence[tuple[int, int]] | None = None


def has_kind(mode: int) -> bool:
    """Whether an archive can hold such a file; it cannot hold a socket."""
    return stat.S_IFMT(mode) in _KINDS


def head(member: Member) -> bytes:
    """All that stands before the data, which is to be padded to whole blocks."""
    table = _table(member)
    held = len(table) + sum(length for _, length in member.pieces) if member.pieces is not None else member.size
    records = _records(member, held)
    extended = b"".join(_record(key, value) for key, value in records.items())
    before = _block(b"PaxHeaders/x", b"x", 0o644, size=len(extended)) + padded(extended) if extended else b""
    return before + _plain(member, held) + table


def padding(size: int) -> bytes:
    """What fills up the last block of `size` bytes."""
    return bytes(-size % BLOCK)


def padded(data: bytes) -> bytes:
    """In whole blocks."""
    return data + padding(len(data))


def _table(member: Member) -> bytes:
    """Where the pieces of a sparse file lie, in front of its data."""
    if member.pieces is None:
        return b""
    numbers = [len(member.pieces), *(number for piece in member.pieces for number in piece)]
    return padded(b"".join(b"%d\n" % number for number in numbers))


def _records(member: Member, held: int) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    if member.pieces is not None:
        found |= {
            b"GNU.sparse.major": b"1",
            b"GNU.sparse.minor": b"0",
            b"GNU.sparse.name": member.name,
            b"GNU.sparse.realsize": b"%d" % member.size,
        }
    elif len(member.name) > _LONGEST_NAME or not member.name.isascii():
        found[b"path"] = member.name
    if len(member.link) > _LONGEST_NAME or not member.link.isascii():
        found[b"linkpath"] = member.link
    for key, value, most in ((b"uid", member.uid, 8**7), (b"gid", member.gid, 8**7), (b"size", held, 8**11)):
        if value >= most:
            found[key] = b"%d" % value
    if member.mtime % 10**9 or not 0 <= member.mtime < 8**11 * 10**9:
        sign, (seconds, rest) = b"-" if member.mtime < 0 else b"", divmod(abs(member.mtime), 10**9)
        found[b"mtime"] = b"%b%d.%09d" % (sign, seconds, rest)
    return found | {b"SCHILY.xattr." + key: value for key, value in member.xattrs.items()}


def _record(key: bytes, value: bytes) -> bytes:
    """`length key=value newline`; the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _plain(member: Member, held: int) -> bytes:
    kind = _HARD_LINK if member.hard else _KINDS[stat.S_IFMT(member.mode)]
    name = b"GNUSparseFile.0/sparse" if member.pieces is not None else member.name
    return _block(
        name[:_LONGEST_NAME],
        kind,
        stat.S_IMODE(member.mode),
        size=held if kind == b"0" else 0,
        owner=(member.uid, member.gid, member.mtime // 10**9),
        link=member.link[:_LONGEST_NAME],
        device=member.device,
    )


def _block(
    name: bytes,
    kind: bytes,
    mode: int,
    *,
    size: int,
    owner: tuple[int, int, int] = (0, 0, 0),
    link: bytes = b"",
    device: tuple[int, int] = (0, 0),
) -> bytes:
    """One header block. What does not fit its field stands in the extended header, and here a zero."""
    uid, gid, mtime = owner
    fields = (
        name.ljust(100, b"\0"),
        _number(mode, 8),
        _number(uid, 8),
        _number(gid, 8),
        _number(size, 12),
        _number(mtime, 12),
        b" " * 8,
        kind,
        link.ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(64),
        _number(device[0], 8),
        _number(device[1], 8),
    )
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _number(value: int, width: int) -> bytes:
    fits = 0 <= value < 8 ** (width - 1)
    return b"%0*o\0" % (width - 1, value if fits else 0)
