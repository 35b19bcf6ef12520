"""What the name of a layer's member means: a path inside the root, or a whiteout (OCI image layer specification).

`.wh.x` hides `x` of the layers below, `.wh..wh..opq` hides all that its directory had below. The grammar is strict
(S04): a whiteout of nothing, of `.` or `..`, of another whiteout, or a path that leads through one, is refused. Three
names that the AUFS of old Docker left in layers mean nothing. Leading slashes and `.` are dropped; `..` is refused, as
no packer of images writes it.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from tank.image.refusal import refused, shown

DEEPEST = 255
LONGEST = 4095
LONGEST_PART = 255

_PREFIX = b".wh."
_SPECIAL = (b"//", b"/.")
_OPAQUE = b".wh..wh..opq"
_AUFS = frozenset({b".wh..wh.aufs", b".wh..wh.orph", b".wh..wh.plnk"})


class Meaning(Enum):
    """What a member stands for."""

    ROOT = "root"
    FILE = "file"
    WHITEOUT = "whiteout"
    OPAQUE = "opaque"
    NOTHING = "nothing"


class Name(NamedTuple):
    """`parent` is b"" for the root; `base` is the file, or what the whiteout hides, or b"" (ROOT, OPAQUE)."""

    meaning: Meaning
    parent: bytes
    base: bytes

    @property
    def path(self) -> bytes:
        """Parent and base together."""
        return self.parent + b"/" + self.base if self.parent and self.base else self.parent or self.base


def meant(name: bytes) -> Name:
    """The meaning of a member's name. Raises PullFailed."""
    plain = name[2:].rstrip(b"/") if name.startswith(b"./") else name.rstrip(b"/")
    if 0 < len(plain) <= LONGEST_PART and plain[0] not in b"./" and not any(each in plain for each in _SPECIAL):
        parent, _, base = plain.rpartition(b"/")  # nearly every name
        return Name(Meaning.FILE, parent, base)
    parts = _parts(name)
    if not parts:
        if not name:
            raise refused("cannot unpack layer: a file without a name")
        return Name(Meaning.ROOT, b"", b"")
    if _PREFIX not in name:
        return Name(Meaning.FILE, b"/".join(parts[:-1]), parts[-1])
    return _marked(name, parts)


def linked(name: bytes) -> Name:
    """The target of a hard link: a file of this layer. Raises PullFailed."""
    found = meant(name)
    if found.meaning is not Meaning.FILE:
        raise refused(f"cannot unpack layer: a hard link to {shown(name)}")
    return found


def _parts(name: bytes) -> list[bytes]:
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise refused(f"cannot unpack layer: {shown(name)} would lead out of it")
    if len(name) > LONGEST or len(parts) > DEEPEST or any(len(part) > LONGEST_PART for part in parts):
        raise refused(f"cannot unpack layer: the path {shown(name)} is too long or too deep")
    return parts


def _marked(name: bytes, parts: list[bytes]) -> Name:
    if _AUFS.intersection(parts):
        return Name(Meaning.NOTHING, b"", b"")
    *above, base = parts
    if any(part.startswith(_PREFIX) for part in above):
        raise refused(f"cannot unpack layer: {shown(name)} leads through a whiteout")
    parent = b"/".join(above)
    if base == _OPAQUE:
        return Name(Meaning.OPAQUE, parent, b"")
    if not base.startswith(_PREFIX):
        return Name(Meaning.FILE, parent, base)
    hidden = base[len(_PREFIX) :]
    if hidden in (b"", b".", b"..") or hidden.startswith(_PREFIX):
        raise refused(f"cannot unpack layer: {shown(name)} is not a whiteout of a file")
    return Name(Meaning.WHITEOUT, parent, hidden)


def literal(name: bytes) -> Name:
    """The same for an archive that knows no whiteouts: a name is only a name. Raises PullFailed."""
    parts = _parts(name)
    if not parts:
        return Name(Meaning.ROOT, b"", b"")
    return Name(Meaning.FILE, b"/".join(parts[:-1]), parts[-1])
