"""Which rule of trust speaks of which image."""

from __future__ import annotations

from pathlib import Path

import pytest

from tank.config import read_settings
from tank.errors import InvalidSpec
from tank.model import reference as references
from tank.model.trust import Trust, rule_for

FITS = [
    ("*", "nginx", True),
    ("docker.io", "nginx", True),
    ("docker.io/library/nginx", "nginx:1.27", True),
    ("docker.io/nginx", "nginx", True),
    ("docker.io/library/*", "nginx", True),
    ("docker.io/acme", "nginx", False),
    ("ghcr.io/acme/*", "ghcr.io/acme/api", True),
    ("ghcr.io/acme/*", "ghcr.io/acme/team/api:2", True),
    ("ghcr.io/acme/*", "ghcr.io/acme", False),
    ("ghcr.io/acme", "ghcr.io/acme", True),
    ("ghcr.io/acme", "ghcr.io/acme/api", True),
    ("ghcr.io/acme/", "ghcr.io/acme/api", True),
    ("ghcr.io/acme", "ghcr.io/acmeevil/api", False),
    ("ghcr.io/acme/api", "ghcr.io/acme/api@sha256:" + "a" * 64, True),
    ("ghcr.io", "ghcr.io.evil.example/acme/api", False),
    ("ghcr.io/a.c", "ghcr.io/abc", False),
    ("*.example.org/x", "registry.example.org/x", True),
    ("*.example.org/x", "example.org/x", False),
    ("127.0.0.1:5000", "127.0.0.1:5000/x", True),
    ("127.0.0.1:5000", "127.0.0.1:50001/x", False),
    ("localhost", "localhost/x", True),
    ("GHCR.io/acme", "ghcr.io/acme/api", True),
    ("ghcr.io/acme", "ghcr.io:443/acme/api", True),
    ("ghcr.io:443/acme", "ghcr.io/acme/api", True),
    ("ghcr.io/acme", "ghcr.io:8443/acme/api", False),
    ("localhost", "LOCALHOST/x", True),
    ("docker.io/acme", "registry-1.docker.io/acme/x", True),
    ("docker.io/acme", "index.docker.io:443/acme/x", True),
    ("docker.io", "registry.hub.docker.com/library/nginx", True),
    ("*:443", "ghcr.io/acme/api", True),
    ("*:443", "registry.lan:5000/x", False),
    ("ghcr.io/acme/*", "ghcr.io:0443/acme/api", True),
    ("ghcr.io:0443/acme/*", "ghcr.io/acme/api", True),
    ("registry.lan:5000", "registry.lan:05000/x", True),
    ("registry.lan:05000", "registry.lan:5000/x", True),
    ("*.lan:05000", "registry.lan:5000/x", True),
    ("[fd00::1]:5000", "[fd00:0::1]:5000/x", True),
    ("[FD00:0::1]:5000", "[fd00::1]:5000/x", True),
    ("10.0.0.1:5000", "[::ffff:10.0.0.1]:5000/x", True),
    ("host:443", "Host/x", True),
    ("*/acme/api", "ghcr.io/acme/api", True),
    ("*.example.org", "evil.example/a.example.org", False),
    ("*.example.org/x", "evil.example/a.example.org/x", False),
]


@pytest.mark.parametrize(("match", "image", "fits"), FITS)
def test_a_rule_fits_what_lies_below_its_match(match: str, image: str, fits: bool) -> None:
    found = read_settings(f'[[trust]]\nmatch = "{match}"\npolicy = "reject"')["trust"]

    assert (rule_for(found, references.parse(image)) is not None) is fits


def test_the_first_rule_that_fits_decides() -> None:
    exception = Trust(match="ghcr.io/acme/legacy", policy="accept")
    rule = Trust(match="ghcr.io/acme", policy="signed", key=Path("/k"))
    rest = Trust(match="*", policy="reject")

    def decided(image: str) -> Trust | None:
        return rule_for((exception, rule, rest), references.parse(image))

    found = [decided(f"ghcr.io/acme/{name}") for name in ("legacy", "api")]
    assert [*found, decided("nginx")] == [exception, rule, rest]


FAULTS = [
    ('match = "acme/*"\npolicy = "accept"', "trust[0].match"),
    ('match = ""\npolicy = "accept"', "trust[0].match"),
    ('match = "ghcr.io/ACME"\npolicy = "accept"', "trust[0].match"),
    ('match = "*"\npolicy = "sign"', "trust[0].policy"),
    ('match = "*"\npolicy = "signed"', "trust[0]"),
    ('match = "*"\npolicy = "accept"\nkey = "/k"', "trust[0]"),
    ('match = "*"\npolicy = "signed"\nkey = "k"', "trust[0].key"),
    ('policy = "accept"', "trust[0].match"),
    ('match = "*"', "trust[0].policy"),
    ('match = "*"\npolicy = "accept"\nkeys = []', "trust[0].keys"),
]


@pytest.mark.parametrize(("text", "path"), FAULTS)
def test_a_rule_that_would_never_do_what_it_says_is_refused(text: str, path: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        read_settings(f"[[trust]]\n{text}")

    assert [problem.path for problem in error.value.problems] == [path]


def test_certificate_and_key_of_a_client_belong_together() -> None:
    with pytest.raises(InvalidSpec, match="cert and key belong together"):
        read_settings('[registries."r.example"]\ncert = "/c"')
