"""Weights from 1 to 10000, of which 100 is the kernel's default, as others count them (C14).

Version 1 counts CPU time in shares, of which 1024 are the default: a weight is scaled by that alone, so that two
weights relate as two shares do. The BFQ scheduler has weights up to 1000 for disks.
"""

from __future__ import annotations

DEFAULT = 100
_SHARES = 1024  # of version 1, at the default weight
_MOST, _MOST_OF_BFQ = 10_000, 1000


def shares(weight: int) -> int:
    """A CPU weight as version 1's shares."""
    return weight * _SHARES // DEFAULT


def weight_of(shares: int) -> int:
    """Shares as the CPU weight they were made from."""
    return max(round(shares * DEFAULT / _SHARES), 1)


def bfq(weight: int) -> int:
    """A disk weight as BFQ has it: the same up to the default, and what lies above squeezed."""
    above = (weight - DEFAULT) * (_MOST_OF_BFQ - DEFAULT) // (_MOST - DEFAULT)
    return weight if weight <= DEFAULT else DEFAULT + above


def from_bfq(found: int) -> int:
    """The least disk weight that BFQ's number stands for."""
    above = -(-(found - DEFAULT) * (_MOST - DEFAULT) // (_MOST_OF_BFQ - DEFAULT))
    return found if found <= DEFAULT else DEFAULT + above
