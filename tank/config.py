"""The settings of one daemon, as frozen values, and the paths that follow from them.

Flags win over the environment, the environment over the file. A key that is unknown, or known and not built
yet, is refused with its path; all faults are reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tank.errors import InvalidSpec, Problem
from tank.model import addresses, pool_fields, registry_fields, toml_text, trust
from tank.model.container_fields import PATH
from tank.model.document import Malformed, decoded
from tank.model.faults import Faults, Refused, Spot, quoted
from tank.model.grammar import Field, ListOf, Record, choice, text, whole, wrong_type
from tank.model.network_fields import MAX_NAMESERVERS
from tank.model.plain import Plain
from tank.model.pools import Naming, Pool
from tank.model.quantities import duration, size
from tank.model.registry_fields import Registry
from tank.model.words import absolute_path

CONFIG = Path("/etc/tank/tank.toml")
HIGH, LOW = 85, 80  # per cent of the file system (C6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Sizes are bytes, durations seconds."""

    data_dir: Path = Path("/var/lib/tank")
    run_dir: Path = Path("/run/tank")
    seeds_dir: Path = Path("/etc/tank/pods.d")
    group: str = "tank"
    uplink: str | None = None
    users_base: int = 0x70000000  # of the host's ids, the first that is given to pods with `users: auto`
    dns: tuple[str, ...] | None = None
    default_grace: float | None = None
    default_users: Literal["host", "auto"] | None = None
    log_max_size: int = 10 * 2**20
    log_max_files: int = 5
    registries: dict[str, Registry] = field(default_factory=dict)
    trust: tuple[trust.Trust, ...] = ()  # the first that fits decides; what fits none is accepted
    image_high: int = HIGH  # per cent of the file system at which unused images begin to go
    image_low: int = LOW  # and at which they stop going
    image_reserve: int = 2**30  # bytes that pulls leave free
    secret_key: Path | None = None  # the file that encrypts secrets; None: systemd's credential, else Tank's own
    seeds: tuple[dict[str, object], ...] = ()  # `[[pods]]` as written
    pools: tuple[Pool, ...] = ()  # of addresses; a bridge pool `default` always exists beside them
    naming: Naming = field(default_factory=Naming)
    repair: bool = True  # of networks; else what differs is only reported
    shim: bool = True  # whether the host and pods on the LAN reach each other

    @property
    def socket(self) -> Path:
        return self.run_dir / "tank.sock"

    @property
    def store(self) -> Path:
        return self.data_dir / "store.db"

    def pod_dir(self, uid: str) -> Path:
        """Durable: record, logs, writable layers, empty volumes."""
        return self.data_dir / "pods" / uid

    def pod_run_dir(self, uid: str) -> Path:
        """Volatile: pinned namespaces, bundles, /etc files, shm."""
        return self.run_dir / "pods" / uid


def load(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    data_dir: Path | None = None,
    run_dir: Path | None = None,
    seeds_dir: Path | None = None,
    default: Path = CONFIG,
) -> Settings:
    """The settings of a daemon started with these flags. Raises InvalidSpec with all faults.

    `path`, else TANK_CONFIG, must be readable; the `default` file may be missing. Boot seeds lie in `pods.d` beside
    the configuration, so that two daemons with two configurations never share them.
    """
    named = path or (Path(environ["TANK_CONFIG"]) if environ.get("TANK_CONFIG") else None)
    file = named or default
    written = _from_file(file, optional=named is None)
    chosen: dict[str, Any] = {"seeds_dir": seeds_dir or file.absolute().parent / "pods.d"}
    for key, flag in (("data_dir", data_dir), ("run_dir", run_dir)):
        variable = f"TANK_{key.upper()}"
        if stated := flag or _path_of(variable, environ.get(variable, "")):
            chosen[key] = stated
    return Settings(**{**written, **chosen})


def _path_of(variable: str, value: str) -> Path | None:
    """A path from the environment; an empty variable is none at all."""
    try:
        return Path(absolute_path(value)) if value else None
    except Refused as refused:
        raise InvalidSpec([Problem(variable, refused.message, refused.suggestion)]) from refused


def _from_file(file: Path, *, optional: bool) -> dict[str, Any]:
    try:
        raw = file.read_bytes()
    except FileNotFoundError as error:
        if optional:
            return {}
        raise InvalidSpec([Problem("", "there is no such file", source=str(file))]) from error
    except OSError as error:
        raise InvalidSpec([Problem("", f"cannot be read: {error.strerror}", source=str(file))]) from error
    return read_settings(raw, str(file))


def read_settings(raw: bytes | str, source: str = "") -> dict[str, Any]:
    """The fields of `Settings` that a `tank.toml` states. Raises InvalidSpec with all faults."""
    try:
        (tree,) = toml_text.read_toml(decoded(raw))
    except Malformed as error:
        raise error.as_invalid_spec(source) from error
    faults = Faults(source)
    spot = Spot(faults)
    draft = SETTINGS.read(Plain().read(tree.value, spot), spot)
    found = _fields(draft, spot)
    faults.check()
    return found


