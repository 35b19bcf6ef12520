"""Pods find each other by name, and all else as before."""

from __future__ import annotations

import os
import socket
import struct

import dnslib
import pytest

from tank.model.etcfiles import NAMESERVER
from tests.daemon import Daemon
from tests.naming import (
    DOMAIN,
    NIC,
    address,
    answering,
    ask,
    asking,
    namespace,
    refused,
    resolv_conf,
    restart_with,
    said,
    spec,
    start,
    unbound,
)
from tests.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("bridge_goes")]


def test_pods_find_each_other_both_ways(daemon: Daemon, busybox: str) -> None:
    ports = [{"host": 18_081, "container": 80, "name": "http"}]
    start(daemon, spec("web", busybox, network={"nics": [NIC], "ports": ports}), spec("other", busybox))
    inside, held = namespace(daemon, "other"), address(daemon, "web")

    wait_for(lambda: said(inside, f"web.{DOMAIN}") == [held], 2)
    assert said(inside, "web") == [held]
    assert said(inside, f"{'.'.join(reversed(held.split('.')))}.in-addr.arpa", "PTR") == [f"web.{DOMAIN}."]
    assert said(inside, f"_http._tcp.web.{DOMAIN}", "SRV") == [f"0 0 80 web.{DOMAIN}."]
    assert {each.ttl for each in ask(inside, f"web.{DOMAIN}").rr} == {5}
    assert ask(inside, f"nobody.{DOMAIN}").header.rcode == 3
    assert held in daemon.client.exec("other", ["nslookup", f"web.{DOMAIN}"]).stdout.decode()
    resolver = daemon.client.exec("other", ["cat", "/etc/resolv.conf"]).stdout.decode()
    assert resolver.splitlines()[1] == f"nameserver {NAMESERVER}"
    assert resolver.splitlines()[0].split()[:2] == ["search", DOMAIN]


def test_a_pod_that_is_not_ready_has_no_name(daemon: Daemon, busybox: str) -> None:
    probe = {"exec": ["test", "-e", "/ready"], "period": 1}
    daemon.client.apply([spec("web", busybox, probes={"ready": probe}), spec("other", busybox)])
    daemon.client.wait("other", "ready", timeout=60)
    daemon.client.wait("web", "running", timeout=60)
    inside = namespace(daemon, "other")
    assert ask(inside, f"web.{DOMAIN}").header.rcode == 3
    daemon.client.exec("web", ["touch", "/ready"])
    wait_for(lambda: said(inside, f"web.{DOMAIN}") == [address(daemon, "web")])
    daemon.client.exec("web", ["rm", "/ready"])
    wait_for(lambda: ask(inside, f"web.{DOMAIN}").header.rcode == 3)


def test_a_pod_may_serve_names_itself(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox))
    inside = namespace(daemon, "web")
    wait_for(lambda: said(inside, "web") != [], 2)
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with unbound(inside, kind) as opened:
            opened.bind(("0.0.0.0", 53))
            assert said(inside, "web") == [address(daemon, "web")]


def test_by_tcp_too(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox))
    inside = namespace(daemon, "web")
    wait_for(lambda: said(inside, "web") != [], 2)
    query = dnslib.DNSRecord.question("web").pack()
    with asking(inside, socket.SOCK_STREAM) as opened:
        for _ in range(2):
            opened.sendall(struct.pack("!H", len(query)) + query)
            assert address(daemon, "web") in str(dnslib.DNSRecord.parse(opened.recv(999)[2:]))


def test_what_is_no_pods_name_is_asked_above(daemon: Daemon, busybox: str) -> None:
    upstream = f"127.53.{os.getpid() % 200}.7"
    restart_with(daemon, f'[net.dns]\nupstream = ["{upstream}"]\n')
    start(daemon, spec("web", busybox))
    inside = namespace(daemon, "web")
    with answering(upstream) as asked:
        assert said(inside, "a.example.org") == ["192.0.2.7"]
        assert said(inside, "A.example.org") == ["192.0.2.7"]
        assert asked == ["a.example.org."]
    assert ask(inside, "b.example.org").header.rcode == 2


def test_an_explicit_list_is_used_as_it_is_and_changes_live(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox), spec("other", busybox))
    inside = namespace(daemon, "web")
    wait_for(lambda: said(inside, "web") != [], 2)
    pid = daemon.client.status("web").containers[0].pid
    explicit = {"nics": [NIC], "dns": ["192.0.2.53"], "search": ["lan"]}
    start(daemon, spec("web", busybox, network=explicit))
    wait_for(lambda: resolv_conf(daemon, "web") == "search lan\nnameserver 192.0.2.53\n")
    wait_for(lambda: refused(inside))
    start(daemon, spec("web", busybox))
    wait_for(lambda: NAMESERVER in resolv_conf(daemon, "web"))
    wait_for(lambda: not refused(inside))
    assert daemon.client.status("web").containers[0].pid == pid
