"""What the answers of probes and hooks make of a container's health: gates, counts, transitions, times (C2, C3.7).

A container has up to three probes. `startup` holds back both others until its first success, and is then never
asked again of that attempt. `live` failing ends the attempt. `ready` says whether it takes traffic, as often as it
changes. A post_start hook holds back all three. An attempt that has failed is only asked whether it is ready.

An answer that could not be had (`good` None) says nothing, and neither does a bad one that was had late because the
asker himself was late (R56). Times are seconds on one clock that the caller holds; chance comes in as a number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from tank.model.health import Probe
from tank.model.launch import Answer
from tank.model.pod import Container
from tank.model.record import Health

LATE = 0.5  # of its timeout: a bad answer had with more lag of our own than this share counts for nothing
NEVER = float("inf")


class Kind(Enum):
    """The three questions, by the names of the spec."""

    STARTUP = "startup"
    LIVE = "live"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Answers of one kind in a row: at most one of the two is above zero."""

    good: int = 0
    bad: int = 0


def probe_of(container: Container, kind: Kind) -> Probe | None:
    """The container's probe of a kind."""
    found: Probe | None = getattr(container.probes, kind.value)
    return found


def is_cared_for(container: Container) -> bool:
    """Whether it has any probe: without one there is nothing to be told of it."""
    return any(probe_of(container, kind) for kind in Kind)


def begun(container: Container, health: Health) -> Health:
    """Health as it stands before a further answer: what has no probe is a success (C2), what was said is kept."""
    return replace(
        health,
        started=health.started or container.probes.startup is None,
        ready=health.ready or container.probes.ready is None,
    )


def gates(container: Container, health: Health, *, ending: bool) -> tuple[Kind, ...]:
    """Which questions are asked now. `ending`: it is being stopped; then only readiness is still of interest (C2)."""
    present = tuple(kind for kind in Kind if probe_of(container, kind) is not None)
    if container.hooks.post_start is not None and not health.hooked:
        return ()
    if not health.started and Kind.STARTUP in present:
        return () if ending or health.failed else (Kind.STARTUP,)
    over = {Kind.STARTUP, Kind.LIVE} if ending or health.failed else {Kind.STARTUP}
    return tuple(kind for kind in present if kind not in over)


def says_nothing(answer: Answer, probe: Probe) -> bool:
    """It could not be asked, or it is bad and we ourselves were late (R56): no action follows."""
    return answer.good is None or (not answer.good and answer.lag > LATE * probe.timeout)


def counted(tally: Tally, answer: Answer, probe: Probe) -> Tally:
    """The tally with one more answer; those that say nothing neither add to a row nor break it."""
    if says_nothing(answer, probe):
        return tally
    return Tally(good=tally.good + 1) if answer.good else Tally(bad=tally.bad + 1)


def verdict(tally: Tally, probe: Probe) -> bool | None:
    """What a row of answers comes to; None: not enough of them yet, things stay as they are."""
    if tally.good >= probe.successes:
        return True
    return False if tally.bad >= probe.failures else None


def told(health: Health, kind: Kind, tally: Tally, probe: Probe, message: str) -> Health:
    """Health after an answer. The same value when nothing changes, which is nearly always."""
    found = verdict(tally, probe)
    if found is None:
        return health
    if kind is Kind.READY:
        return health if health.ready is found else replace(health, ready=found)
    if not found:
        return _failed(health, f"its {kind.value} probe failed {_times(tally.bad)}: {message}", probe.grace)
    return replace(health, started=True) if kind is Kind.STARTUP and not health.started else health


def after_hook(health: Health, answer: Answer | None) -> Health:
    """Health once its post_start hook has come to `answer`; None: it has not yet. No success is a failure (C3.7)."""
    if answer is None or health.hooked:
        return health
    if answer.good:
        return replace(health, hooked=True)
    return _failed(health, f"its post_start hook failed: {answer.message}", None)


def _failed(health: Health, why: str, grace: float | None) -> Health:
    """The first cause stands: what comes later is mostly its consequence."""
    return health if health.failed else replace(health, failed=why, grace=grace)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times in a row"


def first_due(probe: Probe, started: float, now: float, chance: float | None = None) -> float:
    """When to ask for the first time: `delay` after the start, at once when that is over.

    `chance`, from 0 to 1: the asker is new and the container is not: somewhere within a period, so that not
    everything is asked at the same moment (C2).
    """
    offset = 0.0 if chance is None else chance * probe.period
    return max(started + probe.delay, now + offset)


def next_due(probe: Probe, asked: float, now: float) -> float:
    """When to ask again: a period after the last question began. What was missed is not made up for."""
    return max(asked + probe.period, now)