def _fields(draft: Mapping[str, Any], spot: Spot) -> dict[str, Any]:
    """What the tables of the file mean for the fields of `Settings`."""
    found = {key: Path(draft[key]) for key in ("data_dir", "run_dir") if key in draft}
    wanted: dict[str, Any] = {
        "group": draft.get("api", {}).get("group"),
        **{key: draft.get("host", {}).get(key) for key in ("uplink", "dns", "users_base")},
        "default_grace": draft.get("defaults", {}).get("grace"),
        "default_users": draft.get("defaults", {}).get("users"),
        "log_max_size": draft.get("logs", {}).get("max_size"),
        "log_max_files": draft.get("logs", {}).get("max_files"),
        "registries": registry_fields.registries(draft.get("registries", {}), spot.at("registries")),
        "trust": trust.rules(draft.get("trust", []), spot.at("trust")) or None,
        **_marks(draft.get("images", {}), spot.at("images")),
        "secret_key": _path(draft.get("secrets", {}).get("key_file")),
        "seeds": draft.get("pods"),
        **pool_fields.net(draft.get("net", {}), spot.at("net")),
    }
    lists = {key: tuple(each) if isinstance(each, list) else each for key, each in wanted.items()}
    return found | {key: each for key, each in lists.items() if each is not None}


def _path(value: Any) -> Path | None:
    return Path(value) if isinstance(value, str) else None


def _marks(draft: Mapping[str, Any], spot: Spot) -> dict[str, Any]:
    """The water marks. A collection that could never end is refused."""
    high, low = draft.get("high", HIGH), draft.get("low", LOW)
    if isinstance(high, int) and isinstance(low, int) and low > high:
        spot.at("low").fault(f"low ({low}) must not be above high ({high})")
    return {f"image_{key}": draft.get(key) for key in ("high", "low", "reserve")}


def _group(value: str) -> str:
    if re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", value):
        return value
    raise Refused(f"{quoted(value)} is not the name of a group")


class _AsWritten:
    """A pod, kept as it stands: it is read when it is planted, with its own faults."""

    takes = (dict,)

    def read(self, value: Any, spot: Spot) -> Any:
        return value if type(value) is dict else wrong_type(spot, "a mapping (a pod)", value)

    def schema(self) -> dict[str, Any]:
        """The schema of the pods is elsewhere."""
        return {"type": "object"}


_HOST = Record(
    "[host]",
    {
        "uplink": Field(text(addresses.parent_name), "The interface of the default route, if it cannot be found."),
        "users_base": Field(
            whole(2**16, 2**31 - 2**20), "The first id of the host for pods with users: auto.", default=0x70000000
        ),
        "dns": Field(ListOf(text(addresses.address), most=MAX_NAMESERVERS), "Name servers instead of resolv.conf's."),
    },
)
_LOGS = Record(
    "[logs]",
    {
        "max_size": Field(size(least=4096), "The most that one log file holds.", default="10MiB"),
        "max_files": Field(whole(1, 1000), "How many of them are kept for a container.", default=5),
    },
    later=frozenset({"max_total"}),
)
_IMAGES = Record(
    "[images]",
    {
        "high": Field(whole(1, 100), "Per cent of the file system at which unused images are removed.", default=HIGH),
        "low": Field(whole(0, 100), "Per cent at which that ends.", default=LOW),
        "reserve": Field(size(), "What pulls leave free; at most a tenth of the file system counts.", default="1GiB"),
    },
)
SETTINGS = Record(
    "the configuration",
    {
        "data_dir": Field(PATH, "What must outlive a reboot.", default="/var/lib/tank"),
        "run_dir": Field(PATH, "What need not.", default="/run/tank"),
        "host": Field(_HOST, "Facts of the machine, where they cannot be found."),
        "api": Field(
            Record(
                "[api]", {"group": Field(text(_group), "Who may speak to the socket.")}, frozenset({"listen", "tls"})
            ),
            "The daemon's own face.",
        ),
        "defaults": Field(
            Record(
                "[defaults]",
                {
                    "grace": Field(duration(), "Of pods that name none."),
                    "users": Field(choice("host", "auto"), "Of pods that say nothing.", default="host"),
                },
            ),
            "For fields that a pod leaves out.",
        ),
        "logs": Field(_LOGS, "What is kept of the output of containers."),
        "images": Field(_IMAGES, "When images are removed, and how much space they leave."),
        "registries": Field(registry_fields.REGISTRIES, "By host."),
        "trust": Field(ListOf(trust.TRUST), "Which images are let in. The first rule that fits decides."),
        "secrets": Field(
            Record("[secrets]", {"key_file": Field(PATH, "The key that encrypts them; never made by Tank.")}),
            "How secrets are kept.",
        ),
        "net": Field(pool_fields.NET, "Pools of addresses, names of pods."),
        "pods": Field(ListOf(_AsWritten()), "Boot seeds."),
    },
    later=frozenset({"store"}),
)
