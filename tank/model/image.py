"""What an image says of itself, reduced to what a container needs, and where its layers lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The run-time part of an OCI image configuration. `env` keeps the image's order: (name, value)."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    working_dir: str = ""
    user: str = ""
    stop_signal: str = ""
    labels: tuple[tuple[str, str], ...] = ()  # data only, never an instruction (S12)
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A whole, unpacked image. `digest` is the platform manifest's; `layers` are directories, lowest first."""

    digest: str
    config: ImageConfig = field(default_factory=ImageConfig)
    layers: tuple[Path, ...] = ()
    size: int = 0  # compressed bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the rules of trust say of an image, in words too. `reason` of C5: when it is not admitted."""

    admitted: bool
    text: str = ""
    reason: str = ""
