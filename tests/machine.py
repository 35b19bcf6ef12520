"""Another host, made of namespaces of network and mounts: what happens to its links and rules, happens to nobody else.

It lives as long as one process. A cable leads to a machine on its LAN.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import wait_for

ADDRESS, OTHER = "198.51.100.1", "198.51.100.2"
# /sys shows the links of the namespace that it was mounted in; the control groups stay those of all.
BEGIN = """
set -e
mount -t sysfs sysfs "$1"
mount --rbind /sys/fs/cgroup "$1/fs/cgroup"
mount --rbind "$1" /sys
ip link set lo up
ip link add up0 type veth peer name lan0
ip address add {address}/24 dev up0
ip link set up0 up
echo ready
exec sleep infinity
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """`within` and `far`: what a command begins with to be run on it, or on the machine that is on its LAN."""

    within: tuple[str, ...]
    far: tuple[str, ...]

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A program on it."""
        return subprocess.run([*self.within, *argv], capture_output=True, text=True, check=False, timeout=100)


@contextmanager
def machine(directory: Path) -> Iterator[Machine]:
    """`directory` is an empty one. In the end all that lives there must have ended."""
    script = BEGIN.format(address=ADDRESS)
    command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as here:
        try:
            assert here.stdout is not None
            assert here.stdout.readline() == "ready\n"
            enter = ("nsenter", "--target", str(here.pid), "--net")
            with subprocess.Popen([*enter, "unshare", "--net", "sleep", "infinity"]) as there:
                try:
                    far = ("nsenter", "--target", str(there.pid), "--net")
                    wait_for(lambda: apart(here.pid, there.pid), what="the other machine")
                    connect(enter, far, there.pid)
                    yield Machine((*enter, "--mount"), far)
                finally:
                    there.kill()
        finally:
            here.kill()


def apart(one: int, other: int) -> bool:
    """Whether two processes have namespaces of their own by now."""
    names = {Path(f"/proc/{each}/ns/net").readlink() for each in (one, other)}
    return len(names) == 2 and Path(f"/proc/{other}/comm").read_text() == "sleep\n"


def connect(here: tuple[str, ...], there: tuple[str, ...], pid: int) -> None:
    """Hand the cable's end over."""
    for argv in (
        [*here, "ip", "link", "set", "lan0", "netns", str(pid)],
        [*there, "ip", "address", "add", f"{OTHER}/24", "dev", "lan0"],
        [*there, "ip", "link", "set", "lan0", "up"],
        [*there, "ip", "link", "set", "lo", "up"],
        [*there, "ip", "route", "add", "default", "via", ADDRESS],
    ):
        subprocess.run(argv, check=True, capture_output=True)
