"""Which capabilities a container holds. Pure.

The default is CRI-O's nine: what images need that start as root, give files away and then drop to a user.
Against Docker's list it lacks AUDIT_WRITE, MKNOD, NET_RAW (spoofing on the wire), SETFCAP and SYS_CHROOT.
"""

from __future__ import annotations

from collections.abc import Sequence

from tank.model.pod import Security

DEFAULT = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
)

# linux/capability.h, by number
ALL = tuple(
    f"CAP_{name}"
    for name in [
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
        "MAC_OVERRIDE",
        "MAC_ADMIN",
        "SYSLOG",
        "WAKE_ALARM",
        "BLOCK_SUSPEND",
        "AUDIT_READ",
        "PERFMON",
        "BPF",
        "CHECKPOINT_RESTORE",
    ]
)


def held(security: Security, known: Sequence[str] = ALL) -> tuple[str, ...]:
    """What the container may use, in canonical order; `known`: what this kernel has.

    A capability that is both added and dropped by name is dropped; ALL comes before any name.
    """
    start = set(known if security.privileged else DEFAULT)
    if "ALL" in security.cap_drop:
        start = set()
    start |= set(known if "ALL" in security.cap_add else security.cap_add)
    start -= set(security.cap_drop)
    return tuple(each for each in known if each in start)
