"""Whether a client that runs is of use, from its files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import tank
from tank.config import Settings
from tank.net.dhcp.clients import Clients, boot
from tank.net.dhcp.lease import Lease, State, dumped

UID, OWN = "1" * 12, [tank.__version__, sys.executable]
BOUND = State(event="bound", lease=Lease(address="10.0.0.5/24", until=1e12))
LAPSED = Lease(address="10.0.0.5/24", until=boot() - 1)


@pytest.mark.parametrize(
    ("maker", "state", "fault"),
    [
        (OWN, BOUND, ""),
        (OWN, State(event="deconfig"), ""),
        (OWN, State(event="deconfig", lease=LAPSED), ""),  # it knows, and asks on
        (OWN, State(event="renew", lease=LAPSED), "has let its lease end"),
        ([tank.__version__, "/opt/old/bin/python"], BOUND, "is that of another Tank"),
        (["0.0.1", sys.executable], BOUND, "is that of another Tank"),
        ([], BOUND, "is that of another Tank"),
    ],
)
def test_what_speaks_against_a_client_that_runs(tmp_path: Path, maker: list[str], state: State, fault: str) -> None:
    settings = Settings(run_dir=tmp_path)
    directory = settings.pod_run_dir(UID) / "dhcp" / "eth0"
    directory.mkdir(parents=True)
    (directory / "wish").write_text(json.dumps(["web", 0, *maker]))
    (directory / "state").write_text(json.dumps(dumped(state)))
    clients = Clients(settings, "ab12cd", lambda uid: None)
    assert clients.fault(UID, "eth0") == fault
