"""What every benchmark needs: an image in a registry, a daemon, and Podman with directories of its own.

The helpers of the system tests make them; here too everything is taken away at the end.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import images, leaks, registry, sweeping
from tests.conftest import note_installation
from tests.daemon import Daemon


@dataclass(frozen=True, slots=True)
class World:
    """`image` is a busybox in a registry, `directory` this run's own, `layout` the image's files."""

    directory: Path
    registry: registry.Registry
    daemon: Daemon
    image: str

    def pod(self, name: str, **fields: object) -> dict[str, object]:
        """A pod that sleeps until it is told to end."""
        app = {"name": "app", "image": self.image, "command": ["sleep", "100000"], "stop_signal": "KILL"}
        return {"name": name, "containers": [app], **fields}


@contextmanager
def world() -> Iterator[World]:
    """Everything started, and in the end everything gone."""
    sweeping.sweep()
    directory = sweeping.begin()
    os.environ[leaks.MARK] = directory.name
    with ExitStack() as stack:
        turn = stack.enter_context((sweeping.ROOT / "turn").open("a"))
        fcntl.flock(turn, fcntl.LOCK_EX)  # a system test would take our pods for its leaks
        stack.callback(sweeping.clear, directory)
        running = stack.enter_context(registry.plain(directory / "registry"))
        image = running.push(images.busybox(directory / "busybox"), "busybox:1")
        daemon = Daemon(directory / "d", note_installation(directory))
        daemon.directory.mkdir()
        daemon.start()
        stack.callback(daemon.end)
        stack.callback(daemon.delete_all)
        yield World(directory, running, daemon, image)


@dataclass(frozen=True, slots=True)
class Podman:
    """Podman on directories of its own, with the same runtime and the same kind of storage."""

    directory: Path
    prefix: tuple[str, ...] = ()

    def argv(self, *arguments: str) -> list[str]:
        """The command line."""
        where = ["--root", f"{self.directory}/root", "--runroot", f"{self.directory}/run", "--tmpdir"]
        how = ["--runtime", "crun", "--cgroup-manager", "cgroupfs", "--storage-driver", "overlay"]
        return [*self.prefix, "podman", *where, f"{self.directory}/tmp", *how, "--events-backend", "file", *arguments]

    @property
    def limits(self) -> list[str]:
        """Podman asks for more than a machine without CAP_SYS_RESOURCE may give; these are given anywhere."""
        return ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]

    def run(self, *arguments: str) -> str:
        """Its output. Raises CalledProcessError."""
        done = subprocess.run(self.argv(*arguments), capture_output=True, text=True, check=False)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
        return done.stdout

    def pull(self, image: str) -> None:
        """From the registry on loopback."""
        self.run("pull", "--quiet", "--tls-verify=false", image)


@contextmanager
def podman(directory: Path) -> Iterator[Podman | None]:
    """None where Podman is not installed; in the end its containers, images and mounts are gone."""
    if shutil.which("podman") is None:
        yield None
        return
    directory.mkdir()
    made = Podman(directory)
    try:
        yield made
    finally:
        for verb in (("rm", "--all", "--force", "--time", "0"), ("rmi", "--all", "--force")):
            subprocess.run(made.argv(*verb), capture_output=True, check=False)
        sweeping.unmount(directory)


@contextmanager
def isolated(peer: Podman) -> Iterator[Podman]:
    """The same Podman in a network namespace of its own, so that its bridge and rules vanish with it."""
    name = f"tt-{peer.directory.parent.name}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield Podman(peer.directory, ("nsenter", f"--net=/run/netns/{name}"))
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def timed(deed: Callable[[], object]) -> float:
    """Seconds that a deed takes."""
    begin = time.perf_counter()
    deed()
    return time.perf_counter() - begin


def program(argv: Sequence[str], env: dict[str, str] | None = None) -> Callable[[], object]:
    """Running a program with its output thrown away."""
    return lambda: subprocess.run(argv, env=env, capture_output=True, check=True)
