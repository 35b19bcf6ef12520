"""A pull from the registry on loopback to unpacked layers, against `podman pull`, `docker pull` and a bare download.

An image can be used, and is on the disk a while later: Tank syncs it within seconds, the others leave that to the
kernel. Both moments are measured for all, the others' with a sync after the pull.
Every pull has a fresh ext4 of its own, in a file: on one that is shared, what was deleted in the last minutes makes new
files several times slower, for whoever comes next.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import large
from benchmarks.table import milliseconds, ratio, show
from benchmarks.world import podman, program, timed, world
from tank.config import Settings
from tank.image.pull import ImageStore
from tests.docker import docker

ROUNDS = 3
DISK = 8 * 2**30
_LOOK = 0.05  # seconds between two looks at the memory


def main() -> None:
    """Print medians and ratios of rounds in turn, and the most memory that a pull took."""
    usable, kept = dict[str, list[float]](), dict[str, list[float]]()
    with world() as made:
        image = made.registry.push(large.layout(), "large:1")
        for number in range(ROUNDS):
            for name, pull in PULLS.items():
                with disk(made.directory / f"{name.split()[0]}{number}") as directory:
                    for moment, found in zip(pull(image, directory), (usable, kept), strict=False):
                        found.setdefault(name, []).append(moment)
        with disk(made.directory / "memory") as directory:
            memory = most_memory(partial(tank, image, directory))
        size = sum(blob.stat().st_size for blob in (large.layout() / "blobs/sha256").iterdir())
    rows = [["until it can be used", "median", "ratio"], *compared(usable)]
    rows += [["until it is on the disk", "", ""], *compared(kept)]
    show(f"pull of {size / 1e6:.0f} MB in {large.LAYERS} layers, {large.FILES} files, {ROUNDS} times", rows)
    print(f"  memory of the pull, unpackers and this benchmark included: {memory / 1e6:.0f} MB")


def compared(found: Mapping[str, list[float]]) -> Iterator[list[str]]:
    """A row for each."""
    for name, seconds in found.items():
        yield [name, milliseconds(seconds), ratio(seconds, found["tank"])]


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


def tank(image: str, directory: Path) -> Sequence[float]:
    """One pull into an empty store: seconds until the image can be used, and until it is on the disk."""

    async def pull() -> float:
        store = ImageStore(Settings(data_dir=directory / "data", run_dir=directory / "run"))
        try:
            await store.open()
            await store.resolve(image, "if_missing", None)
            return time.perf_counter() - began
        finally:
            await store.close()

    began = time.perf_counter()
    usable = asyncio.run(pull())
    return usable, time.perf_counter() - began


def skopeo(image: str, directory: Path) -> Sequence[float]:
    """Nothing is unpacked: how fast the bytes come."""
    copy = ["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{image}"]
    return (timed(program([*copy, f"oci:{directory}/copy"])),)


def by_podman(image: str, directory: Path) -> Sequence[float]:
    """The same, where it is installed."""
    with podman(directory / "peer") as peer:
        return and_synced(partial(peer.pull, image), directory) if peer else ()


def by_docker(image: str, directory: Path) -> Sequence[float]:
    """The same, where its engine can be had."""
    with docker(directory / "peer") as peer:
        return and_synced(partial(peer.pull, image), directory) if peer else ()


def and_synced(deed: Callable[[], object], directory: Path) -> Sequence[float]:
    """Seconds until it is done, and until its disk is synced."""
    done = timed(deed)
    return done, done + timed(program(["sync", "-f", str(directory)]))


PULLS: Mapping[str, Callable[[str, Path], Sequence[float]]] = {
    "tank": tank,
    "skopeo copy (nothing unpacked)": skopeo,
    "podman pull": by_podman,
    "docker pull": by_docker,
}


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
