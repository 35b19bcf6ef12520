"""The default system call filter, and the store of its compiled form.

An allow list: what is not named fails with EPERM, so that a call which a later kernel brings is refused until
somebody has thought about it. The rest is opened by capability, so that `cap_add` works as one expects.
`clone3` says ENOSYS, for its flags lie behind a pointer that a filter cannot read, and C libraries then fall
back to `clone`, whose flags can be looked at. TIOCSTI, which types into somebody's terminal, is refused (S31).

Compiling costs crun 20 ms at every start. It leaves the result beside its state, so the first container of a
profile pays, and its successors hand the bytes over with an annotation. The bundle keeps the profile itself:
a runtime that does not know the annotation compiles, and never runs unconfined.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tank.host import files

ANNOTATION = "run.oci.seccomp_bpf_data"

_FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock
fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lchown lgetxattr link linkat listxattr listxattrat
llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat
openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
removexattr removexattrat rename renameat renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statx
symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice
write writev cachestat
"""
_MEMORY = """
brk madvise membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap mseal msync munlock
munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages
map_shadow_stack memfd_secret
"""
_PROCESSES = """
alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait futex_waitv
futex_wake get_robust_list get_thread_area getcpu getegid geteuid getgid getgroups getpgid getpgrp getpid
getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set
kill landlock_add_rule landlock_create_ruleset landlock_restrict_self modify_ldt pause pidfd_open
pidfd_send_signal prctl prlimit64 ptrace restart_syscall rseq rt_sigaction rt_sigpending
rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list
set_thread_area set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid
setresuid setreuid setrlimit setsid setuid sigaltstack signalfd signalfd4 tgkill times tkill uname vfork wait4
waitid waitpid process_vm_readv process_vm_writev
"""
_WAITING = """
clock_getres clock_gettime clock_nanosleep epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait
epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 getitimer gettimeofday io_cancel io_destroy io_getevents
io_pgetevents io_setup io_submit nanosleep pipe pipe2 poll ppoll pselect6 select setitimer time timer_create
timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime
adjtimex clock_adjtime sysinfo
"""
_TALKING = """
accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open
mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd recvfrom recvmmsg recvmsg semctl semget semop
semtimedop sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown socketpair
"""
_NARROW = """
_llseek _newselect chown32 clock_getres_time64 clock_gettime64 clock_nanosleep_time64 fadvise64_64 fchown32
fcntl64 fstat64 fstatat64 fstatfs64 ftruncate64 futex_time64 getegid32 geteuid32 getgid32 getgroups32
getresgid32 getresuid32 getuid32 io_pgetevents_time64 ipc lchown32 lstat64 mmap2 mq_timedreceive_time64
mq_timedsend_time64 ppoll_time64 pselect6_time64 recv recvmmsg_time64 rt_sigtimedwait_time64
sched_rr_get_interval_time64 semtimedop_time64 send sendfile64 setfsgid32 setfsuid32 setgid32 setgroups32
setregid32 setresgid32 setresuid32 setreuid32 setuid32 sigaction signal sigpending sigprocmask sigreturn
sigsuspend socketcall stat64 statfs64 timer_gettime64 timer_settime64 timerfd_gettime64 timerfd_settime64
truncate64 ugetrlimit utimensat_time64 arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls
sync_file_range2 riscv_flush_icache swapcontext
"""

_BY_CAPABILITY = {
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYS_ADMIN": """bpf clone clone3 fanotify_init fanotify_mark fsconfig fsmount fsopen fspick listmount
        lookup_dcookie mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
        sethostname setns statmount syslog umount umount2 unshare""",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module query_module",
    "CAP_SYS_NICE": "get_mempolicy mbind migrate_pages move_pages set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYSLOG": "syslog",
}

_EPERM, _ENOSYS = 1, 38
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEW* of clone(2): cgroup, uts, ipc, user, pid, net, ns
_TIOCSTI = 0x5412
_AF_VSOCK = 40
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # Linux, 32 bit, their UNAME26 forms, and the question
_ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    "riscv64": ["SCMP_ARCH_RISCV64"],
    "ppc64le": ["SCMP_ARCH_PPC64LE"],
    "s390x": ["SCMP_ARCH_S390X", "SCMP_ARCH_S390"],
}


def profile(capabilities: Iterable[str], machine: str = platform.machine()) -> dict[str, Any]:
    """The filter for a container that holds `capabilities`, as `linux.seccomp` of the OCI configuration."""
    held = frozenset(capabilities)
    names = set(f"{_FILES}{_MEMORY}{_PROCESSES}{_WAITING}{_TALKING}{_NARROW}".split())
    for capability in held & _BY_CAPABILITY.keys():
        names.update(_BY_CAPABILITY[capability].split())
    rules = [_rule(sorted(names)), *_conditional()]
    if "CAP_SYS_ADMIN" not in held:
        flags = 1 if machine == "s390x" else 0  # the argument of clone that holds them
        rules.append(_rule(["clone"], (flags, "SCMP_CMP_MASKED_EQ", _NEW_NAMESPACES, 0)))
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _EPERM,
        "architectures": _ARCHITECTURES.get(machine, []),
        "syscalls": rules,
    }


def _conditional() -> list[dict[str, Any]]:
    rules = [_rule(["personality"], (0, "SCMP_CMP_EQ", each, 0)) for each in _PERSONALITIES]
    rules.append(_rule(["socket"], (0, "SCMP_CMP_NE", _AF_VSOCK, 0)))
    # The kernel reads the low 32 bits of an ioctl's number, a plain comparison all 64: setting a high one would
    # slip past "not TIOCSTI". So: allowed where any one of the low bits differs from TIOCSTI's.
    bits = [1 << bit for bit in range(32)]
    rules += [_rule(["ioctl"], (1, "SCMP_CMP_MASKED_EQ", bit, ~_TIOCSTI & bit)) for bit in bits]
    return rules


def _rule(names: list[str], condition: tuple[int, str, int, int] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": names, "action": "SCMP_ACT_ALLOW"}
    if condition is not None:
        index, op, value, second = condition
        rule["args"] = [{"index": index, "op": op, "value": value, "valueTwo": second}]
    return rule


@dataclass(frozen=True, slots=True)
class Filter:
    """A profile, as `linux.seccomp` of the OCI configuration, and the digest that tells it from others."""

    profile: Mapping[str, Any]
    digest: str


@lru_cache(maxsize=64)
def default(capabilities: tuple[str, ...]) -> Filter:
    """The default filter for a container that holds `capabilities`."""
    made = profile(capabilities)
    return Filter(made, hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Compiled:
    """Filters that the runtime compiled earlier, under `directory`. `versions` names runtime and library."""

    directory: Path
    versions: str

    def find(self, wanted: Filter) -> str | None:
        """The annotation's value for a filter, or None when it was not compiled yet."""
        data = files.read(self._path(wanted))
        return base64.b64encode(data).decode() if data else None

    def learn(self, wanted: Filter, made: Path) -> None:
        """Keep what the runtime left at `made` when it compiled this filter."""
        data = files.read(made)
        path = self._path(wanted)
        if data and len(data) % 8 == 0 and not path.exists():
            files.make_directory(self.directory)
            files.write_durably(path, data)

    def _path(self, wanted: Filter) -> Path:
        text = "\n".join((wanted.digest, platform.machine(), self.versions))
        return self.directory / f"{hashlib.sha256(text.encode()).hexdigest()}.bpf"
