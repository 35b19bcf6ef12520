"""A real registry on loopback: Debian's docker-registry, plain, or with TLS of its own authority and basic auth."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import ipaddress
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.waiting import wait_for

USERNAME, PASSWORD = "puller", "correct horse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A running registry. `ca` is None for plain HTTP; `credentials` is `user:password` or None."""

    address: str
    directory: Path
    ca: Path | None = None
    credentials: str | None = None

    def push(self, layout: Path, name: str) -> str:
        """Copy the one image of an OCI layout to `name:tag` here; answers with the whole reference."""
        reference = f"{self.address}/{name}"
        options = ["--dest-creds", self.credentials] if self.credentials else []
        options += ["--dest-cert-dir", str(self.ca.parent)] if self.ca else ["--dest-tls-verify=false"]
        command = ["skopeo", "copy", "--quiet", *options, f"oci:{layout}", f"docker://{reference}"]
        subprocess.run(command, check=True, capture_output=True)
        return reference

    def log_in(self, home: Path) -> Path:
        """Write the credentials where `docker login` would; answers with the file."""
        file = home / ".docker" / "config.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        user, _, password = (self.credentials or ":").partition(":")
        file.write_text(json.dumps({"auths": {self.address: {"username": user, "password": password}}}))
        return file

    def answers(self) -> bool:
        """Whether it takes requests."""
        context = ssl.create_default_context(cafile=str(self.ca)) if self.ca else None
        connection = (
            http.client.HTTPSConnection(self.address, timeout=2, context=context)
            if context
            else http.client.HTTPConnection(self.address, timeout=2)
        )
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/v2/")
                return connection.getresponse().status in (200, 401)
            except OSError:
                return False


@contextmanager
def plain(directory: Path, port: int | None = None) -> Iterator[Registry]:
    """A registry that speaks HTTP and takes anybody."""
    address = f"127.0.0.1:{port or free_port()}"
    with serving(Registry(address=address, directory=directory), http={}, auth={}) as registry:
        yield registry


@contextmanager
def private(directory: Path) -> Iterator[Registry]:
    """A registry that speaks TLS with a certificate of its own authority, and asks for a password."""
    address = f"127.0.0.1:{free_port()}"
    directory.mkdir(parents=True, exist_ok=True)
    ca, certificate, key = certify(directory)
    told = subprocess.run(["htpasswd", "-Bbn", USERNAME, PASSWORD], check=True, capture_output=True)
    (directory / "htpasswd").write_bytes(told.stdout)
    tls = {"tls": {"certificate": str(certificate), "key": str(key)}}
    auth = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
    registry = Registry(address=address, directory=directory, ca=ca, credentials=f"{USERNAME}:{PASSWORD}")
    with serving(registry, http=tls, auth=auth):
        yield registry


@contextmanager
def serving(registry: Registry, *, http: Mapping[str, object], auth: Mapping[str, object]) -> Iterator[Registry]:
    """Run the daemon while the block runs."""
    registry.directory.mkdir(parents=True, exist_ok=True)
    storage = {"filesystem": {"rootdirectory": str(registry.directory / "data")}, "delete": {"enabled": True}}
    settings = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": storage,
        "http": {"addr": registry.address, **http},
    } | ({"auth": auth} if auth else {})
    config = registry.directory / "config.json"
    config.write_text(json.dumps(settings))  # JSON is YAML
    with (registry.directory / "log").open("w") as log:
        command = [program(), "serve", str(config)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(lambda: registry.answers() or process.poll() is not None, what="the registry")
            assert process.poll() is None, (registry.directory / "log").read_text()
            yield registry
        finally:
            process.kill()
            process.wait()


def program() -> str:
    """The registry's binary: installed, or unpacked by `./dev env`."""
    found = shutil.which("docker-registry")
    unpacked = Path(__file__).parents[1] / ".cache/registry/usr/bin/docker-registry"
    if found is None and not unpacked.exists():
        raise AssertionError("cannot find docker-registry: run ./dev env")
    return found or str(unpacked)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def certify(directory: Path) -> tuple[Path, Path, Path]:
    """An authority and a certificate for loopback: paths of ca.crt, server.pem and server.key."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of the tests")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority.public_key())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca = (
        blank(issuer, issuer, authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(authority, hashes.SHA256())
    )
    server = (
        blank(subject, issuer, key.public_key())
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    folder = directory / "tls"
    folder.mkdir(exist_ok=True)
    pem = serialization.Encoding.PEM
    (folder / "ca.crt").write_bytes(ca.public_bytes(pem))
    (directory / "server.pem").write_bytes(server.public_bytes(pem))
    plain_key = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "server.key").write_bytes(plain_key)
    return folder / "ca.crt", directory / "server.pem", directory / "server.key"


def blank(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    """A certificate that still says nothing but who, by whom and when."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
    )
