"""What a stop is for. A stop for another successor counts as none; one for good takes over any that stands (C3.5)."""

from __future__ import annotations

from typing import TypeGuard

from tank.model.desired import Desired
from tank.model.facts import Now
from tank.model.pod import Container
from tank.model.record import Stop
from tank.plan.digests import trouble_digest

DROP, DRAIN = "drop", "drain"  # it is not wanted any more; the machine goes down
END = "end"  # its pod has run its course
UNHEALTHY = "unhealthy"  # its startup or live probe failed, or its post_start hook: it is to run again by its policy
WITHDRAWN = "withdrawn"  # the stop was taken back
CERTAIN = frozenset({DROP, DRAIN, END, UNHEALTHY})  # no successor has to be at hand for these


def aim_of(desired: Desired | None, wanted: Container | None) -> str:
    """What a stop of the container would be for: its successor as wanted now, or none."""
    return DROP if desired is None or wanted is None else trouble_digest(desired, wanted)


def fits(stop: Stop | None, aim: str, now: Now) -> TypeGuard[Stop]:
    """Whether a stop for this aim is under way. One for good takes over any that was not taken back (C3.5)."""
    if stop is None or stop.boot_id != now.boot_id:
        return False
    return stop.aim in ("", aim) or (aim in CERTAIN and stop.aim != WITHDRAWN)
