"""Durations on the command line: `90`, `500ms`, `10s`, `5m`, `1h30m`; and times, for `--since`."""

from __future__ import annotations

import argparse
import re

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(text: str) -> float:
    """Seconds. Raises ArgumentTypeError, as argparse wants it."""
    try:
        seconds = float(text)
    except ValueError:
        if not text or _PART.sub("", text):
            raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90, 10s, 5m, 1h30m") from None
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if not 0 <= seconds <= 7 * 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and a week")
    return seconds


def since(text: str) -> float:
    """A moment in seconds of the wall clock: an RFC 3339 time, or a duration before now."""
    import time
    from datetime import datetime

    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        return time.time() - duration(text)
    return then.timestamp()  # without a zone, it is local time


def whole(text: str) -> int:
    """A whole number, not negative."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)
