"""Docker's engine with directories of its own, taken out of its packages: nothing of it is installed or left."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import sweeping
from tests.waiting import wait_for

APART = ("unshare", "--mount")  # its mounts are nobody else's
LITTER = tuple(map(Path, ("/run/docker", "/etc/docker", "/etc/docker/key.json")))  # that no option moves elsewhere
GROUPS, GROUP = Path("/sys/fs/cgroup"), "tank-tests-docker"
ALONE = ("--bridge=none", "--iptables=false", "--ip-forward=false")  # it touches no network


@dataclass(frozen=True, slots=True)
class Docker:
    """A client of one engine."""

    directory: Path
    prefix: tuple[str, ...]

    def argv(self, *arguments: str) -> list[str]:
        """The command line."""
        return [*self.prefix, "docker", "--host", f"unix://{self.directory}/sock", *arguments]

    def run(self, *arguments: str) -> str:
        """Its output. Raises CalledProcessError."""
        return subprocess.run(self.argv(*arguments), capture_output=True, text=True, check=True).stdout

    def pull(self, image: str) -> None:
        """From the registry on loopback."""
        self.run("pull", "--quiet", image)


@contextmanager
def docker(directory: Path, prefix: tuple[str, ...] = APART, options: Sequence[str] = ALONE) -> Iterator[Docker | None]:
    """None where it cannot be had. `directory` is made; `prefix` begins a command where the engine is to live."""
    if shutil.which("dockerd") is None:
        yield None
        return
    directory.mkdir()
    made = Docker(directory, () if prefix == APART else prefix)
    places = ["--data-root", f"{directory}/root", "--exec-root", f"{directory}/exec", "--pidfile", f"{directory}/pid"]
    more = ["--storage-driver=overlay2", f"--cgroup-parent=/{GROUP}", *options]
    engine = [*prefix, "dockerd", "--host", f"unix://{directory}/sock", *places, *more]
    litter = [path for path in LITTER if not path.exists()]
    with (directory / "log").open("w") as log:
        running = subprocess.Popen(engine, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for(lambda: _answers(made) or running.poll() is not None, seconds=30, what="the engine")
        assert running.poll() is None, (directory / "log").read_text()
        yield made
    finally:
        running.terminate()
        running.wait()
        sweeping.unmount(directory)
        for path in litter:
            subprocess.run(["rm", "-rf", path], check=True)
        for group in (*GROUPS.glob(GROUP), *GROUPS.glob(f"*/{GROUP}")):
            group.rmdir()


def _answers(made: Docker) -> bool:
    return subprocess.run(made.argv("version"), capture_output=True, check=False).returncode == 0
