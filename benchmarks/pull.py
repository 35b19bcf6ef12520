"""A pull from the registry on loopback to unpacked layers, against `podman pull` and a bare download.

An image can be used, and is on the disk a while later: Tank syncs it within seconds, Podman leaves that to the kernel.
Both moments are measured for both, Podman's with a sync after the pull.
Every pull has a fresh ext4 of its own, in a file: on one that is shared, what was deleted in the last minutes makes new
files several times slower, for whoever comes next. Docker's engine is measured where it is installed only as Podman is:
not at all, as its store cannot be moved to such a disk without touching the one that runs.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import large
from benchmarks.table import milliseconds, ratio, show
from benchmarks.world import podman, program, timed, world
from tank.config import Settings
from tank.image.pull import ImageStore

ROUNDS = 3
DISK = 8 * 2**30
_LOOK = 0.05  # seconds between two looks at the memory


def main() -> None:
    """Print medians and ratios of rounds in turn, and the most memory that a pull took."""
    ours, kept, bare, memory = list[float](), list[float](), list[float](), list[int]()
    theirs, synced = list[float](), list[float]()
    with world() as made:
        image = made.registry.push(large.layout(), "large:1")
        for number in range(ROUNDS):
            with disk(made.directory / f"tank{number}") as directory:
                usable: list[float] = []
                kept.append(timed(partial(pulled, image, directory, usable)))
                ours += usable
            with disk(made.directory / f"skopeo{number}") as directory:
                copy = ["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{image}"]
                bare.append(timed(program([*copy, f"oci:{directory}/copy"])))
            with disk(made.directory / f"podman{number}") as directory, podman(directory / "peer") as peer:
                if peer:
                    theirs.append(timed(partial(peer.pull, image)))
                    synced.append(theirs[-1] + timed(program(["sync", "-f", str(directory)])))
        with disk(made.directory / "memory") as directory:
            memory.append(most_memory(partial(pulled, image, directory, [])))
        size = sum(blob.stat().st_size for blob in (large.layout() / "blobs/sha256").iterdir())
    rows = [["until it can be used", "median", "ratio"], ["tank", milliseconds(ours), "1.00"]]
    rows.append(["skopeo copy (nothing unpacked)", milliseconds(bare), ratio(bare, ours)])
    if theirs:
        rows.append(["podman pull", milliseconds(theirs), ratio(theirs, ours)])
    rows += [["until it is on the disk", "", ""], ["tank", milliseconds(kept), "1.00"]]
    if theirs:
        rows.append(["podman pull, sync", milliseconds(synced), ratio(synced, kept)])
    show(f"pull of {size / 1e6:.0f} MB in {large.LAYERS} layers, {large.FILES} files, {ROUNDS} times", rows)
    print(f"  memory of the pull, unpackers and this benchmark included: {max(memory) / 1e6:.0f} MB")


@contextmanager
def disk(place: Path) -> Iterator[Path]:
    """A new ext4 at `place`, gone afterwards."""
    file = place.with_suffix(".ext4")
    with file.open("wb") as made:
        made.truncate(DISK)
    subprocess.run(["mkfs.ext4", "-q", "-E", "nodiscard", file], check=True)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", file, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)
        file.unlink()


def pulled(image: str, directory: Path, usable: list[float]) -> None:
    """One pull into an empty store, until it is on the disk; `usable` gets the seconds until it can be used."""

    async def pull() -> None:
        store = ImageStore(Settings(data_dir=directory / "data", run_dir=directory / "run"))
        began = time.perf_counter()
        try:
            await store.open()
            await store.resolve(image, "if_missing", None)
            usable.append(time.perf_counter() - began)
        finally:
            await store.close()

    asyncio.run(pull())


def most_memory(deed: Callable[[], object]) -> int:
    """Bytes that this process and its children have at most, shared pages counted once."""
    found, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK):
            found.append(sum(map(share, [os.getpid(), *children()])))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        deed()
    finally:
        ended.set()
        watcher.join()
    return max(found)


def children() -> list[int]:
    """The unpackers: programs of ours that this process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"tank.image.untar" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def share(pid: int) -> int:
    """Proportional set size in bytes; 0 of a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
