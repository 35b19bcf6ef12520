"""A pool on the LAN gives nobody what another machine there, or the host, has already (C15)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tank.config import Settings
from tank.errors import Waiting
from tank.model.network import FromPool
from tank.model.pod import Container, Network, Nic, Pod
from tank.model.pools import Naming, Pool, Wiring
from tank.net.driver import NetDriver
from tests.segment import NEIGHBOUR, NEIGHBOUR6, Lan, ip

pytestmark = pytest.mark.system

UID = "0123456789ab"
HOST = "10.66.0.2"


@pytest.fixture
async def pooled(segment: Lan, short_tmp: Path, installation: str) -> AsyncIterator[NetDriver]:
    """A driver with a pool of both families, whose first addresses the neighbour has."""
    subnets = ("10.66.0.0/29", "fd66::/64")
    pool = Pool(name="lan", mode="macvlan", parent=segment.parent, subnets=subnets)
    settings = Settings(
        data_dir=short_tmp / "data", run_dir=short_tmp / "run", naming=Naming(enabled=False), shim=False, pools=(pool,)
    )
    settings.data_dir.mkdir()
    driver = NetDriver(settings, installation)
    yield driver
    await driver.wire(Wiring())
    await driver.close()


def pod(name: str = "web") -> Pod:
    nics = (Nic(name="eth0", ip=(FromPool(pool="lan"),)),)
    return Pod(name=name, containers=(Container(name="app", image="x"),), network=Network(nics=nics))


async def test_what_others_have_is_passed_over_and_its_owner_is_told(segment: Lan, pooled: NetDriver) -> None:
    ip(f"addr add {HOST}/24 dev {segment.parent}")
    inside, told = await segment.namespace("pod"), []
    for _ in range(2):
        with pytest.raises(Waiting, match="has it on that network; pool lan gives another") as caught:
            await pooled.configure(UID, pod(), inside)
        told.append(caught.value.message.split()[2].rstrip(":"))

    held = await pooled.configure(UID, pod(), inside)

    assert set(told) == {NEIGHBOUR, NEIGHBOUR6}
    assert [each.ip for each in held] == ["10.66.0.3/29", "fd66::2/64"]
    assert await pooled.observe(UID, pod(), inside) == ()
    assert {each.address for each in (await pooled.survey().networks())[1].leases} == {"10.66.0.3", "fd66::2"}
    assert await pooled.configure(UID, pod(), inside) == held
    await pooled.release(UID, pod(), inside)
