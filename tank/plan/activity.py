"""How long a pod has been active, as its record tells: from its first mark on, pulls and back-off included.

The time is kept in the boot clock. After a reboot it goes on from what was written down last.
"""

from __future__ import annotations

from dataclasses import replace

from tank.model.facts import Now
from tank.model.record import PodRecord


def afresh(record: PodRecord, now: Now) -> PodRecord:
    """The record of a pod that begins to run now, or again."""
    return replace(record, boot_id=now.boot_id, active=0.0, active_since=now.boot, failed="")


def active_so_far(record: PodRecord, now: Now) -> PodRecord:
    """The record with the time until now counted."""
    return replace(record, boot_id=now.boot_id, active=active(record, now), active_since=now.boot)


def active(record: PodRecord, now: Now) -> float:
    """Seconds that the pod has been active, as far as its record tells."""
    if record.active_since is None or record.boot_id != now.boot_id:
        return record.active
    return record.active + max(now.boot - record.active_since, 0.0)
