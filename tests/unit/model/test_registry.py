"""A registry host has one spelling, and what only some readers take for an address is none."""

from __future__ import annotations

import pytest

from tank.model import reference
from tank.model.registry import canonical

SPELT = [
    ("ghcr.io", "ghcr.io"),
    ("GHCR.io", "ghcr.io"),
    ("ghcr.io:443", "ghcr.io"),
    ("ghcr.io:0443", "ghcr.io"),
    ("registry.lan:05000", "registry.lan:5000"),
    ("registry.lan:5000", "registry.lan:5000"),
    ("localhost:443", "localhost"),
    ("LocalHost", "localhost"),
    ("Host", "host:443"),
    ("hOST:443", "host:443"),
    ("host:0443", "host:443"),
    ("Host:80", "host:80"),
    ("index.docker.io", "docker.io"),
    ("Registry-1.docker.io:443", "docker.io"),
    ("registry.hub.docker.com", "docker.io"),
    ("docker.io:5000", "docker.io:5000"),
    ("[FD00:0::1]:05000", "[fd00::1]:5000"),
    ("[fd00:0:0:0:0:0:0:1]", "[fd00::1]"),
    ("[0:0:0:0:0:0:0:1]:443", "[::1]"),
    ("[::ffff:10.0.0.1]:5000", "10.0.0.1:5000"),
    ("[::FFFF:a00:1]", "10.0.0.1"),
    ("10.0.0.1:443", "10.0.0.1"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example"),
]


@pytest.mark.parametrize(("text", "spelt"), SPELT)
def test_a_host_has_one_spelling(text: str, spelt: str) -> None:
    assert (canonical(text), canonical(spelt)) == (spelt, spelt)


@pytest.mark.parametrize(("text", "spelt"), SPELT)
def test_a_reference_has_its_host_in_that_spelling_and_keeps_it(text: str, spelt: str) -> None:
    found = reference.parse(f"{text}/a/b:1")

    assert (str(found), reference.parse(str(found))) == (f"{spelt}/a/b:1", found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ghcr.io.",
        "ghcr..io",
        "ghcr.io:",
        "ghcr.io:0",
        "ghcr.io:000443",
        "ghcr.io:65536",
        "ghcr.io:+443",
        "ghcr.io: 443",
        "gh_cr.io",
        "bücher.example",
        "ghcr\uff0eio",
        "127.1:5000",
        "127.0.1",
        "0x7f.1",
        "127.0.0.0x1",
        "0x7f000001:5000",
        "2130706433:5000",
        "127.0.0.01",
        "127.0.0.256",
        "1.2.3.4.5",
        "[fd00::1%eth0]",
        "[::1",
        "[127.0.0.1]",
        "[1::2::3]",
        "user@ghcr.io",
        "ghcr.io/acme",
    ],
)
def test_what_could_be_read_in_two_ways_is_no_host(text: str) -> None:
    with pytest.raises(ValueError, match="is not a registry host"):
        canonical(text)
