"""The words of a spec: names, paths, capabilities, signals, users. Each function answers the canonical form.

All raise `Refused` with what was expected, and a suggestion where one is near.
"""

from __future__ import annotations

import re

from tank.model.faults import Refused, did_you_mean, quoted

DNS_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
LABEL_KEY = r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?"
MAX_PATH, MAX_STEP, MAX_STEPS = 4095, 255, 64
MAX_ID = 2**32 - 2  # 2^32 - 1 means "unchanged" to the kernel
UNLIMITED = 2**64 - 1  # RLIM_INFINITY

CAPABILITIES = frozenset(
    """AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE
    DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD
    NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_BOOT
    SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG SYSLOG
    WAKE_ALARM""".split()  # noqa: SIM905
)
RLIMITS = """as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending
    stack""".split()  # noqa: SIM905
# By number, from 1.
SIGNALS = """HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN
    TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS""".split()  # noqa: SIM905
RT_FIRST, RT_LAST = 34, 64  # as the C library counts them
_SIGNAL_ALIASES = {"IOT": "ABRT", "CLD": "CHLD", "POLL": "IO"}


def dns_label(text: str) -> str:
    """A name: a DNS label of at most 63 characters."""
    if re.fullmatch(DNS_LABEL, text):
        return text
    near = re.sub(r"[^a-z0-9]+", "-", text[:200].lower())[:63].strip("-")
    hint = f"did you mean '{near}'?" if near else ""
    raise Refused(f"{quoted(text)} is not a name: lower-case letters, digits and '-' inside, at most 63", hint)


def host_name(text: str) -> str:
    """A host name of one or more DNS labels, at most 253 characters, lower-cased."""
    labels = text.lower().split(".")
    if len(text) > 253 or not all(re.fullmatch(DNS_LABEL.replace("a-z0-9-", "a-z0-9_-"), each) for each in labels):
        raise Refused(f"{quoted(text)} is not a host name")
    return text.lower()


def uts_name(text: str) -> str:
    """The host name of a pod: at most 63 characters (C15)."""
    if len(text) > 63:
        raise Refused("a host name of a pod has at most 63 characters")
    return host_name(text)


def label_key(text: str) -> str:
    """The name of a label or annotation."""
    if re.fullmatch(LABEL_KEY, text):
        return text
    raise Refused(f"{quoted(text)} is not a label's name: letters, digits, '.', '_', '/' and '-', at most 253")


def label_value(text: str) -> str:
    """A label's value: free, but for what a selector needs for itself."""
    if re.fullmatch(r"[!-~]{0,253}", text) and not set(text) & set(",=!()"):
        return text
    raise Refused("a label's value is printable ASCII without spaces or any of ',=!()', at most 253 characters")


def absolute_path(text: str) -> str:
    """An absolute path without '..', empty steps and a trailing slash."""
    steps = [step for step in text.split("/") if step not in ("", ".")]
    if not text.startswith("/"):
        raise Refused(f"{quoted(text)} must be an absolute path", f"did you mean '/{text}'?" if text else "")
    if ".." in steps:
        raise Refused(f"{quoted(text)} must not contain '..'")
    if len(text.encode()) > MAX_PATH or len(steps) > MAX_STEPS or any(len(s.encode()) > MAX_STEP for s in steps):
        raise Refused(f"{quoted(text)} is too long or too deep for a path")
    if any(ord(sign) < 32 for sign in text):
        raise Refused(f"{quoted(text)} has a line end or tab in it")
    return "/" + "/".join(steps)


def is_below(path: str, *roots: str) -> bool:
    """Whether the canonical path is one of `roots` or lies below one."""
    return any(path == root or path.startswith(root + "/") for root in roots)


def working_dir(text: str) -> str:
    """A working directory. Below /proc it could be a descriptor of the host (S07)."""
    path = absolute_path(text)
    if is_below(path, "/proc"):
        raise Refused("a working directory below /proc is refused: it could lead out of the container")
    return path


