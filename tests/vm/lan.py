"""Pods on a LAN, on a kernel that has ipvlan: a cable, at whose other end a neighbour lives in a namespace."""

from __future__ import annotations

from typing import Any

from tests.vm.guest import Guest
from tests.vm.story import ROOTFS

_SERVE = "mkdir -p /www; echo hello >/www/index.html; exec httpd -f -p 80 -h /www"
_FETCH = 'python3 -c \'import urllib.request as r; print(r.urlopen("http://{}/", timeout=5).read().decode(), end="")\''
_OTHER = "ip netns exec lan "


def _pod(name: str, address: str, mode: str = "ipvlan") -> dict[str, Any]:
    nic = {"name": "eth0", "mode": mode, "parent": "up0", "ip": address}
    app = {"name": "app", "image": ROOTFS, "command": ["sh", "-c", _SERVE], "probes": {"ready": {"tcp": 80}}}
    return {"name": name, "grace": 0, "network": {"nics": [nic]}, "containers": [app]}


def _start(guest: Guest, *pods: dict[str, Any]) -> None:
    for each in pods:
        done = guest.apply(each, "--wait", "--timeout", "2m")
        assert done.code == 0, done.err


def _gone(guest: Guest, *names: str) -> None:
    for each in names:
        guest.sh(f"tank delete {each} && tank wait {each} --for gone --timeout 1m")


def _inside(guest: Guest, pod: str) -> str:
    uid = guest.json(f"status {pod}")["uid"]
    return f"nsenter --net=/run/tank/pods/{uid}/ns/net "


def _mac(guest: Guest, pod: str) -> str:
    return str(guest.json(f"status {pod}")["addresses"][0]["mac"])


def there_is_a_neighbour(guest: Guest) -> str:
    guest.sh(
        "ip netns add lan && ip link add up0 type veth peer name lan0 netns lan && ip link set up0 up && "
        "ip -n lan address add 192.0.2.1/24 dev lan0 && ip -n lan link set lan0 up && ip -n lan link set lo up"
    )
    return guest.sh("cat /sys/class/net/up0/address").strip()


def an_ipvlan_pod_has_the_mac_of_its_parent(guest: Guest) -> str:
    parent = guest.sh("cat /sys/class/net/up0/address").strip()
    _start(guest, _pod("one", "192.0.2.5/24"))
    assert _mac(guest, "one") == parent
    assert guest.sh(_OTHER + _FETCH.format("192.0.2.5")) == "hello\n"
    assert f"lladdr {parent}" in guest.sh("ip -n lan neigh show 192.0.2.5")
    assert "/sys/module/ipvlan" in guest.sh("ls -d /sys/module/ipvlan")
    return parent


def an_address_that_a_neighbour_has_is_waited_for(guest: Guest) -> str:
    """It answers to an address that the pod has not yet, so to the parent."""
    owner = guest.sh("cat /sys/class/net/up0/address; ip netns exec lan cat /sys/class/net/lan0/address").split()[1]
    guest.sh("ip -n lan address add 192.0.2.6/24 dev lan0")
    done = guest.apply(_pod("two", "192.0.2.6/24"))
    assert done.code == 0, done.err
    guest.until("the conflict", lambda: owner in guest.json("status two")["message"])
    message = str(guest.json("status two")["message"])
    guest.sh("ip -n lan address delete 192.0.2.6/24 dev lan0")
    guest.sh("tank wait two --for ready --timeout 2m", 150)
    return message


def two_ipvlan_pods_reach_each_other_and_come_back(guest: Guest) -> None:
    assert guest.sh(_inside(guest, "two") + _FETCH.format("192.0.2.5")) == "hello\n"
    before = _mac(guest, "one")
    guest.sh(f"{_inside(guest, 'one')} ip address flush dev eth0")
    guest.until("its address", lambda: guest.try_sh(_OTHER + _FETCH.format("192.0.2.5")).code == 0)
    guest.sh("tank restart one --wait", 150)
    assert _mac(guest, "one") == before
    assert guest.sh(_OTHER + _FETCH.format("192.0.2.5")) == "hello\n"


def one_parent_carries_one_kind(guest: Guest) -> str:
    assert guest.apply(_pod("three", "192.0.2.7/24", "macvlan")).code == 0
    guest.until("the refusal", lambda: "another kind" in guest.json("status three")["message"])
    message = str(guest.json("status three")["message"])
    _gone(guest, "one", "two")
    guest.sh("tank wait three --for ready --timeout 2m", 150)
    return message


def the_host_and_a_macvlan_pod_reach_each_other(guest: Guest) -> str:
    """By the shim, as soon as the host has an address there; it goes with the last pod."""
    assert "/shim/" not in guest.sh("ip -d link")
    guest.sh("ip address add 192.0.2.2/24 dev up0")
    guest.until("the way of the host", lambda: guest.try_sh(_FETCH.format("192.0.2.7")).code == 0)
    routes = guest.sh("ip route show 192.0.2.0/24; ip -n lan neigh show 192.0.2.2")
    assert guest.sh(_OTHER + _FETCH.format("192.0.2.7")) == "hello\n"
    guest.try_sh(_OTHER + _FETCH.format("192.0.2.2"))  # nobody listens there
    parent = guest.sh("cat /sys/class/net/up0/address").strip()
    assert f"lladdr {parent}" in guest.sh("ip -n lan neigh show 192.0.2.2")
    shim = guest.sh("ip route show 192.0.2.7").strip()
    _gone(guest, "three")
    guest.until("the end of the shim", lambda: "/shim/" not in guest.sh("ip -d link"))
    assert "netdev" not in guest.sh("nft list tables")
    assert guest.sh("ip route show 192.0.2.0/24").strip() in routes
    guest.sh("ip link delete up0; ip netns delete lan")
    return shim
