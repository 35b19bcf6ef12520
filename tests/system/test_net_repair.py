"""What others change in the network of pods is put right at once, on the host and in the pod, by a restarted daemon
too; or, where nothing is to be repaired, it is told and left as it is.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tank.node.astray import CONDITION
from tests.daemon import Daemon
from tests.system.conftest import tended
from tests.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

HEALED = 8.0  # seconds: all of it is heard; only a failure waits so long


@pytest.fixture
def watching(short_tmp: Path, installation: str) -> Iterator[Daemon]:
    """A daemon that repairs nothing."""
    yield from tended(Daemon(short_tmp, installation, config="[net]\nrepair = false\n"))


def pod(image: str, name: str = "web", ports: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    nics = [{"name": "eth0", "ip": {"pool": "default"}, "rate": {"in": "1G", "out": "1G"}, **more}]
    sleeper = {"name": "app", "image": image, "command": ["sleep", "999"]}
    return {"name": name, "grace": 0, "network": {"nics": nics, "ports": list(ports)}, "containers": [sleeper]}


def run(command: str) -> str:
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout


class Scene:
    """A pod, its namespace, and what is its on the host."""

    def __init__(self, daemon: Daemon, name: str = "web") -> None:
        daemon.client.wait(name, "ready", timeout=60)
        status = daemon.client.status(name)
        self.daemon, self.table = daemon, f"tank_{daemon.installation}"
        self.address = status.addresses[0].ip
        self.pid = status.containers[0].pid
        self.inside = f"nsenter --net={daemon.run}/pods/{status.uid}/ns/net"
        (self.bridge,) = [each.parent for each in daemon.client.networks.list() if each.name == "default"]
        mark = f"tank {daemon.installation}/{status.uid}/eth0/plug"
        (self.plug,) = [each["ifname"] for each in links("ip -j link") if each.get("ifalias") == mark]
        self.gateway = next(
            each["local"]
            for each in links(f"ip -j addr show {self.bridge}")[0]["addr_info"]
            if each["family"] == "inet"
        )
        self.restarts = status.containers[0].restarts

    def harm(self, words: str) -> None:
        """Do it, with the names of this scene."""
        run(words.format(**vars(self)))

    def look(self) -> dict[str, Any]:
        """Everything that has to come back, but for what the kernel numbers anew."""
        told = {
            "addresses": _addresses(f"{self.inside} ip -j addr"),
            "routes": _routes(f"{self.inside} ip -j route"),
            "routes6": _routes(f"{self.inside} ip -j -6 route"),
            "fence": run(f"{self.inside} nft list table inet tank"),
            "names": run(f"{self.inside} nft list table ip tank_names"),
            "limit": run(f"{self.inside} tc qdisc show dev eth0"),
            "bridge": _addresses(f"ip -j addr show {self.bridge}", routers=True),
            "plug": [
                (each.get("master"), "UP" in each["flags"], each["mtu"])
                for each in links(f"ip -j link show {self.plug}")
            ],
            "gate": [each for each in run(f"tc filter show dev {self.plug} ingress").splitlines() if "match" in each],
            "limit in": run(f"tc qdisc show dev {self.plug}"),
            "hairpin": Path("/sys/class/net", self.plug, "brport/hairpin_mode").read_text(),
            "forward": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        }
        for family in ("inet", "bridge"):
            told[family] = run(f"nft list table {family} {self.table}")
        return told

    def is_as(self, before: dict[str, Any]) -> bool:
        """Whether all of it is there again."""
        try:
            return self.look() == before
        except (subprocess.CalledProcessError, OSError):
            return False


def links(command: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(command))
    return [each for each in found if each]


def _addresses(command: str, *, routers: bool = False) -> list[Any]:
    return [
        (
            each["ifname"], each["mtu"], "UP" in each["flags"], each.get("address"),
            sorted(f"{one['local']}/{one['prefixlen']}" for one in each["addr_info"] if one["scope"] != "link"),
        )
        for each in links(command)
    ]  # fmt: skip


def _routes(command: str) -> list[Any]:
    found = (tuple(str(each.get(key)) for key in ("dst", "gateway", "dev", "metric")) for each in links(command))
    return sorted(each for each in found if not each[0].startswith("fe80"))


def events(daemon: Daemon, reason: str) -> int:
    return sum(each.count for each in daemon.client.events() if each.reason == reason)


def condition(daemon: Daemon) -> str:
    return next((each["message"] for each in daemon.client.info()["conditions"] if each["type"] == CONDITION), "")


HARMS = [
    "{inside} ip address flush dev eth0",
    "{inside} ip route del default",
    "{inside} ip link set eth0 down",
    "{inside} ip link set eth0 mtu 1400",
    "{inside} ip link set eth0 address 02:00:00:00:00:77",
    "{inside} tc qdisc del dev eth0 root",
    "{inside} nft flush ruleset",
    "{inside} nft delete table inet tank",
    "{inside} nft insert rule inet tank input accept",
    "{inside} nft add chain inet tank input {{ policy accept; }}",
    "{inside} nft add table inet tank {{ flags dormant; }}",
    "{inside} nft delete table ip tank_names",
    "{inside} nft insert rule ip tank_names asked accept",
    "ip link set {plug} down",
    "ip link set {plug} nomaster",
    "ip link set {plug} mtu 1300",
    "bridge link set dev {plug} hairpin off",
    "tc qdisc del dev {plug} root",
    "tc qdisc del dev {plug} ingress",
    "ip link set {bridge} down",
    "ip link set {bridge} mtu 1300",
    "ip address flush dev {bridge}",
    "ip link delete {bridge}",
    "nft delete table inet {table}",
    "nft insert rule inet {table} published return",
    "nft add table bridge {table} {{ flags dormant; }}",
    "nft flush table bridge {table}",
    "sysctl -q net.ipv4.ip_forward=0",
]


def test_all_that_is_taken_away_comes_back_and_is_told(daemon: Daemon, busybox: str) -> None:
    daemon.client.apply(pod(busybox, ports=("127.0.0.1:61080:80",)))
    scene = Scene(daemon)
    before = wait_for(partial(_settled, scene))
    daemon.end()
    daemon.start()  # one that did not make it hears as well
    wait_for(partial(_hears, scene))
    for harm in HARMS:
        told = events(daemon, "NetworkRepaired")
        scene.harm(harm)
        wait_for(partial(scene.is_as, before), HEALED, harm)
        wait_for(lambda: events(daemon, "NetworkRepaired") > told, what=f"the event of: {harm}")  # noqa: B023
    status = daemon.client.status("web").containers[0]
    assert (status.pid, status.restarts) == (scene.pid, scene.restarts)


def _settled(scene: Scene) -> dict[str, Any] | None:
    """Once the rules of its ports are there."""
    found = scene.look()
    return found if "61080" in found["inet"] else None


def _hears(scene: Scene) -> bool:
    """Whether somebody listens to news of rules inside the pod: the last that a daemon begins to hear there."""
    sockets = [each.split() for each in run(f"{scene.inside} cat /proc/net/netlink").splitlines()[1:]]
    return any(protocol == "12" and int(groups, 16) for _, protocol, _, groups, *_ in sockets)


def _open_way(scene: Scene) -> bool:
    return "default" in run(f"{scene.inside} ip route")


def _leads_in(scene: Scene) -> bool:
    return "dnat" in run(f"nft list table inet {scene.table}")


def _plugged(scene: Scene) -> bool:
    return bool(scene.look()["plug"][0][1])


LEFT: list[tuple[str, Callable[[Scene], bool], str]] = [
    ("{inside} ip route del default", _open_way, "route to 0.0.0.0/0"),
    ("nft flush table inet {table}", _leads_in, "host's rules"),
    ("ip link set {plug} down", _plugged, "cable of eth0"),
]


def test_without_repair_it_is_told_and_left_and_new_pods_get_theirs(watching: Daemon, busybox: str) -> None:
    watching.client.apply(pod(busybox, ports=("127.0.0.1:61080:80",)))
    scene = Scene(watching)
    wait_for(partial(_settled, scene))
    for harm, stands, words in LEFT:
        scene.harm(harm)
        wait_for(lambda: words in condition(watching), 40, f"the report of: {harm}")  # noqa: B023
        assert not stands(scene)
    watching.end()
    watching.start()
    wait_for(lambda: all(words in condition(watching) for _, _, words in LEFT), 40, "the report of the new daemon")
    assert not any(stands(scene) for _, stands, _ in LEFT)
    assert events(watching, "NetworkRepaired") == 0

    watching.client.apply(pod(busybox, "other"))
    other = Scene(watching, "other")
    assert _open_way(other)
    assert _plugged(other)
    assert not any(stands(scene) for _, stands, _ in (LEFT[0], LEFT[2]))

    scene.harm("ip link set {plug} up")
    scene.harm("{inside} ip route add default via {gateway} proto 116")
    watching.client.apply(pod(busybox, ports=("127.0.0.1:61080:80", "127.0.0.1:61081:81")))
    wait_for(lambda: not condition(watching), 40, "all to be right again")
    assert events(watching, "NetworkInOrder") >= 1
