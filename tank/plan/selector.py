"""Label selectors: `a=b,c!=d,e,!f`; every term has to hold."""

from __future__ import annotations

from collections.abc import Mapping

from tank.errors import InvalidSpec, Problem


def matches(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether the labels satisfy the selector; an empty one is satisfied by all. Raises InvalidSpec."""
    terms = [term.strip() for term in selector.split(",")] if selector.strip() else []
    held = [_holds(term, labels, selector) for term in terms]  # every term is read, so that every fault is found
    return all(held)


def _holds(term: str, labels: Mapping[str, str], selector: str) -> bool:
    key, operator, value = _parts(term)
    if not key or any(sign in key + value for sign in "=! "):
        raise InvalidSpec([Problem("", f"cannot read the selector {selector!r}", "write terms like a=b,c!=d,e,!f")])
    if operator == "!=":
        return labels.get(key) != value
    if operator == "=":
        return labels.get(key) == value
    return (key in labels) is (operator == "")


def _parts(term: str) -> tuple[str, str, str]:
    for sign in ("!=", "==", "="):
        if sign in term:
            key, _, value = term.partition(sign)
            return key.strip(), "!=" if sign == "!=" else "=", value.strip()
    return (term[1:].strip(), "!", "") if term.startswith("!") else (term, "", "")
