"""Images that the tests make themselves, as OCI layouts: busybox in a second, a real Debian once and then cached."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import platform
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CACHE = Path("/var/cache/tank-tests")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEBIAN_PACKAGES = ("nginx-light", "python3-minimal")
SERVICE_PACKAGES = ("postgresql", "redis-server")
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def busybox(directory: Path, **config: Any) -> Path:
    """An OCI layout in `directory` with Debian's static busybox, a shell by default; `config` is the image's."""
    program = Path(shutil.which("busybox") or "/bin/busybox")
    told = subprocess.run([program, "--list"], check=True, capture_output=True, text=True)
    entries: dict[str, bytes | str] = {f"bin/{name}": "busybox" for name in told.stdout.split()}
    entries["bin/busybox"] = program.read_bytes()
    entries["etc/passwd"] = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
    entries["etc/group"] = b"root:x:0:\nstaff:x:50:\nnobody:x:65534:\n"
    entries["www/index.html"] = b"hello from a pod\n"
    folders = ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "var", "www")
    return layout(directory, [layer(entries, folders)], {"Cmd": ["sh"], "Env": [PATH], **config})


def debian() -> Path:
    """A real Debian with nginx and python3 as two layers, made once by debootstrap and kept in the cache."""
    page: dict[str, bytes | str] = {
        "var/www/html/index.html": b"hello from a real Debian\n",
        "usr/share/.wh.doc": b"",
        "var/log/nginx/access.log": "/dev/stdout",
        "var/log/nginx/error.log": "/dev/stderr",
    }
    config = {
        "Cmd": ["nginx", "-g", "daemon off;"],
        "Env": [PATH],
        "ExposedPorts": {"80/tcp": {}},
        "StopSignal": "SIGQUIT",
    }
    return cached("debian", DEBIAN_PACKAGES, page, config)


def services() -> Path:
    """A real Debian with PostgreSQL and Redis, made and kept in the same way. Nothing of them is set up."""
    removed: dict[str, bytes | str] = {"var/lib/postgresql/.wh..wh..opq": b"", "etc/postgresql/.wh..wh..opq": b""}
    return cached("services", SERVICE_PACKAGES, removed, {"Cmd": ["sh"], "Env": [PATH]})


def cached(name: str, packages: Sequence[str], upper: Mapping[str, bytes | str], config: dict[str, Any]) -> Path:
    """The layout of a Debian with these packages and one more layer; made where it is not in the cache yet."""
    release, mirror = suite(), archive()
    key = hashlib.sha256(f"2 {release} {mirror} {tuple(packages)}".encode()).hexdigest()[:12]
    target = CACHE / f"{name}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            building = CACHE / "building"
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            layout(building / "layout", [bootstrap(building, packages), layer(upper, ())], config)
            (building / "layout").rename(target)
            shutil.rmtree(building)
    return target


def bootstrap(directory: Path, packages: Sequence[str]) -> bytes:
    """A tar of a fresh Debian with these packages, by debootstrap."""
    mirror = archive()
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}"]
    command += ["--components=main,universe"] if "ubuntu" in mirror else []
    with (directory / "log").open("w") as log:
        subprocess.run([*command, suite(), directory / "root", mirror], check=True, stdout=log, stderr=log)
    tar = ["tar", "--create", "--numeric-owner", "--xattrs", "--exclude=./var/cache/apt/archives/*.deb"]
    packed = subprocess.run([*tar, "--directory", directory / "root", "."], check=True, capture_output=True)
    shutil.rmtree(directory / "root")
    return packed.stdout


def archive() -> str:
    """The mirror that this machine's apt is set up with."""
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for path in sources:
        for line in path.read_text().splitlines() if path.is_file() else []:
            words = [word for word in line.split() if word.startswith(("http://", "https://"))]
            wanted = line.startswith(("deb ", "URIs:")) and words
            if wanted and words[0].rstrip("/").endswith(("/debian", "/ubuntu")):
                return words[0]
    return "http://deb.debian.org/debian"


def suite() -> str:
    """The release that this machine runs."""
    lines = Path("/etc/os-release").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    return shlex.split(found.get("VERSION_CODENAME", "bookworm"))[0]


def layer(entries: Mapping[str, bytes | str], folders: Sequence[str]) -> bytes:
    """A tar of folders, files (bytes) and links (str), the same bytes for the same content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in folders:
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(member)
        for name, content in sorted(entries.items(), key=lambda entry: isinstance(entry[1], str)):
            add(tar, name, content)
    return buffer.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes | str) -> None:
    """One file or link."""
    member = tarfile.TarInfo(name)
    member.mode = 0o755 if name.startswith("bin/") else 0o644
    if isinstance(content, str):
        member.type, member.linkname = tarfile.SYMTYPE, content
        tar.addfile(member)
    else:
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


def layout(directory: Path, layers: Sequence[bytes], config: Mapping[str, Any]) -> Path:
    """An OCI layout of one image: the layers (uncompressed tars) from the bottom up, and its config."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    packed = [gzip.compress(tar, compresslevel=6, mtime=0) for tar in layers]
    diffs = [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in layers]
    whole = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": diffs},
        "history": [{"created_by": "the tests"} for _ in layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(blobs, CONFIG, json.dumps(whole).encode()),
        "layers": [blob(blobs, LAYER, each) for each in packed],
    }
    index = {"schemaVersion": 2, "manifests": [blob(blobs, MANIFEST, json.dumps(manifest).encode())]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory


def blob(blobs: Path, kind: str, content: bytes) -> dict[str, Any]:
    """Store content by its digest; answers with its descriptor."""
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}


if __name__ == "__main__":  # ahead of the tests, so that no test's time limit counts it
    print(debian(), services())
