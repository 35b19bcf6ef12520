"""Image references: what they mean, and what is none."""

from __future__ import annotations

import pytest

from tank.model.faults import Refused
from tank.model.reference import Reference, checked_digest, parse

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "reference", "familiar"),
    [
        ("nginx", Reference("docker.io", "library/nginx"), "nginx"),
        ("nginx:1.27", Reference("docker.io", "library/nginx", "1.27"), "nginx:1.27"),
        ("docker.io/nginx", Reference("docker.io", "library/nginx"), "nginx"),
        ("index.docker.io/library/nginx", Reference("docker.io", "library/nginx"), "nginx"),
        ("DOCKER.IO/nginx", Reference("docker.io", "library/nginx"), "nginx"),
        ("acme/api", Reference("docker.io", "acme/api"), "acme/api"),
        ("docker.io/acme/api:v1", Reference("docker.io", "acme/api", "v1"), "acme/api:v1"),
        (f"ghcr.io/acme/api@{DIGEST}", Reference("ghcr.io", "acme/api", None, DIGEST), f"ghcr.io/acme/api@{DIGEST}"),
        (f"nginx:1@{DIGEST}", Reference("docker.io", "library/nginx", "1", DIGEST), f"nginx:1@{DIGEST}"),
        ("localhost/x", Reference("localhost", "x"), "localhost/x"),
        ("localhost:5000/x", Reference("localhost:5000", "x"), "localhost:5000/x"),
        ("127.0.0.1:5000/x:1", Reference("127.0.0.1:5000", "x", "1"), "127.0.0.1:5000/x:1"),
        ("[::1]:5000/x/y:1", Reference("[::1]:5000", "x/y", "1"), "[::1]:5000/x/y:1"),
        ("Host/x", Reference("host:443", "x"), "host:443/x"),
        ("registry-1.docker.io/nginx", Reference("docker.io", "library/nginx"), "nginx"),
        ("ghcr.io:0443/acme/api", Reference("ghcr.io", "acme/api"), "ghcr.io/acme/api"),
        ("a.b/c", Reference("a.b", "c"), "a.b/c"),
        ("library/library/x", Reference("docker.io", "library/library/x"), "library/library/x"),
        ("docker.io/a.b/c", Reference("docker.io", "a.b/c"), "docker.io/a.b/c"),
        ("docker.io/localhost/c", Reference("docker.io", "localhost/c"), "docker.io/localhost/c"),
        ("a__b/c.d-e--f", Reference("docker.io", "a__b/c.d-e--f"), "a__b/c.d-e--f"),
        ("x:5000", Reference("docker.io", "library/x", "5000"), "x:5000"),
        ("oci:1.2", Reference("docker.io", "library/oci", "1.2"), "oci:1.2"),
        ("oci:5000/x", Reference("oci:5000", "x"), "oci:5000/x"),
    ],
)
def test_a_reference_is_normalised_as_docker_does(text: str, reference: Reference, familiar: str) -> None:
    assert (parse(text), parse(text).familiar(), parse(str(parse(text)))) == (reference, familiar, reference)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an image reference cannot be empty"),
        (" nginx", "' nginx' cannot be part"),
        ("nginx ", "'nginx ' cannot be part"),
        ("Nginx", "'Nginx' cannot be part"),
        ("nginx:", "'' is not a tag"),
        ("nginx:-x", "'-x' is not a tag"),
        ("nginx:" + "x" * 129, "is not a tag"),
        ("nginx:a:b", "cannot be part"),
        ("nginx@", "'' is not a digest"),
        ("nginx@sha256:ABC", "'sha256:ABC' is not a digest"),
        (f"nginx@{DIGEST}0", "is not a digest"),
        (f"nginx@{DIGEST.upper()}", "is not a digest"),
        ("nginx@sha512:" + "0" * 128, "is not a digest"),
        (f"nginx@{DIGEST}@{DIGEST}", "is not a digest"),
        ("nginx@sha256:../../etc/passwd", "is not a digest"),
        ("/x", "'' cannot be part"),
        ("a//b", "'' cannot be part"),
        ("a/b/", "'' cannot be part"),
        ("a/../b", "'..' cannot be part"),
        ("a.b/../c", "'..' cannot be part"),
        ("a_/b", "'a_' cannot be part"),
        ("-a.b/c", "'-a.b' is not a registry host"),
        ("a.b:0/c", "'a.b:0' is not a registry host"),
        ("a.b:65536/c", "'a.b:65536' is not a registry host"),
        ("a.b:port/c", "'a.b:port' is not a registry host"),
        ("127.1:5000/c", "'127.1:5000' is not a registry host"),
        ("https://a.b/c", "'https:' is not a registry host"),
        ("a" * 64, ""),
        ("ü/b", "'ü' cannot be part"),
        ("a.b/" + "c" * 252, "an image name has at most 255 characters"),
    ],
)
def test_what_is_no_reference_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=None) as refused:  # noqa: PT011 (compared below)
        parse(text)

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "pull"),
    [
        ("nginx", "always"),
        ("nginx:latest", "always"),
        ("nginx:1", "if_missing"),
        (f"nginx:latest@{DIGEST}", "if_missing"),
    ],
)
def test_only_a_tag_that_is_meant_to_move_is_always_asked_for_c6(text: str, pull: str) -> None:
    assert parse(text).default_pull == pull


@pytest.mark.parametrize(
    ("text", "target"),
    [("nginx", "latest"), ("nginx:1", "1"), (f"nginx:1@{DIGEST}", DIGEST), (f"nginx@{DIGEST}", DIGEST)],
)
def test_the_digest_is_asked_for_before_the_tag(text: str, target: str) -> None:
    assert parse(text).target == target


def test_a_reference_can_be_held_to_a_digest() -> None:
    assert str(parse("nginx:1").at(DIGEST)) == f"docker.io/library/nginx@{DIGEST}"


def test_a_digest_that_could_be_a_path_is_refused_s27() -> None:
    with pytest.raises(ValueError, match="is not a digest"):
        checked_digest("sha256:../x")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("oci:/srv/x:1", "tank image load -f oci:/srv/x:1', and use its name"),
        ("oci:layouts/x", "tank image load -f oci:layouts/x'"),
        ("docker-archive:./x.tar", "tank image load -f docker-archive:./x.tar'"),
        ("dir:/srv/x", "copy it to an OCI layout with skopeo"),
    ],
)
def test_an_image_in_files_is_no_reference_and_the_cure_is_told(text: str, hint: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(text)

    assert hint in refused.value.suggestion


@pytest.mark.parametrize("prefix", ["oci:", "oci:1", "dir:", "docker-archive:", "a.b/", ""])
def test_a_long_text_costs_no_more_than_its_length(prefix: str) -> None:
    for sign in ("a", "1", ":", "-"):
        with pytest.raises(Refused):
            parse(prefix + sign * 4_000_000)
