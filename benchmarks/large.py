"""The image of the pull benchmark: three layers, 24,000 files, some 200 MB compressed, from this machine's own /usr."""

from __future__ import annotations

import io
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tests import images

FILES, LAYERS = 24_000, 3
COMPRESSED = 200_000_000  # bytes to come near to
_LARGEST = 2**22
_SOURCE = "/usr"


def layout() -> Path:
    """An OCI layout, kept in the cache of the tests; made once, by a process whose memory nobody measures."""
    target = images.CACHE / f"large-{FILES}"
    if not target.exists():
        subprocess.run([sys.executable, "-m", "benchmarks.large", str(target)], check=True)
    return target


def make(target: Path) -> None:
    """Whole or not at all."""
    building = images.CACHE / "large-building"
    shutil.rmtree(building, ignore_errors=True)
    layers = [packed(paths) for paths in shares()]
    images.layout(building, layers, {"Cmd": ["sh"], "Env": [images.PATH]})
    building.rename(target)


def shares() -> Sequence[Sequence[str]]:
    """The files of each layer: a sample that is the same whenever /usr is, topped up with its larger files."""
    chance = random.Random(1)
    found = sorted(files())
    small = chance.sample(found, min(FILES, len(found)))
    larger = sorted(set(found) - set(small), key=lambda each: -each[1])
    total = sum(size for _, size in small)
    for place in range(len(small)):  # compresses to some 36 %
        if total * 0.36 > COMPRESSED or not larger:
            break
        total += larger[0][1] - small[place][1]
        small[place] = larger.pop(0)
    names = [path for path, _ in small]
    return [sorted(names[each::LAYERS]) for each in range(LAYERS)]


def files() -> Sequence[tuple[str, int]]:
    """Every regular file of moderate size, with its size."""
    found = []
    for directory, _, names in os.walk(_SOURCE):
        for name in names:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            if stat.S_ISREG(info.st_mode) and info.st_size < _LARGEST:
                found.append((path, info.st_size))
    return found


def packed(paths: Sequence[str]) -> bytes:
    """A tar as a builder of images writes it: directories first, owners as numbers."""
    buffer = io.BytesIO()
    folders = sorted({parent for path in paths for parent in map(str, Path(path).parents) if parent != "/"})
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for each in folders:
            tar.add(each, each.lstrip("/"), recursive=False)
        for each in paths:
            member = tar.gettarinfo(each, each.lstrip("/"))
            member.type, member.size = tarfile.REGTYPE, os.path.getsize(each)  # a hard link is a file of its own here
            with open(each, "rb") as file:
                tar.addfile(member, file)
    return buffer.getvalue()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
