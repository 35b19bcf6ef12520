"""Where a registry may lead us, and who may see its credentials (S25, S26)."""

from __future__ import annotations

import ipaddress

import pytest

from tank.errors import PullFailed
from tank.image.address import (
    Origin,
    Reach,
    is_loopback,
    may_connect,
    may_send_credentials,
    origin_of,
    reach,
    registrable,
)

LOOPBACK, PRIVATE, LINK_LOCAL, SPECIAL, PUBLIC = Reach


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("127.0.0.1", LOOPBACK),
        ("127.255.255.254", LOOPBACK),
        ("::1", LOOPBACK),
        ("::ffff:127.0.0.1", LOOPBACK),
        ("64:ff9b::7f00:1", LOOPBACK),
        ("2002:7f00:1::", LOOPBACK),
        ("10.1.2.3", PRIVATE),
        ("172.16.0.1", PRIVATE),
        ("172.31.255.255", PRIVATE),
        ("192.168.1.1", PRIVATE),
        ("100.64.0.1", PRIVATE),
        ("fd00::1", PRIVATE),
        ("::ffff:10.0.0.1", PRIVATE),
        ("169.254.169.254", LINK_LOCAL),
        ("::ffff:169.254.169.254", LINK_LOCAL),
        ("fe80::1", LINK_LOCAL),
        ("0.0.0.0", SPECIAL),
        ("::", SPECIAL),
        ("224.0.0.1", SPECIAL),
        ("255.255.255.255", SPECIAL),
        ("192.0.2.1", SPECIAL),
        ("240.0.0.1", SPECIAL),
        ("ff02::1", SPECIAL),
        ("2001:db8::1", SPECIAL),
        ("8.8.8.8", PUBLIC),
        ("172.32.0.1", PUBLIC),
        ("2606:4700::1", PUBLIC),
        ("::ffff:8.8.8.8", PUBLIC),
    ],
)
def test_an_address_is_the_kind_of_place_it_leads_to(address: str, place: Reach) -> None:
    assert reach(ipaddress.ip_address(address)) is place


@pytest.mark.parametrize(
    ("target", "home", "allowed"),
    [
        (PUBLIC, {PUBLIC}, True),
        (PUBLIC, {PRIVATE}, True),
        (PUBLIC, set(), True),
        (PRIVATE, {PUBLIC}, False),
        (PRIVATE, {PRIVATE}, True),
        (PRIVATE, {PRIVATE, PUBLIC}, False),
        (PRIVATE, {LOOPBACK}, False),
        (LOOPBACK, {LOOPBACK}, True),
        (LOOPBACK, {PRIVATE}, False),
        (LOOPBACK, {PUBLIC}, False),
        (LINK_LOCAL, {LINK_LOCAL}, False),
        (LINK_LOCAL, {PUBLIC}, False),
        (SPECIAL, {SPECIAL}, False),
        (PRIVATE, set(), False),
    ],
)
def test_a_registry_leads_into_a_private_network_only_from_within_it(
    target: Reach, home: set[Reach], allowed: bool
) -> None:
    assert may_connect(target, home) is allowed


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_plain_http_goes_to_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost.example.org", "10.0.0.1", "example.org", "127.0.0.1.nip.io", "0.0.0.0", "::"]
)
def test_plain_http_goes_nowhere_else(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ("auth.docker.io", "docker.io"),
        ("docker.io", "docker.io"),
        ("a.b.c.example.org", "example.org"),
        ("r.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("registry.example.de", "example.de"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("localhost", "localhost"),
    ],
)
def test_a_name_belongs_to_who_registered_it(host: str, owner: str) -> None:
    assert registrable(host) == owner


@pytest.mark.parametrize(
    ("registry", "realm", "allowed"),
    [
        ("https://registry-1.docker.io", "https://auth.docker.io", True),
        ("https://ghcr.io", "https://ghcr.io", True),
        ("https://registry.gitlab.com", "https://gitlab.com", True),
        ("https://r.example.org:5000", "https://r.example.org:5001", True),
        ("https://r.example.org", "https://evil.org", False),
        ("https://r.example.org", "https://example.org.evil.org", False),
        ("https://r.example.org", "https://evilexample.org", False),
        ("https://r.example.org", "http://r.example.org", False),
        ("https://r.co.uk", "https://evil.co.uk", False),
        ("https://10.0.0.1", "https://10.0.0.2", False),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001", True),
        ("http://127.0.0.1:5000", "http://localhost:5001", False),
        ("https://127.0.0.1:5000", "http://127.0.0.1:5001", False),
        ("http://127.0.0.1:5000", "https://evil.org", False),
    ],
)
def test_credentials_go_to_the_registry_and_its_owner(registry: str, realm: str, allowed: bool) -> None:
    assert may_send_credentials(origin_of(registry, "x"), origin_of(realm, "x")) is allowed


def test_an_origin_has_its_port() -> None:
    assert origin_of("https://Example.org./v2/", "x") == Origin("https", "example.org", 443)
    assert origin_of("http://[::1]:5000/v2/", "x") == Origin("http", "::1", 5000)
    assert str(Origin("http", "::1", 5000)) == "http://[::1]:5000"
    assert str(Origin("https", "example.org", 443)) == "https://example.org"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/v2/",
        "ftp://a/b",
        "file:///etc/passwd",
        "https://",
        "https://me:secret@a/b",
        "https://a:99999/",
        "https://[::1/",
    ],
)
def test_a_url_that_is_not_followed_is_not_shown(url: str) -> None:
    with pytest.raises(PullFailed) as caught:
        origin_of(url, "a redirect")

    assert "secret" not in caught.value.message
