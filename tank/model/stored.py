"""A secret or config as the store holds it: its versions without their values, and what people are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class InputVersion:
    """One content that a secret or config has or had.

    `version` is made from the content: the same keys and values are the same version. `sizes`: bytes by key.
    `sealed`: the mark of the key that its values are encrypted with; empty: they are not.
    """

    version: str
    sizes: Mapping[str, int]
    at: float  # wall clock, seconds
    sealed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInput:
    """A secret or config. `key`: secret/NAME or config/NAME.

    `version`: the present one; empty: it was deleted, and what is left are versions that a pod is held at, or may be
    rolled back to.
    """

    key: str
    version: str
    versions: Mapping[str, InputVersion]
    created_at: float  # wall clock, seconds

    @property
    def present(self) -> InputVersion | None:
        """What it holds now; None when it was deleted."""
        return self.versions.get(self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputStatus:
    """A secret or config as people see it. `keys`: bytes by key. `data`: the values, of a config alone.

    `used_by`: the declared pods that name it; `held_by`: those of them that a rollback holds at an earlier version.
    """

    name: str
    version: str = ""
    keys: Mapping[str, int] = field(default_factory=dict)
    created_at: float | str = ""
    at: float | str = ""
    used_by: tuple[str, ...] = ()
    held_by: tuple[str, ...] = ()
    data: Mapping[str, bytes] | None = None
