"""What a container may say: the table of its fields, with every shorthand."""

from __future__ import annotations

from typing import Any

from tank.model import input_words, kernel_words, reference, words
from tank.model.faults import Refused, quoted
from tank.model.grammar import Either, Field, Kind, ListOf, Record, choice, flag, text, whole
from tank.model.health_fields import HOOKS, PROBES
from tank.model.input_fields import ENV_FROM, SIGNAL, Env
from tank.model.limit_fields import DEVICES, LIMITS, ULIMITS
from tank.model.quantities import size

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


def _seccomp(value: str) -> str:
    if value.startswith("/"):
        return words.absolute_path(value)
    if value not in ("default", "unconfined"):
        raise Refused(f"must be default, unconfined or the absolute path of a profile, found {quoted(value)}")
    return value


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
                "sub_path": Field(
                    text(input_words.relative_path, minLength=1), "Only this part of the volume, made if it is missing."
                ),
                "propagation": Field(
                    choice("private", "slave", "shared"),
                    "slave: mounts of the host appear too; shared: both ways, privileged containers only.",
                    default="private",
                ),
                "allow": Field(
                    ListOf(choice("suid", "dev"), once=True), "What data volumes are mounted without: suid, dev."
                ),
            },
            foreign={
                "name": "volume",
                "mountPath": "path",
                "target": "path",
                "source": "volume",
                "ro": "read_only",
                "subpath": "sub_path",
                "mountPropagation": "propagation",
            },
        ),
    ),
    "a mount such as 'data:/var/lib/app:ro' or a mapping",
)

_CAPABILITIES = ListOf(text(words.capability), most=64, once=True)
SECURITY = Record(
    "the security settings",
    {
        "privileged": Field(flag(), "Nearly all of root's power on the host. Avoid.", default=False),
        "cap_add": Field(_CAPABILITIES, "Capabilities beyond the default set, or ALL."),
        "cap_drop": Field(_CAPABILITIES, "Capabilities taken from the default set, or ALL."),
        "seccomp": Field(
            text(_seccomp, pattern="^(default|unconfined|/.*)$"),
            "The filter of system calls: default, unconfined or the path of a profile.",
            default="default",
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
        "env": Field(Env(), "Variables: a mapping, or a list of {name, value} and {name, from}. $(NAME) expands."),
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
        "stop_signal": Field(SIGNAL, "The signal that asks it to stop. Default: the image's, then TERM."),
        "reaper": Field(flag(), "Run a small init as PID 1 that forwards signals and reaps.", default=False),
        "security": Field(SECURITY, "Privileges. The defaults suit ordinary images."),
        "size": Field(
            size(least=2**20), "The most that its writable layer holds, where the file system has project quotas."
        ),
        "ulimits": Field(ULIMITS, "Resource limits by name: nofile: 65536, or [soft, hard]."),
        "env_from": Field(ENV_FROM, "Whole secrets or configs as variables; those of env win."),
        "probes": Field(PROBES, "Questions about its health: startup, live, ready."),
        "hooks": Field(HOOKS, "What is run at its start and before its stop."),
        "devices": Field(DEVICES, "Devices of the host: /dev/x, /dev/x:/dev/y:rw, or a CDI name."),
        "termination_message": Field(
            text(kernel_words.message_path, pattern="^/"),
            "The file in which it may leave its last words.",
            default="/dev/termination-log",
        ),
        "oom": Field(
            choice("group", "single"),
            "Out of memory kills the whole container (group) or the one process (single).",
            default="group",
        ),
    },
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
        "livenessProbe": "probes",
        "readinessProbe": "probes",
        "startupProbe": "probes",
        "healthcheck": "probes",
        "probe": "probes",
        "lifecycle": "hooks",
        "terminationMessagePath": "termination_message",
    },
)
