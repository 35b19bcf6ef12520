"""What the doctor makes of versions and modes (S42, S19)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tank.ops import doctor, versions
from tank.ops.doctor import GATES, Verdict, lacking


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("crun version 1.8.1\ncommit: f8a096be", (1, 8, 1)),
        ("conmon version 2.1.6\ncommit: unknown", (2, 1, 6)),
        ("nftables v1.0.6 (Lester Gooch #5)", (1, 0, 6)),
        ("tini version 0.1.7_catatonit", (0, 1, 7)),
        ("crun version 1.28", (1, 28)),
        ("", None),
    ],
)
def test_the_version_is_found_in_what_a_program_says(said: str, version: versions.Version | None) -> None:
    assert versions.parse(said) == version


@pytest.mark.parametrize(
    ("program", "version", "verdict"),
    [
        ("crun", (1, 4), Verdict.FAIL),
        ("crun", (1, 8, 1), Verdict.WARN),
        ("crun", (1, 14, 4), Verdict.WARN),
        ("crun", (1, 28), Verdict.OK),
        ("conmon", (2, 0, 25), Verdict.FAIL),
        ("conmon", (2, 1, 6), Verdict.OK),
        ("nft", (1, 0, 9), Verdict.OK),
    ],
)
def test_a_version_is_judged(program: str, version: versions.Version, verdict: Verdict) -> None:
    assert doctor.judge(program, version).verdict is verdict


def test_a_runtime_with_holes_is_called_outdated_and_the_cure_is_the_last_mended_version() -> None:
    found = doctor.judge("crun", (1, 8, 1))

    assert found.message.startswith("RuntimeOutdated: 1.8.1: ")
    assert found.cure.startswith("1.28 or later")


@pytest.mark.parametrize(
    ("release", "verdict"),
    [("4.19.0-26-amd64", Verdict.FAIL), ("5.15.0-1-generic", Verdict.WARN), ("6.1.0-30-amd64", Verdict.OK)],
)
def test_a_kernel_is_judged(release: str, verdict: Verdict) -> None:
    assert doctor.kernel(release).verdict is verdict


def test_what_a_kernel_lacks_is_neither_built_in_nor_a_module(tmp_path: Path) -> None:
    (tmp_path / "6.1.0").mkdir()
    (tmp_path / "6.1.0/modules.dep").write_text("kernel/net/sched/cls_u32.ko.xz:\n")
    (tmp_path / "6.1.0/modules.builtin").write_text("kernel/net/sched/sch_ingress.ko\n")
    assert lacking(GATES, "6.1.0", tmp_path) == ("act_mirred",)
    assert lacking(GATES, "6.2.0", tmp_path) is None


def test_directories_that_others_can_enter_are_a_failure(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir(mode=0o700)
    run.mkdir(mode=0o755)

    found = list(doctor.directories(data, run))

    assert [(each.verdict, each.cure) for each in found] == [(Verdict.FAIL, f"chmod 750 {run}")]


def test_closed_directories_are_well(tmp_path: Path) -> None:
    assert [each.verdict for each in doctor.directories(tmp_path / "data", tmp_path / "run")] == [Verdict.OK]


async def test_every_check_answers_on_this_machine(tmp_path: Path) -> None:
    found = await doctor.examine(tmp_path / "data", tmp_path / "run")

    assert {each.check for each in found} >= {"kernel", "control groups", "crun", "conmon", "overlayfs", "disk"}
    assert [each.check for each in found if each.verdict is not Verdict.OK and not each.cure] == []
