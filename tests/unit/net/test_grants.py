"""What of an interface is refused before anything is made for it."""

from __future__ import annotations

from typing import Any

import pytest

from tank.model.network import Nic, Rate
from tank.net.grants import unbuilt


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({}, ""),
        ({"mode": "bridge"}, ""),
        ({"ip": ("dhcp",)}, "ip: dhcp is not supported yet"),
        ({"ip": ("10.0.0.5/24", "slaac")}, "ip: slaac is not supported yet"),
        ({"rate": Rate(incoming=1_000_000)}, "rate is not supported yet"),
    ],
)
def test_what_is_not_built_is_refused(stated: dict[str, Any], said: str) -> None:
    assert unbuilt(Nic(**{"name": "eth0", "ip": ("10.0.0.5/24",)} | stated)) == said
