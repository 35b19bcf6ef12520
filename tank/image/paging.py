"""Answers of a registry that come in pages: each names the next one in a header, `Link: <…?…>; rel="next"`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_PAGES = 16  # of one answer, so that a registry cannot make it endless (S28)

_NEXT = re.compile(
    r'<[^<>?#\s]*\?([\x21\x22\x24-\x3b\x3d\x3f-\x7e]*)(?:#[^<>]*)?>\s*;[^,<]*\brel="?next"?', re.ASCII | re.IGNORECASE
)


def next_query(links: Iterable[str]) -> str:
    """The query of the next page; empty for the last one. Where it leads beside that is not believed (S25)."""
    found = (_NEXT.search(each) for each in links)
    return next((match[1] for match in found if match and len(match[1]) <= 4096), "")
