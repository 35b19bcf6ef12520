"""What an unpacker says is a report, or a reason why there is no layer: it may be in the hands of a hostile archive."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tank.errors import PullFailed
from tank.image.unpack import Unpacked, believed

DIGEST = f"sha256:{'a' * 64}"
WHOLE: dict[str, Any] = {"diff_id": DIGEST, "bytes": 3, "entries": 1, "opaque": ["a"], "implicit": []}
ODD: list[Any] = ["x", float("inf"), {}]


def test_a_report_is_what_was_made() -> None:
    assert believed(json.dumps(WHOLE).encode(), 0) == Unpacked(
        diff_id=DIGEST, size=3, entries=1, opaque=("a",), implicit=()
    )


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"[" * 100_000,
        b"\xff",
        b"1",
        b"[]",
        b"{}",
        b'{"reason": "DiskPressure"}',
        *(json.dumps({key: value for key, value in WHOLE.items() if key != left}).encode() for left in WHOLE),
        *(json.dumps(WHOLE | {key: None}).encode() for key in WHOLE),
        *(json.dumps(WHOLE | {"bytes": odd}).encode() for odd in ODD),
        json.dumps(WHOLE | {"diff_id": "../../etc"}).encode(),
    ],
)
def test_what_is_no_report_is_no_layer(report: bytes) -> None:
    with pytest.raises(PullFailed):
        believed(report, 0)
