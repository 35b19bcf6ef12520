"""How an attempt ended, and all that is seen for the first time: taken into its record, once.

Pure: old record and what was seen in, new record out. An end is known by its exit file, or unknown; never made up.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

from tank.model.facts import Now, RuntimeFact
from tank.model.pod import Backoff
from tank.model.record import Attempt, ContainerRecord, Exit, Health, Trouble
from tank.plan.marks import created_mark, started_mark, unstarted_mark
from tank.plan.restart import REBOOTED, UNKNOWN, counted, delay

TICKS = 100  # clock ticks in a second, as /proc shows them to every process (USER_HZ)


def failed_start_mark(record: ContainerRecord, code: int, message: str, now: Now, backoff: Backoff) -> ContainerRecord:
    """The program could not be started: a termination like any other (C5)."""
    text = message.encode("utf-8", "replace").decode()  # it may quote an image, and has to be storable
    return counted(record, ended(record, code, "StartError", now, finished=now.boot, message=text), backoff)


def lost_mark(record: ContainerRecord, now: Now, backoff: Backoff) -> ContainerRecord:
    """It ran and is gone, and nothing tells how it ended."""
    message = "it ended while neither its monitor nor the daemon saw it"
    return counted(record, ended(record, None, UNKNOWN, now, finished=now.boot, message=message), backoff)


def settled(record: ContainerRecord, seen: RuntimeFact | None, now: Now, backoff: Backoff) -> ContainerRecord:
    """The record with all taken in that was seen: pid, start, end, a reboot. Same value: nothing new."""
    attempt = record.attempt
    if attempt is None or (record.exits and record.exits[-1].attempt == attempt.number):
        return _rebooted(record, now)
    if attempt.boot_id != now.boot_id:
        if attempt.started_boot is None:
            return _rebooted(unstarted_mark(record), now)
        message = "the machine was restarted under it"
        end = ended(record, None, REBOOTED, now, finished=now.boot, message=message)
        return _rebooted(counted(record, replace(end, ran=0.0), backoff), now)
    if seen is None or seen.attempt != attempt.number:
        return _rebooted(record, now)
    if seen.pid and seen.start_time and attempt.pid is None:
        record = created_mark(record, seen.pid, seen.start_time)
    if seen.started and attempt.started_boot is None:
        record = started_mark(record, *_began(record, seen, now))
    if seen.exited and seen.started:
        record = counted(record, _seen_exit(record, seen, now), backoff)
    return _rebooted(record, now)


def _began(record: ContainerRecord, seen: RuntimeFact, now: Now) -> tuple[float, float]:
    """When it was started, if the daemon was killed before it could write that down: as its process was made."""
    attempt = record.attempt
    ticks = seen.start_time or (attempt.start_time if attempt else None)
    boot = min(ticks / TICKS, now.boot) if ticks else now.boot
    return boot, now.wall - (now.boot - boot)


def _seen_exit(record: ContainerRecord, seen: RuntimeFact, now: Now) -> Exit:
    """The exit that conmon wrote. Its time is the file's, as boot time, between the start and now (C1)."""
    age = now.wall - seen.exit_wall if seen.exit_wall is not None else 0.0
    finished = now.boot - max(age, 0.0)
    asked = record.attempt is not None and record.attempt.stop is not None
    kills = seen.oom_kills or 0
    oom = seen.exit_code == 137 and kills > 0 and not asked
    reason = "OOMKilled" if oom else _reason(seen.exit_code)
    why = (seen.oom_cause if oom else "") or (record.attempt.health.failed if record.attempt else "")
    end = ended(record, seen.exit_code, reason, now, finished=finished, message=seen.message or why)
    return replace(end, oom_killed=oom, child_oom_kills=kills - oom)


def _reason(code: int | None) -> str:
    if code is None:
        return UNKNOWN
    return "Completed" if code == 0 else "Error"


def ended(
    record: ContainerRecord, code: int | None, reason: str, now: Now, *, finished: float, message: str = ""
) -> Exit:
    """How the present attempt ended. `finished` is boot time; it lies between the start and now."""
    attempt = record.attempt
    assert attempt is not None
    began = attempt.started_boot
    finished = min(max(finished, began or 0.0), now.boot) if attempt.boot_id == now.boot_id else now.boot
    return Exit(
        attempt=attempt.number,
        code=code,
        reason=reason,
        message=message,
        started_at=attempt.started_at,
        finished_at=now.wall - (now.boot - finished),
        ran=finished - began if began is not None else 0.0,
        finished_boot=finished,
        boot_id=now.boot_id,
        stopped=_was_stopped(attempt),
    )


def _was_stopped(attempt: Attempt) -> bool:
    """Whether its end is Tank's doing and not its own: a failed probe is a fault, and waiting for its turn no stop."""
    return attempt.stop is not None and attempt.stop.until != "turn" and not attempt.health.failed


def cared_mark(record: ContainerRecord, health: Health | None, hooked: bool, now: Now) -> ContainerRecord:
    """The record with what probes and hooks say by now (C2, C3.2). Same value: nothing new."""
    attempt = record.attempt
    if attempt is None:
        return record
    if health is not None and replace(health, at=attempt.health.at) != attempt.health:
        attempt = replace(attempt, health=replace(health, at=now.wall))
    stop = attempt.stop
    if hooked and stop is not None and not stop.signalled and not stop.hooked:
        attempt = replace(attempt, stop=replace(stop, hooked=True))
    return record if attempt is record.attempt else replace(record, attempt=attempt)


def _rebooted(record: ContainerRecord, now: Now) -> ContainerRecord:
    """After a reboot a wait starts again from its full length, once, spread by a tenth (C1)."""
    if record.exits and record.exits[-1].boot_id != now.boot_id:
        last = record.exits[-1]
        again = replace(last, finished_boot=now.boot + _jitter(record, now), boot_id=now.boot_id)
        record = replace(record, exits=(*record.exits[:-1], again))
    if record.trouble and record.trouble.boot_id != now.boot_id:
        record = replace(record, trouble=renewed(record.trouble, now))
    return record


def renewed(trouble: Trouble, now: Now) -> Trouble:
    """The trouble of an earlier boot, its wait started again."""
    return replace(trouble, boot_id=now.boot_id, retry_at=now.boot + trouble.delay)


def _jitter(record: ContainerRecord, now: Now) -> float:
    """Up to a tenth of the wait either way, the same for the same container and boot: no stampede at boot."""
    spread = zlib.crc32(f"{record.name}{record.last_number}{now.boot_id}".encode()) / 0xFFFFFFFF * 2 - 1
    return 0.1 * spread * delay(Backoff(), record.failures)
