"""A whole daemon with directories and an installation of its own, to be killed and started at will."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tank
from tank.errors import NotFound, TankError
from tests.waiting import wait_for

ROOT = Path(__file__).parents[1]


@dataclass(slots=True)
class Daemon:
    """`directory` holds data, run, the configuration and the daemon's own log. `extra` adds to its environment.

    `within`: what a command begins with to be run where this daemon lives, on another machine made of namespaces.
    """

    directory: Path
    installation: str
    config: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    within: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The durable directory."""
        return self.directory / "data"

    @property
    def run(self) -> Path:
        """The volatile directory."""
        return self.directory / "run"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"unix://{self.run}/tank.sock"

    @property
    def client(self) -> tank.Client:
        """A client of it."""
        return tank.Client(self.url)

    @property
    def log(self) -> str:
        """What the daemon has said so far."""
        return (self.directory / "log").read_text(errors="replace")

    @property
    def environment(self) -> dict[str, str]:
        """For the daemon and for its clients."""
        own = {"TANK_CONFIG": str(self.directory / "tank.toml"), "TANK_HOST": self.url}
        own |= {"TANK_DATA_DIR": str(self.data), "TANK_RUN_DIR": str(self.run)}
        return {**os.environ, **own, **self.extra}

    def start(self, seconds: float = 20) -> None:
        """Start it and wait until it answers."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.data / "installation").write_text(self.installation)
        (self.directory / "tank.toml").write_text(self.config)
        command = [*self.within, sys.executable, "-m", "tank", "serve"]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_for(self._answers, seconds, "the daemon's first answer")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}: {self.log[-2000:]}"
        try:
            return bool(self.client.info())
        except TankError:
            return False

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal and wait; answers with its exit code. Not running already is fine."""
        if self.process is None:
            return 0
        self.process.send_signal(how)
        code = self.process.wait(timeout=60)
        self.process = None
        return code

    def kill(self) -> None:
        """SIGKILL."""
        self.end(signal.SIGKILL)

    def tank(self, *argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run the command line against it."""
        command = [*self.within, sys.executable, "-m", "tank", *argv]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, input=stdin, capture_output=True, check=False, timeout=100
        )

    def json(self, *argv: str) -> Any:
        """What the command line answers with `-o json`. The command must succeed."""
        done = self.tank(*argv, "-o", "json")
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def delete_all(self) -> None:
        """Every pod gone, without grace."""
        names = [status.name for status in self.client.list()]
        for name in names:
            with contextlib.suppress(NotFound):  # one that was on its way out
                self.client.delete(name, grace=0)
        for name in names:
            try:
                self.client.wait(name, "gone", timeout=60)
            except NotFound:
                continue

    def leftovers(self) -> Sequence[str]:
        """What of pods is still in its directories, when there are none any more."""
        places = [self.data / "pods", self.run / "pods", self.run / "crun", self.run / "exits"]
        return sorted(str(left) for place in places if place.is_dir() for left in place.iterdir())
