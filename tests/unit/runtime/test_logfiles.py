"""A reader goes through every file in turn, whatever happens to their names while it reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tank.runtime import logfiles
from tank.runtime.logfiles import Reader

ROOT = Path(__file__).parents[3]
ROUNDS, RECORDS = 60, 3


class Writer:
    """Writes as conmon does, under a log that is rotated, and opened anew twice in a row each time."""

    def __init__(self, log: Path) -> None:
        self.log, self.count = log, 0

    def run(self) -> None:
        for _ in range(ROUNDS):
            self.write(self.log)
            self.shift(self.log)
            self.upcoming().replace(logfiles.live(self.log))
            os.link(logfiles.live(self.log), logfiles.upcoming(self.log))
            self.reopen()
            self.write(self.log)
            self.upcoming()
            self.reopen()  # what was written just now has its second name alone
            self.write(self.log)
            self.shift(logfiles.live(self.log))
            os.link(self.log, logfiles.live(self.log))

    def write(self, file: Path) -> None:
        with file.open("ab") as opened:
            for _ in range(RECORDS):
                self.count += 1
                opened.write(b"2026-01-02T03:04:05+00:00 stdout F %d\n" % self.count)

    def shift(self, source: Path) -> None:
        """Every file keeps its place in the row: nothing is rotated away."""
        rotated = [each for each in logfiles.pieces(self.log.parent, 1) if each.suffix not in (".log", ".live")]
        for each in rotated:
            each.rename(logfiles.numbered(self.log, int(each.suffix[1:]) + 1))
        source.rename(logfiles.numbered(self.log, 1))

    def upcoming(self) -> Path:
        """A new file by the name that the log is opened by anew."""
        logfiles.upcoming(self.log).touch()
        return logfiles.upcoming(self.log)

    def reopen(self) -> None:
        logfiles.upcoming(self.log).rename(self.log)


def test_no_file_is_passed_over_while_names_change(tmp_path: Path) -> None:
    reader = Reader(tmp_path, only=None, since=None)
    reader.begin(None, endless=True)
    seen: list[int] = []
    with subprocess.Popen([sys.executable, "-m", __name__, tmp_path / "1.log"], cwd=ROOT) as writer:
        going = True
        while going:
            going = writer.poll() is None  # what it has written last is read once more
            while lines := reader.next_lines():
                seen.extend(int(line.text) for line in lines)
    reader.close()

    assert seen == list(range(1, ROUNDS * 3 * RECORDS + 1))


if __name__ == "__main__":
    Writer(Path(sys.argv[1])).run()
