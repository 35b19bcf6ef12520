"""What a user states: the pod and all it contains, as frozen values in canonical form.

These classes are the canonical long form of `docs/reference/spec.md`; shorthands, defaults that depend on
other fields, units and suggestions are the work of `tank.model.parse`. Sizes are bytes, durations seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tank.model.health import Hooks, Probes
from tank.model.inputs import ConfigFiles, EnvFrom, EnvSource, SecretFiles
from tank.model.network import Network as Network
from tank.model.network import Nic as Nic
from tank.model.network import Route as Route
from tank.model.value import Many, Value

RestartPolicy = Literal["always", "on_failure", "never"]
PullPolicy = Literal["always", "if_missing", "never", "prefer_fresh"]
Propagation = Literal["private", "slave", "shared"]


class Backoff(Value):
    """The restart curve (C1), in seconds. The first restart is immediate, then `initial`, `× factor`, up to `max`."""

    initial: float = 10.0
    factor: float = 2.0
    max: float = 300.0
    reset_after: float = 600.0


class Cpu(Value):
    """A CPU limit: `quota` µs of CPU time in each `period` µs (C14)."""

    quota: int
    period: int = 100_000


class Limits(Value):
    """What a container may use; None is unlimited. All of them change on a running container."""

    memory: int | None = None
    memory_high: int | None = None
    memory_low: int | None = None
    swap: int | None = None  # bytes of swap beside `memory`; None: none where memory is limited
    pids: int | None = None
    cpu: Cpu | None = None
    cpu_weight: int | None = None  # 1-10000, 100 is the kernel's default
    cpuset: str | None = None  # "0-3,8"
    io_weight: int | None = None  # 1-10000


class Security(Value):
    """Privileges. The defaults are the least that ordinary images need."""

    privileged: bool = False
    cap_add: Many[str] = ()  # canonical: CAP_NET_ADMIN, or ALL
    cap_drop: Many[str] = ()
    seccomp: str = "default"  # or unconfined, or the absolute path of a profile
    no_new_privileges: bool = True
    read_only_root: bool = False
    non_root: bool = False  # user 0 is refused, whoever asked for it: the spec or the image (C9)
    unmask: Many[str] = ()  # paths taken off the masked and read-only lists, or ALL


class Mount(Value):
    """The volume `volume` of the pod, or its part `sub_path`, at `path` in the container (C10).

    `propagation`: private, slave (mounts of the host appear), shared (both ways, privileged containers only).
    `allow` takes back the `nosuid` or `nodev` that data volumes are mounted with.
    """

    volume: str
    path: str
    read_only: bool = False
    sub_path: str | None = None
    propagation: Propagation = "private"
    allow: Many[Literal["suid", "dev"]] = ()


class EnvVar(Value):
    """One variable; `$(NAME)` in `value` expands by C7. Either `value` or `source` (written `from`) is set."""

    name: str
    value: str | None = None
    source: EnvSource | None = None


class Rootfs(Value):
    """A directory of the host used as the image, never written to."""

    rootfs: str


class Device(Value):
    """A device node of the host, or a CDI device (`name`: vendor.com/class=device). `access` of r, w and m."""

    path: str | None = None  # on the host
    target: str | None = None  # in the container; None: the same
    access: str = "rwm"
    name: str | None = None


class Container(Value):
    """One program of the pod with its root, limits and privileges."""

    name: str
    image: str | Rootfs  # as the user wrote it
    pull: PullPolicy = "if_missing"  # the parser writes C6's default at creation
    command: Many[str] = ()
    args: Many[str] = ()
    env: Many[EnvVar] = ()
    env_from: Many[EnvFrom] = ()
    working_dir: str | None = None
    user: str | None = None
    groups: Many[int] = ()
    mounts: Many[Mount] = ()
    limits: Limits = Limits()
    restart: RestartPolicy | None = None  # None: the pod's; "always" in `init`: a sidecar (C4)
    probes: Probes = Probes()
    hooks: Hooks = Hooks()
    tty: bool = False
    stdin: bool = False
    stop_signal: str | None = None  # canonical: SIGTERM; None: the image's, else SIGTERM
    reaper: bool = False
    security: Security = Security()
    ulimits: dict[str, tuple[int, int]] = Field(default_factory=dict)  # name -> (soft, hard)
    size: int | None = None  # of its writable layer, bytes; None: as the disk has
    devices: Many[Device] = ()
    termination_message: str = "/dev/termination-log"  # C5
    oom: Literal["group", "single"] = "group"  # who is killed when its memory is used up (C5)


class Managed(Value):
    """A directory of Tank's own, keyed by the volume's name alone; outlives pods."""

    type: Literal["managed"] = "managed"
    shared: bool = False


class HostPath(Value):
    """An existing path of the host (C10); created only where `kind` says so."""

    type: Literal["host"] = "host"
    path: str
    kind: Literal["directory", "file", "socket", "directory_or_create", "file_or_create"] | None = None


class Tmpfs(Value):
    """Memory, gone with the pod. `size` in bytes; None: half of the machine's memory."""

    type: Literal["tmpfs"] = "tmpfs"
    size: int | None = None


class Empty(Value):
    """A directory that lives as long as the pod."""

    type: Literal["empty"] = "empty"


class ImageVolume(Value):
    """The files of an image, never written to. `image` as the user wrote it."""

    type: Literal["image"] = "image"
    image: str
    pull: PullPolicy = "if_missing"  # the parser writes C6's default at creation


Source = Annotated[
    Managed | HostPath | Tmpfs | Empty | ImageVolume | SecretFiles | ConfigFiles, Field(discriminator="type")
]


class Volume(Value):
    """Storage that containers mount by name. `owner`, `group`, `mode` apply when a managed or empty one is made."""

    name: str
    source: Source = Managed()
    owner: int | None = None
    group: int | None = None
    mode: str | None = None  # octal digits, "0750"


class Pod(Value):
    """Containers that run together in one sandbox: one network, IPC, host name, life."""

    name: str
    containers: Many[Container]
    init: Many[Container] = ()  # run first, in order; those with restart "always" are sidecars (C4)
    network: Literal["none", "host"] | Network = "none"
    volumes: Many[Volume] = ()
    restart: RestartPolicy = "always"
    backoff: Backoff = Backoff()
    grace: float = 30.0
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    hostname: str | None = None  # None: the pod's name
    hosts: dict[str, str] = Field(default_factory=dict)  # name -> address
    deadline: float | None = None  # seconds that it may be active
    share_pid: bool = False
    users: Literal["host", "auto"] = "host"
    sysctls: dict[str, str] = Field(default_factory=dict)

    @property
    def everyone(self) -> tuple[Container, ...]:
        """Every container: those of `init` first, each group in the spec's order."""
        return self.init + self.containers

    def container(self, name: str) -> Container | None:
        """The container called `name`, also one of `init`."""
        return next((each for each in self.everyone if each.name == name), None)

    def is_init(self, name: str) -> bool:
        """Whether `name` is one of `init`, sidecars included."""
        return any(each.name == name for each in self.init)

    def is_sidecar(self, name: str) -> bool:
        """Whether `name` is one of `init` that goes on running beside the containers (C4)."""
        return any(each.name == name and each.restart == "always" for each in self.init)

    def volume(self, name: str) -> Volume | None:
        """The volume called `name`."""
        return next((each for each in self.volumes if each.name == name), None)

    def restart_of(self, container: Container) -> RestartPolicy:
        """The policy that holds for `container`."""
        return container.restart or self.restart
