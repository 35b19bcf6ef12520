"""How this package says no: every refusal of an image is a `PullFailed` with a reason of C5.

Names from archives and answers of registries are hostile text: `shown` makes them printable and short before they
enter a message. Imports nothing heavy: the unpacker loads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tank.errors import Failed, PullFailed

FAILED = "ErrImagePull"
NEVER = "ErrImageNeverPull"
INVALID = "InvalidImageName"
PRESSURE = "DiskPressure"
UNSIGNED = "SignatureValidationFailed"

_LONGEST = 120


class Missing(PullFailed):
    """The registry answers, and does not have it."""


class Forbidden(PullFailed):
    """The registry answers, and does not let us read it."""


class Unsuitable(PullFailed):
    """It may be whole, and is nothing for this machine: for another one, or no container image."""


class Unranged(PullFailed):
    """The rest of a blob is not to be had; all of it may be."""


def refused(message: str, *, retry_after: float | None = None) -> PullFailed:
    """The error to raise when an image cannot be had; `retry_after` in seconds, where the registry named one."""
    return PullFailed(FAILED, message, retry_after=retry_after)


def unsuitable(message: str) -> PullFailed:
    """The error to raise where another image beside this one may do."""
    return Unsuitable(FAILED, message)


def no_room(message: str) -> PullFailed:
    """The error to raise when the image does not fit on the disk; it is tried again when there is space (R29)."""
    return PullFailed(PRESSURE, message)


def shown(text: bytes | str) -> str:
    """Foreign text for a message: quoted, printable ASCII only, at most 120 characters."""
    plain = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
    cut = plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"
    return "'" + "".join(each if each.isprintable() else ascii(each)[1:-1] for each in cut) + "'"


@contextmanager
def disk() -> Iterator[None]:
    """A store that cannot be read is no absence of images: it is said, and the pod is tried again."""
    try:
        yield
    except OSError as error:
        raise Failed(f"cannot read the images: {error.strerror or error}") from error
