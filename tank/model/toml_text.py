"""TOML by the standard library. It tells no places, so faults in a sound text carry their path only."""

from __future__ import annotations

import tomllib

from tank.model.document import Malformed, Tree


def read_toml(text: str) -> list[Tree]:
    """The one document of the text. Raises Malformed."""
    try:
        return [Tree(tomllib.loads(text))]
    except RecursionError as error:
        raise Malformed("not TOML: nested too deeply") from error
    except ValueError as error:  # also a number too long for Python to read
        said = str(error)
        raise Malformed(f"not TOML: {said[:1].lower()}{said[1:]}") from error
