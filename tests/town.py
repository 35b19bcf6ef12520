"""A LAN of several machines: a switch in a namespace, with a cable to the host and one to each machine plugged in."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.neighbour import Neighbour

PREFIX, PREFIX6 = "203.0.113", "2001:db8:2:"


@dataclass(frozen=True, slots=True)
class Town:
    """`parent` is the host's end of its cable, `name` the switch's namespace."""

    parent: str
    name: str
    notes: Path

    def machine(self, number: int) -> Neighbour:
        """Another machine, with the address PREFIX.number and PREFIX6:number on its `lan0`."""
        made = Neighbour(parent=self.parent, name=f"{self.name}-{number}", prefix=PREFIX)
        note(self.notes, "neighbours", made.name)
        inside = f"ip -n {made.name}"
        for command in (
            f"ip netns add {made.name}",
            f"ip -n {self.name} link add port{number} type veth peer name lan0 netns {made.name}",
            f"ip -n {self.name} link set port{number} master sw0 up",
            f"{inside} address add {PREFIX}.{number}/24 dev lan0",
            f"{inside} link set lo up",
            f"{inside} link set lan0 up",
            f"{inside} address add {PREFIX6}:{number}/64 dev lan0 nodad",
        ):
            run(command)
        return made

    def stop(self) -> None:
        """Cables first, so that nobody hears of the end of the others."""
        subprocess.run(["ip", "link", "delete", self.parent], check=False, capture_output=True)
        listed = run("ip netns list").splitlines()
        for name in [line.split()[0] for line in listed if line.startswith(self.name)]:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


@contextmanager
def town(notes: Path) -> Iterator[Town]:
    """The switch, and the host plugged in; all is noted below `notes` before it is made, for the sweep."""
    number = secrets.token_hex(3)
    made = Town(parent=f"tt{number}", name=f"tt-{number}", notes=notes)
    note(notes, "links", made.parent)
    note(notes, "neighbours", made.name)
    try:
        for command in (
            f"ip netns add {made.name}",
            f"ip -n {made.name} link add sw0 type bridge",
            f"ip -n {made.name} link set sw0 up",
            f"ip link add {made.parent} type veth peer name port0 netns {made.name}",
            f"ip -n {made.name} link set port0 master sw0 up",
            f"ip link set {made.parent} up",
        ):
            run(command)
        yield made
    finally:
        made.stop()


def note(notes: Path, file: str, line: str) -> None:
    """For the sweep after a run that was killed."""
    with (notes / file).open("a") as opened:
        opened.write(f"{line}\n")


def run(command: str) -> str:
    """What a program prints, that must succeed."""
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout
