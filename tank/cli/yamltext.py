"""Plain data as YAML that any YAML parser reads back the same. Texts that could be taken for something else are
quoted as JSON quotes them, which YAML understands."""

from __future__ import annotations

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*")
_WORDS = re.compile(r"(?i:y|n|yes|no|on|off|true|false|null|nan|inf)")


def yaml(value: Any) -> str:
    """The document of `value`, with its line end."""
    if isinstance(value, (dict, list)) and value:
        return "\n".join(_block(value)) + "\n"
    return _scalar(value) + "\n"


def _block(value: dict[str, Any] | list[Any]) -> list[str]:
    lines: list[str] = []
    if isinstance(value, dict):
        for key, each in value.items():
            lines += _entry(f"{_scalar(str(key))}:", each)
        return lines
    for each in value:
        if isinstance(each, (dict, list)) and each:
            first, *rest = _block(each)
            lines += [f"- {first}", *(f"  {line}" for line in rest)]
        else:
            lines.append(f"- {_scalar(each)}")
    return lines


def _entry(head: str, value: Any) -> list[str]:
    if isinstance(value, (dict, list)) and value:
        indent = "  " if isinstance(value, dict) else ""
        return [head, *(f"{indent}{line}" for line in _block(value))]
    return [f"{head} {_scalar(value)}"]


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not _WORDS.fullmatch(value):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.1f}"
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and "." not in text:
        return text.replace("e", ".0e")  # YAML 1.1's readers take 1e-05 for a string
    return text if text.isprintable() else "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(sign: str) -> str:
    code = ord(sign)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
