"""What was observed on this machine, as frozen values that the planner reads.

Times are seconds. `boot` times are CLOCK_BOOTTIME of the boot `boot_id`; `wall` times are for people only and
decide nothing (C1, R58).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from tank.model.record import ContainerRecord, Health, PodRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The moment of a pass, read once by its caller."""

    boot: float
    boot_id: str
    wall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeFact:
    """What the kernel and conmon's files say of one attempt of a container.

    `pid` and `start_time` (clock ticks since boot) identify its first process. `started` is false while it is
    parked before its first instruction. `exit_code` is None while there is no readable exit file; `exited` is
    true when there is one, so `exited and exit_code is None` means an unreadable file: the code is unknown.
    `exit_wall` is the exit file's mtime.
    """

    attempt: int
    pid: int | None = None
    start_time: int | None = None
    alive: bool = False
    started: bool = False
    monitored: bool = False
    exited: bool = False
    exit_code: int | None = None
    exit_wall: float | None = None
    oom_kills: int | None = None  # counter of the container's own cgroup since it was made
    oom_cause: str = ""  # once it has ended: whose memory was used up when the kernel killed in it, in words (C5)
    populated: bool = False  # some process still lives in its cgroup
    error: str = ""  # what the runtime said when create failed
    message: str = ""  # its termination message, once it has ended (C5)
    actual: Mapping[str, int | str] = field(default_factory=dict)  # the limits in force, by the spec's names (C12)


class ImageState(Enum):
    """Whether the image of a container is here."""

    ABSENT = "absent"
    PULLING = "pulling"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFact:
    """An image that the spec asks for, now. `digest` is set when READY, which it is not while the rules of trust
    refuse it; `trust` is what they say of the image that runs, else of the one that is to run."""

    state: ImageState
    digest: str | None = None
    trust: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A secret or config that the spec names. `version` empty: there is none. `keys`: what it holds."""

    version: str = ""
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFact:
    """One container: its durable record and what lives of it. `runtime` None: nothing of its attempt is left.

    `health`: what probes and hooks say by now; None: nothing new. `hooking`: its post_start or pre_stop hook is
    under way. `hooked`: its pre_stop hook is over.
    """

    record: ContainerRecord
    runtime: RuntimeFact | None = None
    health: Health | None = None
    hooking: bool = False
    hooked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFact:
    """The pod's namespaces, mounts and network.

    `pins` maps each wanted pin (net, ipc, uts, shm, etc) to whether it stands. `drift` lists, in words, what
    of the network differs from the record: links, addresses, routes. `network_ready` is true once every
    interface was configured in this sandbox. `repairs`: what others changed is put right (`[net] repair`).
    """

    pins: Mapping[str, bool] = field(default_factory=dict)
    network_ready: bool = False
    drift: tuple[str, ...] = ()
    repairs: bool = True

    @property
    def whole(self) -> bool:
        """Every pin stands."""
        return all(self.pins.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """All that is known of one pod uid on this machine.

    `record` None: it is new, or what is left of it has lost its record; then `marked` says that something is left.
    """

    uid: str
    record: PodRecord | None = None
    sandbox: SandboxFact | None = None
    containers: Mapping[str, ContainerFact] = field(default_factory=dict)
    images: Mapping[str, ImageFact] = field(default_factory=dict)
    marked: bool = False
    blocked: str = ""  # which other pod has to end first: an address or a volume is never held twice
    entangled: bool = False  # and that one waits, in turn, for this one
    inputs: Mapping[str, Input] = field(default_factory=dict)  # every secret and config of the spec, by "secret/NAME"
