"""Limits on trees of plain files: what is written for them, what is read back, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tank.errors import Failed
from tank.host import cpuset, limits, memory, weights
from tank.host.cgroup import Groups, Hierarchies
from tank.host.control import Control
from tank.model.pod import Cpu, Limits
from tank.model.weights import bfq, from_bfq, shares, weight_of

MIB = 2**20
CONTROLLERS = frozenset({"memory", "pids", "cpu", "cpuset", "io"})
FILES_V2 = {
    "memory.max": "max",
    "memory.high": "max",
    "memory.low": "0",
    "memory.swap.max": "max",
    "memory.current": "10",
    "pids.max": "max",
    "cpu.max": "max 100000",
    "cpu.weight": "100",
    "cpuset.cpus": "",
    "io.weight": "default 100",
    "io.bfq.weight": "100",
}


def group(tree: Path, name: str, content: dict[str, str]) -> Path:
    directory = tree / "tank-abcdef" / name
    directory.mkdir(parents=True, exist_ok=True)
    for file, text in content.items():
        (directory / file).write_text(text)
    return directory


@pytest.fixture
def unified(tmp_path: Path) -> Groups:
    return Groups(Hierarchies(v2=tmp_path, v1={}, controllers=CONTROLLERS), "/tank-abcdef")


@pytest.fixture
def legacy(tmp_path: Path) -> Groups:
    trees = {name: tmp_path / name for name in ("memory", "pids", "cpu", "cpuset", "blkio")}
    for each in trees.values():
        each.mkdir()
    return Groups(Hierarchies(v2=tmp_path / "unified", v1=trees, controllers=frozenset()), "/tank-abcdef")


def first(path: Path) -> str:
    """What was written, over whatever longer text a plain file had."""
    return path.read_text().partition("\n")[0]


ALL = Limits(
    memory=64 * MIB,
    memory_high=48 * MIB,
    memory_low=MIB,
    swap=4096,
    pids=7,
    cpu=Cpu(quota=5000, period=10_000),
    cpu_weight=250,
    cpuset="0-1",
    io_weight=1000,
)


def test_every_limit_of_version_2_is_written_to_its_file(unified: Groups, tmp_path: Path) -> None:
    where = group(tmp_path, "u/app", FILES_V2)
    limits.apply(unified, "u/app", ALL)
    written = {name: first(where / name) for name in FILES_V2}
    assert written == {
        "memory.max": str(64 * MIB),
        "memory.high": str(48 * MIB),
        "memory.low": str(MIB),
        "memory.swap.max": "4096",
        "memory.current": "10",
        "pids.max": "7",
        "cpu.max": "5000 10000",
        "cpu.weight": "250",
        "cpuset.cpus": "0-1",
        "io.weight": "default 1000",
        "io.bfq.weight": "181",
    }
    assert limits.read(unified, "u/app", limits.wanted(ALL)) == limits.wanted(ALL)
    assert limits.wanted(ALL)["cpu"] == "0.5"


def test_every_limit_can_be_taken_off(unified: Groups, tmp_path: Path) -> None:
    where = group(tmp_path, "u/app", FILES_V2)
    limits.apply(unified, "u/app", ALL)
    limits.apply(unified, "u/app", Limits())
    for name in ("memory.max", "memory.high", "memory.swap.max", "pids.max", "cpu.max"):
        assert first(where / name) == "max", name
    assert (first(where / "memory.low"), first(where / "cpuset.cpus")) == ("0", "")
    assert (first(where / "cpu.weight"), first(where / "io.weight")) == ("100", "default 100")


def test_memory_that_is_in_use_is_never_taken_away(unified: Groups, tmp_path: Path) -> None:
    where = group(tmp_path, "u/app", FILES_V2 | {"memory.current": str(8 * MIB), "memory.max": str(9 * MIB)})
    with pytest.raises(Failed, match=r"cannot lower the memory limit to 4MiB: 8\.0 MiB are in use"):
        limits.apply(unified, "u/app", Limits(memory=4 * MIB, pids=3))
    assert (first(where / "memory.max"), first(where / "memory.high")) == (str(9 * MIB), "max")
    assert first(where / "pids.max") == "3"  # the others hold all the same


def test_a_cut_throttles_a_little_above_and_reclaims_a_little_more(unified: Groups, tmp_path: Path) -> None:
    where = group(tmp_path, "u/app", FILES_V2 | {"memory.current": str(8 * MIB), "memory.reclaim": ""})
    with pytest.raises(Failed):  # a plain file reclaims nothing
        memory.apply_v2(where, Limits(memory=4 * MIB))
    assert first(where / "memory.reclaim") == str(5 * MIB)


def test_a_memory_limit_alone_leaves_no_swap() -> None:
    assert memory.swap_of(Limits(memory=5)) == 0
    assert memory.swap_of(Limits(memory=5, swap=3)) == 3
    assert memory.swap_of(Limits()) is None


@pytest.mark.parametrize("swap", [None, 0, MIB])
def test_version_1_counts_memory_and_swap_together(legacy: Groups, tmp_path: Path, swap: int | None) -> None:
    files = {"memory.limit_in_bytes": str(2**63 - 4096), "memory.memsw.limit_in_bytes": str(2**63 - 4096)}
    where = group(tmp_path / "memory", "u/app", files)
    wanted = Limits(memory=4 * MIB, swap=swap)
    limits.apply(legacy, "u/app", wanted)
    assert first(where / "memory.limit_in_bytes") == str(4 * MIB)
    assert first(where / "memory.memsw.limit_in_bytes") == str(4 * MIB + (swap or 0))
    assert limits.read(legacy, "u/app", ("memory", "swap")) == {"memory": 4 * MIB, "swap": swap or 0}


def test_what_nobody_limits_is_read_as_such(legacy: Groups, tmp_path: Path) -> None:
    group(tmp_path / "memory", "u/app", {"memory.limit_in_bytes": str(2**63 - 4096)})
    group(tmp_path / "cpu", "u/app", {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000", "cpu.shares": "1024"})
    found = limits.read(legacy, "u/app", ("memory", "cpu", "cpu_weight", "pids"))
    assert found == {"memory": "max", "cpu": "max", "cpu_weight": 100, "pids": "max"}


def test_a_limit_without_its_controller_is_refused(tmp_path: Path) -> None:
    bare = Groups(Hierarchies(v2=tmp_path, v1={}, controllers=frozenset()), "/tank-abcdef")
    limits.apply(bare, "u/app", Limits())
    with pytest.raises(Failed, match="no such control group controller"):
        limits.apply(bare, "u/app", Limits(pids=4))
    told = list(limits.refusals(bare, ALL))
    assert [each.partition(":")[0] for each in told] == [
        "memory", "memory_high", "memory_low", "swap", "pids", "cpu", "cpu_weight", "cpuset", "io_weight",
    ]  # fmt: skip


def test_version_1_refuses_what_it_has_not(legacy: Groups) -> None:
    told = "\n".join(limits.refusals(legacy, Limits(memory_high=1, memory_low=1, swap=1, io_weight=5)))
    assert "memory_high: control groups of version 1" in told
    assert "memory_low: control groups of version 1" in told
    assert "swap: this kernel does not count it" in told
    assert "together with memory" in told


@pytest.mark.parametrize(
    ("wanted", "there", "why"),
    [
        ("0-1", "0-3", ""),
        ("0,3", "0-3", ""),
        ("0-8", "0-3", "this machine has no CPU 4,5,6,7,8; it has 0-3"),
        ("2", "0-1,3", "this machine has no CPU 2; it has 0-1,3"),
    ],
)
def test_a_set_of_cpus_is_measured_against_the_machine(
    unified: Groups, tmp_path: Path, wanted: str, there: str, why: str
) -> None:
    (tmp_path / "cpuset.cpus.effective").write_text(f"{there}\n")
    assert cpuset.refusal(Control(unified, ""), wanted) == why


def test_version_1_takes_off_a_set_of_cpus_by_that_of_the_group_above(legacy: Groups, tmp_path: Path) -> None:
    group(tmp_path / "cpuset", "u", {"cpuset.cpus": "0-3"})
    where = group(tmp_path / "cpuset", "u/app", {"cpuset.cpus": "1"})
    limits.apply(legacy, "u/app", Limits())
    assert first(where / "cpuset.cpus") == "0-3"


@pytest.mark.parametrize("weight", [1, 2, 99, 100, 101, 333, 5000, 9999, 10_000])
def test_a_cpu_weight_survives_version_1s_shares(weight: int) -> None:
    assert 2 <= shares(weight) <= 262_144
    assert weight_of(shares(weight)) == weight


def test_weights_of_cpus_relate_as_their_shares_do() -> None:
    assert (shares(100), shares(200), shares(50)) == (1024, 2048, 512)


@pytest.mark.parametrize("weight", range(1, 10_001, 37))
def test_a_disk_weight_fits_the_scheduler_and_comes_back_near(weight: int) -> None:
    assert 1 <= bfq(weight) <= 1000
    assert bfq(from_bfq(bfq(weight))) == bfq(weight)
    assert abs(from_bfq(bfq(weight)) - weight) <= 11


@pytest.mark.parametrize(
    ("scheduler", "cost", "refused"),
    [
        ("[none] mq-deadline bfq", "", True),
        ("none [bfq]", "", False),
        ("[none]", "8:0 enable=1 ctrl=auto", False),
        ("[none]", "8:0 enable=0 ctrl=auto", True),
    ],
)
def test_a_disk_weight_needs_somebody_who_goes_by_it(
    unified: Groups, tmp_path: Path, scheduler: str, cost: str, refused: bool
) -> None:
    (tmp_path / "block/sda/queue").mkdir(parents=True)
    (tmp_path / "block/sda/queue/scheduler").write_text(scheduler)
    (tmp_path / "io.cost.qos").write_text(cost)
    assert bool(weights.why_no_io(Control(unified, ""), tmp_path / "block")) is refused
