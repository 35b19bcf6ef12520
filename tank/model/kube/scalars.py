"""How Kubernetes reads YAML: as version 1.1, the way its own tools do.

`yes`, `on` and `y` are true, `0400` is octal and so is `0o400`, `1_000` is a thousand, `<<` merges, and a name that is
a number is its text. `12:30` and dates are strings here as well. Everywhere else Tank reads version 1.2.
"""

from __future__ import annotations

import re
from typing import Any

from tank.model.yaml_text import CORE, Rules

_TRUE = "y|Y|yes|Yes|YES|on|On|ON|true|True|TRUE"
_FALSE = "n|N|no|No|NO|off|Off|OFF|false|False|FALSE"


def _whole(base: int) -> Any:
    """Digits of `base` behind an optional sign and prefix; underscores only part them."""

    def make(text: str) -> int:
        sign = -1 if text.startswith("-") else 1
        digits = text.lstrip("+-").replace("_", "")
        return sign * int((digits[2:] if digits[1:2].isalpha() else digits) or "0", base)

    return make


KUBERNETES = Rules(
    table=(
        CORE.table[0],  # null
        ("bool", re.compile(f"{_TRUE}|{_FALSE}"), lambda text: bool(re.fullmatch(_TRUE, text))),
        ("int", re.compile(r"[-+]?0[xX][0-9a-fA-F_]{1,40}"), _whole(16)),
        ("int", re.compile(r"[-+]?0[bB][01_]{1,80}"), _whole(2)),
        ("int", re.compile(r"[-+]?0[oO]?[0-7_]{1,40}"), _whole(8)),
        ("int", re.compile(r"[-+]?[0-9][0-9_]{0,400}"), _whole(10)),
        *(each for each in CORE.table if each[0] == "float"),
    ),
    merges=True,
    names_are_text=True,
)


def is_document(value: Any) -> bool:
    """Whether this is Kubernetes' kind of document."""
    return isinstance(value, dict) and {"apiVersion", "kind"} <= value.keys()


def holds_document(value: Any) -> bool:
    """Whether it is one, or a list with one."""
    return is_document(value) or (isinstance(value, list) and any(map(is_document, value)))
