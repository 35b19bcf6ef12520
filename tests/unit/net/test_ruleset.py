"""Rules as text: what opens stands on the host, what closes in the pod; nothing of an earlier spec stays."""

from __future__ import annotations

from tank.net.fences import Fence, Opening, fence_rules
from tank.net.ruleset import Bridge, HostRules, Plug, Publication, host_rules, rules_in

BRIDGE = Bridge(link="tk0", subnets=("10.61.0.0/16", "fd00:61::/64"))
PLUG = Plug(link="tk1", mac="02:00:00:00:00:01", addresses=("10.61.0.2", "fd00:61::2"))


def published(**more: object) -> Publication:
    stated = {"protocol": "tcp", "host_port": 8080, "host_ip": None, "target": "10.61.0.2", "target_port": 80}
    return Publication(**stated | more)  # type: ignore[arg-type]


def chain(script: str, name: str) -> list[str]:
    return lines(script.partition(f"chain {name} {{\n")[2].partition("}\n")[0])[:-1]


def lines(script: str) -> list[str]:
    return [line.strip() for line in script.splitlines()]


def test_nothing_to_say_removes_both_tables() -> None:
    assert lines(host_rules("ab12cd", HostRules())) == [
        "table inet tank_ab12cd {}",
        "delete table inet tank_ab12cd",
        "table bridge tank_ab12cd {}",
        "delete table bridge tank_ab12cd",
    ]


def test_r45_a_table_is_replaced_whole() -> None:
    script = lines(host_rules("ab12cd", HostRules(bridges=(BRIDGE,))))
    assert script.index("delete table inet tank_ab12cd") < script.index("table inet tank_ab12cd {")


def test_a_port_leads_to_the_pod_on_each_family() -> None:
    ports = (published(), published(target="fd00:61::2"))
    script = lines(host_rules("ab12cd", HostRules(bridges=(BRIDGE,), publications=ports)))
    assert "meta nfproto ipv4 tcp dport 8080 dnat ip to 10.61.0.2:80" in script
    assert "meta nfproto ipv6 tcp dport 8080 dnat ip6 to [fd00:61::2]:80" in script


def test_s33_a_port_on_one_address_is_asked_for_before_one_on_all() -> None:
    ports = (published(), published(host_ip="192.0.2.1", target="10.61.0.3"))
    script = lines(host_rules("ab12cd", HostRules(bridges=(BRIDGE,), publications=ports)))
    one = script.index("meta nfproto ipv4 ip daddr 192.0.2.1 tcp dport 8080 dnat ip to 10.61.0.3:80")
    assert one < script.index("meta nfproto ipv4 tcp dport 8080 dnat ip to 10.61.0.2:80")


def test_p10_no_rule_of_the_host_closes_a_pod() -> None:
    script = host_rules("ab12cd", HostRules(bridges=(BRIDGE,), publications=(published(),)))
    assert [line for line in lines(script) if line.endswith("drop")] == [
        'iifname "tk0" ip daddr 127.0.0.0/8 drop',  # of a pod: what means the host alone
        'iifname != { "lo", "tk0" } ip saddr 10.61.0.0/16 drop',  # of others: with a pod's address
        'iifname != { "lo", "tk0" } ip6 saddr fd00:61::/64 drop',
    ]
    assert "policy drop" not in script


def test_s33_a_port_on_loopback_is_only_asked_for_by_the_host_itself() -> None:
    ports = (published(), published(host_port=8081, host_ip="127.0.0.1"))
    script = host_rules("ab12cd", HostRules(bridges=(BRIDGE,), publications=ports))
    line = "meta nfproto ipv4 ip daddr 127.0.0.1 tcp dport 8081 dnat ip to 10.61.0.2:80"
    assert chain(script, "published_here") == [line]
    assert "jump published_here" in chain(script, "output")
    assert "jump published_here" not in chain(script, "prerouting")


def test_s33_what_is_led_to_a_port_on_one_address_can_be_told_from_what_is_only_forwarded() -> None:
    ports = (published(), published(host_ip="10.8.0.1", host_port=8081, target_port=81, told=True))
    script = host_rules("ab12cd", HostRules(bridges=(BRIDGE,), publications=ports))
    assert chain(script, "led") == [
        "type filter hook postrouting priority mangle; policy accept;",
        "ip daddr 10.61.0.2 tcp dport 81 ct status dnat ip ttl set 255",
    ]
    fence = fence_rules(Fence(openings=(Opening(link="eth0", sources=None, ports=(("tcp", 81),), led=True),)))
    assert 'iifname "eth0" meta nfproto ipv4 ip ttl 255 tcp dport { 81 } accept' in lines(fence)
    assert 'iifname "eth0" meta nfproto ipv6 ip6 hoplimit 255 tcp dport { 81 } accept' in lines(fence)


