"""Words: what is public is described, rule numbers lead somewhere, the tree speaks of the product alone."""

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
BANNED_NAMES = {"common", "helper", "helpers", "manager", "misc", "shared", "tools", "util", "utils"}

# Where the rules of each letter are kept.
RULES = {"C": ROOT / "docs/semantics.md", "R": ROOT / "docs/failures.md", "S": ROOT / "docs/failures.md"}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
REFERENCE = re.compile(r"\b(?:C\d{1,2}|[RS]\d{2})\b")

# Paths of one machine and notes that are not here, written so that this file does not find itself.
FOREIGN = re.compile(r"(?<![\w.])/wor[k]/|\.\./share[d]\b|\bissu[e] #?\d+", re.IGNORECASE)
UNFINISHED = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X]|HAC[K])\b")


def tracked() -> list[Path]:
    """Every file of the tree that git knows or would take up."""
    command = f"git -c safe.directory={ROOT} ls-files -z --cached --others --exclude-standard".split()
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


def methods(node: Definition) -> Iterator[tuple[str, ast.AST]]:
    """The public methods of a class. What is decorated or says itself in a line needs no more words."""
    for inner in node.body if isinstance(node, ast.ClassDef) else []:
        if not isinstance(inner, Definition) or inner.name.startswith("_"):
            continue
        if not inner.decorator_list and len(inner.body) > 2:
            yield f"{node.name}.{inner.name}", inner


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_public_names_have_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_bytes())

    described_elsewhere = path.parent.name == "testing"  # a fake's methods are those of its protocol
    named = [each for each in public(tree) if not (described_elsewhere and "." in each[0])]
    bare = [name for name, node in named if ast.get_docstring(node) is None]  # type: ignore[arg-type]

    assert (bare if tree.body else []) == []


def test_no_file_is_named_like_a_drawer() -> None:
    assert [str(path) for path in FILES if {path.stem, path.parent.name} & BANNED_NAMES] == []


def test_every_rule_that_is_cited_is_written_down() -> None:
    kept = {letter: set(re.findall(rf"\b{letter}\d+\b", path.read_text())) for letter, path in RULES.items()}
    sources = [path for path in tracked() if path.suffix == ".py"]

    cited = [(where, rule) for where, line in lines(sources) for rule in REFERENCE.findall(line)]
    lost = [f"{where}: {rule}" for where, rule in cited if rule not in kept[rule[0]]]

    assert lost == []


def test_every_link_between_pages_leads_somewhere() -> None:
    pages = [path for path in tracked() if path.suffix == ".md"]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())]

    assert [f"{page.relative_to(ROOT)}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_the_tree_names_nothing_but_the_product() -> None:
    assert [f"{where}: {line.strip()[:80]}" for where, line in lines(tracked()) if FOREIGN.search(line)] == []


def test_nothing_is_left_unfinished() -> None:
    sources = [path for path in tracked() if path.suffix in {".py", ".sh", ".toml"} or path.name == "dev"]

    assert [f"{where}: {line.strip()[:80]}" for where, line in lines(sources) if UNFINISHED.search(line)] == []
