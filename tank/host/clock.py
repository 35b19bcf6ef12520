"""The moment of a pass. CLOCK_BOOTTIME counts through suspend and never jumps; the wall clock is for people (R58)."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

from tank.model.facts import Now


def now() -> Now:
    """This moment, on every clock that Tank looks at."""
    return Now(boot=boot(), boot_id=boot_id(), wall=time.time())


def boot() -> float:
    """Seconds since the machine was booted, suspend included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@cache
def boot_id() -> str:
    """The kernel's random name of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
