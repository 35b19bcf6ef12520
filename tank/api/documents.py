"""The bodies that hold pods: one text as typed, or an envelope of several with their names.

    Content-Type: application/yaml | application/toml | application/json      or ?format=yaml|toml|json
    Content-Type: application/vnd.tank.documents+json
        {"documents": [{"source": "web.yaml", "format": "yaml", "text": "…"}, …]}

The envelope is how one transaction takes several files, each with lines and columns of its own in what is
reported. All documents are read before the first is stored; every fault of all of them is in one answer. Kubernetes
documents may stand among them, and with these secrets and configs, and a list of what is lost in translation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from tank.api.routes import DEFAULTS
from tank.errors import InvalidSpec, Problem
from tank.model.parse import Defaults, Format, Stated, read_documents
from tank.model.pod import Pod

ENVELOPE = "application/vnd.tank.documents+json"
Document = tuple[str, Format, bytes | str]  # source, format, text
FORMATS: dict[str, Format] = {
    "application/json": "json",
    "application/yaml": "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
    "text/x-yaml": "yaml",
    "application/toml": "toml",
    "text/toml": "toml",
    "text/x-toml": "toml",
}
_NAMES: dict[object, Format] = {each: each for each in FORMATS.values()}


async def read_pods(request: web.Request) -> list[Pod]:
    """The pods that the body states, and nothing but pods. Raises InvalidSpec with every fault."""
    stated = await read_stated(request)
    if stated.stored:
        raise InvalidSpec([Problem("kind", "only pods can stand here", "POST /v1/apply takes the others too")])
    return list(stated.pods)


async def read_stated(request: web.Request) -> Stated:
    """All that the body states, names unique. Raises InvalidSpec with every fault."""
    body = await request.read()
    enveloped = request.content_type == ENVELOPE
    documents = _envelope(body) if enveloped else [("", _format(request), body)]
    return _all(documents, request.app[DEFAULTS])


def read_json(text: bytes | str) -> Any:
    """JSON of which no object says a key twice (S24). Raises InvalidSpec."""
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InvalidSpec([Problem("", f"not JSON: {error}")]) from error


def _format(request: web.Request) -> Format:
    named = request.query.get("format")
    found = _NAMES.get(named) if named else FORMATS.get(request.content_type)
    if found is None:
        said = named or request.content_type
        raise InvalidSpec(
            [Problem("Content-Type", f"cannot tell the format from {said[:80]!r}", "add ?format=yaml, toml or json")]
        )
    return found


def _envelope(body: bytes) -> Iterable[Document]:
    said = read_json(body)
    documents = said.get("documents") if isinstance(said, dict) else None
    if not isinstance(documents, list):
        raise InvalidSpec([Problem("documents", "expected a list of {source, format, text}")])
    for index, each in enumerate(documents):
        fields = each if isinstance(each, dict) else {}
        source, form, text = fields.get("source", ""), _NAMES.get(fields.get("format")), fields.get("text")
        if not isinstance(source, str) or form is None or not isinstance(text, str):
            raise InvalidSpec([Problem(f"documents[{index}]", "expected {source, format: yaml|toml|json, text}")])
        yield source, form, text


def _all(documents: Iterable[Document], defaults: Defaults) -> Stated:
    found: list[Stated] = []
    problems: list[Problem] = []
    taken: set[str] = set()
    for source, form, text in documents:
        try:
            part = read_documents(text, form, source, defaults=defaults)
        except InvalidSpec as error:
            problems += error.problems
            continue
        names = {f"pod {each.name}" for each in part.pods} | {each.key for each in part.stored}
        problems += (Problem("name", f"{each} is stated twice", source=source) for each in sorted(names & taken))
        taken |= names
        found.append(part)
    if problems:
        raise InvalidSpec(problems)
    return Stated(
        pods=tuple(pod for each in found for pod in each.pods),
        stored=tuple(one for each in found for one in each.stored),
        losses=tuple(loss for each in found for loss in each.losses),
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidSpec([Problem(twice[:80], "the key stands there twice")])
    return found
