"""Limits on control groups of version 2 alone: set, changed live, read back, refused; and running out of memory."""

from __future__ import annotations

from typing import Any

from tests.vm.guest import Guest
from tests.vm.story import MIB, ROOTFS, once

EVERY: dict[str, Any] = {
    "memory": "64MiB",
    "memory_high": "48MiB",
    "memory_low": "8MiB",
    "swap": "16MiB",
    "pids": 40,
    "cpu": 0.5,
    "cpu_weight": 250,
    "cpuset": "0",
}
FILES = {
    "memory.max": str(64 * MIB),
    "memory.high": str(48 * MIB),
    "memory.low": str(8 * MIB),
    "memory.swap.max": str(16 * MIB),
    "pids.max": "40",
    "cpu.max": "50000 100000",
    "cpu.weight": "250",
    "cpuset.cpus": "0",
}
NONE = {
    "memory.max": "max",
    "memory.high": "max",
    "memory.low": "0",
    "memory.swap.max": "max",
    "pids.max": "max",
    "cpu.max": "max 100000",
    "cpu.weight": "100",
    "cpuset.cpus": "0-1",  # this kernel takes no set away from a group in which something lives
}


def limited(script: str = "sleep 1000000", **limits: Any) -> dict[str, Any]:
    """A pod that goes on."""
    container = {"name": "app", "image": ROOTFS, "command": ["sh", "-c", script], "limits": limits}
    return {"name": "limited", "grace": 0, "containers": [container]}


def files(guest: Guest, names: dict[str, str]) -> dict[str, str]:
    """What the kernel says of the container."""
    return {name: guest.group("limited", "app", name) for name in names}


def every_limit_is_set_changed_and_taken_off(guest: Guest) -> str:
    assert guest.apply(limited(**EVERY), "--wait").code == 0
    assert files(guest, FILES) == FILES
    before = guest.pids()
    changed = EVERY | {"memory_high": "40MiB", "swap": 0, "cpu_weight": 1, "cpuset": "0-1"}
    assert guest.apply(limited(**changed), "--wait").code == 0
    wanted = FILES | {
        "memory.high": str(40 * MIB), "memory.swap.max": "0", "cpu.weight": "1", "cpuset.cpus": "0-1"
    }  # fmt: skip
    guest.until("the new limits", lambda: files(guest, wanted) == wanted)
    assert guest.apply(limited(), "--wait").code == 0
    guest.until("no limit", lambda: files(guest, NONE) == NONE)
    assert guest.pids() == before
    guest.sh("tank delete limited --wait")
    return ", ".join(FILES)


def what_the_machine_has_not_is_refused(guest: Guest) -> str:
    done = guest.apply(limited(cpuset="0-99"))
    assert done.code == 2, done
    assert "this machine has no CPU" in done.err, done
    done = guest.apply(limited(io_weight=300))
    assert done.code == 2, done
    assert "no disk of this machine has the bfq scheduler" in done.err, done
    return done.err.strip()


def a_disk_weight_counts_once_a_disk_goes_by_weights(guest: Guest) -> str:
    guest.sh("modprobe bfq 2>/dev/null; echo bfq >/sys/block/vda/queue/scheduler || "
             "echo '254:0 enable=1 ctrl=auto' >/sys/fs/cgroup/io.cost.qos")  # fmt: skip
    assert guest.apply(limited(io_weight=300), "--wait").code == 0
    uid = guest.json("status limited")["uid"]
    found = guest.sh(f"cd /sys/fs/cgroup/system.slice/tank-pods.service/{uid}/app; head io.*weight").split()
    assert {"300", "118"} & set(found), found  # of the cost model, and of bfq
    guest.sh("tank delete limited --wait")
    guest.sh("echo none >/sys/block/vda/queue/scheduler; echo '254:0 enable=0' >/sys/fs/cgroup/io.cost.qos || true")
    return " ".join(found)


def memory_that_can_be_pushed_out_is_cut(guest: Guest) -> str:
    script = "dd if=/dev/zero of=/root/x bs=1M count=80 2>/dev/null; sync; echo full; sleep 1000000"
    assert guest.apply(limited(script, memory="160MiB"), "--wait").code == 0
    guest.until("the file", lambda: guest.sh("tank logs limited") == "full\n")
    before, used = guest.pids(), int(guest.group("limited", "app", "memory.current"))
    assert used > 64 * MIB, used
    assert guest.apply(limited(script, memory="24MiB"), "--wait").code == 0
    guest.until("the cut", lambda: guest.group("limited", "app", "memory.max") == str(24 * MIB))
    assert guest.group("limited", "app", "memory.high") == "max"
    assert guest.pids() == before
    assert guest.counters("limited", "app", "memory.events.local")["oom_kill"] == 0
    guest.sh("tank delete limited --wait")
    return f"{used // MIB} MiB to {24} MiB"


def memory_in_use_is_not_cut(guest: Guest) -> str:
    script = "dd if=/dev/zero of=/dev/shm/x bs=1M count=40 2>/dev/null; echo full; sleep 1000000"
    assert guest.apply(limited(script, memory="128MiB"), "--wait").code == 0
    guest.until("the file", lambda: guest.sh("tank logs limited") == "full\n")
    before = guest.pids()
    assert guest.apply(limited(script, memory="16MiB", pids=30)).code == 0

    def told() -> str:
        return next((each for each in guest.events() if "cannot lower the memory limit to 16MiB" in each), "")

    said = str(guest.until("the refusal", told))
    assert (guest.group("limited", "app", "memory.max"), guest.pids()) == (str(128 * MIB), before)
    assert guest.group("limited", "app", "memory.high") == "max"
    assert guest.group("limited", "app", "pids.max") == "30"
    assert guest.counters("limited", "app", "memory.events.local")["oom_kill"] == 0
    guest.sh("tank exec limited -- rm /dev/shm/x")
    guest.until("the next try", lambda: guest.group("limited", "app", "memory.max") == str(16 * MIB), 300)
    guest.sh("tank delete limited --wait")
    return said[:200]


def with_single_a_child_is_killed_alone(guest: Guest) -> None:
    script = "dd if=/dev/zero of=/dev/null bs=200M count=1; echo survived; sleep 600"
    assert guest.apply(once("lone", script, limits={"memory": "32MiB"}, oom="single")).code == 0
    guest.until("the child's end", lambda: guest.sh("tank logs lone").endswith("survived\n"))
    found = guest.container("lone")
    assert (found["state"], found["oom_killed"]) == ("running", False), found
    assert found["child_oom_kills"] == 1, found
    assert guest.group("lone", "main", "memory.oom.group") == "0"
    guest.sh("tank delete lone --grace 0s --wait")


def it_is_told_whose_memory_was_used_up(guest: Guest) -> str:
    script = "dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 600"
    assert guest.apply(once("hog", script, limits={"memory": "32MiB"})).code == 0
    guest.sh("tank wait hog --for failed")
    found = guest.container("hog")
    assert found["oom_killed"], found
    assert "its memory limit of 32MiB was used up" in found["message"], found
    guest.sh("tank delete hog --wait")
    return str(found["message"])
