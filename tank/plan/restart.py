"""When an ended container runs again (C1), and when something that failed is tried again (C6).

The first restart after a crash is immediate, then the curve: initial, × factor, up to max. A delay counts from
the finish of the container, which is on record, so a deadline survives the daemon and no timer holds truth.
Pure: the clock comes in as values.
"""

from __future__ import annotations

from dataclasses import replace

from tank.model.facts import Now
from tank.model.pod import Backoff, RestartPolicy
from tank.model.record import KEPT_EXITS, ContainerRecord, Exit, Trouble

PULL_CURVE = Backoff(initial=10.0, factor=2.0, max=300.0)  # C6
TROUBLE_CURVE = Backoff(initial=1.0, factor=2.0, max=60.0)  # what is cheap to look at again

REBOOTED = "Rebooted"
UNKNOWN = "Unknown"


def delay(backoff: Backoff, failures: int) -> float:
    """Seconds between the end of the `failures`-th crash in a row and the next start (C1)."""
    if failures <= 1:
        return 0.0
    return curve(backoff, failures - 1)


def curve(backoff: Backoff, failures: int) -> float:
    """The plain exponential curve, for pulls and preconditions: there the first delay is already `initial`."""
    exponent = min(failures - 1, 64)
    return min(backoff.initial * backoff.factor**exponent, backoff.max)


def counted(record: ContainerRecord, end: Exit, backoff: Backoff) -> ContainerRecord:
    """The record with the exit added and the crash curve moved on (C1).

    A stop by Tank and a reboot are no crash, and forget none. A run of `reset_after` seconds starts over.
    """
    digest = record.attempt.digest if record.attempt else ""
    failures = record.failures if record.failures_digest == digest else 0
    if not end.stopped and end.reason != REBOOTED:
        failures = 1 if end.ran >= backoff.reset_after else failures + 1
    return replace(
        record,
        exits=(*record.exits, end)[-KEPT_EXITS:],
        failures=failures,
        failures_digest=digest,
    )


def retry_at(policy: RestartPolicy, backoff: Backoff, record: ContainerRecord) -> float | None:
    """Boot time at which the ended container is started again; None: it has run its course.

    What Tank stopped for a change that was then taken back is still wanted, and runs again under any policy; what
    it stopped because the machine goes down has had its only run under `never`.
    """
    end = record.exits[-1]
    stop = record.attempt.stop if record.attempt else None
    withdrawn = end.stopped and end.reason != REBOOTED and stop is not None and stop.aim not in ("", "drain")
    if (policy == "never" and not withdrawn) or (policy == "on_failure" and end.code == 0 and not end.stopped):
        return None
    if end.stopped or end.reason == REBOOTED:
        return end.finished_boot if record.failures <= 1 else end.finished_boot + delay(backoff, record.failures)
    return end.finished_boot + delay(backoff, record.failures)


def troubled(before: Trouble | None, failed: Trouble, now: Now, *, pull: bool) -> Trouble:
    """The trouble after one more failure: counted on while it is the same spec's, with the next deadline.

    `failed.delay` above zero is a floor that the far end asked for (Retry-After).
    """
    failures = before.failures + 1 if before is not None and before.digest == failed.digest else 1
    wait = max(failed.delay, curve(PULL_CURVE if pull else TROUBLE_CURVE, failures))
    return replace(failed, failures=failures, delay=wait, retry_at=now.boot + wait, boot_id=now.boot_id, at=now.wall)
