"""Which capabilities are held."""

from __future__ import annotations

import pytest

from tank.model.pod import Security
from tank.runtime.capabilities import ALL, DEFAULT, held


@pytest.mark.parametrize(
    ("security", "wanted"),
    [
        (Security(), set(DEFAULT)),
        (Security(cap_drop=("ALL",)), set()),
        (Security(cap_drop=("ALL",), cap_add=("CAP_KILL",)), {"CAP_KILL"}),
        (Security(cap_add=("CAP_NET_RAW",)), {*DEFAULT, "CAP_NET_RAW"}),
        (Security(cap_add=("ALL",), cap_drop=("CAP_SYS_ADMIN",)), {*ALL} - {"CAP_SYS_ADMIN"}),
        (Security(cap_add=("CAP_KILL",), cap_drop=("CAP_KILL",)), set(DEFAULT) - {"CAP_KILL"}),
        (Security(privileged=True), set(ALL)),
    ],
)
def test_adds_and_drops(security: Security, wanted: set[str]) -> None:
    assert set(held(security)) == wanted


def test_what_the_kernel_does_not_know_is_not_held() -> None:
    assert held(Security(privileged=True), ALL[:3]) == ALL[:3]


def test_the_default_cannot_forge_packets_or_devices() -> None:
    assert not {"CAP_NET_RAW", "CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_DAC_READ_SEARCH"} & set(DEFAULT)
