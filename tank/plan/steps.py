"""A plan: steps as values, and the moment to look again.

Steps run stage by stage. Within a stage the steps of different containers run side by side, those of one
container in their order; a step with an empty `container` concerns the pod. When a step of the pod fails, the
later stages do not run; when one of a container fails, only that container's later steps do not.
The value that `tank plan` shows is the value that is executed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tank.plan.inputs import Change


class Action(Enum):
    """Everything that can be done to a pod."""

    MARK = "mark"  # write the pod's record
    RESOLVE = "pull"  # have the image here and pin its digest
    SANDBOX = "make sandbox"
    REPIN = "repin sandbox"
    REFRESH = "refresh files"  # hosts, resolv.conf
    NETWORK = "configure network"
    CREATE = "create"
    START = "start"
    HOOK = "run hook"  # post_start, beside the program (C3.7)
    TUNE = "tune"  # limits, live
    REFILL = "refill files"  # of secrets and configs, live (C10)
    REACT = "react"  # to refilled files: a signal or a program
    STOP = "stop"
    KILL = "kill"
    DROP = "drop"  # what is left of an ended container, and its record
    RELEASE = "release network"
    REMOVE = "remove sandbox"
    FORGET = "forget"  # the pod's directory: its record goes last


class Impact(Enum):
    """What a step costs those who use the pod."""

    NONE = "none"
    LIVE = "live"
    CONTAINER_RESTART = "container_restart"
    POD_RESTART = "pod_restart"
    DATA = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do. `grace`: seconds from now to the kill, and `aim`: what for (`Stop.aim`), for STOP.

    `until` of a STOP: what its signal waits for (`Stop.until`); empty: it is sent. `aim` of a HOOK: post_start or
    pre_stop. MARK with a container takes back a stop that is not wanted any more; with `failed` it writes down that
    the pod has failed for good, and why. `change`: what a REACT answers.
    """

    action: Action
    why: str
    container: str = ""
    impact: Impact = Impact.NONE
    stage: int = 0
    grace: float = 0.0
    pid: int = 0  # for REPIN: a living process of the pod
    aim: str = ""
    until: str = ""
    failed: str = ""
    change: Change | None = None
    held: tuple[str, ...] | None = None  # for MARK: the claims to put on record; None: those of the spec too


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps to run now, and the boot time at which to look again though nothing happened."""

    steps: tuple[Step, ...] = ()
    wake_at: float | None = None
    waiting: str = ""  # why nothing is done although something is wanted
