"""Installing into a directory that stands for the machine, and removing it again."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tank.errors import Denied
from tank.ops import units
from tank.ops.install import Machine, command, install
from tank.ops.uninstall import refuse_while, traces, uninstall

EXISTING = "root"  # a group that is everywhere, so that none is made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_directories_are_closed_and_the_units_written(tmp_path: Path) -> None:
    machine = Machine(root=tmp_path)

    await install(machine, group=EXISTING, start=False)

    assert [mode(tmp_path / name) for name in ("etc/tank", "etc/tank/pods.d", "var/lib/tank")] == [0o755, 0o700, 0o700]
    assert f"ExecStart={command()}\n" in (machine.units / units.DAEMON).read_text()
    assert (machine.units / units.PODS).exists()


async def test_a_second_time_there_is_nothing_to_do(tmp_path: Path) -> None:
    machine = Machine(root=tmp_path)
    await install(machine, group=EXISTING, start=False)

    assert await install(machine, group=EXISTING, start=False) == []


async def test_a_directory_that_stood_open_is_closed(tmp_path: Path) -> None:
    (tmp_path / "var/lib/tank").mkdir(parents=True, mode=0o755)

    await install(Machine(root=tmp_path), group=EXISTING, start=False)

    assert mode(tmp_path / "var/lib/tank") == 0o700


async def test_without_systemd_there_is_a_script_and_a_word_on_starting_by_hand(tmp_path: Path) -> None:
    machine = Machine(root=tmp_path, systemd=False)

    done = await install(machine, group=EXISTING, start=True)

    assert mode(machine.script) == 0o755
    assert command() in done[-1]


async def test_removing_takes_the_service_and_keeps_the_data(tmp_path: Path) -> None:
    machine = Machine(root=tmp_path, systemd=False)
    await install(machine, group=EXISTING, start=False)
    data = tmp_path / "var/lib/tank"
    (data / "store.db").touch()

    (tmp_path / "run/pods").mkdir(parents=True)

    done = await uninstall(machine, data, tmp_path / "run")

    assert not machine.script.exists()
    assert not (tmp_path / "run").exists()
    assert (data / "store.db").exists()
    assert f"kept {data}: remove it by hand when nothing in it is needed" in done


def test_removing_is_refused_while_there_are_pods(tmp_path: Path) -> None:
    with pytest.raises(Denied, match="web"):
        refuse_while(["web"], tmp_path)


def test_where_no_daemon_answers_records_are_evidence_enough(tmp_path: Path) -> None:
    record = tmp_path / "pods/0123456789ab/pod.json"
    record.parent.mkdir(parents=True)
    record.touch()

    assert traces(tmp_path) == (f"record {record}",)


def test_a_machine_without_pods_has_no_traces(tmp_path: Path) -> None:
    refuse_while(traces(tmp_path), tmp_path)
