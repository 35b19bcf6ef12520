"""The words of a test about Tank in the virtual machine: what a person would type there, and what is asked about it."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.vm.machine import Done, Machine

PODS_GROUP = "/sys/fs/cgroup/system.slice/tank-pods.service"


@dataclass(frozen=True, slots=True)
class Guest:
    """A machine that runs."""

    machine: Machine

    def sh(self, script: str, seconds: float = 300.0) -> str:
        """The output of a script that must succeed."""
        done = self.try_sh(script, seconds)
        assert done.code == 0, f"{script}: ended with {done.code}\n{done.out[-3000:]}{done.err[-3000:]}"
        return done.out

    def try_sh(self, script: str, seconds: float = 300.0) -> Done:
        """Run a script that may fail."""
        return self.machine.run(script, seconds)

    def json(self, command: str) -> Any:
        """What `tank COMMAND -o json` says."""
        return json.loads(self.sh(f"tank {command} -o json"))

    def apply(self, spec: Mapping[str, Any], *options: str) -> Done:
        """Give a spec to `tank apply`."""
        text = shlex.quote(json.dumps(spec))
        return self.try_sh(f"printf %s {text} | tank apply {' '.join(options)} -f -")

    def container(self, pod: str) -> dict[str, Any]:
        """The status of a pod's first container."""
        return dict(self.json(f"status {pod}")["containers"][0])

    def pids(self) -> dict[str, int]:
        """The pid of every container that runs, by `pod/container`."""
        return {
            f"{pod['name']}/{each['name']}": each["pid"]
            for pod in self.json("list")
            for each in pod["containers"]
            if each["pid"]
        }

    def events(self) -> list[str]:
        """Every event so far, a line each."""
        return self.sh("tank events -o json").splitlines()

    def group(self, pod: str, container: str, file: str) -> str:
        """A file of a container's control group."""
        uid = self.json(f"status {pod}")["uid"]
        return self.sh(f"cat {PODS_GROUP}/{uid}/{container}/{file}").strip()

    def counters(self, pod: str, container: str, file: str) -> dict[str, int]:
        """The same, of `name number` lines."""
        lines = (line.split() for line in self.group(pod, container, file).splitlines())
        return {name: int(value) for name, value in lines}

    def until(self, what: str, true: Callable[[], Any], seconds: float = 120.0) -> Any:
        """Ask again until it is so."""
        deadline = time.monotonic() + seconds
        while not (found := true()):
            assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
            time.sleep(0.2)
        return found
