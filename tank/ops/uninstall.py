"""`tank uninstall`: the units go, the data stays. Refused while there are pods: they would run on, unseen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tank.errors import Denied, TankError
from tank.host import cgroup, files, mounts, process
from tank.net import leftovers
from tank.ops import units
from tank.ops.install import Machine


def installation(data_dir: Path) -> str:
    """The id by which all that is of this data directory is marked; empty: there is none."""
    return (files.read(data_dir / "installation") or b"").decode().strip()


def traces(data_dir: Path) -> tuple[str, ...]:
    """What is left of pods where no daemon can be asked: records, and control groups in which something lives."""
    named = installation(data_dir)
    found = [f"record {path}" for path in sorted((data_dir / "pods").glob("*/pod.json"))]
    for root in dict.fromkeys((f"/tank-{named}", f"/system.slice/{units.PODS}")):
        groups = cgroup.Groups(cgroup.find_hierarchies(), root)
        if named and any(groups.populated(name) for name in groups.names()):
            found.append(f"processes in the control group {root}")
    return tuple(found)


def refuse_while(pods: Sequence[str], data_dir: Path) -> None:
    """Raises Denied naming what is in the way."""
    if pods:
        named = "".join(f"\n  {each}" for each in pods)
        raise Denied(
            f"cannot uninstall while there are pods (delete them first: tank delete NAME):{named}\n"
            f"the data is in {data_dir}"
        )


def _without(run_dir: Path) -> list[Path]:
    """Take the volatile directory away, unless a daemon that was started by hand still works in it."""
    if not run_dir.is_dir() or (run_dir / "tank.sock").exists():
        return []
    mounts.unmount_below(run_dir)
    files.remove_tree(run_dir)
    return [run_dir]


async def _without_network(data_dir: Path, run_dir: Path) -> Sequence[str]:
    """What a daemon that was killed may have left of its rules and bridges."""
    named = installation(data_dir)
    if not named or (run_dir / "tank.sock").exists():
        return ()
    try:
        return await leftovers.remove(named)
    except TankError as error:
        return (f"nothing of the network: {error.message}",)


async def uninstall(machine: Machine, data_dir: Path, run_dir: Path) -> list[str]:
    """Do it; answers with what was done and what was kept, a line each. Raises ToolFailed, OSError."""
    present = [machine.units / name for name in (units.DAEMON, units.PODS) if (machine.units / name).exists()]
    if present and machine.systemd:
        await process.run(["systemctl", "disable", "--quiet", "--now", *(path.name for path in present)], seconds=660)
    present += [machine.script] if machine.script.exists() else []
    for path in present:
        path.unlink()
    if machine.systemd:
        await process.run(["systemctl", "daemon-reload"])
    network = await _without_network(data_dir, run_dir)
    present += _without(run_dir)
    done = [f"removed {each}" for each in (*present, *network)] or ["nothing was installed"]
    kept = [path for path in (data_dir, machine.root / "etc/tank") if path.exists()]
    return done + [f"kept {path}: remove it by hand when nothing in it is needed" for path in kept]
