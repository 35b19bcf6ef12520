"""A real image from the registry on loopback to unpacked layers: against `podman pull` and a bare download."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path

from benchmarks.table import milliseconds, ratio, show
from benchmarks.world import podman, program, timed, world
from tank.config import Settings
from tank.image.pull import ImageStore
from tests import images

ROUNDS = 3


def main() -> None:
    """Print medians and ratios. Every round has directories of its own: deleting first would slow the file system."""
    with world() as made:
        image = made.registry.push(images.debian(), "debian:1")
        ours = [timed(partial(pulled, image, made.directory / f"pull{number}")) for number in range(ROUNDS)]
        copies = [made.directory / f"copy{number}" for number in range(ROUNDS)]
        options = ["--quiet", "--src-tls-verify=false"]
        bare = [timed(program(["skopeo", "copy", *options, f"docker://{image}", f"oci:{each}"])) for each in copies]
        theirs = []
        for number in range(ROUNDS):
            with podman(made.directory / f"podman{number}") as peer:
                if peer:
                    theirs.append(timed(partial(peer.pull, image)))
        rows = [["", "median", "ratio"], ["tank", milliseconds(ours), "1.00"]]
        rows.append(["skopeo copy (nothing unpacked)", milliseconds(bare), ratio(bare, ours)])
        if theirs:
            rows.append(["podman pull", milliseconds(theirs), ratio(theirs, ours)])
        size = sum(blob.stat().st_size for blob in (images.debian() / "blobs/sha256").iterdir())
    show(f"pull of {size / 1e6:.0f} MB in two layers, {ROUNDS} times", rows)


def pulled(image: str, directory: Path) -> None:
    """One pull into an empty store."""

    async def pull() -> None:
        store = ImageStore(Settings(data_dir=directory, run_dir=directory / "run"))
        try:
            await store.open()
            await store.resolve(image, "if_missing", None)
        finally:
            await store.close()

    shutil.rmtree(directory, ignore_errors=True)
    (directory / "run").mkdir(parents=True)
    asyncio.run(pull())
