"""`tank install`: the group, the directories, the units. Every step may be repeated; done already is success."""

from __future__ import annotations

import grp
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from tank.errors import Denied
from tank.host import files, process
from tank.ops import trust, units

DIRECTORIES = {"etc/tank": 0o755, "etc/tank/pods.d": 0o700, "var/lib/tank": 0o700}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where things go. `root` is another directory in tests; `systemd`: it runs here and is to be told."""

    root: Path = Path("/")
    systemd: bool = True

    @property
    def units(self) -> Path:
        """The directory of the administrator's own units."""
        return self.root / "etc/systemd/system"

    @property
    def script(self) -> Path:
        """The init script of machines without systemd."""
        return self.root / "etc/init.d/tank"


def this_machine() -> Machine:
    """The one that runs this program."""
    return Machine(systemd=Path("/run/systemd/system").is_dir())


def refuse_unless_safe() -> None:
    """Raises Denied unless root runs this, from files that nobody else can change; names every loose place."""
    if os.geteuid() != 0:
        raise Denied("cannot install: only root may")
    whole = [*trust.inside(Path(sys.prefix)), *trust.inside(trust.PACKAGE)]
    loose = trust.writable_by_others([*trust.places(), *whole])
    if loose:
        named = "".join(f"\n  {path}" for path in loose)
        raise Denied(
            "cannot install: not only root can write these, so whoever can would become root:"
            f"{named}\ninstall into a directory of root's own: sudo ./dev install"
        )


async def install(machine: Machine, *, group: str, start: bool) -> list[str]:
    """Do it; answers with what was done, a line each. Raises ToolFailed, OSError."""
    done: list[str] = []
    if not _has_group(group):
        await process.run(["groupadd", "--system", group])
        done.append(f"made the group {group}: its members have root's power through Tank")
    for name, mode in DIRECTORIES.items():
        if _make_directory(machine.root / name, mode):
            done.append(f"made {machine.root / name}")
    if not machine.systemd:
        return done + _write_script(machine)
    changed = [name for name, text in units.systemd(command()).items() if _write(machine.units / name, text)]
    done += [f"wrote {machine.units / name}" for name in changed]
    if start:
        done += await _start()
    return done


def command() -> str:
    """What starts the daemon: the program beside the interpreter, which sees the same packages."""
    beside = Path(sys.executable).with_name("tank")
    return f"{beside} serve" if beside.exists() else f"{sys.executable} -m tank serve"


async def _start() -> list[str]:
    """Both units now and with the machine. The daemon is restarted: the containers do not notice."""
    await process.run(["systemctl", "daemon-reload"])
    await process.run(["systemctl", "enable", "--quiet", units.PODS, units.DAEMON])
    await process.run(["systemctl", "start", units.PODS])
    await process.run(["systemctl", "restart", units.DAEMON])
    return [f"started {units.DAEMON}; it starts with the machine (systemctl status tank, journalctl -u tank)"]


def _write_script(machine: Machine) -> list[str]:
    """No systemd: an init script, and how to do without."""
    wrote = _write(machine.script, units.script(command()), mode=0o755)
    return [f"wrote {machine.script}"] * wrote + [
        "systemd does not run here: start the daemon with /etc/init.d/tank start (update-rc.d tank defaults: always),",
        f"or in the foreground with {command()}",
    ]


def _write(path: Path, text: str, mode: int = 0o644) -> bool:
    """Whether the file had to be written."""
    if files.read(path) == text.encode() and stat.S_IMODE(path.stat().st_mode) == mode:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_durably(path, text.encode(), mode)
    return True


def _make_directory(path: Path, mode: int) -> bool:
    """Whether the directory had to be made; one that is there keeps its contents and gets the mode."""
    missing = not path.is_dir()
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    return missing


def _has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
