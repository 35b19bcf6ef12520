"""What hostile archives and names come to, compared word by word with the verdicts in tests/corpus."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tank.errors import PullFailed
from tests.archives import archive, member
from tests.system.test_pull_unpack import attacks, unpacked
from tests.trees import Node, tree

pytestmark = pytest.mark.system

CORPUS = Path(__file__).parents[1] / "corpus"
ARCHIVES: dict[str, str | list[str]] = json.loads((CORPUS / "archives.json").read_text())
WHITEOUTS: dict[str, str | list[str]] = json.loads((CORPUS / "whiteouts.json").read_text())
OUTSIDE = b"/outside"


async def verdict(data: bytes, stage: Path) -> str | list[str]:
    """The refusal, or what is left of the archive."""
    stage.mkdir(mode=0o700)
    try:
        made = await unpacked(data, stage)
    except PullFailed as error:
        return f"refused: {error.message}"
    found = [shown(name, node) for name, node in sorted(tree(stage).items()) if name != "."]
    return found + [f"opaque {path or '.'}" for path in made.opaque]


def shown(name: str, node: Node) -> str:
    """One file in the words of the corpus."""
    if node.kind == "char" and node.content == "0:0":
        return f"hides {name}"
    if node.kind in ("char", "block"):
        return f"{name} (device)"
    return {"directory": f"{name}/", "link": f"{name} -> {node.content}", "fifo": f"{name} (fifo)"}.get(node.kind, name)


def test_the_corpus_holds_sixty_archives_and_forty_names() -> None:
    assert len(ARCHIVES) >= 60
    assert len(WHITEOUTS) >= 40
    assert ARCHIVES.keys() == attacks(OUTSIDE).keys()


@pytest.mark.parametrize("case", ARCHIVES)
async def test_an_archive_has_its_verdict(case: str, tmp_path: Path) -> None:
    assert await verdict(archive(*attacks(OUTSIDE)[case]), tmp_path / "layer") == ARCHIVES[case]


@pytest.mark.parametrize("name", WHITEOUTS)
async def test_a_name_has_its_verdict_and_touches_nothing_outside(name: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "a").mkdir(parents=True)
    (tmp_path / "a").write_text("canary")
    before = tree(outside), (tmp_path / "a").read_text()
    written: bytes = ast.literal_eval(f"b'{name}'")

    assert await verdict(archive(member(written)), tmp_path / "layer") == WHITEOUTS[name]
    assert (tree(outside), (tmp_path / "a").read_text()) == before
