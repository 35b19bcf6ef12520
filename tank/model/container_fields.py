"""What a container may say: the table of its fields, with every shorthand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tank.model import reference, words
from tank.model.faults import BAD, Refused, Spot, quoted
from tank.model.grammar import (
    Either,
    Field,
    Kind,
    ListOf,
    MapOf,
    Record,
    Scalar,
    Schema,
    choice,
    flag,
    text,
    whole,
    wrong_type,
)
from tank.model.quantities import cpu, size

MAX_PIDS = 2**22  # the kernel's own bound of pid_max
RESTART = choice("always", "on_failure", "never")
NAME = text(words.dns_label, pattern=f"^{words.DNS_LABEL}$")
PATH = text(words.absolute_path, pattern="^/")


def _image(value: str) -> str:
    reference.parse(value)
    return value


def _short_mount(value: str) -> dict[str, Any]:
    """`volume:path`, `volume:path:ro` or `volume:path:rw`."""
    volume, _, rest = value.partition(":")
    path, colon, access = rest.rpartition(":")
    if not colon:
        path, access = rest, "rw"
    if access not in ("ro", "rw") or not volume or not path:
        raise Refused(f"{quoted(value)} is not a mount: 'volume:/path' or 'volume:/path:ro'")
    return {
        "volume": words.dns_label(volume),
        "path": words.mount_point(path),
        "read_only": access == "ro",
    }


def _limit(value: int | str) -> int:
    if value in ("unlimited", -1):
        return words.UNLIMITED
    if isinstance(value, str) or not 0 <= value <= words.UNLIMITED:
        raise Refused("expected a number, 'unlimited' or [soft, hard]")
    return value


def _ulimit(value: Any) -> list[int]:
    """One number for both, or [soft, hard]."""
    pair = value if type(value) is list else [value, value]
    if len(pair) != 2 or any(type(each) not in (int, str) for each in pair):
        raise Refused("expected a number, 'unlimited' or [soft, hard]")
    soft, hard = (_limit(each) for each in pair)
    if soft > hard:
        raise Refused("the soft limit cannot exceed the hard one")
    return [soft, hard]


def _seccomp(value: str) -> str:
    if value.startswith("/"):
        raise Refused("a profile of your own is not supported yet")
    if value not in ("default", "unconfined"):
        raise Refused(f"must be one of default, unconfined, found {quoted(value)}")
    return value


@dataclass(frozen=True, slots=True)
class Env:
    """Variables as a mapping or as a list of {name, value}; canonical: the list. Duplicates are legal (C7)."""

    takes: tuple[type, ...] = (dict, list)

    def read(self, value: Any, spot: Spot) -> Any:
        """The list of {name, value}, in order."""
        if type(value) is list:
            return _ENV_LIST.read(value, spot)
        if type(value) is not dict:
            return wrong_type(spot, "a mapping or a list", value, "write NAME: value, one a line")
        found = _ENV_MAP.read(value, spot)
        return BAD if found is BAD else [{"name": name, "value": each} for name, each in found.items()]

    def schema(self) -> Schema:
        return {"anyOf": [_ENV_MAP.schema(), _ENV_LIST.schema()]}


_ENV_MAP = MapOf(words.env_name, text(), most=5000)
_ENV_LIST = ListOf(
    Record(
        "a variable",
        {
            "name": Field(text(words.env_name), "The variable's name: printable ASCII without '='.", required=True),
            "value": Field(text(), "Its value; $(NAME) expands to a variable defined earlier.", required=True),
        },
        later=frozenset({"from"}),
        foreign={"valueFrom": "from"},
    ),
    most=5000,
)

REFERENCE = text(_image, minLength=1)
PULL = Field(
    choice("always", "if_missing", "never", "prefer_fresh"),
    "When to ask the registry. Default: always for no tag or latest, else if_missing.",
)
IMAGE: Kind = Either(
    (
        REFERENCE,
        Record(
            "an image",
            {"rootfs": Field(PATH, "A directory of the host used as the root, never written to.", required=True)},
        ),
    ),
    "an image reference or {rootfs: /path}",
)

MOUNT: Kind = Either(
    (
        text(_short_mount, pattern="^[a-z0-9-]+:/.*$"),
        Record(
            "a mount",
            {
                "volume": Field(NAME, "Which of the pod's volumes.", required=True),
                "path": Field(text(words.mount_point, pattern="^/"), "Where in the container.", required=True),
                "read_only": Field(flag(), "Refuse writes through this mount.", default=False),
            },
            later=frozenset({"sub_path", "propagation"}),
            foreign={"name": "volume", "mountPath": "path", "target": "path", "source": "volume", "ro": "read_only"},
        ),
    ),
    "a mount such as 'data:/var/lib/app:ro' or a mapping",
)

LIMITS = Record(
    "the limits",
    {
        "memory": Field(size(least=2**19), "The most memory; beyond it the container is killed."),
        "pids": Field(whole(1, MAX_PIDS), "The most processes and threads."),
        "cpu": Field(cpu(), "The most CPU: cores (0.5, '500m') or [quota, period] in microseconds."),
    },
    later=frozenset({"memory_high", "memory_low", "swap", "cpu_weight", "cpuset", "io_weight"}),
    foreign={"mem": "memory", "cpus": "cpu", "processes": "pids", "mem_limit": "memory"},
)

_CAPABILITIES = ListOf(text(words.capability), most=64, once=True)
SECURITY = Record(
    "the security settings",
    {
        "privileged": Field(flag(), "Nearly all of root's power on the host. Avoid.", default=False),
        "cap_add": Field(_CAPABILITIES, "Capabilities beyond the default set, or ALL."),
        "cap_drop": Field(_CAPABILITIES, "Capabilities taken from the default set, or ALL."),
        "seccomp": Field(
            Scalar((str,), _seccomp, {"enum": ["default", "unconfined"]}), "The system call filter.", default="default"
        ),
        "no_new_privileges": Field(flag(), "Set-uid programs and file capabilities give nothing.", default=True),
        "read_only_root": Field(flag(), "The container's own root cannot be written.", default=False),
        "unmask": Field(
            ListOf(text(words.unmasked), most=64, once=True), "Paths shown although masked by default, or ALL."
        ),
    },
    foreign={
        "capabilities": "cap_add",
        "allowPrivilegeEscalation": "no_new_privileges",
        "readOnlyRootFilesystem": "read_only_root",
    },
)

_ARGV_HINT = "write a list, one word an item, such as ['/bin/sh', '-c', '…']"

CONTAINER = Record(
    "a container",
    {
        "name": Field(NAME, "Unique in the pod.", required=True),
        "image": Field(IMAGE, "An OCI reference such as nginx:1.27, or {rootfs: /path}.", required=True),
        "pull": PULL,
        "command": Field(
            ListOf(text(), most=10_000, hint=_ARGV_HINT), "Replaces the image's entry point and arguments."
        ),
        "args": Field(ListOf(text(), most=10_000, hint=_ARGV_HINT), "Replaces the image's arguments."),
        "env": Field(Env(), "Variables: a mapping, or a list of {name, value}. $(NAME) expands earlier ones."),
        "working_dir": Field(
            text(words.working_dir, pattern="^/"), "Where the program starts. Default: the image's, then /."
        ),
        "user": Field(text(words.user), "uid, uid:gid, name or name:group. Default: the image's."),
        "groups": Field(ListOf(whole(0, words.MAX_ID), most=1000, once=True), "Supplementary group ids."),
        "mounts": Field(ListOf(MOUNT), "Volumes of the pod seen by this container."),
        "limits": Field(LIMITS, "What the container may use. All of it changes without a restart."),
        "restart": Field(RESTART, "Overrides the pod's policy."),
        "tty": Field(flag(), "The main process runs on a terminal.", default=False),
        "stdin": Field(flag(), "Keep the main process's standard input open.", default=False),
        "stop_signal": Field(
            Scalar((str, int), words.signal_name, {"type": ["string", "integer"]}, "a signal such as TERM or 15"),
            "The signal that asks it to stop. Default: the image's, then TERM.",
        ),
        "reaper": Field(flag(), "Run a small init as PID 1 that forwards signals and reaps.", default=False),
        "security": Field(SECURITY, "Privileges. The defaults suit ordinary images."),
        "size": Field(
            size(least=2**20), "The most that its writable layer holds, where the file system has project quotas."
        ),
        "ulimits": Field(
            MapOf(
                words.rlimit_name,
                Scalar(
                    (int, str, list),
                    _ulimit,
                    {
                        "anyOf": [
                            {"type": "integer"},
                            {"const": "unlimited"},
                            {"type": "array", "minItems": 2, "maxItems": 2},
                        ]
                    },
                    "a number, 'unlimited' or [soft, hard]",
                ),
            ),
            "Resource limits by name: nofile: 65536, or [soft, hard].",
        ),
    },
    later=frozenset({"env_from", "probes", "hooks", "devices", "termination_message", "oom"}),
    foreign={
        "cmd": "args",
        "entrypoint": "command",
        "environment": "env",
        "imagePullPolicy": "pull",
        "pull_policy": "pull",
        "restartPolicy": "restart",
        "restart_policy": "restart",
        "workdir": "working_dir",
        "cwd": "working_dir",
        "volumeMounts": "mounts",
        "volumes": "mounts",
        "resources": "limits",
        "securityContext": "security",
        "init": "reaper",
    },
)
