"""Budgets for size, so that no room of the house becomes a drawer.

The tail is what makes code hard to read, so each function has a ceiling and the whole has a median and a 90th
percentile. A body is counted from its first line after the docstring to its last.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

PACKAGE = Path(__file__).parents[2] / "tank"
FILES = sorted(PACKAGE.rglob("*.py"))

DICTATED = {"redirect_request"}  # overrides what a library calls with positions
Definition = ast.FunctionDef | ast.AsyncFunctionDef


class Function(NamedTuple):
    """One function with what the budgets need to know of it."""

    where: str
    name: str
    lines: int
    positional: int
    keyword_only: int


def body_lines(node: Definition) -> int:
    """The lines of a body without its docstring; a stub or a mere docstring has none."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def functions(path: Path) -> Iterator[Function]:
    """Every function of a file, nested ones too. `self` and `cls` are no parameters."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, Definition):
            named = [each.arg for each in node.args.posonlyargs + node.args.args]
            named = named[1:] if named[:1] in (["self"], ["cls"]) else named
            where = f"{path.relative_to(PACKAGE.parent)}:{node.lineno} {node.name}"
            yield Function(where, node.name, body_lines(node), len(named), len(node.args.kwonlyargs))


EVERY = [function for path in FILES for function in functions(path)]


def test_no_function_body_is_longer_than_fifty_lines() -> None:
    assert [f"{each.where}: {each.lines}" for each in EVERY if each.lines > 50] == []


def test_half_of_all_bodies_have_at_most_eight_lines_and_nine_of_ten_at_most_twenty_five() -> None:
    lines = [each.lines for each in EVERY]

    assert (median(lines) <= 8, quantiles(lines, n=10)[-1] <= 25) == (True, True)


def test_a_function_takes_five_parameters_or_seven_when_the_rest_are_named() -> None:
    def too_many(each: Function) -> bool:
        return each.positional > 5 or each.positional + each.keyword_only > 7

    assert [each.where for each in EVERY if too_many(each) and each.name not in DICTATED] == []


def test_a_file_has_at_most_three_hundred_lines() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in FILES}

    assert {name: lines for name, lines in lengths.items() if lines > 300} == {}
