"""What the daemon costs when nothing happens, with 50 pods: memory, and processor time over some seconds."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.table import show
from benchmarks.world import world

PODS = 50
SECONDS = 20


def main() -> None:
    """Print resident and proportional memory, and the share of one core."""
    with world() as made:
        empty = memory(pid := running(made.daemon.process))
        client = made.daemon.client
        client.apply([made.pod(f"p{number}") for number in range(PODS)])
        for number in range(PODS):
            client.wait(f"p{number}", "running", timeout=120)
        time.sleep(2)  # let the starts' echoes pass
        before = processor(pid)
        time.sleep(SECONDS)
        used = processor(pid) - before
        full = memory(pid)
    rows = [
        ["the daemon", "empty", f"{PODS} pods"],
        ["resident (RSS)", f"{empty['Rss']:.1f} MB", f"{full['Rss']:.1f} MB"],
        ["proportional (PSS)", f"{empty['Pss']:.1f} MB", f"{full['Pss']:.1f} MB"],
        [f"one core, over {SECONDS} s", "", f"{100 * used / SECONDS:.2f} %"],
    ]
    show("idle", rows)


def running(process: object) -> int:
    """The pid of the daemon."""
    pid = getattr(process, "pid", None)
    assert isinstance(pid, int)
    return pid


def memory(pid: int) -> dict[str, float]:
    """Megabytes by kind."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(rest.split()[0]) / 1000 for name, _, rest in (line.partition(":") for line in lines)}


def processor(pid: int) -> float:
    """Seconds of processor time that the process has used."""
    row = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(row[11]) + int(row[12])) / os.sysconf("SC_CLK_TCK")
