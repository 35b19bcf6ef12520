"""The size of a container, on a disk with project quotas: a file that ext4 is made in, for this step alone."""

from __future__ import annotations

from tests.vm.guest import Guest
from tests.vm.story import MIB, ROOTFS

_WRITE = "dd if=/dev/zero of=/fill bs=1M count=24"
_DATA, _DISK = "/var/lib/tank", "/srv/quotas"


def a_container_is_held_to_its_size(guest: Guest) -> str:
    """Before there are pods: the data moves onto another disk and back."""
    guest.sh(f"systemctl stop tank; truncate -s 200M {_DISK}")
    guest.sh(f"mkfs.ext4 -q -O quota,project -E quotatype=prjquota {_DISK}")
    guest.sh(f"mount -o loop,prjquota {_DISK} /mnt && cp -a {_DATA}/. /mnt && umount /mnt")
    guest.sh(f"mount -o loop,prjquota {_DISK} {_DATA} && systemctl start tank")
    try:
        return _said(guest)
    finally:
        guest.sh("tank delete held free --grace 0s --wait; systemctl stop tank")
        guest.sh(f"umount {_DATA} && rm {_DISK} && systemctl start tank")


def _said(guest: Guest) -> str:
    held = {"name": "app", "image": ROOTFS, "command": ["sleep", "600"], "size": "8MiB"}
    free = {key: value for key, value in held.items() if key != "size"}
    for name, container in (("held", held), ("free", free)):
        done = guest.apply({"name": name, "containers": [container]}, "--wait")
        assert done.code == 0, done.err
    refused = guest.try_sh(f"tank exec held -- {_WRITE}")
    assert refused.code == 1, refused
    assert "No space left" in refused.err or "quota" in refused.err.lower(), refused.err
    taken = int(guest.sh("tank exec held -- stat -c %s /fill"))
    assert 4 * MIB < taken <= 8 * MIB, taken
    assert guest.try_sh(f"tank exec free -- {_WRITE}").code == 0
    guest.sh("tank exec held -- rm /fill")
    assert guest.try_sh("tank exec held -- dd if=/dev/zero of=/again bs=1M count=6").code == 0
    before = guest.pids()["held/app"]
    guest.sh("tank restart held")
    guest.until("the restart", lambda: guest.pids().get("held/app", before) != before)
    assert guest.try_sh(f"tank exec held -- {_WRITE}").code == 1, "the size is forgotten by a restart"
    return f"{taken / MIB:.1f} MiB of 24 were written"
