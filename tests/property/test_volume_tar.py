"""What is written of a volume is read as it was, by Tank's own reader and by Python's."""

from __future__ import annotations

import io
import stat
import tarfile

from hypothesis import given
from hypothesis import strategies as some

from tank.image import tarwriter
from tank.image.stream import Reader
from tank.image.tarball import entries
from tank.image.tarwriter import Member

PARTS = some.binary(min_size=1, max_size=120).filter(
    lambda part: not {0, 0x2F} & set(part) and part not in (b".", b"..")
)
NAMES = some.lists(PARTS, min_size=1, max_size=4).map(lambda parts: b"./" + b"/".join(parts))
KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO)
XATTRS = some.dictionaries(
    some.text("abcxyz._", min_size=1, max_size=40)
    .map(lambda key: b"user." + key.encode())
    .filter(lambda key: not key.startswith(b"user.overlay.")),
    some.binary(min_size=1, max_size=80),
    max_size=3,
)


@some.composite
def members(draw: some.DrawFn) -> tuple[Member, bytes]:
    kind = draw(some.sampled_from(KINDS))
    data = draw(some.binary(max_size=1500)) if kind == stat.S_IFREG else b""
    pieces, size = None, len(data)
    if kind == stat.S_IFREG and draw(some.booleans()):
        before, after = draw(some.integers(0, 2**40)), draw(some.integers(0, 2**20))
        size = before + len(data) + after
        pieces = ([(before, len(data))] if data else []) + [(size, 0)]
    hard = kind == stat.S_IFREG and not data and pieces is None and draw(some.booleans())
    member = Member(
        name=draw(NAMES),
        mode=kind | draw(some.integers(0, 0o7777)),
        uid=draw(some.integers(0, 2**32 - 2)),
        gid=draw(some.integers(0, 2**32 - 2)),
        size=size,
        mtime=draw(some.integers(-(2**62), 2**62)),
        link=draw(NAMES) if hard or kind == stat.S_IFLNK else b"",
        hard=hard,
        device=(draw(some.integers(0, 4095)), draw(some.integers(0, 2**20 - 1))) if kind in KINDS[3:5] else (0, 0),
        xattrs=draw(XATTRS) if kind in KINDS[:2] and not hard else {},
        pieces=pieces,
    )
    return member, data


def written(members: list[tuple[Member, bytes]]) -> bytes:
    return b"".join(tarwriter.head(member) + tarwriter.padded(data) for member, data in members) + tarwriter.END


def reader_of(data: bytes) -> Reader:
    pieces = iter([data, b""])
    return Reader(lambda: next(pieces, b""))


@given(some.lists(members(), max_size=4))
def test_what_is_written_is_read_as_it_was(archive: list[tuple[Member, bytes]]) -> None:
    reader = reader_of(written(archive))
    found: list[object] = []
    for entry in entries(reader):
        data = b"".join(reader.read(length) for _, length in entry.sparse.pieces) if entry.sparse else None
        if data is None:
            data = reader.read(entry.size) if entry.size else b""
        size = entry.sparse.size if entry.sparse else entry.size
        found.append((entry.name, entry.mode, entry.uid, entry.gid, size, entry.mtime, entry.link, entry.device, data))
        found.append(dict(entry.xattrs))
    wanted: list[object] = []
    for member, data in archive:
        mode = stat.S_IMODE(member.mode)
        ids = (member.name, mode, member.uid, member.gid, member.size, member.mtime, member.link, member.device, data)
        wanted += [ids, dict(member.xattrs)]
    assert found == wanted


@given(some.lists(members(), max_size=4))
def test_python_reads_the_same_names_sizes_and_owners(archive: list[tuple[Member, bytes]]) -> None:
    with tarfile.open(fileobj=io.BytesIO(written(archive)), errors="surrogateescape") as tar:
        found = [(each.name.encode(errors="surrogateescape").rstrip(b"/"), each.uid, each.gid) for each in tar]
    assert found == [(member.name.rstrip(b"/"), member.uid, member.gid) for member, _ in archive]
