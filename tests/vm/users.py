"""Ids of a pod's own, shared processes, and parts of volumes, on control groups of version 2."""

from __future__ import annotations

from tests.vm.guest import Guest
from tests.vm.story import ROOTFS

_SCRIPT = "id -u; cat /proc/self/uid_map; echo x >/data/file; stat -c %u:%g /data/file; echo y >/new; exec sleep 10000"


def a_pod_has_ids_of_its_own(guest: Guest) -> str:
    """Root inside, nobody outside; in its volume the ids that it sees."""
    container = {
        "name": "app",
        "image": ROOTFS,
        "command": ["sh", "-c", _SCRIPT],
        "mounts": [{"volume": "own", "path": "/data", "sub_path": "a/b"}],
    }
    beside = {"name": "two", "image": ROOTFS, "command": ["sleep", "10001"]}
    spec = {"name": "own", "users": "auto", "share_pid": True, "containers": [container, beside], "grace": 0}
    done = guest.apply(spec | {"volumes": [{"name": "own"}]}, "--wait", "--timeout", "2m")
    assert done.code == 0, done.err
    said = guest.sh("tank logs -c app own").split()
    base = int(said[2])
    assert said == ["0", "0", str(base), "65536", "0:0"], said
    pid = guest.pids()["own/app"]
    assert guest.sh(f"stat -c %u:%g /proc/{pid}").strip() == f"{base}:{base}"
    assert guest.sh("stat -c %u:%g /var/lib/tank/volumes/own/a/b/file").strip() == "0:0"
    assert guest.sh("tank exec -c app own -- sh -c 'ps | grep -c \"[s]leep 1000\"; cat /proc/1/comm'").split() == [
        "2",
        "init",
    ]
    assert base >= 0x70000000
    guest.sh("tank delete own && tank wait own --for gone --timeout 1m")
    guest.sh("tank volume export own | tank volume import copy && tank volume delete own copy")
    return f"{base}"
