"""Secrets and configs in memory for the tests of the faces: the real verbs, and a key that lies nowhere."""

from __future__ import annotations

from pathlib import Path

from tank.host import clock
from tank.node.input_verbs import InputVerbs
from tank.store.memory import MemoryStore
from tank.store.seal import KeyFile, Seal


class MemoryKey(KeyFile):
    """A key that lies nowhere."""

    def read(self) -> Seal | None:
        return Seal(b"k" * 32)


def in_memory() -> InputVerbs:
    return InputVerbs(MemoryStore(), MemoryKey(path=Path("/nowhere")), clock.now)
