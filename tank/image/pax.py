"""PAX extended headers (POSIX pax, "ustar Interchange Format"): records, and what their values mean.

A header is a run of records `length key=value newline`; the length counts the whole record. Values are bytes here
and stay bytes: a file name need not be UTF-8. Times are read with integers, so that no nanosecond is lost to a
float. All that is malformed is refused, never guessed: two readers that guess differently are how a scanner
is shown one file and the machine another.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

from tank.image.refusal import refused, shown

LONGEST = 2**20  # bytes of one header (S03)
LARGEST_ID = 2**32 - 2  # (uid_t) -1 means "unchanged" to the kernel
_FURTHEST = 2**63 - 1  # nanoseconds: the year 2262

_LENGTH = re.compile(rb"([0-9]{1,7}) ")
_WHOLE = re.compile(rb"[0-9]{1,19}")
_TIME = re.compile(rb"(-?)([0-9]{1,20})(?:\.([0-9]*))?")
_SCHILY, _LIBARCHIVE = b"SCHILY.xattr.", b"LIBARCHIVE.xattr."

Records = tuple[tuple[bytes, bytes], ...]


def records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each (key, value) in order; a key may come twice (GNU.sparse 0.0). NULs after the last record are padding."""
    at = 0
    while at < len(data) and data[at] != 0:
        match = _LENGTH.match(data, at)
        end = at + int(match[1]) if match else 0
        if match is None or not match.end() < end <= len(data) or data[end - 1] != 0x0A:
            raise refused("cannot read layer: a pax record is malformed")
        key, equals, value = data[match.end() : end - 1].partition(b"=")
        if not equals or not key:
            raise refused("cannot read layer: a pax record has no key")
        yield key, value
        at = end


def whole(key: bytes, value: bytes) -> int:
    """A count in decimal, below 2**63. Raises PullFailed."""
    if _WHOLE.fullmatch(value) is None or (number := int(value)) >= 2**63:
        raise refused(f"cannot read layer: pax value of {shown(key)} is not a number: {shown(value)}")
    return number


def nanoseconds(value: bytes) -> int:
    """A time in decimal seconds, as nanoseconds since the epoch; digits past the ninth are cut off toward the past."""
    whole_seconds, _, rest = value.partition(b".")
    if whole_seconds.isdigit() and rest.isdigit() and len(whole_seconds) <= 20 and len(rest) <= 9:  # nearly every time
        return clamped(int(whole_seconds) * 10**9 + int(rest.ljust(9, b"0")))
    match = _TIME.fullmatch(value)
    if match is None:
        raise refused(f"cannot read layer: {shown(value)} is not a time")
    sign, seconds, fraction = match.groups()
    digits = (fraction or b"")[:18].ljust(18, b"0")
    exact = int(seconds) * 10**18 + int(digits)
    return clamped(-exact // 10**9 if sign else exact // 10**9)


def clamped(when: int) -> int:
    """Nanoseconds that `utime` takes: absurd times of old archives are tolerated, not passed on."""
    return max(-_FURTHEST, min(when, _FURTHEST))


def xattrs(attributes: Mapping[bytes, bytes]) -> Records:
    """The extended attributes that a layer may set, of those that it carries (S05).

    File capabilities and plain user attributes. `trusted.*` and `user.overlay.*` would steer the overlay; labels
    of security modules belong to this machine.
    """
    found = {}
    for key, value in attributes.items():
        if key.startswith(_LIBARCHIVE):
            found[unquote_to_bytes(key[len(_LIBARCHIVE) :])] = _decoded(value)
        elif key.startswith(_SCHILY):
            found[key[len(_SCHILY) :]] = value
    return tuple((name, value) for name, value in found.items() if _allowed(name))


def _decoded(value: bytes) -> bytes:
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error as error:
        raise refused("cannot read layer: an extended attribute is not base64") from error


def _allowed(name: bytes) -> bool:
    if name == b"security.capability":
        return True
    plain = name.startswith(b"user.") and not name.startswith(b"user.overlay.")
    return plain and len(name) <= 255 and b"\0" not in name
