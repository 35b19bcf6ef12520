"""A router of the neighbour's: dnsmasq, which leases addresses and announces a prefix."""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.neighbour import Neighbour
from tests.waiting import wait_for

PREFIX6 = "fd66:1::"


@dataclass(slots=True)
class Router:
    """`first` and `last` are the last numbers of the addresses that it leases; `records`: the names that it knows."""

    neighbour: Neighbour
    directory: Path
    first: int = 100
    last: int = 119
    records: tuple[str, ...] = ()
    mtu: int = 1400
    process: subprocess.Popen[bytes] | None = None

    @property
    def leases(self) -> list[list[str]]:
        """Until when, MAC, address, host name, client id: of each lease for IPv4."""
        book = self.directory / "leases"
        lines = book.read_text().splitlines() if book.exists() else []
        return [line.split() for line in lines if re.match(r"\d+ [0-9a-f:]{17} \d+\.", line)]

    def said(self, words: str) -> int:
        """How often its log has these words."""
        return (self.directory / "log").read_text().count(words)

    def start(self) -> None:
        """Have it answer."""
        command = ["ip", "netns", "exec", self.neighbour.name, "dnsmasq", *self._settings()]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: self.said("DHCP, IP range"), what="the router")

    def _settings(self) -> list[str]:
        prefix = self.neighbour.prefix
        return [
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--log-facility=-",
            "--log-dhcp",
            "--user=root",
            "--pid-file",
            *self._names(),
            "--no-ping",
            "--interface=lan0",
            "--dhcp-authoritative",
            f"--dhcp-leasefile={self.directory / 'leases'}",
            f"--dhcp-range={prefix}.{self.first},{prefix}.{self.last},255.255.255.0,10m",
            f"--dhcp-option=option:dns-server,{self.neighbour.address if self.records else f'{prefix}.53'}",
            "--dhcp-option=option:domain-search,lan.test",
            f"--dhcp-option=option:mtu,{self.mtu}",
            f"--dhcp-range={PREFIX6},ra-only,64",
            "--enable-ra",
            "--ra-param=lan0,4,600",
        ]

    def _names(self) -> list[str]:
        if not self.records:
            return ["--port=0"]
        return ["--no-resolv", "--no-hosts", "--local=/lan.test/", *(f"--host-record={each}" for each in self.records)]

    def stop(self) -> None:
        """Nobody answers any more; its book stays."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
            self.process = None

    def forget(self, first: int, last: int) -> None:
        """Start again with other addresses, knowing nobody."""
        self.stop()
        (self.directory / "leases").unlink()
        (self.directory / "log").write_bytes(b"")
        self.first, self.last = first, last
        self.start()
