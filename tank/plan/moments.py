"""Moments as people and programs read them. They decide nothing."""

from __future__ import annotations

import datetime


def rfc3339(wall: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    moment = datetime.datetime.fromtimestamp(wall, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
