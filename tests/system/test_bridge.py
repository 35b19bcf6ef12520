"""Pods on a bridge of Tank's own: their way out, the ports that lead in, and who may connect, from every side.

The LAN is a cable to a namespace of the test, in which another machine lives.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.bridged import HOST, OTHER, Lan, address, ask, inside, pod, run, tables, up
from tests.daemon import Daemon
from tests.system.conftest import emptied
from tests.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


MTU = "/sys/class/net/eth0/mtu"


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Iterator[Daemon]:
    """One for the whole file: an image is fetched once."""
    yield from emptied(shared_daemon)


def test_a_published_port_is_reached_from_everywhere_and_no_other(
    daemon: Daemon, lan: Lan, debian: str, port: int
) -> None:
    web, other = up(daemon, pod(debian, ports=[f"{port}:80"]), pod(debian, "other"))
    assert lan.ask(HOST, port) == f"web {OTHER}"  # with the address that it really came from
    assert ask("127.0.0.1", port).startswith("web ")
    assert ask("::1", port) == "ConnectionRefusedError"
    assert ask(HOST, port).startswith("web ")
    assert inside(daemon, "other", HOST, port).startswith("web ")
    assert inside(daemon, "web", HOST, port).startswith("web ")
    assert inside(daemon, "other", web, 81) == f"web {other}"  # its own pool is open
    assert lan.ask(web, 80) == f"web {OTHER}"
    assert lan.ask(web, 81, 0.5) == "TimeoutError"
    assert lan.ask(other, 80, 0.5) == "TimeoutError"


def test_out_of_a_pod_goes_with_the_address_of_the_host(daemon: Daemon, lan: Lan, debian: str) -> None:
    up(daemon, pod(debian))
    server = "import socket; s = socket.create_server(('', 9000)); print(s.accept()[1][0], flush=True)"
    command = ["ip", "netns", "exec", lan.neighbour.name, sys.executable, "-I", "-c", server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listening:
        wait_for(lambda: inside(daemon, "web", OTHER, 9000) == "", what="the connection")
        assert listening.communicate(timeout=10)[0] == f"{HOST}\n"


def test_the_mtu_of_one_pod_is_no_other_pods(daemon: Daemon, debian: str, port: int) -> None:
    narrow, whole = pod(debian, "narrow", ports=[f"{port}:80"]), pod(debian, "whole")
    narrow["network"]["nics"][0]["mtu"] = 1280
    whole["network"]["nics"][0]["mtu"] = 1500

    up(daemon, narrow, pod(debian), whole)

    mtus = [daemon.client.exec(each, ["cat", MTU]).stdout for each in ("narrow", "web", "whole")]
    assert mtus == [b"1280\n", b"1500\n", b"1500\n"]
    assert "mtu 1500 " in run(f"ip link show {daemon.client.networks.inspect('default').parent}")
    six = daemon.client.status("narrow").addresses[1].ip.partition("/")[0]
    assert inside(daemon, "web", six, 81) == "ConnectionRefusedError"  # by it: it serves IPv4 alone
    assert ask("127.0.0.1", port).startswith("narrow ")
    assert [each.reason for each in daemon.client.events() if each.reason == "NetworkRepaired"] == []


def test_s33_a_port_on_loopback_is_not_reached_from_the_lan(daemon: Daemon, lan: Lan, debian: str, port: int) -> None:
    (web,) = up(daemon, pod(debian, ports=[f"127.0.0.1:{port}:80"]))
    assert ask("127.0.0.1", port).startswith("web ")
    assert lan.ask(HOST, port) == "ConnectionRefusedError"
    assert lan.ask(web, 80, 0.5) == "TimeoutError"  # nor by a route to the pod itself
    lan.neighbour.run("ip", "route", "add", "127.0.0.0/8", "via", HOST, "table", "main")
    assert lan.ask("127.0.0.1", port, 0.5) != "web 127.0.0.1"
    assert "web" not in inside(daemon, "web", address(daemon, "web").rpartition(".")[0] + ".1", port)


def test_allow_lets_in_what_it_lists_and_nothing_else(daemon: Daemon, lan: Lan, debian: str, port: int) -> None:
    rules = [{"from": {"pods": {"role": "front"}}, "ports": [80]}, {"from": f"{OTHER}/32", "ports": ["extra"]}]
    ports = [{"host": port, "container": 81, "name": "extra"}]
    friend = pod(debian, "friend") | {"labels": {"role": "front"}}
    web, _, _ = up(daemon, pod(debian, allow=rules, ports=ports), friend, pod(debian, "stranger"), seen=False)
    assert inside(daemon, "friend", web, 80).startswith("web ")
    assert inside(daemon, "friend", web, 81) == "TimeoutError"
    assert inside(daemon, "stranger", web, 80) == "TimeoutError"
    assert lan.ask(HOST, port) == f"web {OTHER}"
    assert lan.ask(web, 80, 0.5) == "TimeoutError"
    daemon.client.apply(pod(debian, "stranger") | {"labels": {"role": "front"}})
    wait_for(lambda: inside(daemon, "stranger", web, 80).startswith("web "), what="a label that came later")
    pid = daemon.client.status("web").containers[0].pid
    daemon.client.apply(pod(debian, ports=ports))
    wait_for(lambda: inside(daemon, "stranger", web, 81).startswith("web "), what="rules that are gone")
    assert daemon.client.status("web").containers[0].pid == pid  # live


def test_r46_datagrams_go_to_the_pod_that_has_the_port_now(daemon: Daemon, lan: Lan, debian: str, port: int) -> None:
    up(daemon, pod(debian, "first", ports=[f"{port}:53/udp"]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.3)

        def answer() -> str:
            try:
                client.sendto(b"?", (HOST, port))
                return client.recv(99).decode()
            except OSError:
                return ""

        wait_for(lambda: answer() == "first", what="the first pod's answer")
        daemon.client.delete("first")
        daemon.client.wait("first", "gone", timeout=20)
        up(daemon, pod(debian, "second", ports=[f"{port}:53/udp"]))
        wait_for(lambda: answer() == "second", 3, "the second pod's answer, from the same source port")


def test_r48_a_port_that_somebody_has_is_waited_for(daemon: Daemon, debian: str, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        daemon.client.apply(pod(debian, ports=[f"{port}:80"]))
        wait_for(lambda: daemon.client.status("web").reason == "PortInUse", 20, "the reason")
        assert str(port) in daemon.client.why("web").summary
    daemon.client.wait("web", "ready", timeout=30)


def test_a_port_of_another_pod_is_refused(daemon: Daemon, debian: str, port: int) -> None:
    up(daemon, pod(debian, ports=[f"127.0.0.1:{port}:80"]))
    done = daemon.tank("apply", "-f", "-", stdin=repr(pod(debian, "other", ports=[f"{port}:80"])).encode())
    assert done.returncode == 4
    assert f"port {port}/tcp belongs to pod web" in done.stderr.decode()
    daemon.client.apply(pod(debian, "other", ports=[f"{HOST}:{port}:80"]))


def test_an_address_comes_back_with_the_name_and_the_last_pod_takes_all_along(
    daemon: Daemon, debian: str, port: int
) -> None:
    first, second = up(daemon, pod(debian, "one"), pod(debian, "two", ports=[f"{port}:80"]))
    assert first != second
    for name in ("one", "two"):
        daemon.client.delete(name)
    for name in ("one", "two"):
        daemon.client.wait(name, "gone", timeout=20)
    wait_for(lambda: f"tank_{daemon.installation}" not in tables(), what="the end of the rules")
    assert up(daemon, pod(debian, "two"), pod(debian, "one")) == [second, first]


@pytest.mark.parametrize("tag", [b"", bytes((0x81, 0, 0, 0))], ids=["plain", "tagged with number 0"])
def test_s32_nobody_speaks_with_the_address_of_another(daemon: Daemon, debian: str, tag: bytes) -> None:
    web, other = up(daemon, pod(debian), pod(debian, "other"))
    pid = daemon.client.status("other").containers[0].pid
    spoof = (
        "import socket, time; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0));"
        "me = s.getsockname()[4];"
        f"arp = bytes.fromhex('0001080006040001') + me + socket.inet_aton('{web}') + bytes(6)"
        f" + socket.inet_aton('{web}')\nfor _ in range(15):"
        f" s.send(b'\\xff' * 6 + me + {tag!r} + b'\\x08\\x06' + arp); time.sleep(0.1)"
    )  # for longer than the kernel holds on to an answer that it has just got
    subprocess.run(["nsenter", "-t", str(pid), "-n", sys.executable, "-I", "-c", spoof], check=True)
    assert seen(other) != ""
    assert seen(web) != seen(other)


def seen(address: str) -> str:
    """The MAC that the host believes the address to be at."""
    told = subprocess.run(["ip", "-4", "neigh", "show", address], capture_output=True, text=True, check=True).stdout
    return told.partition("lladdr ")[2].partition(" ")[0]
