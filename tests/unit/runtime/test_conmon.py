"""What the monitor's files say, whole, half written or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tank.errors import Failed
from tank.runtime import conmon, signals
from tank.runtime.conmon import Report


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", None),
        ('{"data": 26', None),
        ('{"data": 26450}\n', Report(26450)),
        ('{"data": -1, "message": "no such file"}\n', Report(None, "no such file")),
        ("[1]\n", None),
    ],
)
def test_a_report_is_a_pid_or_the_reason_for_none(tmp_path: Path, text: str, wanted: Report | None) -> None:
    (tmp_path / "sync").write_text(text)
    assert conmon.report(tmp_path / "sync") == wanted


@pytest.mark.parametrize(("text", "wanted"), [("7", 7), ("137\n", 137), ("", None), ("x", None)])
def test_an_exit_file_that_cannot_be_read_is_an_unknown_code(tmp_path: Path, text: str, wanted: int | None) -> None:
    (tmp_path / "exit").write_text(text)
    assert conmon.exit_code(tmp_path / "exit") == wanted


def test_a_control_fifo_without_a_reader_never_blocks(tmp_path: Path) -> None:
    assert not conmon.control(tmp_path, 2)
    os.mkfifo(tmp_path / "ctl")
    assert not conmon.control(tmp_path, 2)
    reader = os.open(tmp_path / "ctl", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert conmon.control(tmp_path, 1, 24, 80)
        assert os.read(reader, 100) == b"1 24 80\n"
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("name", "number"),
    [("SIGTERM", 15), ("TERM", 15), ("sigterm", 15), ("15", 15), ("SIGRTMIN+3", 37), ("RTMAX-1", 63)],
)
def test_signals_have_many_names(name: str, number: int) -> None:
    assert signals.number(name) == number


@pytest.mark.parametrize("name", ["", "0", "65", "SIGNOPE", "SIGRTMIN+99", "SIGRTMIN-1"])
def test_what_is_no_signal_is_refused(name: str) -> None:
    with pytest.raises(Failed):
        signals.number(name)
