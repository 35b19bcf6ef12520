"""Another machine on the network, for tests of a whole daemon: one end of a cable here, the other in a namespace.

The host itself cannot reach a macvlan interface of its own, that is how the kernel makes them; so whether a pod can
be reached is always tried from the neighbour.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Neighbour:
    """`parent` is the host's interface, `name` the neighbour's namespace, `prefix` begins every address."""

    parent: str
    name: str
    prefix: str = "192.0.2"

    @property
    def address(self) -> str:
        """The neighbour's own."""
        return f"{self.prefix}.1"

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program as the neighbour."""
        command = ["ip", "netns", "exec", self.name, *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    def fetch(self, url: str) -> str | None:
        """What the neighbour gets by HTTP; None when nothing answers."""
        ask = f"import urllib.request as r; print(r.urlopen({url!r}, timeout=2).read().decode(), end='')"
        done = self.run(sys.executable, "-I", "-c", ask)
        return done.stdout if done.returncode == 0 else None


@contextmanager
def neighbour(notes: Path) -> Iterator[Neighbour]:
    """A cable and a neighbour; both are noted below `notes` before they are made, for the sweep."""
    number = secrets.token_hex(3)
    made = Neighbour(parent=f"tt{number}", name=f"tt-{number}")
    for file, line in (("links", made.parent), ("neighbours", made.name)):
        with (notes / file).open("a") as open_file:
            open_file.write(f"{line}\n")
    try:
        for command in commands(made):
            subprocess.run(command.split(), check=True, capture_output=True)
        yield made
    finally:
        subprocess.run(["ip", "link", "delete", made.parent], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "delete", made.name], check=False, capture_output=True)


def commands(made: Neighbour) -> list[str]:
    """What makes it."""
    inside = f"ip -n {made.name}"
    return [
        f"ip netns add {made.name}",
        f"ip link add {made.parent} type veth peer name lan0 netns {made.name}",
        f"ip link set {made.parent} up",
        f"{inside} address add {made.address}/24 dev lan0",
        f"{inside} link set lan0 up",
        f"{inside} link set lo up",
    ]
