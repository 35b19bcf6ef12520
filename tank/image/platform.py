"""Which of an index's images suits this machine: operating system, architecture, variant.

The machine has a list of (architecture, variant) in order of preference; the first that the index offers wins. A
64-bit ARM also runs older ARM, amd64 also runs 386. An amd64 variant above v1 needs instructions that the CPU may
lack, and is never chosen. Pure: the machine's name comes in.
"""

from __future__ import annotations

from dataclasses import dataclass

_ARM = ("v8", "v7", "v6", "v5")
_MACHINES = {
    "x86_64": (("amd64", ""), ("386", "")),
    "i686": (("386", ""),),
    "aarch64": (("arm64", "v8"), *(("arm", variant) for variant in _ARM)),
    "armv8l": tuple(("arm", variant) for variant in _ARM),
    "armv7l": tuple(("arm", variant) for variant in _ARM[1:]),
    "armv6l": tuple(("arm", variant) for variant in _ARM[2:]),
    "ppc64le": (("ppc64le", ""),),
    "s390x": (("s390x", ""),),
    "riscv64": (("riscv64", ""),),
    "loongarch64": (("loong64", ""),),
}
_DEFAULT_VARIANTS = {"arm64": "v8", "arm": "v7"}
_SYNONYMS = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386"}


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image says it was built for. `os` and `architecture` are empty where it says nothing."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(each for each in (self.os, self.architecture, self.variant) if each)

    def normal(self) -> Platform:
        """One spelling for what means the same."""
        architecture = _SYNONYMS.get(self.architecture.lower(), self.architecture.lower())
        variant = self.variant.lower().removeprefix("v")
        variant = f"v{variant}" if variant else _DEFAULT_VARIANTS.get(architecture, "")
        if architecture == "amd64" and variant == "v1":
            variant = ""
        return Platform(self.os.lower(), architecture, variant)


def accepted(machine: str) -> tuple[Platform, ...]:
    """What a machine (`uname -m`) runs, best first."""
    known = _MACHINES.get(machine, ((machine, ""),))
    return tuple(Platform("linux", architecture, variant) for architecture, variant in known)


def rank(platform: Platform, wanted: tuple[Platform, ...]) -> int | None:
    """The place of `platform` in `wanted`, 0 the best; None when the machine cannot run it."""
    normal = platform.normal()
    return wanted.index(normal) if normal in wanted else None
