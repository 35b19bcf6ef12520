"""Words: what is public is described, rule numbers lead somewhere, and the tree speaks of the product alone."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tank"
FILES = sorted(PACKAGE.rglob("*.py"))
BANNED_NAMES = {"base_class", "common", "helper", "helpers", "manager", "misc", "shared", "tools", "util", "utils"}

# Where the rules of each letter are kept, and how a rule's own line begins there: a table's row, a heading, a paragraph.
RULES = {"C": ROOT / "docs/semantics.md", "R": ROOT / "docs/failures.md", "S": ROOT / "docs/failures.md"}
REFERENCE = re.compile(r"\b(?:(C)(\d{1,2})|([RS])(\d{2}))(?![\w-])")

# Written so that this file does not find itself.
FOREIGN = re.compile(
    "|".join(
        [
            "/" + "work/",
            "/" + r"home/\w",
            "/" + "tmp/tankteam",
            r"\b" + r"issue #?\d+",
            r"\b" + "CONTRACT" + r"\.md",
            r"\b" + "VERBS" + r"\.md",
            r"\b" + r"H-(?:model|store|image|runtime|net|face|ops)\b",
            r"\b" + r"(?:claude|anthropic|chatgpt|copilot|language model)\b",
            r"\b" + r"co-authored-by\b",
        ]
    ),
    re.IGNORECASE,
)
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")


def tracked() -> list[Path]:
    """Every text file of the tree that git knows or would take up; where there is no git, every file of the source."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in told.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def lines(paths: list[Path]) -> Iterator[tuple[str, str]]:
    """Each line of each readable file, with where it stands."""
    for path in paths:
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def public(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """The module, its public classes and functions, and the public methods of these classes."""
    yield "module", tree
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from methods(node)


def methods(node: ast.ClassDef) -> Iterator[tuple[str, ast.AST]]:
    """The public methods of a class. A property of one expression says by its name what it is."""
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("_"):
            if not inner.decorator_list and len(inner.body) > 2:
                yield f"{node.name}.{inner.name}", inner


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_public_names_have_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_bytes())

    bare = [name for name, node in public(tree) if ast.get_docstring(node) is None]  # type: ignore[arg-type]

    assert (bare if tree.body else []) == []


def test_no_file_is_named_like_a_drawer() -> None:
    assert [str(path) for path in FILES if {path.stem, path.parent.name} & BANNED_NAMES] == []


def test_every_rule_that_is_cited_is_written_down() -> None:
    kept = {letter: set(re.findall(rf"\b{letter}\d+\b", path.read_text())) for letter, path in RULES.items()}
    sources = [path for path in tracked() if path.suffix == ".py"]

    lost = [
        f"{where}: {letter}{number}"
        for where, line in lines(sources)
        for letter, number in ((found[1] or found[3], found[2] or found[4]) for found in REFERENCE.finditer(line))
        if f"{letter}{number}" not in kept[letter]
    ]

    assert lost == []


def test_the_tree_names_nothing_but_the_product() -> None:
    assert [f"{where}: {line.strip()[:80]}" for where, line in lines(tracked()) if FOREIGN.search(line)] == []


def test_nothing_is_left_unfinished() -> None:
    sources = [path for path in tracked() if path.suffix in {".py", ".sh", ".toml"} or path.name == "dev"]

    assert [f"{where}: {line.strip()[:80]}" for where, line in lines(sources) if UNFINISHED.search(line)] == []
