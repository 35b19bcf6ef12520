"""What is made of a DHCP client's words: leases within bounds, and of everything else nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tank.net.dhcp.client import HOOK, arguments
from tank.net.dhcp.lease import END, Lease, State, advanced, dumped, loaded, parsed, parsed_message

SAID = {"ip": "10.0.0.5", "subnet": "255.255.255.0", "lease": "120"}
LEASE = Lease(address="10.0.0.5/24", until=220.0)


def test_a_whole_answer() -> None:
    more = {"router": "10.0.0.1 10.0.0.2", "dns": "10.0.0.1 1.1.1.1", "search": "lan.test home.arpa", "mtu": "1400"}

    found = parsed({**SAID, **more, "serverid": "10.0.0.3", "domain": "other.test", "interface": "eth0"}, 100.0)

    assert found == Lease(
        address="10.0.0.5/24",
        until=220.0,
        router="10.0.0.1",
        dns=("10.0.0.1", "1.1.1.1"),
        search=("lan.test", "home.arpa"),
        mtu=1400,
        server="10.0.0.3",
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"ip": ""}, "it gives no address, or no subnet mask"),
        ({"ip": "10.0.0.5; reboot"}, "it gives no address, or no subnet mask"),
        ({"ip": "fe80::1"}, "it gives no address, or no subnet mask"),
        ({"subnet": ""}, "it gives no address, or no subnet mask"),
        ({"subnet": "0.0.0.0"}, "it gives no address, or no subnet mask"),
        ({"subnet": "128.0.0.0"}, "it gives no address, or no subnet mask"),
        ({"subnet": "254.0.0.0"}, "it gives no address, or no subnet mask"),
        ({"subnet": "255.0.255.0"}, "it gives no address, or no subnet mask"),
        ({"subnet": "0.0.0.255"}, "it gives no address, or no subnet mask"),
        ({"subnet": "24"}, "it gives no address, or no subnet mask"),
        ({"ip": "127.0.0.5"}, "127.0.0.5 is no address of a host"),
        ({"ip": "0.0.0.5"}, "0.0.0.5 is no address of a host"),
        ({"ip": "224.0.0.5"}, "224.0.0.5 is no address of a host"),
        ({"ip": "255.255.255.255"}, "255.255.255.255 is no address of a host"),
        ({"ip": "10.0.0.0"}, "10.0.0.0/24 is no address of a host"),
        ({"ip": "10.0.0.255"}, "10.0.0.255/24 is no address of a host"),
        ({"lease": "0"}, "it does not say for how long"),
        ({"lease": "-1"}, "it does not say for how long"),
        ({"lease": "4294967296"}, "it does not say for how long"),
        ({"lease": "1" * 5000}, "it does not say for how long"),
        ({"lease": "१२"}, "it does not say for how long"),
    ],
)
def test_an_answer_without_a_usable_address_is_none(more: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        parsed({**SAID, **more}, 100.0)


@pytest.mark.parametrize(
    ("more", "left"),
    [
        ({"router": "10.0.1.1"}, {}),
        ({"router": "10.0.0.5"}, {}),
        ({"router": "$(reboot) 10.0.0.1"}, {"router": "10.0.0.1"}),
        ({"dns": "127.0.0.1 0.0.0.0 224.0.0.1 255.255.255.255 ::1 x"}, {}),
        ({"dns": "1.0.0.1 1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4"}, {"dns": ("1.0.0.1", "1.0.0.2", "1.0.0.3")}),
        ({"dns": "1.0.0.1 " * 5000}, {"dns": ("1.0.0.1",)}),
        ({"domain": "lan.test"}, {"search": ("lan.test",)}),
        ({"domain": "LAN.test."}, {"search": ("lan.test",)}),
        ({"search": "a.test\nnameserver b.test"}, {"search": ("b.test",)}),
        ({"search": "`id` $(id) a;b -x .. " + "y" * 64 + " z.test"}, {"search": ("z.test",)}),
        ({"search": ".".join(["abc"] * 64)}, {}),
        ({"search": "a b c d e f g h"}, {"search": ("a", "b", "c", "d", "e", "f")}),
        ({"mtu": "68"}, {}),
        ({"mtu": "99999"}, {}),
        ({"mtu": "1400 9000"}, {}),
        ({"serverid": "nobody"}, {}),
        ({"lease": "4294967295"}, {"until": None}),
        ({"subnet": "255.255.255.255"}, {"address": "10.0.0.5/32"}),
        ({"subnet": "255.255.255.254"}, {"address": "10.0.0.5/31"}),
    ],
)
def test_what_is_out_of_bounds_is_not_there(more: dict[str, str], left: dict[str, object]) -> None:
    expected = {"address": "10.0.0.5/24", "until": 220.0, **left}

    assert parsed({**SAID, **more}, 100.0) == Lease(**expected)  # type: ignore[arg-type]


def test_a_lease_that_says_nothing_of_time_lasts_an_hour() -> None:
    assert parsed({"ip": "10.0.0.5", "subnet": "255.255.255.0"}, 100.0).until == 3700.0


def test_a_lease_counts_down_and_ends() -> None:
    assert (LEASE.seconds(100.0), LEASE.seconds(300.0)) == (120.0, 0.0)
    assert [LEASE.valid(now) for now in (219.9, 220.0)] == [True, False]
    ever = Lease(address="10.0.0.5/24", until=None)
    assert (ever.seconds(1e9), ever.valid(1e9)) == (None, True)


def test_events_and_what_they_change() -> None:
    started = advanced(State(), "deconfig", {}, 100.0)
    bound = advanced(started, "bound", SAID, 100.0)
    renewed = advanced(bound, "renew", SAID, 160.0)

    assert (started, bound) == (State(event="deconfig"), State(event="bound", lease=LEASE))
    assert renewed.lease == Lease(address="10.0.0.5/24", until=280.0)
    assert advanced(bound, "leasefail", {}, 120.0).lease == LEASE
    assert advanced(bound, "deconfig", {}, 120.0).lease == LEASE
    assert advanced(bound, "nak", {}, 120.0) == State(event="nak", why="the DHCP server takes the address back")
    refused = advanced(bound, "renew", {"ip": "x"}, 120.0)
    assert (refused.lease, refused.why) == (
        LEASE,
        "the DHCP server's answer is of no use: it gives no address, or no subnet mask",
    )


def test_a_message_is_cut_at_its_zeros_alone() -> None:
    said = b"talk\n\0event=bound\0ip=10.0.0.5\0message=a\nevent=nak\0bare\0dns=1.1.1.1=\xff\0"

    event, values = parsed_message(said)

    assert event == "bound"
    assert values == {"ip": "10.0.0.5", "message": "a\nevent=nak", "dns": "1.1.1.1=\ufffd"}


@pytest.mark.parametrize(
    "said", [b"", b"\n\0", b"\0event=../../x\0", b"\0event=" + b"x" * 99 + b"\0", b"\0event=a b\0"]
)
def test_an_event_is_a_word(said: bytes) -> None:
    assert parsed_message(said) == ("", {})


@given(st.binary(max_size=400), st.floats(0, 1e9))
def test_no_message_breaks_anything(said: bytes, now: float) -> None:
    event, values = parsed_message(said)
    for name in (event, "bound"):
        after = advanced(State(), name, values, now)
        assert loaded(json.loads(json.dumps(dumped(after)))) == after


@given(st.dictionaries(st.sampled_from([*SAID, "router", "dns", "search", "mtu"]), st.text(max_size=60)))
def test_no_values_break_anything(values: dict[str, str]) -> None:
    after = advanced(State(), "bound", {**SAID, **values}, 0.0)
    assert after.lease is not None or after.why


def test_the_end_of_a_message_cannot_be_a_value() -> None:
    assert b"=" not in END


def test_the_command_line_names_what_is_asked_for() -> None:
    words = arguments("/bin/busybox udhcpc", "eth0", "web", "10.0.0.5")

    assert words[:5] == ["/bin/busybox", "udhcpc", "-f", "-i", "eth0"]
    for pair in (["-s", f"/{HOOK}"], ["-x", "hostname:web"], ["-r", "10.0.0.5"], ["-O", "mtu"]):
        assert any(words[at : at + 2] == pair for at in range(len(words)))
    assert "-r" not in arguments("/sbin/udhcpc", "eth0", "web", "")
