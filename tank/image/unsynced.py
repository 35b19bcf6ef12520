"""What has its name before it is known to be on the disk: it counts until the machine goes down (R23).

A layer can be used as soon as it is unpacked and proven. That it survives a loss of power is known only after a sync,
which takes as long as a third of a pull, and a container need not wait for it. So a pull first writes down, durably,
what it is about to name; within seconds all of it is synced, and the note goes. Whoever finds a note of an earlier
boot takes away what it lists: some of it may be lost. A note of this boot was left by a daemon that was killed: all
that it lists is whole, pods may run on it, and only the sync is to be done.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tank.host import openat
from tank.image.blobs import Blobs
from tank.image.flights import uninterrupted

AFTER = 5.0  # seconds until what was named is synced, which is how often ext4 commits what it is told

log = logging.getLogger("tank.image")

Paths = frozenset[Path]


class Unsynced:
    """The notes of one image store."""

    def __init__(self, blobs: Blobs, boot: str) -> None:
        """`boot`: the id of this boot of the machine."""
        self._blobs, self._boot = blobs, boot
        self._notes: dict[Path, Paths] = {}
        self._flying: set[Path] = set()  # notes of pulls under way
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> Sequence[Path]:
        """See what was left; answers what is to be removed, in time. Raises OSError."""
        doubtful = await asyncio.to_thread(self._read)
        self._begin()
        return doubtful

    @asynccontextmanager
    async def naming(self, paths: Iterable[Path]) -> AsyncIterator[None]:
        """For the work that gives these their names, as far as they are not here yet. Raises OSError."""
        missing = frozenset(path for path in paths if not path.exists())
        note = self._blobs.unsynced / self._blobs.unfinished().name
        try:
            await uninterrupted(asyncio.to_thread(self._write, note, missing))
        finally:  # one that nobody waited for, or that failed at its end, lies there all the same
            self._notes[note] = missing
            self._begin()
        self._flying.add(note)
        try:
            yield
        finally:
            self._flying.discard(note)

    async def flush(self) -> None:
        """Have all that was named before this call on the disk. Raises OSError."""
        async with self._lock:
            notes = dict(self._notes)
            rest = {note: self._unnamed(note) for note in notes}
            try:
                await uninterrupted(asyncio.to_thread(self._blobs.sync))
            except OSError:
                await uninterrupted(asyncio.to_thread(self._give_up, notes))
                raise
            for note, before in notes.items():
                await self._settle(note, before, rest[note])
            if not all(rest.values()):  # a note that came back with a loss of power would take away what lasts
                await uninterrupted(asyncio.to_thread(openat.sync_directory, self._blobs.unsynced))

    async def close(self) -> None:
        """Sync what is left: no pull is under way any more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._try()

    def _begin(self) -> None:
        if self._notes and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="sync")

    async def _run(self) -> None:
        while self._notes:
            await asyncio.sleep(AFTER)
            await self._try()

    async def _try(self) -> None:
        try:
            if self._notes:
                await self.flush()
        except OSError as error:
            log.warning("the disk did not take all that was pulled; after a reboot it is pulled again: %s", error)

    def _unnamed(self, note: Path) -> Paths:
        """What the pull of this note has yet to name."""
        if note not in self._flying:
            return frozenset()
        return frozenset(path for path in self._notes[note] if not path.exists())

    async def _settle(self, note: Path, before: Paths, rest: Paths) -> None:
        if not rest:
            await uninterrupted(asyncio.to_thread(note.unlink, missing_ok=True))
            del self._notes[note]
        elif rest != before:
            await uninterrupted(asyncio.to_thread(self._write, note, rest))
            self._notes[note] = rest

    def _give_up(self, notes: Mapping[Path, Paths]) -> None:
        """Of what a sync could not write, the kernel forgets that it is not written: the next one would succeed."""
        for note, paths in notes.items():
            self._notes.pop(note)
            with suppress(OSError):
                self._write(note, paths, lost=True)

    def _write(self, note: Path, paths: Paths, *, lost: bool = False) -> None:
        names = sorted(str(path.relative_to(self._blobs.root)) for path in paths)
        body = {"boot": self._boot, "lost": lost, "paths": names}
        openat.write_durably(note, json.dumps(body).encode(), self._blobs.unfinished())

    def _read(self) -> Sequence[Path]:
        stale: dict[Path, Paths] = {}
        for note in self._blobs.unsynced.iterdir():
            boot, lost, paths = self._noted(note)
            if boot != self._boot:
                stale[note] = paths
            elif not lost:
                self._notes[note] = paths
        aside = [self._blobs.aside(path) for path in _all(stale)]
        if stale:
            self._blobs.sync()  # they are gone before the notes are
        for note in stale:
            note.unlink()
        return [path for path in aside if path is not None]

    def _noted(self, note: Path) -> tuple[str, bool, Paths]:
        try:
            body = json.loads(note.read_bytes())
            return body["boot"], body["lost"], frozenset(self._blobs.root / each for each in body["paths"])
        except (ValueError, TypeError, KeyError) as error:  # it was written durably: this is not a loss of power
            log.warning("%s is damaged; if power was lost, so may be what it listed: %s", note, error)
            return "", False, frozenset()


def _all(notes: Mapping[Path, Paths]) -> Paths:
    return frozenset[Path]().union(*notes.values())
