"""A Debian 12 for the virtual machine: one disk, a kernel and a small initrd, made once and kept in the cache.

Everything in it but Tank itself: that comes at every run, as a wheel on a second disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.images import CACHE, archive

HERE = Path(__file__).parent
RELEASE = "bookworm"
KERNEL = "linux-image-cloud-amd64"
RUN_PACKAGES = ("crun", "conmon", "nftables", "catatonit", "ca-certificates", "python3", "python3-venv")
SYSTEM_PACKAGES = ("systemd", "systemd-sysv", "dbus", "kmod", "iproute2", "busybox-static")
MODULES = ("virtio_pci", "virtio_blk", "ext4")
DISK_SIZE = "3G"

# Waits for the disk, then becomes systemd.
INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
for each in $(/bin/busybox cat /order); do /bin/busybox insmod /modules/$each; done
until [ -b /dev/vda ]; do /bin/busybox sleep 0.05; done
/bin/busybox mount -t ext4 /dev/vda /root && exec /bin/busybox switch_root /root /sbin/init
"""
UNIT = """\
[Unit]
Description=The hand of the tests
[Service]
ExecStart=/usr/bin/python3 -u /srv/agent.py
Restart=always
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True, slots=True)
class Base:
    """What a virtual machine is started from; nothing of it is ever written to."""

    disk: Path
    kernel: Path
    initrd: Path


def base() -> Base:
    """Made on the first call, which takes some two minutes."""
    dependencies = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())["project"]["dependencies"]
    parts = (Path(__file__).read_text(), (HERE / "agent.py").read_text(), dependencies)
    target = CACHE / f"vm-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "vm.lock").open("a") as lock:  # not that of the images: others would wait long
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            building = CACHE / "building-vm"
            shutil.rmtree(building, ignore_errors=True)
            _build(building, dependencies)
            (building / "done").rename(target)
            shutil.rmtree(building)
    return Base(target / "disk", target / "kernel", target / "initrd")


def run(*argv: str | Path) -> str:
    """A command that must succeed; its output goes with the exception otherwise."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def _build(directory: Path, dependencies: list[str]) -> None:
    root, done = directory / "root", directory / "done"
    done.mkdir(parents=True)
    include = ",".join((*SYSTEM_PACKAGES, *RUN_PACKAGES))
    mirror = archive() if "debian" in archive() else "http://deb.debian.org/debian"
    run("debootstrap", "--variant=minbase", f"--include={include}", RELEASE, root, mirror)
    _virtual_environment(root, directory / "wheels", dependencies)
    release = _kernel(root)
    shutil.copy(root / "boot" / f"vmlinuz-{release}", done / "kernel")
    _initrd(root, directory / "early", release, done / "initrd")
    _settle(root)
    run("mke2fs", "-q", "-t", "ext4", "-d", root, done / "disk", DISK_SIZE)


def _virtual_environment(root: Path, wheels: Path, dependencies: list[str]) -> None:
    """As `./dev install` makes it, without the network: the wheels are fetched out here."""
    python = ("--python-version", "3.11", "--only-binary=:all:")
    run(sys.executable, "-m", "pip", "download", "--quiet", *python, "--dest", wheels, *dependencies)
    run("chroot", root, "python3", "-m", "venv", "/opt/tank")
    shutil.copytree(wheels, root / "srv/wheels")
    offline = ("--no-index", "--find-links", "/srv/wheels", "--compile")
    run("chroot", root, "/opt/tank/bin/pip", "install", "--quiet", *offline, *dependencies)
    shutil.rmtree(root / "srv/wheels")


def _kernel(root: Path) -> str:
    """Taken out of its package, not installed: nothing has to make an initrd. Answers with its release."""
    told = run("chroot", root, "apt-cache", "depends", KERNEL).split()
    package = next(word for word in told if word.startswith("linux-image-") and word != KERNEL)
    run("chroot", root, "sh", "-c", f"cd /tmp && apt-get -q download {package}")
    # Not `dpkg-deb -x`: it would make a directory of the link /lib.
    run("chroot", root, "sh", "-c", "dpkg-deb --fsys-tarfile /tmp/*.deb | tar -x --keep-directory-symlink -C /")
    run("chroot", root, "sh", "-c", "rm /tmp/*.deb")
    release = package.removeprefix("linux-image-")
    run("chroot", root, "/sbin/depmod", release)
    return release


def _initrd(root: Path, early: Path, release: str, target: Path) -> None:
    for name in ("bin", "dev", "root", "modules"):
        (early / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", early / "bin")
    tree = root / "lib/modules" / release
    order = list(_order(tree, MODULES))
    for each in order:
        shutil.copy(tree / each, early / "modules")
    (early / "order").write_text(" ".join(Path(each).name for each in order))
    (early / "init").write_text(INIT)
    (early / "init").chmod(0o755)
    names = "\n".join(sorted(str(path.relative_to(early)) for path in early.rglob("*")))
    with target.open("wb") as out:
        subprocess.run(
            [root / "bin/busybox", "cpio", "-o", "-H", "newc"], cwd=early, input=names.encode(), stdout=out, check=True
        )


def _order(tree: Path, wanted: Iterable[str]) -> Iterator[str]:
    """The files of modules, each after those that it needs. What is built into the kernel has none."""
    lines = (line.partition(":") for line in (tree / "modules.dep").read_text().splitlines())
    needs = {path: rest.split() for path, _, rest in lines}
    seen: dict[str, None] = {}

    def add(path: str) -> None:
        for each in needs[path]:
            add(each)
        seen.setdefault(path)

    for name in wanted:
        for path in needs:
            if Path(path).name == f"{name}.ko":
                add(path)
    return iter(seen)


def _settle(root: Path) -> None:
    """A name, a journal that outlives the machine, the agent, a root file system for pods; nothing superfluous."""
    (root / "etc/hostname").write_text("tank-vm\n")
    (root / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    (root / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
    (root / "var/log/journal").mkdir(exist_ok=True)
    shutil.copy(HERE / "agent.py", root / "srv/agent.py")
    (root / "etc/systemd/system/agent.service").write_text(UNIT)
    run("chroot", root, "systemctl", "enable", "--quiet", "agent.service")
    for name in ("bin", "etc", "tmp", "root"):
        (root / "srv/busybox" / name).mkdir(parents=True)
    run("chroot", root, "sh", "-c", "cp /bin/busybox /srv/busybox/bin && /bin/busybox --install -s /srv/busybox/bin")
    for link in (root / "srv/busybox/bin").iterdir():
        if link.is_symlink():
            link.unlink()
            link.symlink_to("busybox")
    (root / "srv/busybox/etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    for each in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man"):
        shutil.rmtree(root / each, ignore_errors=True)
    for name in ("systemd-timesyncd.service", "apt-daily.timer", "e2scrub_reap.service"):
        with suppress(RuntimeError):
            run("chroot", root, "systemctl", "disable", "--quiet", name)
