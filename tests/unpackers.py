"""The unpackers of a puller that was killed: they end a moment after it, with their input."""

from __future__ import annotations

from pathlib import Path

from tests.waiting import wait_for


def unpackers(data: Path) -> list[str]:
    """Unpackers that work for this store."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"tank.image.untar" in words and bytes(data) in words:
            found.append(path.parent.name)
    return found


def unpackers_end(data: Path) -> None:
    """They end with their input, which the killed puller was."""
    wait_for(lambda: not unpackers(data), what="the unpackers to end")
