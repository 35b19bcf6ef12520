"""Probes and hooks of what runs, as a pass meets them: what they say by now, and whom they are for (C2, C3).

The prober and the hooks work beside the passes and nudge; they belong to the loop, which puts them here. What they
say is written down by the pod's own pass, so that a record has one writer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tank.model.facts import ContainerFact
from tank.model.launch import Target
from tank.model.pod import Container, Pod
from tank.model.record import Address, Attempt, ContainerRecord, Health
from tank.plan.aims import WITHDRAWN
from tank.plan.health import after_hook
from tank.plan.phase import Phase, phase

if TYPE_CHECKING:
    from tank.node.hooks import Hooks, Moment
    from tank.node.prober import Prober


class Care:
    """The loop's prober and hooks; without them nothing is ever told, and hooks do not run."""

    def __init__(self) -> None:
        self.prober: Prober | None = None
        self.hooks: Hooks | None = None

    def told(self, uid: str, record: ContainerRecord) -> ContainerFact:
        """The container with what is known of its attempt by now, beside what its record says."""
        attempt, name = record.attempt, record.name
        if attempt is None or self.prober is None or self.hooks is None:
            return ContainerFact(record=record)
        health = _merged(attempt.health, self.prober.health(uid, name, attempt.number))
        health = after_hook(health, self.hooks.result(uid, name, attempt.number, "post_start"))
        return ContainerFact(
            record=record,
            health=health,
            hooking=self.hooks.running(uid, name, attempt.number, moment_of(attempt)),
            hooked=self.hooks.result(uid, name, attempt.number, "pre_stop") is not None,
        )

    def attend(
        self, uid: str, pod: Pod, containers: Mapping[str, ContainerFact], addresses: tuple[Address, ...]
    ) -> None:
        """What runs is probed from now on, and what does not is not. Called by every pass; nearly always free."""
        for name, fact in containers.items():
            attempt = fact.record.attempt
            if attempt is None or phase(fact) is not Phase.RUNNING:
                self.forget(uid, name)
            elif self.prober is not None and self.hooks is not None:
                self.prober.keep(target_of(uid, pod, attempt, addresses), attempt)
                if moment_of(attempt) != "pre_stop":
                    self.hooks.renew(uid, name, attempt.number, "pre_stop")

    def begin(self, target: Target, kind: Moment, limit: float) -> None:
        """Run a hook, for `limit` seconds at most. Nothing when it has begun."""
        if self.hooks is not None:
            self.hooks.start(target, kind, limit)

    def forget(self, uid: str, name: str | None = None) -> None:
        """A pod, or one container of it, is neither probed nor hooked any more."""
        if self.prober is not None and self.hooks is not None:
            self.prober.forget(uid, name)
            self.hooks.cancel(uid, name)


def moment_of(attempt: Attempt) -> Moment:
    """Which hook would run now."""
    return "pre_stop" if attempt.stop is not None and attempt.stop.aim != WITHDRAWN else "post_start"


def target_of(uid: str, pod: Pod, attempt: Attempt, addresses: tuple[Address, ...]) -> Target:
    """The running container with the probes and hooks that are wanted now; its post_start hook is its own."""
    name = attempt.spec.name
    container = _with_own_beginning(pod.container(name) or attempt.spec, attempt.spec)
    return Target(uid=uid, pod=pod, container=container, attempt=attempt.number, addresses=addresses)


def _with_own_beginning(wanted: Container, own: Container) -> Container:
    if wanted.hooks.post_start == own.hooks.post_start:
        return wanted
    hooks = wanted.hooks.model_copy(update={"post_start": own.hooks.post_start})
    return wanted.model_copy(update={"hooks": hooks})


def _merged(written: Health, told: Health | None) -> Health:
    """What the prober says, with what the record knows of hooks; a failure that is on record stands."""
    if told is None:
        return written
    health = replace(told, hooked=told.hooked or written.hooked)
    return replace(health, failed=written.failed, grace=written.grace) if written.failed else health
