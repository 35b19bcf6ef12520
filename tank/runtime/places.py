"""Where everything of a pod and of one attempt lies. Pure: paths from values.

The bundle directory is the mark of an attempt: it is made before anything else of it and removed last, so
whatever a crash leaves behind is found by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tank.config import Settings
from tank.host import files

_UID = re.compile(r"[0-9a-f]{12}")
MONITORS = "_monitor"  # no container can be called that


def is_uid(name: str) -> bool:
    """Whether a name has the form of a pod's uid."""
    return _UID.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt of one container."""

    settings: Settings
    uid: str
    container: str
    number: int

    @property
    def id(self) -> str:
        """Its name for the runtime and the monitor."""
        return f"{self.uid}.{self.container}.{self.number}"

    @property
    def bundle(self) -> Path:
        return self.settings.pod_run_dir(self.uid) / "containers" / self.container / str(self.number)

    @property
    def rootfs(self) -> Path:
        return self.bundle / "rootfs"

    @property
    def images(self) -> Path:
        """Where the images that are volumes are mounted."""
        return self.bundle / "images"

    @property
    def mounts(self) -> Path:
        """Where what it mounts of the pod's volumes is put for the runtime, by number."""
        return self.bundle / "mounts"

    @property
    def config(self) -> Path:
        return self.bundle / "config.json"

    @property
    def kept(self) -> Path:
        """What the driver has to know of it later."""
        return self.bundle / "kept.json"

    @property
    def sync(self) -> Path:
        """What the monitor says of the creation: `{"data": pid}`, or -1 and a message."""
        return self.bundle / "sync"

    @property
    def pidfile(self) -> Path:
        return self.bundle / "pidfile"

    @property
    def monitor_pidfile(self) -> Path:
        return self.bundle / "conmon.pid"

    @property
    def writable(self) -> Path:
        """The directory of upper and work: fresh for each attempt, thrown away with it (R36)."""
        return self.settings.pod_dir(self.uid) / "roots" / self.container / str(self.number)

    @property
    def message(self) -> Path:
        """Its termination message (C5): beside its writable layer, whose size counts it."""
        return self.writable / "message"

    @property
    def log(self) -> Path:
        return self.settings.pod_dir(self.uid) / "logs" / self.container / f"{self.number}.log"

    @property
    def exit(self) -> Path:
        return exits(self.settings) / self.id

    @property
    def state(self) -> Path:
        """crun's own directory for it."""
        return states(self.settings) / self.id

    @property
    def group(self) -> str:
        """Its control group, below the installation's."""
        return f"{self.uid}/{self.container}"

    @property
    def monitor_group(self) -> str:
        """The control group of its monitor, and of the runtime while it creates."""
        return f"{self.uid}/{MONITORS}/{self.container}.{self.number}"


def exits(settings: Settings) -> Path:
    """A small tmpfs of our own, so that no full disk loses an exit code (R06)."""
    return settings.run_dir / "exits"


def states(settings: Settings) -> Path:
    """crun's `--root`."""
    return settings.run_dir / "crun"


def scratch(settings: Settings) -> Path:
    """Private TMPDIR of what we spawn (S36)."""
    return settings.run_dir / "tmp"


def attempts(settings: Settings, uid: str) -> Iterator[Attempt]:
    """Every attempt of which the mark is there, oldest first for each container."""
    top = settings.pod_run_dir(uid) / "containers"
    for container in files.names(top):
        numbers = sorted(int(each) for each in files.names(top / container) if each.isdigit())
        for number in numbers:
            yield Attempt(settings=settings, uid=uid, container=container, number=number)
