"""Headers: every format that layers come in, and each malformed one refused."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from tank.errors import PullFailed
from tank.image import tarball
from tank.image.stream import Reader
from tank.image.tarball import Entry, entries, number
from tests import archives
from tests.archives import archive, base256, extended, header, long_name, member, summed


def read(data: bytes, piece: int = 1000) -> list[tuple[Entry, bytes]]:
    """All entries with their data."""
    return list(reading(data, piece))


def reading(data: bytes, piece: int) -> Iterator[tuple[Entry, bytes]]:
    source = io.BytesIO(data)
    reader = Reader(lambda: source.read(piece))
    for entry in entries(reader):
        yield entry, b"".join(bytes(chunk) for chunk in reader.chunks(entry.size))


def only(data: bytes) -> Entry:
    [(entry, _)] = read(data)
    return entry


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0000644\0", 0o644),
        (b"000644 \0", 0o644),
        (b"   644 \0", 0o644),
        (b"0000644 ", 0o644),
        (b"\0\0\0\0\0\0\0\0", 0),
        (b"        ", 0),
        (b"7777777\0", 0o7777777),
        (b"12\0 junk", 0o12),
        (base256(5, 8), 5),
        (base256(2**40, 8), 2**40),
        (base256(-1, 8), -1),
        (base256(-(2**33), 12), -(2**33)),
    ],
)
def test_a_number_is_octal_or_base_256(field: bytes, value: int) -> None:
    assert number(field) == value


@pytest.mark.parametrize(
    "field", [b"0000689\0", b"0o00644\0", b"-000644\0", b"+000644\0", b"1_00000\0", b"hello\0\0\0"]
)
def test_what_is_no_octal_number_is_refused(field: bytes) -> None:
    with pytest.raises(PullFailed, match="not an octal number"):
        number(field)


@pytest.mark.parametrize("piece", [1, 7, 511, 512, 513, 10_000])
def test_pieces_of_the_stream_may_be_of_any_length(piece: int) -> None:
    data = archive(member(b"a", data=b"x" * 700), member(b"b", data=b"y" * 512), member(b"c"))

    assert [(entry.name, len(found)) for entry, found in read(data, piece)] == [(b"a", 700), (b"b", 512), (b"c", 0)]


def test_data_that_nobody_reads_is_passed_over() -> None:
    data = archive(member(b"a", data=b"x" * 5000), member(b"b"))
    reader = Reader(io.BytesIO(data).read)

    assert [entry.name for entry in entries(reader)] == [b"a", b"b"]


def test_a_prefix_belongs_to_the_name_in_ustar_and_not_in_gnu() -> None:
    assert only(archive(header(b"b", prefix=b"a"))).name == b"a/b"
    assert only(archive(header(b"b", prefix=b"a", magic=b"ustar  \0"))).name == b"b"


def test_an_archive_before_ustar_has_directories_by_their_slash() -> None:
    old = summed(header(b"d/", b"\0")[:257] + bytes(255))

    assert only(archive(old)).kind == tarball.DIRECTORY


def test_a_long_name_of_gnu_replaces_the_short_one() -> None:
    name, target = b"n" * 300, b"t" * 400
    data = archive(long_name(name), long_name(target, b"K"), archives.symlink(b"short", b"short"))

    assert (only(data).name, only(data).link) == (name, target)


def test_pax_amends_the_header() -> None:
    records = {
        b"path": "é/ü".encode(),
        b"uid": b"3000000",
        b"gid": b"4000000",
        b"mtime": b"1234567890.123456789",
        b"SCHILY.xattr.user.a": b"1\n2=3",
        b"LIBARCHIVE.xattr.user.b%20c": b"AAE",
        b"SCHILY.xattr.trusted.overlay.redirect": b"/",
        b"SCHILY.xattr.user.overlay.opaque": b"y",
        b"SCHILY.xattr.security.selinux": b"x",
        b"SCHILY.xattr.security.capability": b"\x01",
        b"comment": b"ignored",
    }

    assert only(archive(member(b"x", pax=records))) == Entry(
        name="é/ü".encode(),
        kind=tarball.FILE,
        mode=0o644,
        uid=3_000_000,
        gid=4_000_000,
        size=0,
        mtime=1_234_567_890_123_456_789,
        xattrs=((b"user.a", b"1\n2=3"), (b"user.b c", b"\x00\x01"), (b"security.capability", b"\x01")),
    )


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        (b"0", 0),
        (b"1.5", 1_500_000_000),
        (b"1.", 1_000_000_000),
        (b"-1", -1_000_000_000),
        (b"-1.5", -1_500_000_000),
        (b"-0.0000000001", -1),
        (b"0.1234567899", 123_456_789),
        (b"99999999999999999999", 2**63 - 1),
        (b"-99999999999999999999", 1 - 2**63),
    ],
)
def test_a_time_keeps_its_nanoseconds_and_its_sign(text: bytes, nanoseconds: int) -> None:
    assert only(archive(member(b"a", pax={b"mtime": text}))).mtime == nanoseconds


def test_a_negative_time_in_the_header_is_read() -> None:
    assert only(archive(member(b"a", mtime=base256(-5, 12)))).mtime == -5 * 10**9


def test_pax_size_wins_over_the_header() -> None:
    data = extended({b"size": b"3"}) + header(b"a", size=0) + archives.padded(b"abc")

    [(entry, found)] = read(archive(data))
    assert (entry.size, found) == (3, b"abc")


def test_an_empty_pax_value_takes_back_what_was_said() -> None:
    data = archive(extended({b"uid": b"7", b"comment": b"x"}, b"g"), member(b"a", pax={b"uid": b""}), member(b"b"))

    assert [entry.uid for entry, _ in read(data)] == [0, 7]


def test_links_and_directories_have_no_data_whatever_their_size_says() -> None:
    data = archive(archives.header(b"l", archives.LINK, size=512, link=b"a"), member(b"b"))

    assert [entry.name for entry, _ in read(data)] == [b"l", b"b"]


def test_a_volume_label_is_no_file() -> None:
    assert [entry.name for entry, _ in read(archive(member(b"label", b"V"), member(b"a")))] == [b"a"]


def test_an_archive_may_end_without_its_zero_blocks() -> None:
    assert [entry.name for entry, _ in read(member(b"a"))] == [b"a"]
    assert read(b"") == []


def test_what_comes_after_the_end_is_not_read() -> None:
    assert [entry.name for entry, _ in read(archive(member(b"a")) + member(b"b"))] == [b"a"]


def test_a_checksum_of_signed_characters_is_taken() -> None:
    block = header(b"\xff\xfe")
    blank = block[:148] + b" " * 8 + block[156:]
    signed = sum(each - 256 if each > 127 else each for each in blank)

    assert only(archive(block[:148] + b"%06o\0 " % signed + block[156:])).name == b"\xff\xfe"


OLD_SPARSE = summed(
    header(b"s", b"S", size=6, magic=b"ustar  \0")[:386]
    + b"%011o\0%011o\0" % (0, 3)
    + b"%011o\0%011o\0" % (1000, 3)
    + bytes(48)
    + b"\0"
    + b"%011o\0" % 2000
    + bytes(17)
)
SPARSE_0_0 = [
    (b"GNU.sparse.size", b"2000"),
    (b"GNU.sparse.numblocks", b"2"),
    (b"GNU.sparse.offset", b"0"),
    (b"GNU.sparse.numbytes", b"3"),
    (b"GNU.sparse.offset", b"1000"),
    (b"GNU.sparse.numbytes", b"3"),
]
SPARSES = {
    "old": OLD_SPARSE + archives.padded(b"abcdef"),
    "0.0": archives.raw_extended(b"".join(archives.record(*pair) for pair in SPARSE_0_0))
    + member(b"s", data=b"abcdef"),
    "0.1": member(
        b"x",
        data=b"abcdef",
        pax={b"GNU.sparse.size": b"2000", b"GNU.sparse.name": b"s", b"GNU.sparse.map": b"0,3,1000,3"},
    ),
    "1.0": member(
        b"x",
        data=archives.padded(b"2\n0\n3\n1000\n3\n") + b"abcdef",
        pax={
            b"GNU.sparse.major": b"1",
            b"GNU.sparse.minor": b"0",
            b"GNU.sparse.name": b"s",
            b"GNU.sparse.realsize": b"2000",
        },
    ),
}


@pytest.mark.parametrize("spelling", SPARSES)
def test_each_spelling_of_a_sparse_file_has_the_same_map(spelling: str) -> None:
    [(entry, data), (after, _)] = read(archive(SPARSES[spelling], member(b"after")))

    assert (entry.name, entry.sparse, data, after.name) == (
        b"s",
        (2000, ((0, 3), (1000, 3))),
        b"abcdef",
        b"after",
    )


def sparse(numbers: bytes, data: bytes = b"abcdef", size: bytes = b"2000") -> bytes:
    return member(b"x", data=data, pax={b"GNU.sparse.size": size, b"GNU.sparse.map": numbers})


REFUSED = {
    "cut in a header": member(b"a")[:300],
    "cut in the data": member(b"a", data=b"x" * 600)[:700],
    "checksum": b"\1" + header(b"a")[1:],
    "not a tar": b"hello" * 200,
    "a lone zero block": bytes(512) + member(b"a"),
    "unknown type": member(b"a", b"Q"),
    "multi-volume": member(b"a", b"M"),
    "negative size": member(b"a", size=base256(-1, 12)),
    "absurd size": member(b"a", size=base256(2**80, 12)),
    "pax size not a number": member(b"a", pax={b"size": b"0x10"}),
    "pax size beyond 63 bits": member(b"a", pax={b"size": b"9223372036854775808"}),
    "owner out of range": member(b"a", pax={b"uid": b"4294967295"}),
    "negative owner": member(b"a", uid=base256(-1, 8)),
    "pax time not a time": member(b"a", pax={b"mtime": b"1e9"}),
    "pax length too short": archives.raw_extended(b"3 a=b\n") + member(b"a"),
    "pax length too long": archives.raw_extended(b"99 a=b\n") + member(b"a"),
    "pax without newline": archives.raw_extended(b"6 a=bc") + member(b"a"),
    "pax without a key": archives.raw_extended(b"5 =b\n") + member(b"a"),
    "pax without an equals sign": archives.raw_extended(b"6 abc\n") + member(b"a"),
    "pax with a NUL in a path": member(b"a", pax={b"path": b"a\0b"}),
    "pax attribute not base64": member(b"a", pax={b"LIBARCHIVE.xattr.user.a": b"!"}),
    "two different names": long_name(b"one") + member(b"a", pax={b"path": b"two"}),
    "an extension too large": header(b"p", b"x", size=2**20 + 1) + bytes(2**20 + 1024),
    "an extension of negative size": header(b"p", b"x", size=base256(-512, 12)),
    "endless extensions": extended({b"a": b"b"}) * 100 + member(b"a"),
    "an extension at the end": member(b"a") + extended({b"a": b"b"}),
    "a global path": extended({b"path": b"/etc/passwd"}, b"g") + member(b"a"),
    "a global size": extended({b"size": b"1"}, b"g") + member(b"a"),
    "a global sparse map": extended({b"GNU.sparse.map": b"0,1"}, b"g") + member(b"a"),
    "sparse overlap": sparse(b"0,4,2,2"),
    "sparse backwards": sparse(b"100,3,0,3"),
    "sparse beyond its size": sparse(b"0,3,1999,3"),
    "sparse with other data": sparse(b"0,3,1000,2"),
    "sparse odd": sparse(b"0,3,1000"),
    "sparse not numbers": sparse(b"0,3,x,3"),
    "sparse too large": sparse(b"0,6", size=b"99999999999999999"),
    "sparse without end": member(
        b"x", data=b"9\n" + b"1" * 510, pax={b"GNU.sparse.major": b"1", b"GNU.sparse.realsize": b"9"}
    ),
    "sparse with a million pieces": member(
        b"x", data=b"1000000\n" + b"1\n" * 252, pax={b"GNU.sparse.major": b"1", b"GNU.sparse.realsize": b"9"}
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_archive_is_refused(case: str) -> None:
    with pytest.raises(PullFailed):
        read(REFUSED[case] + archives.END)


def test_a_refusal_shows_no_control_characters() -> None:
    with pytest.raises(PullFailed) as caught:
        read(archive(member(b"\x1b[31mred\n" + b"x" * 60, b"Q")))

    assert caught.value.message.isprintable()
