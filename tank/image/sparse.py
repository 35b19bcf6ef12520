"""GNU's sparse files: four spellings of one list, (offset, length) of the pieces that are not holes.

Old GNU: type `S`, four pieces in the header and 21 in each block that follows. PAX 0.0: repeated records. PAX 0.1:
one record with all numbers. PAX 1.0: the list stands in front of the data. All end in the same check: ascending,
apart, inside the file, and together exactly as long as the data that is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tank.image import pax
from tank.image.refusal import refused

MOST_PIECES = 65_536
_LARGEST = 2**44  # bytes; ext4's own limit for a file
_PIECE = 24


class Sparse(NamedTuple):
    """A file of `size` bytes of which only `pieces`, each (offset, length), hold data."""

    size: int
    pieces: tuple[tuple[int, int], ...]


def checked(size: int, numbers: Sequence[int], data: int) -> Sparse:
    """The map spelt by `numbers`, offset and length in turn, for `data` bytes in the archive. Raises PullFailed."""
    if len(numbers) % 2 or len(numbers) > 2 * MOST_PIECES or not 0 <= size <= _LARGEST:
        raise refused("cannot read layer: a sparse file has no sound map")
    pieces = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    end = 0
    for offset, length in pieces:
        if offset < end or length < 0:
            raise refused("cannot read layer: the pieces of a sparse file overlap")
        end = offset + length
    if end > size or sum(length for _, length in pieces) != data:
        raise refused("cannot read layer: the pieces of a sparse file do not fit its size")
    return Sparse(size, pieces)


def old(header: bytes, block: Callable[[], bytes], number: Callable[[bytes], int]) -> tuple[int, list[int]]:
    """Size and numbers of a type `S` header; `block` reads the next 512 bytes, `number` reads a field."""
    numbers = list(_fields(header[386:482], number))
    more = header[482]
    while more:
        extension = block()
        numbers.extend(_fields(extension[:504], number))
        more = extension[504]
        if len(numbers) > 2 * MOST_PIECES:
            raise refused("cannot read layer: a sparse file has too many pieces")
    return number(header[483:495]), numbers


def _fields(area: bytes, number: Callable[[bytes], int]) -> Iterator[int]:
    """An unused piece is all zeroes and ends the list."""
    for at in range(0, len(area), _PIECE):
        piece = area[at : at + _PIECE]
        if piece[0] == 0 and piece[12] == 0:
            return
        yield number(piece[:12])
        yield number(piece[12:])


def of_records(found: Sequence[tuple[bytes, bytes]], attributes: Mapping[bytes, bytes]) -> list[int] | None:
    """The numbers of a PAX 0.0 or 0.1 file; None when it is not one."""
    if (joined := attributes.get(b"GNU.sparse.map")) is not None:
        return [pax.whole(b"GNU.sparse.map", each) for each in joined.split(b",")] if joined else []
    if b"GNU.sparse.size" not in attributes:
        return None
    return [pax.whole(key, value) for key, value in found if key in _REPEATED]


_REPEATED = frozenset({b"GNU.sparse.offset", b"GNU.sparse.numbytes"})


def in_front(data: int, block: Callable[[], bytes]) -> tuple[int, list[int]]:
    """The map of a PAX 1.0 file of `data` bytes: what is left of them, and the numbers. Raises PullFailed.

    Decimal lines: first how many pieces, then each offset and length; padded to a whole block.
    """
    text, wanted = b"", 1
    lines: list[int] = []
    while len(lines) < wanted:
        if data < 512 or len(text) > pax.LONGEST:
            raise refused("cannot read layer: a sparse file has no end of its map")
        text += block()
        data -= 512
        *complete, text = text.split(b"\n")
        lines.extend(pax.whole(b"GNU.sparse", each) for each in complete[: wanted - len(lines)])
        if lines and wanted == 1:
            wanted = 1 + 2 * min(lines[0], MOST_PIECES + 1)
            lines.extend(pax.whole(b"GNU.sparse", each) for each in complete[1:wanted])
    return data, lines[1:]
