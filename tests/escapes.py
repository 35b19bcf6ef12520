"""Run inside a container: tries to do what a container must not, and says of each try what came of it, as JSON.

`closed` is what one wants to read. Anything else is the error or the success that shows how far it got: a call with
arguments of no sense that reaches the kernel fails otherwise than one that is refused. No try does harm where it is
let through. Standard library only, since it runs on whatever Python a root has.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import resource
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial

CLOSED = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS, errno.ENOENT, errno.ENXIO, errno.ENODEV}
_libc = ctypes.CDLL(None, use_errno=True)
_X86 = platform.machine() == "x86_64"

# name: number on x86-64, number elsewhere, arguments. Bad addresses and descriptors where they may reach the kernel.
CALLS: dict[str, tuple[int, int | None, tuple[int | bytes, ...]]] = {
    "mount": (165, 40, (0, 0, 0, 0, 0)),
    "umount2": (166, 39, (b"/nowhere", 0)),
    "pivot_root": (155, 41, (0, 0)),
    "open_tree": (428, 428, (-1, 0, 0)),
    "move_mount": (429, 429, (-1, 0, -1, 0, 0)),
    "fsopen": (430, 430, (0, 0)),
    "fsconfig": (431, 431, (-1, 0, 0, 0, 0)),
    "fsmount": (432, 432, (-1, 0, 0)),
    "fspick": (433, 433, (-1, 0, 0)),
    "mount_setattr": (442, 442, (-1, 0, 0, 0, 0)),
    "chroot": (161, 51, (b"/",)),
    "open_by_handle_at": (304, 265, (-1, 0, 0)),
    "setns": (308, 268, (-1, 0)),
    "unshare a user namespace": (272, 97, (0x10000000,)),
    "unshare mounts": (272, 97, (0x00020000,)),
    "clone3": (435, 435, (0, 0)),
    "init_module": (175, 105, (0, 0, 0)),
    "finit_module": (313, 273, (-1, 0, 0)),
    "delete_module": (176, 106, (0, 0)),
    "kexec_load": (246, 104, (0, 99, 0, -1)),
    "kexec_file_load": (320, 294, (-1, -1, 0, 0, 0)),
    "reboot": (169, 142, (0, 0, 0, 0)),
    "swapon": (167, 224, (0, 0)),
    "swapoff": (168, 225, (0,)),
    "bpf": (321, 280, (0, 0, 0)),
    "perf_event_open": (298, 241, (0, 0, 0, -1, 0)),
    "userfaultfd": (323, 282, (0xFFFF,)),
    "io_uring_setup": (425, 425, (0, 0)),
    "io_uring_enter": (426, 426, (-1, 0, 0, 0, 0, 0)),
    "keyctl": (250, 219, (9999,)),
    "add_key": (248, 217, (0, 0, 0, 0, 0)),
    "request_key": (249, 218, (0, 0, 0, 0)),
    "syslog": (103, 116, (10, 0, 0)),
    "acct": (163, 89, (b"/nowhere",)),
    "quotactl": (179, 60, (-1, 0, 0, 0)),
    "clock_settime": (227, 112, (0, 0)),
    "settimeofday": (164, 170, (1, 0)),
    "iopl": (172, None, (3,)),
    "ioperm": (173, None, (0, 1, 1)),
    "personality": (135, 92, (0x0040000,)),
    "kcmp": (312, 272, (1, 1, 99, 0, 0)),
    "process_madvise": (440, 440, (-1, 0, 0, 0, 0)),
    "pidfd_getfd": (438, 438, (-1, 0, 0)),
    "fanotify_init": (300, 262, (0xFFFF, 0)),
    "move_pages": (279, 239, (1, 0, 0, 0, 0, 0)),
    "set_mempolicy": (238, 237, (99, 0, 0)),
    "sethostname": (170, 161, (b"mine", 4)),
    "setdomainname": (171, 162, (b"mine", 4)),
}
WRITTEN = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sysrq-trigger",
    "/proc/irq/default_smp_affinity",
    "/sys/kernel/uevent_helper",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/power/state",
    "/dev/mem",
    "/dev/kmsg",
    "/dev/fuse",
    "/dev/vda",
)
MASKED = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/interrupts")
EMPTY = ("/proc/acpi", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap")


def call(number: int, arguments: tuple[int | bytes, ...]) -> None:
    """One system call. Raises OSError."""
    if _libc.syscall(ctypes.c_long(number), *(ctypes.c_long(x) if isinstance(x, int) else x for x in arguments)) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def control_groups() -> None:
    """A group of one's own, a way into another, or the program that the kernel runs on the host when one is empty."""
    for top, directories, names in os.walk("/sys/fs/cgroup"):
        for name in {"release_agent", "cgroup.procs"} & set(names):
            with suppress(OSError):
                os.close(os.open(os.path.join(top, name), os.O_WRONLY))
                return
        if "cgroup.procs" in names:  # version 1 has them below a small tmpfs
            with suppress(OSError):
                os.mkdir(f"{top}/mine")
                os.rmdir(f"{top}/mine")
                return
        del directories[16:]
    raise PermissionError(errno.EROFS, "none")


