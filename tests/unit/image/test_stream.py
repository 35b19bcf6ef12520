"""Decoding: what is compressed how, whole members and frames, and bombs."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma

import pytest

from tank.errors import PullFailed
from tank.image import stream
from tank.image.stream import Decoder, Reader, decoded

try:
    from compression import zstd
except ImportError:
    from backports import zstd

DATA = bytes(range(256)) * 5000
SKIPPABLE = b"\x5e\x2a\x4d\x18" + (9).to_bytes(4, "little") + b"skip this"


def through(data: bytes, piece: int = 4096) -> bytes:
    source = io.BytesIO(data)
    return b"".join(decoded(lambda: source.read(piece)))


GZIP, ZSTD = gzip.compress(DATA), zstd.compress(DATA)
FORMS = {
    "plain": (DATA, DATA),
    "empty": (b"", b""),
    "short": (b"abc", b"abc"),
    "gzip": (GZIP, DATA),
    "gzip of nothing": (gzip.compress(b""), b""),
    "several gzip members": (GZIP + gzip.compress(b"more") + gzip.compress(b"") + GZIP, DATA + b"more" + DATA),
    "gzip padded with zeroes": (GZIP + bytes(1000), DATA),
    "zstd": (ZSTD, DATA),
    "several zstd frames": (ZSTD + zstd.compress(b"more") + ZSTD, DATA + b"more" + DATA),
    "skippable frames": (SKIPPABLE + ZSTD + SKIPPABLE + ZSTD + SKIPPABLE, DATA + DATA),
    "zstd with a checksum": (
        zstd.compress(DATA, options={zstd.CompressionParameter.checksum_flag: 1}),
        DATA,
    ),
}


@pytest.mark.parametrize("piece", [1, 3, 4096, 2**20])
@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_told_by_its_first_bytes_and_decoded_whole(form: str, piece: int) -> None:
    compressed, plain = FORMS[form]

    assert through(compressed, piece) == plain


DAMAGED = {
    "gzip cut off": GZIP[:-20],
    "gzip cut in its trailer": GZIP[:-3],
    "gzip with a wrong checksum": GZIP[:-6] + b"\0" + GZIP[-5:],
    "gzip with a wrong length": GZIP[:-2] + b"\7" + GZIP[-1:],
    "gzip with garbage after it": GZIP + b"garbage",
    "gzip with a second member cut off": GZIP + GZIP[:50],
    "gzip of garbage": b"\x1f\x8b\x08\0" + b"garbage" * 10,
    "zstd cut off": ZSTD[:-5],
    "zstd with garbage after it": ZSTD + b"garbage",
    "zstd cut in a skippable frame": ZSTD + SKIPPABLE[:12],
    "zstd with a wrong checksum": FORMS["zstd with a checksum"][0][:-1] + b"\0",
    "bzip2": bz2.compress(DATA),
    "xz": lzma.compress(DATA),
}


@pytest.mark.parametrize("piece", [1, 4096])
@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_or_foreign_data_is_refused(case: str, piece: int) -> None:
    with pytest.raises(PullFailed, match="cannot read layer"):
        through(DAMAGED[case], piece)


def test_a_zstd_window_that_would_take_a_gigabyte_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 30}
    compressor = zstd.ZstdCompressor(options=options)
    frame = compressor.compress(b"x" * 1000, mode=zstd.ZstdCompressor.FLUSH_FRAME)
    frame = frame[:4] + bytes([frame[4] & ~0x20 & ~0xC0, (30 - 10) << 3]) + frame[6:]

    with pytest.raises(PullFailed, match="damaged"):
        through(frame)


def test_output_comes_in_bounded_pieces() -> None:
    bomb = io.BytesIO(gzip.compress(bytes(50_000_000), compresslevel=9))

    assert max(len(piece) for piece in decoded(lambda: bomb.read(2**20))) <= stream.PIECE


def test_a_decoder_hashes_and_counts_all_that_comes_out() -> None:
    source = io.BytesIO(GZIP)
    decoder = Decoder(lambda: source.read(999), most=len(DATA))
    found = b"".join(iter(decoder.more, b""))

    assert (found, decoder.count) == (DATA, len(DATA))
    assert decoder.diff_id == f"sha256:{hashlib.sha256(DATA).hexdigest()}"


def test_a_decoder_stops_where_more_comes_out_than_is_allowed() -> None:
    source = io.BytesIO(gzip.compress(bytes(10_000_000)))
    reader = Reader(Decoder(lambda: source.read(999), most=1_000_000).more)

    with pytest.raises(PullFailed, match="more than 1000000 bytes"):
        reader.drain()


def test_an_error_of_the_source_reaches_the_reader() -> None:
    def broken() -> bytes:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        Decoder(broken, most=1).more()
