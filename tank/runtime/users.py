"""Who a container runs as: C9, from the text of the container's own passwd and group files. Pure.

Numbers only ever leave this module (S10). What is too long, malformed or out of range is passed over (S11).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tank.errors import Waiting

LARGEST_FILE = 2**20
_LONGEST_LINE = 4096
_MOST_GROUPS = 1024
_NUMBER = re.compile(r"[0-9]{1,10}")
_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """User and groups as numbers, and the home directory."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"

    def as_json(self) -> dict[str, Any]:
        """`process.user` of the OCI configuration."""
        return {"uid": self.uid, "gid": self.gid, "umask": 0o022, "additionalGids": list(self.groups)}


@dataclass(frozen=True, slots=True)
class _User:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: frozenset[str]


def resolve(spec: str, passwd: bytes, group: bytes, extra: tuple[int, ...] = ()) -> Identity:
    """The identity that `uid`, `uid:gid`, `name` or `name:group` means; empty is root.

    An unknown number is legal: group 0, home `/`, no further groups. Raises Waiting for an unknown name.
    """
    who, colon, which = (spec or "0").partition(":")
    groups = tuple(_groups(group))
    user = _user(who, tuple(_users(passwd)))
    gid = _gid(which, groups) if colon and which else user.gid
    named = [each.gid for each in groups if user.name in each.members] if user.name and not which else []
    return Identity(
        uid=user.uid,
        gid=gid,
        groups=tuple(dict.fromkeys((*named, *extra)))[:_MOST_GROUPS],
        home=user.home or "/",
    )


def _user(who: str, users: tuple[_User, ...]) -> _User:
    number = _number(who)
    for each in users:
        if each.uid == number if number is not None else each.name == who:
            return each
    if number is None:
        raise Waiting("CreateContainerConfigError", f"cannot run as {who!r}: the container has no such user")
    return _User("", number, 0, "/")


def _gid(which: str, groups: tuple[_Group, ...]) -> int:
    number = _number(which)
    if number is not None:
        return number
    for each in groups:
        if each.name == which:
            return each.gid
    raise Waiting("CreateContainerConfigError", f"cannot run with group {which!r}: the container has no such group")


def _number(text: str) -> int | None:
    """A user or group id. Digits that are out of range are no name either."""
    if not _NUMBER.fullmatch(text):
        return None
    if int(text) > _LARGEST_ID:
        raise Waiting("CreateContainerConfigError", f"cannot run as {text}: ids end at {_LARGEST_ID}")
    return int(text)


def _users(data: bytes) -> Iterator[_User]:
    """passwd(5): name, password, uid, gid, comment, home, shell."""
    for fields in _lines(data, 6):
        uid, gid = _plain(fields[2]), _plain(fields[3])
        if uid is not None and gid is not None:
            yield _User(fields[0], uid, gid, fields[5])


def _groups(data: bytes) -> Iterator[_Group]:
    """group(5): name, password, gid, members."""
    for fields in _lines(data, 3):
        gid = _plain(fields[2])
        if gid is not None:
            yield _Group(fields[0], gid, frozenset(fields[3].split(",")) if len(fields) > 3 else frozenset())


def _plain(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) and int(text) <= _LARGEST_ID else None


def _lines(data: bytes, least: int) -> Iterator[list[str]]:
    for line in data[:LARGEST_FILE].splitlines():
        fields = line.decode(errors="replace").split(":")
        if len(line) <= _LONGEST_LINE and len(fields) >= least and fields[0]:
            yield fields
