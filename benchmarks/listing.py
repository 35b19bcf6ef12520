"""`tank list` against `podman ps`, each with as many containers; the start of the program is what one feels."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.table import milliseconds, ratio, show
from benchmarks.world import podman, program, timed, world

PODS = 50
ROUNDS = 20


def main() -> None:
    """Print medians and their ratio."""
    with world() as made, podman(made.directory / "podman") as peer:
        client = made.daemon.client
        client.apply([made.pod(f"p{number}") for number in range(PODS)])
        for number in range(PODS):
            client.wait(f"p{number}", "running", timeout=120)
        tank = str(Path(sys.executable).with_name("tank"))
        ours = [timed(program([tank, "list"], made.daemon.environment)) for _ in range(ROUNDS)]
        bare = [timed(program([sys.executable, "-I", "-c", "pass"])) for _ in range(ROUNDS)]
        rows = [["", "median", "ratio"], ["python -c pass", milliseconds(bare), ratio(bare, ours)]]
        rows.append([f"tank list, {PODS} pods", milliseconds(ours), "1.00"])
        if peer:
            peer.pull(made.image)
            for _ in range(PODS):
                peer.run("run", "-d", *peer.limits, "--network", "none", made.image, "sleep", "100000")
            theirs = [timed(program(peer.argv("ps"))) for _ in range(ROUNDS)]
            rows.append([f"podman ps, {PODS} containers", milliseconds(theirs), ratio(theirs, ours)])
    show(f"listing, {ROUNDS} times", rows)
