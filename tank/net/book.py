"""The book of leases, and where it is kept: in a file that is replaced at one stroke, or in memory alone."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tank.errors import Failed
from tank.host import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One address, without prefix, that a pod's interface holds, be it given or stated by its spec."""

    pool: str
    address: str
    uid: str
    pod: str
    nic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All that is written down. `remembered`: "pool/pod/nic" -> the addresses it had last, newest at the end."""

    subnets: tuple[str, ...] = ()  # of the pool `default`, once it was used
    leases: tuple[Lease, ...] = ()
    remembered: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Paper(Protocol):
    """Where a book is kept."""

    def read(self) -> Book:
        """The whole book. Raises Failed."""

    def write(self, book: Book) -> None:
        """From now on it is this one. Raises Failed."""


class BookFile:
    """Durable. Read once; one that is damaged is set aside."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._book: Book | None = None

    def read(self) -> Book:
        """What the file says; an empty book where there is none. Raises Failed."""
        if self._book is None:
            try:
                data = self._file.read_bytes()
            except FileNotFoundError:
                self._book = Book()
                return self._book
            except OSError as error:
                raise Failed(f"cannot read {self._file}: {error.strerror}") from error
            try:
                self._book = _parsed(json.loads(data))
            except (ValueError, TypeError, KeyError):
                self._file.replace(self._file.with_name(f"{self._file.name}.damaged"))
                self._book = Book()  # the pods' own records say the rest: see `adopt`
        return self._book

    def write(self, book: Book) -> None:
        """On the disk when this returns. Raises Failed."""
        try:
            files.make_directory(self._file.parent)
            files.write_durably(self._file, json.dumps(asdict(book)).encode())
        except OSError as error:
            raise Failed(f"cannot write {self._file}: {error.strerror}") from error
        self._book = book


class Draft:
    """A book to try things in: nothing of it is written down."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def read(self) -> Book:
        """The book as it was changed here."""
        return self._book

    def write(self, book: Book) -> None:
        """Until the draft is thrown away."""
        self._book = book


def _parsed(found: Any) -> Book:
    return Book(
        subnets=tuple(str(ipaddress.ip_network(each)) for each in found["subnets"]),
        leases=tuple(Lease(**each) for each in found["leases"]),
        remembered={str(key): tuple(map(str, each)) for key, each in found["remembered"].items()},
    )
