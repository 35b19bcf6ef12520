"""Every pod that the documents show is one that the parser takes."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from tank.model.parse import parse_documents, parse_pod

DOCS = Path(__file__).parents[3] / "docs"
BLOCK = re.compile(r"^( *)```(yaml|toml)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
APP = {"name": "web", "containers": [{"name": "app", "image": "nginx:1.27"}]}


def blocks() -> list[Any]:
    """Each block of code that states a pod, or fields of one or of a container."""
    found: list[Any] = []
    for page in sorted(DOCS.rglob("*.md")):
        for match in BLOCK.finditer(page.read_text()):
            text = textwrap.dedent(match[3])
            ours = text.startswith("name =") if match[2] == "toml" else "metadata:" not in text  # not Kubernetes'
            if ours:
                found.append(pytest.param(match[2], text, id=f"{page.relative_to(DOCS)}:{len(found)}"))
    return found


@pytest.mark.parametrize(("language", "text"), blocks())
def test_a_pod_of_the_documents_is_sound(language: Any, text: str) -> None:
    if language == "yaml" and isinstance(part := yaml.safe_load(text), dict) and "containers" not in part:
        named = {name: each for name, each in part.items() if name in ("volumes", "labels", "network", "init")}
        within = {name: each for name, each in part.items() if name not in named}
        parse_pod({**APP, **named, "containers": [{**APP["containers"][0], **within}]})  # type: ignore[dict-item]
    else:
        assert parse_documents(text, language)