def device_node(path: str) -> None:
    """A disk of one's own, and whether it opens."""
    os.mknod(path, 0o60600, os.makedev(7, 0))
    try:
        os.close(os.open(path, os.O_RDONLY))
    finally:
        os.unlink(path)


def read(path: str) -> None:
    """Whether a file shows anything."""
    with open(path, "rb") as file:
        if not file.read(1):
            raise PermissionError(errno.EACCES, "empty")


def listed(path: str) -> None:
    """Whether a directory shows anything."""
    if not os.listdir(path):
        raise PermissionError(errno.EACCES, "empty")


def descriptors() -> None:
    """Whether anything but the three streams came in; what lists them is gone by the time it is looked at."""
    for each in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            if int(each) > 2 and os.readlink(f"/proc/self/fd/{each}"):
                return
    raise PermissionError(errno.EACCES, "none")


def capabilities() -> None:
    """Whether any can be had that was not given."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    wanted = (ctypes.c_uint32 * 6)(*[0xFFFFFFFF, 0xFFFFFFFF, 0, 0x1FF, 0x1FF, 0])
    if _libc.capset(header, wanted) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def metadata_service() -> None:
    """The address at which clouds hand out secrets."""
    with socket.socket() as client:
        client.settimeout(2)
        try:
            client.connect(("169.254.169.254", 80))
        except OSError as error:
            raise PermissionError(errno.EACCES, "no way there") from error


def typed_ahead() -> None:
    """TIOCSTI, also with a high bit set, which a careless filter compares and the kernel drops."""
    for number in (0x5412, 0x1_0000_5412):
        with suppress(PermissionError):
            call(16 if _X86 else 29, (0, number, b"x"))
            return
    raise PermissionError(errno.EPERM, "refused")


def processes() -> None:
    """Whether others than one's own are seen."""
    if len([each for each in os.listdir("/proc") if each.isdigit()]) <= 2:  # the first, and this try
        raise PermissionError(errno.EACCES, "none")


OTHERS: dict[str, Callable[[], object]] = {
    "a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
    "a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close(),
    "a vsock": lambda: socket.socket(40, socket.SOCK_STREAM).close(),
    "a control group": control_groups,
    "a disk in /dev": lambda: device_node("/dev/mine"),
    "a disk in the root": lambda: device_node("/tmp/mine"),
    "more capabilities": capabilities,
    "a higher limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 2**20 + 1)),
    "a better priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
    "guarded from the out-of-memory killer": lambda: write("/proc/self/oom_score_adj", "-1000"),
    "typing into the terminal": typed_ahead,
    "the metadata service": metadata_service,
    "other processes": processes,
}


def write(path: str, text: str) -> None:
    """Write to a file that is there."""
    fd = os.open(path, os.O_WRONLY)
    try:
        if text:
            os.write(fd, text.encode())
    finally:
        os.close(fd)


def outcome(work: Callable[[], object]) -> str:
    """What came of one try."""
    try:
        work()
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None) or errno.EPERM
        return "closed" if number in CLOSED else errno.errorcode.get(number, str(error))
    return "open"


def apart(work: Callable[[], object]) -> str:
    """The same in a process of its own: a try that gets through changes what the later ones are."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, outcome(work).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as told:
        said = told.read().decode()
    os.waitpid(child, 0)
    return said or "it died"


def main() -> None:
    """Every try, in one line of JSON."""
    said = {"descriptors": outcome(descriptors)}
    for name, (x86, other, arguments) in CALLS.items():
        number = x86 if _X86 else other
        if number is not None:
            said[name] = apart(partial(call, number, arguments))
    said |= {f"write {path}": apart(partial(write, path, "")) for path in WRITTEN}
    said |= {f"read {path}": apart(partial(read, path)) for path in MASKED}
    said |= {f"list {path}": apart(partial(listed, path)) for path in EMPTY}
    said |= {name: apart(work) for name, work in OTHERS.items()}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
