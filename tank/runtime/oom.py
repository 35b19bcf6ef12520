"""`oom: group` on control groups of version 1: when the kernel killed one process for memory, the rest follows (C5).

The kernel's event is a hint, and comes before its counter moves; the counter decides. A daemon that was away at
that moment sees the counter when it looks again, and does the same.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from tank.host import oom
from tank.host.cgroup import Groups
from tank.model.facts import RuntimeFact
from tank.runtime import kept
from tank.runtime.places import Attempt

log = logging.getLogger("tank.runtime")

_FIRST_LOOK, _LAST_LOOK = 0.001, 1.0  # seconds between the event and the looks at the counter


class OomWatch:
    """Holds an event for each living attempt that is killed whole, for one loop."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._bells: dict[str, int] = {}
        self._looks: dict[str, asyncio.TimerHandle] = {}
        self._ours = not groups.hierarchies.is_v2("memory") and "memory" in groups.hierarchies.v1

    def expect(self, attempt: Attempt, fact: RuntimeFact) -> None:
        """Hear of a living attempt's end of memory; and kill what is left of one that came to it unheard."""
        if not self._ours or not fact.populated or not kept.read(attempt).oom_group:
            return
        if fact.oom_kills:
            self._groups.strike(attempt.group)
        elif attempt.id not in self._bells:
            with suppress(OSError):  # gone again, or no event to be had: the next look tells
                if (fd := oom.bell(self._groups, attempt.group)) is not None:
                    self._bells[attempt.id] = fd
                    asyncio.get_running_loop().add_reader(fd, self._rung, attempt)

    def forget(self, attempt: Attempt) -> None:
        """Let go of an attempt."""
        if (look := self._looks.pop(attempt.id, None)) is not None:
            look.cancel()
        if (fd := self._bells.pop(attempt.id, None)) is not None:
            asyncio.get_running_loop().remove_reader(fd)
            oom.hang_up(fd)

    def close(self) -> None:
        """Let go of everything."""
        for look in self._looks.values():
            look.cancel()
        loop = asyncio.get_running_loop()
        for fd in self._bells.values():
            loop.remove_reader(fd)
            oom.hang_up(fd)
        self._looks.clear()
        self._bells.clear()

    def _rung(self, attempt: Attempt) -> None:
        oom.silence(self._bells[attempt.id])
        if attempt.id not in self._looks:
            self._look(attempt, _FIRST_LOOK)

    def _look(self, attempt: Attempt, wait: float) -> None:
        """Kill once the counter has moved; an event without one was about something that could be reclaimed."""
        self._looks.pop(attempt.id, None)
        kills = self._groups.oom_kills(attempt.group)
        if kills is None:  # the group is gone
            self.forget(attempt)
        elif kills and not self._groups.strike(attempt.group):
            log.info("%s: killed whole, for its memory was used up", attempt.id)
        elif wait <= _LAST_LOOK:
            self._looks[attempt.id] = asyncio.get_running_loop().call_later(wait, self._look, attempt, wait * 2)
