"""An empty place for layers and documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tank.image.blobs import Blobs


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[Blobs]:
    made = Blobs(tmp_path / "images")
    made.prepare()
    yield made
    made.close()