def test_who_is_hidden_comes_with_the_address_of_the_bridge_and_only_from_where_it_may() -> None:
    callers = ("192.0.2.0/24", "192.0.2.7/32", "2001:db8::/32")
    ports = (published(hidden=True, sources=callers), published(host_port=9, hidden=True, sources=()))
    script = host_rules("ab12cd", HostRules(bridges=(BRIDGE,), publications=ports))
    led = "meta nfproto ipv4 ip saddr { 192.0.2.0/24 } tcp dport 8080 dnat ip to 10.61.0.2:80"
    assert chain(script, "published") == ["ip6 daddr ::1 return", led]
    assert chain(script, "inward")[1] == "ip daddr 10.61.0.2 tcp dport 80 ct status dnat masquerade"


def test_whoever_comes_to_a_bridge_keeps_its_address_whatever_others_say_later() -> None:
    other = Bridge(link="tk9", subnets=("10.9.0.0/16",))
    script = host_rules("ab12cd", HostRules(bridges=(BRIDGE, other)))
    inward, out = chain(script, "inward"), chain(script, "postrouting")
    assert inward[0] == "type nat hook postrouting priority srcnat - 1; policy accept;"
    assert inward[-2:] == [
        'oifname { "tk0", "tk9" } meta nfproto ipv4 snat ip to ip saddr',
        'oifname { "tk0", "tk9" } meta nfproto ipv6 snat ip6 to ip6 saddr',
    ]
    assert out[0] == "type nat hook postrouting priority srcnat; policy accept;"
    assert 'ip saddr 10.9.0.0/16 oifname != "tk9" ip daddr != 10.9.0.0/16 masquerade' in out


def test_s32_out_of_a_cable_come_only_the_pods_own_addresses() -> None:
    script = lines(host_rules("ab12cd", HostRules(plugs=(PLUG,))))
    own = "ether saddr 02:00:00:00:00:01 ether type ip"
    assert f"{own} ip saddr {{ 10.61.0.2 }} accept" in script
    assert f"{own}6 ip6 saddr {{ fd00:61::2 }} ip6 nexthdr {{ tcp, udp, sctp }} accept" in script
    assert "ether saddr != 02:00:00:00:00:01 drop" in script
    assert "ether type ip ip saddr != { 10.61.0.2 } drop" in script
    assert "ether type ip6 ip6 saddr != { fd00:61::2, ::, fe80::ff:fe00:1 } drop" in script
    assert "icmpv6 type { nd-router-advert, nd-redirect } drop" in script
    assert "ether type != { arp, ip, ip6 } drop" in script  # a tag would hide it from what follows
    assert script[script.index("chain claims_tk1 {") :][1:4] == [
        "@th,64,128 0xfd000061000000000000000000000002 return",
        "@th,64,128 0xfe80000000000000000000fffe000001 return",
        "drop",
    ]
    assert "icmpv6 type nd-neighbor-advert jump claims_tk1" in script


def test_a_cable_without_ipv4_lets_none_through() -> None:
    plug = Plug(link="tk1", mac="02:00:00:00:00:01", addresses=("fd00:61::2",))
    assert "ether type ip drop" in lines(host_rules("ab12cd", HostRules(plugs=(plug,))))


def test_a_fence_is_shut_but_for_what_it_lists() -> None:
    fence = Fence(
        openings=(Opening(link="eth0", sources=("10.61.0.0/16",)), Opening(sources=None, ports=(("tcp", 80),)))
    )
    script = lines(fence_rules(fence))
    assert "type filter hook input priority filter; policy drop;" in script
    assert 'iifname "eth0" ip saddr { 10.61.0.0/16 } accept' in script
    assert "meta nfproto ipv6 tcp dport { 80 } accept" in script


def test_nobody_is_not_everybody() -> None:
    script = fence_rules(Fence(openings=(Opening(sources=()),)))
    assert script == fence_rules(Fence())


def test_rules_are_counted_as_nft_lists_them() -> None:
    assert rules_in(fence_rules(None)) == 0
    assert rules_in(fence_rules(Fence())) == 7
    assert rules_in(host_rules("ab12cd", HostRules(bridges=(BRIDGE,), publications=(published(),)))) == 15
