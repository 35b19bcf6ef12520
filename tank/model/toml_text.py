"""TOML by the standard library. It tells no places, so faults in a sound text carry their path only.

The standard library keeps every prefix of a dotted key, so that one key of a hundred thousand steps would take
all memory. Such keys are refused before it sees them (S29).
"""

from __future__ import annotations

import re
import tomllib

from tank.model.document import Malformed, Tree
from tank.model.plain import MAX_DEPTH

_STEP = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(
    rf"(?:^[ \t]*+\[?\[?|[{{,])[ \t]*+{_STEP}(?:[ \t]*+\.[ \t]*+{_STEP}){{{MAX_DEPTH},}}+", re.MULTILINE
)


def read_toml(text: str) -> list[Tree]:
    """The one document of the text. Raises Malformed."""
    if _DEEP_KEY.search(text):
        raise Malformed(f"a key has more than {MAX_DEPTH} steps")
    try:
        return [Tree(tomllib.loads(text))]
    except RecursionError as error:
        raise Malformed("not TOML: nested too deeply") from error
    except ValueError as error:  # also a number too long for Python to read
        said = str(error)
        raise Malformed(f"not TOML: {said[:1].lower()}{said[1:]}") from error
