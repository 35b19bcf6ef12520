"""Text for people and for programs: tables, ages, colours, JSON, YAML, and what must not reach a terminal.

Names, messages and logs come from outside. Control characters in them could move the cursor, set the window's
title or type into the shell, and some Unicode signs turn the direction of what follows: none is printed (S31).
"""

from __future__ import annotations

import re
import sys
import time

TYPE_CHECKING = False  # true for a type checker
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_COLOR = re.compile(r"(\x1b\[[0-9;]{0,30}m)")
_TONES = {"red": 31, "green": 32, "yellow": 33, "cyan": 36, "dim": 2, "bold": 1}
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def plain(text: object) -> str:
    """`text` without what could steer a terminal; line ends and tabs stay."""
    return _CONTROL.sub("", str(text))


def line(text: object) -> str:
    """`text` on one line, without what could steer a terminal."""
    return plain(text).replace("\n", " ").replace("\t", " ")


def colored(text: str) -> str:
    """As `plain`, but colours stay, and end with the text: for the output of programs."""
    parts = [part if _COLOR.fullmatch(part) else plain(part) for part in _COLOR.split(text)]
    return "".join(parts) + ("\x1b[0m" if len(parts) > 1 else "")


def tone(text: str, name: str, color: bool) -> str:
    """`text` in a colour, where colours are wanted."""
    return f"\x1b[{_TONES[name]}m{text}\x1b[0m" if color and name else text


def phase_tone(phase: str, ready: bool) -> str:
    """The colour of a pod's phase."""
    return {"failed": "red", "succeeded": "dim", "terminating": "dim", "running": "green" if ready else "yellow"}.get(
        phase, "yellow"
    )


def table(rows: Sequence[Sequence[object]], tones: Sequence[str] = (), color: bool = False) -> str:
    """Rows in columns, the first being the head. `tones` colours the second cell of each row behind the head."""
    cells = [[line(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = []
    for index, row in enumerate(cells):
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if index and tones:
            padded[1] = tone(padded[1], tones[index - 1], color)
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def size(count: int) -> str:
    """Bytes for a person: 0 B, 512 B, 4.1 kB, 31.4 MB."""
    for unit, one in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= one:
            return f"{count / one:.1f} {unit}"
    return f"{count} B"


def age(stamp: str | None) -> str:
    """How long ago an RFC 3339 time in UTC was; empty when there is none, or it cannot be read."""
    if not stamp:
        return ""
    try:
        return span(time.time() - _seconds(stamp))
    except ValueError:
        return ""


def _seconds(stamp: str) -> float:
    """RFC 3339 in UTC as seconds: by hand, since `datetime` costs the command line 3 ms. Raises ValueError."""
    year, month, day = int(stamp[0:4]), int(stamp[5:7]), int(stamp[8:10])
    clock = int(stamp[11:13]) * 3600 + int(stamp[14:16]) * 60 + int(stamp[17:19])
    year -= month <= 2  # years that begin in March have their leap day at the end
    in_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days = year * 365 + year // 4 - year // 100 + year // 400 + in_year - 719_468
    return days * 86_400 + clock


def span(seconds: float) -> str:
    """A duration in its largest unit, or two while the first is small: 42s, 5m, 1h30m, 3d4h, 12d."""
    left = max(0, int(seconds))
    for index, (size, unit) in enumerate(_UNITS):
        if left >= size:
            count, rest = divmod(left, size)
            smaller = _UNITS[index + 1] if count < 10 and index + 1 < len(_UNITS) - (unit == "m") else None
            second = rest // smaller[0] if smaller else 0
            return f"{count}{unit}" + (f"{second}{smaller[1]}" if smaller and second else "")
    return "0s"


def print_as(output: str, value: Any) -> None:
    """`value` as JSON or YAML on standard output."""
    if output == "yaml":
        from tank.cli.yamltext import yaml

        sys.stdout.write(yaml(value))
        return
    import json

    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=sys.stdout.isatty()) + "\n")


def tell(text: object) -> None:
    """Say something to a person: on standard error, so that data stays data."""
    print(plain(text), file=sys.stderr, flush=True)
