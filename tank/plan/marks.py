"""What is written on the pod and its containers, before and after each deed.

Pure: old record in, new record out. The executor writes these values down, the preview applies them to facts;
so what `tank plan` foresees is what will be done.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

from tank.model.desired import Desired
from tank.model.digest import sandbox_digest, tuning_digest
from tank.model.facts import Now, RuntimeFact
from tank.model.pod import Backoff, Container, Network, Pod
from tank.model.record import Attempt, ContainerRecord, Exit, PodRecord, Stop, Trouble
from tank.plan.claims import held_words, words
from tank.plan.restart import REBOOTED, UNKNOWN, counted, delay
from tank.plan.steps import Action
from tank.plan.wish import WITHDRAWN, attempt_digest, fits

TICKS = 100  # clock ticks in a second, as /proc shows them to every process (USER_HZ)


def pod_mark(
    record: PodRecord | None,
    desired: Desired,
    installation: str,
    now: Now,
    held: tuple[str, ...] | None = None,
) -> PodRecord:
    """The pod's mark with the present spec and revision; the sandbox's part stays as it was made.

    `held` are the claims from now on. None: what it held and what the spec claims, for what was made from the
    earlier spec may live on.
    """
    fresh = record or PodRecord(
        uid=desired.uid,
        name=desired.name,
        installation=installation,
        revision=0,
        spec=desired.spec,
        sandbox_digest="",
        boot_id=now.boot_id,
        created_at=desired.created_at,
    )
    trouble = fresh.trouble if fresh.revision == desired.revision else None
    if held is None:
        held = tuple(sorted({*words(desired.spec), *(held_words(record) if record else ())}))
    return replace(
        fresh,
        revision=desired.revision,
        spec=desired.spec,
        pins=dict(desired.pins),
        restarts=dict(desired.restarts),
        pulls=dict(desired.pulls),
        held=held,
        trouble=trouble,
        deleting=False,
    )


def has_nics(pod: Pod) -> bool:
    """Whether there are interfaces to configure; loopback comes with the sandbox."""
    return isinstance(pod.network, Network) and bool(pod.network.nics)


def sandbox_mark(record: PodRecord, desired: Desired, now: Now) -> PodRecord:
    """A new sandbox is about to be made; with interfaces, its network is not ready until they are configured.

    The counters and pins of the hour come along, which saves a fresh pod a mark of its own for them.
    """
    return replace(
        record,
        sandbox_digest=sandbox_digest(desired.spec),
        boot_id=now.boot_id,
        network_ready=not has_nics(desired.spec),
        addresses=(),
        pins=dict(desired.pins),
        restarts=dict(desired.restarts),
        pulls=dict(desired.pulls),
    )


def attempt_mark(
    record: ContainerRecord | None, desired: Desired, container: Container, image: str, now: Now
) -> ContainerRecord:
    """A new attempt is about to be made. Counters move before the deed and never go back (R11)."""
    before = record or ContainerRecord(name=container.name)
    asked = desired.restarts.get(container.name, 0)
    ended = bool(before.exits) and before.exits[-1].attempt == before.last_number
    digest = attempt_digest(desired.spec, container)
    clear = asked != before.cleared or before.failures_digest != digest
    attempt = Attempt(
        number=before.last_number + 1,
        boot_id=now.boot_id,
        spec=container,
        digest=digest,
        tuning=tuning_digest(container),
        revision=desired.revision,
        restarts=asked,
        pulls=desired.pulls.get(container.name, 0),
        image=image,
        created_at=now.wall,
    )
    return replace(
        before,
        attempt=attempt,
        last_number=attempt.number,
        restart_count=before.restart_count + ended,
        failures=0 if clear else before.failures,
        failures_digest=digest,
        cleared=asked,
    )


def created_mark(record: ContainerRecord, pid: int, start_time: int) -> ContainerRecord:
    """The process is there, parked. What kept it from being made is over; until now it counted on."""
    assert record.attempt is not None
    return replace(record, attempt=replace(record.attempt, pid=pid, start_time=start_time), trouble=None)


def started_mark(record: ContainerRecord, boot: float, wall: float) -> ContainerRecord:
    """It was let go."""
    assert record.attempt is not None
    return replace(record, attempt=replace(record.attempt, started_at=wall, started_boot=boot))


def stop_mark(record: ContainerRecord, grace: float, now: Now, *, signalled: bool, aim: str = "") -> ContainerRecord:
    """It was asked to end; the deadline may get nearer, never farther (C3.5), unless the stop is for another aim.

    Once the signal is out, whatever kept it from being sent is over.
    """
    assert record.attempt is not None
    before = record.attempt.stop
    stop = Stop(deadline=now.boot + grace, boot_id=now.boot_id, grace=grace, signalled=signalled, aim=aim)
    if before is not None and fits(before, aim, now) and before.deadline <= stop.deadline:
        stop = replace(before, signalled=signalled or before.signalled, aim=aim)
    over = signalled and record.trouble is not None and record.trouble.action == Action.STOP.value
    trouble = None if over else record.trouble
    return replace(record, attempt=replace(record.attempt, stop=stop), trouble=trouble)


def signalled(record: ContainerRecord, aim: str, now: Now) -> bool:
    """Whether the signal of a stop for this aim is out."""
    stop = record.attempt.stop if record.attempt else None
    return fits(stop, aim, now) and stop.signalled


def tuned_mark(record: ContainerRecord, container: Container) -> ContainerRecord:
    """It runs under these limits. What kept them from being set is over."""
    assert record.attempt is not None
    over = record.trouble is not None and record.trouble.action == Action.TUNE.value
    attempt = replace(record.attempt, tuning=tuning_digest(container))
    return replace(record, attempt=attempt, trouble=None if over else record.trouble)


def unstopped_mark(record: ContainerRecord, now: Now) -> ContainerRecord:
    """The stop was taken back. Until its deadline an end is still its doing; later it is the program's own."""
    stop = record.attempt.stop if record.attempt else None
    if record.attempt is None or stop is None:
        return record
    doing = stop.boot_id == now.boot_id and now.boot < stop.deadline
    left = replace(stop, aim=WITHDRAWN) if doing else None
    return replace(record, attempt=replace(record.attempt, stop=left))


def unstarted_mark(record: ContainerRecord) -> ContainerRecord:
    """The attempt ended before its first instruction: it is no run, and no crash."""
    return replace(record, attempt=None)


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
    stopped = record.attempt is not None and record.attempt.stop is not None
    kills = seen.oom_kills or 0
    oom = seen.exit_code == 137 and kills > 0 and not stopped
    reason = "OOMKilled" if oom else _reason(seen.exit_code)
    end = ended(record, seen.exit_code, reason, now, finished=finished)
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
        stopped=attempt.stop is not None,
    )


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
