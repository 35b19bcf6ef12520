"""Archives that Python's `tarfile` writes, in each of its formats, read the same as `tarfile` reads them."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tank.errors import PullFailed
from tank.image import tarball
from tank.image.names import meant
from tank.image.stream import Reader
from tank.image.tarball import entries

TYPES = [
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
]
PARTS = some.text(some.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=60)
NAMES = some.lists(PARTS, min_size=1, max_size=6).map("/".join)


@some.composite
def members(draw: some.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(draw(NAMES))
    member.type = draw(some.sampled_from(TYPES))
    member.mode = draw(some.integers(0, 0o7777))
    member.uid, member.gid = draw(some.integers(0, 2**32 - 2)), draw(some.integers(0, 2**32 - 2))
    member.mtime = draw(some.integers(0, 2**33 - 1))
    member.uname = member.gname = ""
    data = draw(some.binary(max_size=2000)) if member.type == tarfile.REGTYPE else b""
    member.size = len(data)
    if member.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        member.linkname = draw(NAMES)
    if member.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        member.devmajor, member.devminor = draw(some.integers(0, 4095)), draw(some.integers(0, 2**20 - 1))
    return member, data


def written(archive: list[tuple[tarfile.TarInfo, bytes]], form: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as tar:
        for member, data in archive:
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def as_tarfile_sees(data: bytes) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for each in tar:
            file = tar.extractfile(each) if each.isreg() else None
            device = (each.devmajor, each.devminor) if each.ischr() or each.isblk() else (0, 0)
            content = file.read() if file else b""
            found.append((each.name.rstrip("/"), each.type, each.mode, each.uid, each.gid, each.mtime, device, content))
    return found


def as_we_see(data: bytes, piece: int) -> list[tuple[object, ...]]:
    source = io.BytesIO(data)
    reader = Reader(lambda: source.read(piece))
    found: list[tuple[object, ...]] = []
    for each in entries(reader):
        name = each.name.decode("utf-8", "surrogateescape").rstrip("/")
        content = b"".join(bytes(chunk) for chunk in reader.chunks(each.size))
        seconds = each.mtime // 10**9
        found.append((name, each.kind, each.mode, each.uid, each.gid, seconds, each.device, content))
    return found


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@settings(max_examples=150, deadline=None)
@given(archive=some.lists(members(), max_size=6), piece=some.sampled_from([1, 100, 512, 10_240]))
def test_every_archive_reads_as_tarfile_reads_it(
    form: int, archive: list[tuple[tarfile.TarInfo, bytes]], piece: int
) -> None:
    data = written(archive, form)

    assert as_we_see(data, piece) == as_tarfile_sees(data)


@settings(max_examples=300, deadline=None)
@given(
    archive=some.lists(members(), min_size=1, max_size=4),
    changes=some.lists(some.tuples(some.integers(0, 10_000), some.integers(0, 255)), max_size=8),
    cut=some.integers(0, 20_000),
)
def test_a_damaged_archive_is_read_or_refused_but_never_breaks_the_reader(
    archive: list[tuple[tarfile.TarInfo, bytes]], changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(written(archive, tarfile.PAX_FORMAT))
    for place, value in changes:
        data[place % len(data)] = value
    refit(data)
    source = io.BytesIO(bytes(data[:cut]))

    reader = Reader(lambda: source.read(700))
    try:
        for _ in tarball.entries(reader):
            pass
    except PullFailed:
        pass


def refit(data: bytearray) -> None:
    """Make the first checksum right again, so that the damage behind it is reached."""
    if len(data) >= 512:
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])


@settings(max_examples=300, deadline=None)
@given(
    name=some.lists(
        some.sampled_from([b"a", b".", b"/", b"..", b".wh.", b"wh", b"\xff", b"x" * 90]), min_size=1, max_size=8
    ).map(b"".join)
)
def test_slashes_in_front_and_dots_between_mean_nothing(name: bytes) -> None:
    assert meaning(name) == meaning(b"/" + name) == meaning(name.replace(b"/", b"/./"))


def meaning(name: bytes) -> object:
    try:
        return meant(name)
    except PullFailed:
        return None
