"""What the first bytes of a program say of who runs it: elf(5) and the `#!` line of execve(2). Pure."""

from __future__ import annotations

import struct

HEAD = 4096  # bytes that are looked at
_PT_INTERP = 3
_MOST_SEGMENTS = 64


def is_executable(head: bytes) -> bool:
    """Whether the kernel knows what to do with it."""
    return head.startswith((b"\x7fELF", b"#!"))


def interpreter(head: bytes) -> str | None:
    """The absolute path of the program that the kernel starts in its place; None: it needs none, or hides it.

    Bytes that are no UTF-8 stand as surrogate escapes.
    """
    found = _script(head) if head.startswith(b"#!") else _elf(head)
    return found.decode("utf-8", "surrogateescape") if found.startswith(b"/") else None


def _script(head: bytes) -> bytes:
    words = head[2:].split(b"\n", 1)[0].split()
    return words[0] if words else b""


def _elf(head: bytes) -> bytes:
    try:
        wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
        table = struct.unpack_from(order + ("Q" if wide else "I"), head, 32 if wide else 28)[0]
        size, count = struct.unpack_from(order + "HH", head, 54 if wide else 42)
        for number in range(min(count, _MOST_SEGMENTS)):
            at = table + number * size
            if struct.unpack_from(order + "I", head, at)[0] == _PT_INTERP:
                start = struct.unpack_from(order + ("Q" if wide else "I"), head, at + (8 if wide else 4))[0]
                return head[start : start + 256].split(b"\0", 1)[0]
    except (struct.error, IndexError, OverflowError):
        pass
    return b""
