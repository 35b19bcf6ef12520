"""The registries and images that other tests rely on are what they claim to be."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests import images
from tests.registry import Registry

pytestmark = pytest.mark.system


def inspect(reference: str, *options: str) -> dict[str, object]:
    told = subprocess.run(
        ["skopeo", "inspect", "--config", *options, f"docker://{reference}"], capture_output=True, check=True
    )
    found: dict[str, object] = json.loads(told.stdout)
    return found


def test_busybox_is_served_without_a_password(busybox: str) -> None:
    assert inspect(busybox, "--tls-verify=false")["config"] == {"Cmd": ["sh"], "Env": [images.PATH]}


def test_a_real_debian_is_served_as_two_layers(debian: str) -> None:
    rootfs = inspect(debian, "--tls-verify=false")["rootfs"]

    assert isinstance(rootfs, dict)
    assert len(rootfs["diff_ids"]) == 2


def test_the_private_registry_asks_for_a_password(private_registry: Registry, tmp_path: Path) -> None:
    assert private_registry.ca is not None
    reference = private_registry.push(images.busybox(tmp_path), "busybox:1")
    trusting = f"--cert-dir={private_registry.ca.parent}"

    assert inspect(reference, trusting, f"--creds={private_registry.credentials}")["os"] == "linux"
    with pytest.raises(subprocess.CalledProcessError):
        inspect(reference, trusting)
