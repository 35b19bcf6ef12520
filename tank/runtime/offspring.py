"""Who in a container belongs to a program that was run beside its own, and the end of all of them (R52).

The runtime gives each such program a session of its own. To it belong that session, whoever descends from it, and
the sessions that those have made. A process that let go of both before it was looked for is the container's.
"""

from __future__ import annotations

import signal
from contextlib import ExitStack, suppress

from tank.host import files
from tank.host.cgroup import Groups
from tank.host.watch import Process

_ROUNDS = 10  # what forks faster than it can be killed is left to the container's own end


def kill(pid: int, group: str, groups: Groups) -> None:
    """Kill the program `pid` of a control group with all it started."""
    family = Family(pid)
    for _ in range(_ROUNDS):
        with ExitStack() as stack:
            held = {}
            for each in family.of(groups.processes(group)):
                with suppress(OSError):
                    held[each] = stack.enter_context(Process(each))
            if not held:
                return
            for each in held.keys() & family.of(groups.processes(group)):  # the numbers still mean the same (R16)
                with suppress(OSError):
                    held[each].signal(signal.SIGKILL)


class Family:
    """A program and its own. Remembers their sessions, since the death of a parent hides who was its child."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._sessions: set[int] = set()

    def of(self, members: frozenset[int]) -> frozenset[int]:
        """Those of `members` that belong to it and live."""
        seen = {each: ties for each in members if (ties := _ties(each)) is not None}
        found = {each for each, (_, session) in seen.items() if each == self._pid or session in self._sessions}
        before = -1
        while len(found) > before:
            before = len(found)
            self._sessions |= {seen[each][1] for each in found}
            found |= {each for each, (parent, own) in seen.items() if parent in found or own in self._sessions}
        return frozenset(found)


def _ties(pid: int) -> tuple[int, int] | None:
    """Parent and session; None of one that is dead."""
    text = files.read(f"/proc/{pid}/stat")
    if not text:
        return None
    state, parent, _, session = text.rpartition(b")")[2].split()[:4]
    return None if state in (b"Z", b"X") else (int(parent), int(session))