def mount_point(text: str) -> str:
    """A path that a volume may cover: nothing that Tank or the kernel provides in each container."""
    path = absolute_path(text)
    if path == "/":
        raise Refused("a volume cannot be mounted over the root", "use image: {rootfs: …} for a root of your own")
    if is_below(path, "/proc", "/sys", "/dev"):
        raise Refused(f"a volume cannot be mounted over {quoted(path)}: the kernel's files belong there")
    if path in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"):
        raise Refused(f"{quoted(path)} is written by tank", "see hosts, hostname and network.dns")
    return path


def env_name(text: str) -> str:
    """The name of a variable: printable ASCII without '=' (C7)."""
    if re.fullmatch(r"[!-<>-~][ -<>-~]{0,254}", text):
        return text
    raise Refused(f"{quoted(text)} is not a variable's name: printable ASCII without '=', at most 255")


def env_prefix(text: str) -> str:
    """What is put before the names of variables; may be empty."""
    return env_name(text) if text else text


def user(text: str) -> str:
    """`uid`, `uid:gid`, `name` or `name:group` (C9)."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}\$?(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}\$?)?", text):
        raise Refused(f"{quoted(text)} is not a user: uid, uid:gid, name or name:group")
    if any(part.isdigit() and int(part) > MAX_ID for part in text.split(":")):
        raise Refused(f"a user or group id is at most {MAX_ID}")
    return text


def octal_mode(text: str) -> str:
    """Permission bits as octal digits, four of them: "750" is "0750"."""
    if re.fullmatch(r"0?[0-7]{3}|[0-7]{4}", text):
        return text.zfill(4)
    raise Refused(f"{quoted(text)} is not a mode: three or four octal digits such as '0750'")


def capability(text: str) -> str:
    """`NET_ADMIN`, `CAP_NET_ADMIN` in any case, or `ALL`; canonical with the prefix."""
    name = text.upper().replace("-", "_").removeprefix("CAP_")
    if name == "ALL":
        return name
    if name not in CAPABILITIES:
        raise Refused(f"{quoted(text)} is not a capability", did_you_mean(name, sorted(CAPABILITIES)))
    return f"CAP_{name}"


def unmasked(text: str) -> str:
    """A path that is taken off the masked list, or ALL."""
    return text if text == "ALL" else absolute_path(text)


def rlimit_name(text: str) -> str:
    """The name of a resource limit: `nofile`, or RLIMIT_NOFILE in any case."""
    name = text.lower().removeprefix("rlimit_")
    if name not in RLIMITS:
        raise Refused(f"{quoted(text)} is not a resource limit", did_you_mean(name, RLIMITS))
    return name


def signal_name(value: str | int) -> str:
    """`TERM`, `SIGTERM`, `15` or `"15"`: canonical SIGTERM. `SIGRTMIN+3` stands for 37, as systemd uses it."""
    name = str(value).upper().removeprefix("SIG") if isinstance(value, str) else _signal_of(value)
    if re.fullmatch(r"[0-9]{1,3}", name):
        name = _signal_of(int(name))
    name = _SIGNAL_ALIASES.get(name, name)
    match = re.fullmatch(r"RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?", name)
    if match:
        return _real_time(match, str(value))
    if name not in SIGNALS:
        raise Refused(f"{quoted(str(value))} is not a signal", did_you_mean(name, SIGNALS))
    return f"SIG{name}"


def _signal_of(number: int) -> str:
    if 1 <= number <= len(SIGNALS):
        return SIGNALS[number - 1]
    if RT_FIRST <= number <= RT_LAST:
        return f"RTMIN+{number - RT_FIRST}"
    raise Refused(f"a signal's number lies between 1 and {len(SIGNALS)}, or {RT_FIRST} and {RT_LAST}")


def _real_time(match: re.Match[str], wrote: str) -> str:
    base = RT_FIRST if match[1] == "MIN" else RT_LAST
    number = base + int((match[2] or "+") + (match[3] or "0"))
    if not RT_FIRST <= number <= RT_LAST:
        raise Refused(f"{quoted(wrote)} is not a signal: real-time signals are SIGRTMIN to SIGRTMIN+30")
    return f"SIGRTMIN+{number - RT_FIRST}" if number > RT_FIRST else "SIGRTMIN"
