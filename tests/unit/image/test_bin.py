"""What is to be removed goes, whatever one removal meets."""

from __future__ import annotations

from pathlib import Path

from tank.image.bin import BATCH, Bin


async def test_a_defect_met_by_one_removal_keeps_no_other(tmp_path: Path) -> None:
    def busy() -> bool:
        raise KeyError("a defect")

    large, small = tmp_path / "large", tmp_path / "small"
    for directory, files in ((large, BATCH + 1), (small, 1)):
        directory.mkdir()
        for number in range(files):
            (directory / str(number)).touch()
    bin_ = Bin(busy)
    bin_.put([large, small])
    await bin_.emptied()
    await bin_.close()
    assert (large.exists(), small.exists()) == (True, False)
