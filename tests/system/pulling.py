"""One pull in a process of its own, to be killed in the middle: `python pulling.py DATA REFERENCE`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tank.config import Settings
from tank.image.pull import ImageStore


async def main(data: Path, reference: str) -> None:
    """Pull, and say so."""
    store = ImageStore(Settings(data_dir=data), environment={"HOME": "/nonexistent"})
    await store.open()
    print("begun", flush=True)
    await store.resolve(reference, "always", None)
    print("done", flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
