"""History written on the thing itself: what lies under `<data_dir>/pods/<uid>/`, before each deed.

One `pod.json` and one `containers/<name>.json` each; every write is tmp, fsync, rename, fsync of the directory.
A record is the mark by which the next pass finds what a crash left behind. Written by `tank.node` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tank.model.pod import Container, Pod

KEPT_EXITS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why something cannot go on now, and when it is tried again. Back-off of its own, apart from crashes (C6)."""

    reason: str
    message: str
    failures: int
    retry_at: float  # boot time
    boot_id: str
    delay: float  # seconds: a reboot starts the wait again from its full length
    at: float = 0.0  # wall clock
    digest: str = ""  # of the container spec it was met with: a changed spec starts fresh
    action: str = ""  # the step that met it, as `Action` spells it; empty: of an earlier version


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How one attempt ended. `code` None: unknown, never a made-up 0 (R10)."""

    attempt: int
    code: int | None
    reason: str  # Completed, Error, OOMKilled, StartError, Unknown
    message: str = ""
    started_at: float | None = None  # wall clock
    finished_at: float  # wall clock
    ran: float = 0.0  # seconds between start and finish
    finished_boot: float  # boot time of `boot_id`
    boot_id: str
    oom_killed: bool = False
    child_oom_kills: int = 0
    stopped: bool = False  # it ended because Tank stopped it


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What probes and hooks have said of one attempt, written down when it changes (C2): a new daemon goes on from it.

    `started`: the startup probe succeeded, or there is none. `ready`: the ready probe's standing answer; without one,
    true. `failed`: why the container is to be killed (its startup or live probe, or its post_start hook failed), in
    words; empty: it is not. `grace`: seconds for that kill; None: the pod's. `hooked`: its post_start hook is done.
    `at`: when that was first seen, wall clock, for people.
    """

    started: bool = False
    ready: bool = False
    failed: str = ""
    grace: float | None = None
    hooked: bool = False
    at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A stop under way: the signal was asked for, and at `deadline` the kill follows (C3).

    `until` says what the signal waits for: "hook", its pre_stop hook; "turn", those that are stopped before it (C4),
    and until then it is no stop of its own; empty: nothing. `aim` says what for: the successor that was wanted, "drop"
    or "drain"; "withdrawn" once it was taken back. A stop for another successor counts as none. Empty: of an earlier
    version, and fits any.
    """

    deadline: float  # boot time
    boot_id: str
    grace: float
    signalled: bool = False
    aim: str = ""
    until: str = ""
    hooked: bool = False  # its pre_stop hook is over, done or failed (C3.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One incarnation, written before it is created. Numbers are single-use (R13)."""

    number: int
    boot_id: str
    spec: Container  # what it was made from
    digest: str  # of the part of the spec whose change needs a restart
    tuning: str  # of the part that can change live
    revision: int
    restarts: int = 0  # the restart counter it was made for
    pulls: int = 0  # and the pull counter
    image: str = ""  # manifest digest; empty for a rootfs
    created_at: float  # wall clock
    pid: int | None = None
    start_time: int | None = None  # of the pid, in clock ticks
    started_at: float | None = None  # wall clock
    started_boot: float | None = None
    stop: Stop | None = None
    health: Health = Health()
    sandbox: int = 0  # the number of the sandbox that it was made in (C4)
    inputs: Mapping[str, str] = field(default_factory=dict)  # what it was given: "secret/NAME" -> its version


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRecord:
    """A container over its attempts. `restart_count` never decreases (R11); `failures` is the crash curve's (C1)."""

    name: str
    attempt: Attempt | None = None
    last_number: int = 0
    restart_count: int = 0
    failures: int = 0
    failures_digest: str = ""  # the spec digest that `failures` was counted for
    cleared: int = 0  # the restart counter at which the back-off was last cleared
    exits: tuple[Exit, ...] = ()  # oldest first, at most KEPT_EXITS
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One address that a pod holds."""

    nic: str
    ip: str  # address/prefix
    mac: str
    source: str = ""  # where it comes from: a pool's name, "dhcp", "slaac"; empty: stated in the spec


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRecord:
    """The pod's mark: whose it is, what it was made from, what it holds.

    `held` are its claims in the words of `tank.plan.claims`: those of the spec, and those of an earlier one for as
    long as anything made from it may live. None: of an earlier version, it holds what its spec claims.
    """

    uid: str
    name: str
    installation: str
    revision: int
    spec: Pod
    sandbox_digest: str  # of the part of the spec whose change needs a new sandbox
    boot_id: str  # of the boot in which this was written
    created_at: float  # wall clock
    addresses: tuple[Address, ...] = ()
    network_ready: bool = False
    nics_digest: str = ""  # of the interfaces as they were last configured; empty: of an earlier version
    trouble: Trouble | None = None
    deleting: bool = False  # a deletion was seen: never to be imported as desired again
    pins: Mapping[str, str] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)
    pulls: Mapping[str, int] = field(default_factory=dict)
    held: tuple[str, ...] | None = None
    sandbox: int = 0  # how many sandboxes it has had: a new one runs every init container again (C4)
    active: float = 0.0  # seconds that it was active in earlier boots
    active_since: float | None = None  # boot time of `boot_id`; None: not active yet; not meant in another boot
    failed: str = ""  # DeadlineExceeded: it has failed for good, whatever its containers did
