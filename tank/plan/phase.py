"""THE state machine of a container. Everything that touches its states is in this file.

A phase is never assigned: it is computed from evidence, each time anew. Evidence comes from two places that
survive the daemon: the record that was written before the deed, and what the kernel and conmon's files say.

    ABSENT    no attempt is on record
    CREATED   the process is parked before its first instruction
    RUNNING   it was let go and is alive
    EXITED    the record holds its end; the exit code is known, or known to be unknown
    LOST      an attempt is on record, is not alive, and nothing tells how it ended; or it ended unstarted

An exit on record outranks a process that looks alive (its number may have been used again). Death without
evidence is LOST, and LOST is killed for certain before anything else is started, so two copies never run.

A wish is what the spec asks of a container that may exist: KEEP it, REPLACE it by one made from the present
spec, DROP it, or END it: its pod has run its course, so it is stopped and stays on record. MOVES says for every
phase under every wish what comes next; a test asserts that no pair is missing. RETRY is settled by the
restart policy (`tank.plan.restart`), STOP by the clock (C3, `tank.plan.stops`).
"""

from __future__ import annotations

from enum import Enum

from tank.model.facts import ContainerFact


class Phase(Enum):
    """What the evidence says of a container."""

    ABSENT = "absent"
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    LOST = "lost"


class Wish(Enum):
    """What the spec asks of it."""

    KEEP = "keep"
    REPLACE = "replace"
    DROP = "drop"
    END = "end"


class Move(Enum):
    """What comes next."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    KILL = "kill"
    DELETE = "delete"
    RETRY = "retry"
    REST = "rest"


def phase(fact: ContainerFact | None) -> Phase:
    """The phase that the evidence shows."""
    if fact is None or fact.record.attempt is None:
        return Phase.ABSENT
    attempt, seen = fact.record.attempt, fact.runtime
    if fact.record.exits and fact.record.exits[-1].attempt == attempt.number:
        return Phase.EXITED
    if seen is None or seen.attempt != attempt.number or not seen.alive:
        return Phase.LOST
    return Phase.RUNNING if seen.started else Phase.CREATED


_P, _W, _M = Phase, Wish, Move
MOVES: dict[tuple[Phase, Wish], Move] = {
    (_P.ABSENT, _W.KEEP): _M.CREATE,
    (_P.ABSENT, _W.REPLACE): _M.CREATE,
    (_P.ABSENT, _W.DROP): _M.DELETE,
    (_P.ABSENT, _W.END): _M.REST,
    (_P.CREATED, _W.KEEP): _M.START,
    (_P.CREATED, _W.REPLACE): _M.KILL,
    (_P.CREATED, _W.DROP): _M.KILL,
    (_P.CREATED, _W.END): _M.KILL,
    (_P.RUNNING, _W.KEEP): _M.REST,
    (_P.RUNNING, _W.REPLACE): _M.STOP,
    (_P.RUNNING, _W.DROP): _M.STOP,
    (_P.RUNNING, _W.END): _M.STOP,
    (_P.EXITED, _W.KEEP): _M.RETRY,
    (_P.EXITED, _W.REPLACE): _M.CREATE,
    (_P.EXITED, _W.DROP): _M.DELETE,
    (_P.EXITED, _W.END): _M.REST,
    (_P.LOST, _W.KEEP): _M.KILL,
    (_P.LOST, _W.REPLACE): _M.KILL,
    (_P.LOST, _W.DROP): _M.KILL,
    (_P.LOST, _W.END): _M.KILL,
}
