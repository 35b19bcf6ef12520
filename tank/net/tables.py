"""Tables of nftables kept as scripts say: the host's, and the fence in each pod's namespace.

What was done is remembered with what was listed right after it; what may have been changed by others is listed again
and compared. A daemon that was just started does everything once: each table is replaced by its equal, and no packet
notices.

Where networks are not to be repaired (`[net] repair = false`), a table that stands is replaced for another script
only, and what was done is written down too, so that a new daemon does not repair either. What differs is told as long
as it does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tank.errors import Waiting
from tank.host import files
from tank.net import nftables
from tank.net.fences import FENCE
from tank.net.nftables import Listing
from tank.net.ruleset import rules_in

TRIES = 3  # of rules that others change while they are set
HOST, SHIMS = "", "shims"  # keys of the host's tables; any other is a pod's uid


@dataclass(frozen=True, slots=True)
class _Done:
    """The digest of a script that was carried out, where, and what was listed after it; None: nobody has looked yet."""

    script: str
    place: str
    listing: Listing | None = None


class Tables:
    """What stands, by key."""

    def __init__(self, installation: str, namespace: Callable[[str], Path], book: Path | None) -> None:
        """`book`: where it is written down what was done; None: what others change is put right."""
        self._installation, self._namespace, self._book = installation, namespace, book
        self._done = dict(_read(book)) if book else {}
        self.astray: dict[str, str] = {}  # by key: what others have changed and nobody puts right, in words

    def __contains__(self, key: object) -> bool:
        return key in self._done

    @property
    def keys(self) -> frozenset[str]:
        """All that stand."""
        return frozenset(self._done)

    async def keep(self, key: str, script: str, what: str, *, look: bool | None) -> tuple[str, ...]:
        """Make it so where another script is wanted; with `look`, also where something else stands than it made.

        None: nobody looks at all, for somebody waits; how it reads, the next call sees. Answers in words what others
        had changed. Raises Waiting, Failed.
        """
        done, digest, place = self._done.get(key), hashlib.sha256(script.encode()).hexdigest(), self._place(key)
        if done and done.place != place:
            done = None  # a later namespace of the same pod: nothing stands in it yet
        same = done is not None and done.script == digest
        if done and same and (look is None or await self._stands(key, done, rules_in(script), look=look)):
            return ()
        if same and self._book:
            self.astray[key] = f"{what} have been changed"
            return ()
        for _ in range(TRIES):
            self._done.pop(key, None)
            await nftables.apply(script, None if key in (HOST, SHIMS) else self._namespace(key))
            made = _Done(digest, place)
            self._note(key, made)
            if look is None or await self._stands(key, made, rules_in(script), look=True):
                return (f"{what} had been changed",) if same else ()
        del self._done[key]
        raise Waiting(nftables.REASON, f"{what} were changed by others while they were set")

    async def _stands(self, key: str, done: _Done, rules: int, *, look: bool) -> bool:
        """Whether what was made is what is listed; the first time, whether it can be."""
        if done.listing is not None and not look:
            return True
        listing = await self._listing(key)
        if done.listing is None and listing.rules == rules:
            self._note(key, replace(done, listing=listing))
            return True
        if done.listing == listing:
            self.astray.pop(key, None)
        return done.listing == listing

    async def nothing_stands(self, key: str, script: str) -> None:
        """If there is no such table of ours, a script that makes none need not be carried out."""
        if key not in self._done and not (await self._listing(key)).digest:
            self._done[key] = _Done(hashlib.sha256(script.encode()).hexdigest(), self._place(key), Listing())

    def doubt(self, key: str) -> None:
        """Whatever was done is not there any more."""
        self._done.pop(key, None)

    def forget(self, kept: Collection[str]) -> None:
        """Pods that are no more."""
        for key in self._done.keys() - {HOST, SHIMS, *kept}:
            del self._done[key]
            self.astray.pop(key, None)

    def _note(self, key: str, done: _Done) -> None:
        self._done[key] = done
        self.astray.pop(key, None)
        if self._book:
            told = {each: [one.script, one.place, _told(one.listing)] for each, one in self._done.items()}
            files.write(self._book, json.dumps(told).encode())

    def _place(self, key: str) -> str:
        """The namespace, told apart from an earlier one of the same pod, also where that left its number to it."""
        if key in (HOST, SHIMS):
            return ""
        try:
            found = os.stat(self._namespace(key))
        except OSError as error:
            raise Waiting(nftables.REASON, f"cannot see the namespace of the pod: {error.strerror}") from error
        return f"{found.st_ino}:{found.st_ctime_ns}"

    async def _listing(self, key: str) -> Listing:
        name = f"tank_{self._installation}"
        if key == SHIMS:
            return await nftables.listing(f"netdev {name}")
        if key != HOST:
            return await nftables.listing(FENCE, self._namespace(key))
        return await nftables.listing(f"inet {name}") + await nftables.listing(f"bridge {name}")


def _read(book: Path) -> Mapping[str, _Done]:
    """What a daemon before this one has done; nothing, where that cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        told = json.loads(files.read(book) or b"{}")
        return {
            key: _Done(script, place, Listing(*listing) if listing else None)
            for key, (script, place, listing) in told.items()
        }
    return {}


def _told(listing: Listing | None) -> list[str | int]:
    return [listing.digest, listing.rules] if listing else []
