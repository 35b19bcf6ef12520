"""What is so of one attempt, read from the kernel and from the files of crun and conmon; nothing is remembered.

It spawns nothing, so that a pass over hundreds of containers is cheap, and holds at any instant: whatever was
half made when somebody was killed reads as what it is, a container without a process.
"""

from __future__ import annotations

from collections.abc import Mapping

from tank.config import Settings
from tank.host import limits, oom
from tank.host.cgroup import Groups
from tank.host.watch import start_time_of
from tank.model.facts import RuntimeFact
from tank.runtime import conmon, kept, places, termination
from tank.runtime.crun import Crun


def newest(settings: Settings, uid: str) -> Mapping[str, places.Attempt]:
    """The newest attempt of each container of which anything is left."""
    return {each.container: each for each in places.attempts(settings, uid)}


def observe(attempt: places.Attempt, crun: Crun, groups: Groups) -> RuntimeFact:
    """The facts of one attempt. Raises OSError: it cannot be told."""
    state = crun.state(attempt.id)
    pid, start_time = (state.pid, state.start_time) if state else (None, None)
    report = conmon.report(attempt.sync)
    alive = pid is not None and start_time_of(pid) == start_time
    monitored = is_monitored(attempt, groups)
    # Looked for last: who was seen dead, or unmonitored, has had its exit file written before.
    exit_wall = _modified(attempt)
    return RuntimeFact(
        attempt=attempt.number,
        pid=pid,
        start_time=start_time,
        alive=alive,
        started=state is not None and state.started,
        monitored=monitored,
        exited=exit_wall is not None,
        exit_code=conmon.exit_code(attempt.exit),
        exit_wall=exit_wall,
        oom_kills=(kills := groups.oom_kills(attempt.group)),
        oom_cause=oom.cause(groups, attempt.group) if kills and exit_wall is not None else "",
        populated=groups.populated(attempt.group),
        error=report.message.strip() if report is not None and report.pid is None else "",
        message=termination.read(attempt.message) if exit_wall is not None else "",
        actual=_actual(attempt, groups) if alive else {},
    )


def _actual(attempt: places.Attempt, groups: Groups) -> Mapping[str, int | str]:
    """Only the limits that somebody asked for: most containers have none, and this runs at every pass."""
    wanted = kept.read(attempt).limits
    try:
        return limits.read(groups, attempt.group, wanted) if wanted else {}
    except OSError:  # it ends just now
        return {}


def is_monitored(attempt: places.Attempt, groups: Groups) -> bool:
    """Whether its monitor lives: the pid it wrote down is in the group that is only its own (R16)."""
    pid = conmon.monitor_pid(attempt.monitor_pidfile)
    return pid is not None and groups.holds(attempt.monitor_group, pid) and start_time_of(pid) is not None


def _modified(attempt: places.Attempt) -> float | None:
    try:
        return attempt.exit.stat().st_mtime
    except FileNotFoundError:
        return None
